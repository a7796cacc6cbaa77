"""A pack: the folder of an embedder with what goes with it, used as one.

``manifest.toml`` says what the embedder takes and who may use it, and names the other files: the embedder's ONNX file,
and where there are any the aggregator trained on its features and thresholds measured with both. ``faceset export``
writes one, ``Recognizer(pack=...)`` uses it, ``faceset models import`` copies it into the store.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from faceset.errors import ModelError, ModelFileError
from faceset.packs.installed import file_sha256
from faceset.packs.inventory import MANIFEST_NAME, ModelInfo, list_models, resolve
from faceset.packs.manifest import Manifest, read_manifest

_CURE = "write it anew with `faceset export`, or copy or import it again"


@dataclass(frozen=True, slots=True)
class Pack:
    """The parts of a pack, each verified.

    Attributes:
        folder: where they lie.
        manifest: of the embedder.
        embedder: its ONNX file.
        aggregator: the ONNX file of the aggregator; None: the pack has none.
        calibration: the file of thresholds; None: the pack has none.
    """

    folder: Path
    manifest: Manifest
    embedder: Path
    aggregator: Path | None = None
    calibration: Path | None = None

    @property
    def model_id(self) -> str:
        """Id of the embedder."""
        return self.manifest.model_id

    @property
    def aggregator_name(self) -> str:
        """``<kind>:<8 hex digits>`` of the aggregator, which tells one set of weights from the next; empty without one.

        Raises:
            ModelFileError: as :func:`aggregator_metadata`.
        """
        if self.aggregator is None:
            return ""
        return f"{aggregator_metadata(self.aggregator).get('kind', '')}:{self.manifest.aggregator_sha256[:8]}"

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        values: dict[str, Any] = {"folder": str(self.folder), "model_id": self.model_id, **self.manifest.to_dict()}
        if self.aggregator is not None:
            values["aggregator_name"] = self.aggregator_name
        return values


def open_pack(path: str | Path, *, embedder: bool = True) -> Pack:
    """The pack in a folder, every file of it verified.

    Args:
        path: the folder, or its ``manifest.toml``.
        embedder: verify the embedder's file too, which may have hundreds of megabytes; False: it must be there.

    Raises:
        ModelFileError: it is no pack, or a file of it is missing, damaged, exchanged, or of another embedder.
    """
    given = Path(path)
    folder, manifest_path = (given.parent, given) if given.suffix == ".toml" else (given, given / MANIFEST_NAME)
    if not manifest_path.is_file():
        raise ModelFileError(
            f"{given} is no pack: there is no {manifest_path}; give the folder that `faceset export` wrote (an "
            "imported pack goes by its name as the embedder)"
        )
    try:
        manifest = read_manifest(manifest_path)
    except ModelError as e:
        raise ModelFileError(f"{given} is no pack that can be used: {e}; {_CURE}") from e
    if manifest.role != "embedder" or manifest.package:
        raise ModelFileError(
            f"{given} is no pack: {manifest_path} is the manifest of a {manifest.role}"
            f"{' inside a package' if manifest.package else ''}; give the folder that `faceset export` wrote"
        )
    network = _verified(manifest, folder / manifest.file, manifest.sha256 if embedder else "")
    aggregator = folder / manifest.aggregator if manifest.aggregator else None
    if aggregator is not None:
        _verified(manifest, aggregator, manifest.aggregator_sha256)
        check_same_embedder(manifest, aggregator, aggregator_metadata(aggregator).get("embedder", ""))
    calibration = folder / manifest.calibration if manifest.calibration else None
    if calibration is not None:
        _verified(manifest, calibration, "")
    return Pack(folder, manifest, network, aggregator, calibration)


def embedder_of(name: str) -> tuple[Manifest, Path]:
    """Manifest and verified file of an embedder: a name, the path of a manifest, or the folder of a pack.

    A name that is known wins over a folder that happens to be called so where the program was started.

    Raises:
        ModelError: there is none; the message says how to get it.
        ModelFileError: its file is missing or damaged, or the folder is no pack.
    """
    if Path(name).is_dir() and all(model.name != name for model in list_models()):
        pack = open_pack(name)
        return pack.manifest, pack.embedder
    return resolve(name, role="embedder")


def stored_pack(name: str) -> Pack | None:
    """The imported model of that name when it has an aggregator or thresholds of its own; None otherwise.

    The embedder's file is not verified: whoever runs it does that.

    Raises:
        ModelFileError: it has, and one of them is damaged.
    """
    return next(_stored(lambda found_name, _: found_name == name), None)


def stored_pack_of(model_id: str) -> Pack | None:
    """As :func:`stored_pack`, by the id of the embedder; the first by name where several have it."""
    return next(_stored(lambda _, manifest: manifest.model_id == model_id), None)


def aggregator_of(model: ModelInfo) -> str:
    """Name of the aggregator of an imported pack, for lists; empty where it has none or cannot be read."""
    if model.folder is None or model.manifest is None or not model.manifest.aggregator:
        return ""
    try:
        return open_pack(model.folder, embedder=False).aggregator_name
    except ModelFileError:
        return ""


def aggregator_metadata(path: Path) -> dict[str, str]:
    """What the ONNX file of an aggregator says of itself.

    Raises:
        ModelFileError: ONNX Runtime cannot run the file.
    """
    from faceset.packs.session import open_session

    session = open_session(path, what="aggregator", device="cpu")
    return dict(session.get_modelmeta().custom_metadata_map)


def check_same_embedder(manifest: Manifest, aggregator: Path, said: str) -> None:
    """Refuse an aggregator that was trained on the features of another embedder; ``said`` is the id it names.

    Raises:
        ModelFileError: it is of another.
    """
    if said != manifest.model_id:
        raise ModelFileError(
            f"pack {manifest.id!r}: {aggregator} was trained for embedder {said or '(not named)'}, but the embedder of "
            f"the pack is {manifest.model_id}; {_CURE}"
        )


def _stored(wanted: Callable[[str, Manifest], bool]) -> Iterator[Pack]:
    for model in list_models():
        manifest = model.manifest
        if model.folder is None or manifest is None:
            continue
        if (manifest.aggregator or manifest.calibration) and wanted(model.name, manifest):
            yield open_pack(model.folder, embedder=False)


def _verified(manifest: Manifest, path: Path, sha256: str) -> Path:
    """``path`` when it is a file and, where ``sha256`` is given, has those bytes."""
    if not path.is_file():
        raise ModelFileError(f"pack {manifest.id!r}: its file {path} is missing; {_CURE}")
    if sha256 and (found := file_sha256(path)) != sha256:
        raise ModelFileError(
            f"pack {manifest.id!r}: {path} is damaged or was exchanged (sha256 {found}, not {sha256} as its manifest "
            f"says); {_CURE}"
        )
    return path
