"""The models of this machine: built in, imported or pulled.

Imported and pulled models lie under ``<cache>/models/<name>/``: ``manifest.toml`` and the weight file. A folder is
filled under a temporary name and renamed, so that half a model is never met.
"""

from __future__ import annotations

import importlib.util
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from faceset import settings
from faceset.errors import LicenceError, ModelError, ModelFileError
from faceset.packs.installed import file_sha256
from faceset.packs.manifest import Manifest, check_commercial, check_name, read_manifest
from faceset.packs.registry import registry

MANIFEST_NAME = "manifest.toml"

BUILT_IN = "built in"
AVAILABLE = "available"
NOT_DOWNLOADED = "not downloaded"
DAMAGED = "damaged"


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A model and how it stands with it here.

    Attributes:
        name: what to call it in commands.
        state: ``built in``, ``available``, ``not downloaded`` or ``damaged``.
        manifest: None when it is damaged so that even its manifest cannot be read.
        folder: where an imported or pulled model lies.
        problem: why it is damaged.
    """

    name: str
    state: str
    manifest: Manifest | None
    folder: Path | None = None
    problem: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        values: dict[str, Any] = {"name": self.name, "state": self.state}
        if self.manifest is not None:
            values |= {"model_id": self.manifest.model_id} if self.manifest.role == "embedder" else {}
            values |= self.manifest.to_dict()
        if self.folder is not None:
            values["folder"] = str(self.folder)
        if self.problem:
            values["problem"] = self.problem
        return values


def models_dir() -> Path:
    """Folder of imported and pulled models; it is not created here."""
    return settings.cache_dir() / "models"


def list_models() -> list[ModelInfo]:
    """Every model known here: the registry in its order, then what was imported, by name."""
    try:
        stored = sorted(p.name for p in models_dir().iterdir() if p.is_dir() and not p.name.startswith("."))
    except FileNotFoundError:
        stored = []
    except OSError as e:
        raise ModelError(
            f"the model folder {models_dir()} cannot be read ({e.strerror or e}); set FACESET_CACHE to one that can"
        ) from e
    known = registry()
    return [_info(name) for name in (*known, *(n for n in stored if n not in known))]


def info(name: str) -> ModelInfo:
    """One model of :func:`list_models`.

    Raises:
        ModelError: nothing of that name is known.
    """
    if name not in registry() and not (_is_name(name) and (models_dir() / name).is_dir()):
        raise ModelError(f"no model is called {name!r}; known are {_names()}. `faceset models import FILE` adds one")
    return _info(name)


def resolve(name_or_path: str | Path, *, role: str | None = None) -> tuple[Manifest, Path]:
    """The manifest and the verified ONNX file of a model.

    Args:
        name_or_path: a name from :func:`list_models`, or the path of a manifest (``.toml``) beside its weights,
            or of their folder.
        role: the role it must have.

    Raises:
        ModelError: it is unknown, not downloaded, or of another role.
        ModelFileError: its file is missing or damaged.
        LicenceError: FACESET_COMMERCIAL forbids it.
    """
    text = str(name_or_path)
    if isinstance(name_or_path, Path) or text.endswith(".toml") or "/" in text or os.sep in text:
        path = Path(name_or_path)
        if (path / MANIFEST_NAME).is_file():
            path = path / MANIFEST_NAME
        if path.suffix != ".toml":
            raise ModelError(
                f"{path} is no manifest (.toml), so it is not known what goes into it; "
                f"make it known first: `faceset models import {path}`"
            )
        manifest, folder = read_manifest(path), path.parent
    else:
        found = info(text)
        if found.manifest is None:
            raise ModelFileError(found.problem)
        manifest, folder = found.manifest, found.folder or Path()
        if found.state == NOT_DOWNLOADED:
            raise ModelError(
                f"model {text!r} is known but not downloaded (licence: {manifest.licence}; commercial use: "
                f"{manifest.commercial}); fetch it with `faceset models pull {text}`"
            )
    if role is not None and manifest.role != role:
        raise ModelError(
            f"model {text!r} is of role {manifest.role}, but {role} is needed here; known are {_names(role)}"
        )
    check_commercial(manifest)
    if manifest.package:
        return manifest, _rebuilt(manifest)
    return manifest, verified(manifest, folder)


def check_pull_licence(manifest: Manifest, *, accepted: bool) -> None:
    """Refuse to fetch weights whose licence does not plainly allow commercial use, unless it was accepted.

    Raises:
        LicenceError: it must be accepted first.
    """
    check_commercial(manifest)
    if manifest.commercial == "yes" or accepted:
        return
    use = "not allowed" if manifest.commercial == "no" else "not known to be allowed"
    raise LicenceError(
        f"model {manifest.id!r} has the licence {manifest.licence!r}: commercial use is {use}. If your use is within "
        f"it, say so: `faceset models pull {manifest.id} --accept-licence`"
    )


def _info(name: str) -> ModelInfo:
    known = registry().get(name)
    if known is not None and known.package:
        if importlib.util.find_spec(known.package) is None:
            return ModelInfo(name, DAMAGED, known, problem=f"the package {known.package} is not installed")
        return ModelInfo(name, BUILT_IN, known)
    folder = models_dir() / name
    if not folder.is_dir():
        return ModelInfo(name, NOT_DOWNLOADED, known)
    cure = f"delete the folder {folder} and import or pull it again"
    try:
        manifest = read_manifest(folder / MANIFEST_NAME)
    except ModelError as e:
        return ModelInfo(name, DAMAGED, known, folder, f"model {name!r}: {e}; {cure}")
    if missing := [file for file in manifest.files or ("",) if not (folder / file).is_file()]:
        return ModelInfo(name, DAMAGED, manifest, folder, f"model {name!r}: {', '.join(missing)} is missing; {cure}")
    return ModelInfo(name, AVAILABLE, manifest, folder)


def _rebuilt(manifest: Manifest) -> Path:
    """The ONNX file of an embedder that is rebuilt from an installed package."""
    if manifest.id == "dlib-resnet":
        from faceset.packs.dlib_resnet import dlib_resnet_file

        return dlib_resnet_file()
    raise ModelError(f"model {manifest.id!r} comes inside the package {manifest.package} and is no single ONNX file")


def verified(manifest: Manifest, folder: Path) -> Path:
    """The weight file of a model in ``folder``, after checking its bytes.

    Raises:
        ModelFileError: it is missing or has other bytes.
    """
    path = folder / manifest.file
    if not manifest.file or not path.is_file():
        raise ModelFileError(f"model {manifest.id!r}: its file {path} is missing; import or pull it again")
    found = file_sha256(path)
    if found != manifest.sha256:
        raise ModelFileError(
            f"model {manifest.id!r}: {path} is damaged or was exchanged (sha256 {found}, not "
            f"{manifest.sha256 or 'given in its manifest'}); delete the folder {folder} and import or pull it again"
        )
    return path


def _names(role: str | None = None) -> str:
    return ", ".join(
        m.name for m in list_models() if role is None or (m.manifest is not None and m.manifest.role == role)
    )


def _is_name(name: str) -> bool:
    try:
        check_name(name)
    except ModelError:
        return False
    return True
