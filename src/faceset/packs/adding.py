"""Bring a model in: import a file, or pull a registry entry."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from faceset.errors import InputError, ModelError, ModelFileError
from faceset.packs.cache import temporary_beside
from faceset.packs.download import DownloadProgress, download
from faceset.packs.installed import file_sha256
from faceset.packs.inventory import AVAILABLE, MANIFEST_NAME, ModelInfo, check_pull_licence, info, models_dir, verified
from faceset.packs.manifest import CROPS, Manifest, check_name, crop_size, manifest_from_dict, read_toml
from faceset.packs.pack import open_pack
from faceset.packs.registry import registry

_NEEDED = ("crop", "colour", "mean", "std")


def pull(name: str, *, accept_licence: bool = False, progress: DownloadProgress | None = None) -> ModelInfo:
    """Fetch a registry entry; one that is here and whole is not fetched again.

    Args:
        name: see :func:`faceset.packs.registry.registry`.
        accept_licence: needed where commercial use is not plainly allowed.
        progress: called with the bytes read so far and the bytes in all (or None).

    Raises:
        ModelError: no such entry, or it comes with a package.
        LicenceError: the licence must be accepted, or FACESET_COMMERCIAL forbids the model.
        DownloadError: it could not be fetched, or other bytes came; nothing is left behind.
    """
    manifest = registry().get(name)
    if manifest is None:
        pullable = ", ".join(m.id for m in registry().values() if m.url)
        raise ModelError(f"no model {name!r} can be pulled; the registry has {pullable}")
    if not manifest.url:
        raise ModelError(f"model {name!r} comes with the package {manifest.package}; there is nothing to pull")
    if _whole(name):
        return info(name)
    check_pull_licence(manifest, accepted=accept_licence)

    def fill(folder: Path) -> Manifest:
        path = folder / manifest.file
        download(manifest.url, path, sha256=manifest.sha256, size=manifest.bytes, name=name, progress=progress)
        _probe(manifest, path)
        return manifest

    return _add(name, manifest.sha256, fill)


def import_model(
    file: str | Path, *, manifest: str | Path | None = None, name: str | None = None, **options: Any
) -> ModelInfo:
    """Copy an ONNX file into the store, with what must be known of it; or a pack, which says all that itself.

    A file of the registry is recognised by its sha256 and needs nothing else. Of any other the preprocessing must be
    said: a wrong one would give features that compare without complaint and mean nothing.

    Args:
        file: the ONNX file, in one piece (no external data); or the folder of a pack, with which only ``name`` goes.
            Under another name a pack keeps the ``id`` of its manifest, and so its model id.
        manifest: a TOML file with the keys of :class:`Manifest`; ``id``, ``file``, ``sha256``, ``bytes`` and
            ``width`` may be missing.
        name: what to call it; default: the registry's name, the manifest's ``id``, or the file's name.
        options: keys of :class:`Manifest`; they win over ``manifest``, None counts as not given. For an embedder
            ``crop``, ``colour``, ``mean`` and ``std`` are needed (``mean`` and ``std``: one number or three);
            ``role`` defaults to ``embedder``, ``licence`` to "not stated" and ``commercial`` to "unknown".

    Raises:
        InputError: something needed is not said, or contradicts the registry.
        ModelError: a value is wrong, or the name is taken.
        ModelFileError: the file cannot be read or run, or does not fit its crop.
    """
    source = Path(file)
    if source.is_dir() or source.suffix == ".toml":
        if said := [key for key, value in {"manifest": manifest, **options}.items() if value is not None]:
            raise InputError(f"the pack {source} has a manifest of its own; import it without {', '.join(said)}")
        return _import_pack(source, name)
    if not source.is_file():
        raise ModelFileError(f"model file {source} does not exist; give the path of an ONNX file, or of a pack")
    digest = file_sha256(source)
    given = dict(read_toml(Path(manifest))) if manifest is not None else {}
    if given.get("aggregator") or given.get("calibration"):
        raise InputError(f"{manifest} is the manifest of a pack; import its folder: `faceset models import FOLDER`")
    given |= {key: value for key, value in options.items() if value is not None}
    for key in ("mean", "std"):
        if isinstance(given.get(key), (int, float)) and not isinstance(given[key], bool):
            given[key] = [given[key]] * 3
    known = next((m for m in registry().values() if m.sha256 == digest), None)
    chosen = _known(known, given, source) if known is not None else _described(given, source, digest, name)

    def fill(folder: Path) -> Manifest:
        copy = folder / chosen.file
        shutil.copyfile(source, copy)
        if file_sha256(copy) != digest:
            raise ModelFileError(f"{source} changed while it was copied; import it again")
        width = _probe(chosen, copy)  # the copy: a graph that needs a second file beside it fails here, not later
        if "width" in given and width != given["width"]:
            raise ModelFileError(f"{source} gives {width} numbers a face, but its manifest says {given['width']}")
        return chosen.replace(width=width)

    return _add(name or chosen.id, digest, fill)


def _import_pack(source: Path, name: str | None) -> ModelInfo:
    """Copy a pack whole."""
    pack = open_pack(source)
    manifest = pack.manifest
    chosen = name or manifest.id
    if chosen in registry():
        raise ModelError(
            f"the name {chosen!r} belongs to a model of the registry; choose another for the pack (--name)"
        )

    def fill(folder: Path) -> Manifest:
        for file in manifest.files:
            shutil.copyfile(pack.folder / file, folder / file)
        (folder / MANIFEST_NAME).write_text(manifest.to_toml(), encoding="utf-8")
        copy = open_pack(folder)
        width = _probe(manifest, copy.embedder)
        if width != manifest.width:
            raise ModelFileError(
                f"pack {source}: its embedder gives {width} numbers a face, but its manifest says {manifest.width}; "
                "write it anew with `faceset export`"
            )
        return manifest

    return _add(chosen, manifest.sha256, fill)


def _known(known: Manifest, given: dict[str, Any], source: Path) -> Manifest:
    """The registry's manifest; what it says is not overridden, or the same weights would get a second id."""
    said = manifest_from_dict({**known.to_dict(), **given, "id": known.id, "file": known.file}, f"import of {source}")
    if said != known:
        other = ", ".join(key for key in given if getattr(said, key) != getattr(known, key))
        raise InputError(
            f"{source} is {known.id!r} of the registry, which says otherwise on {other}; "
            f"import it without {'this option' if ',' not in other else 'these options'}"
        )
    return known


def _described(given: dict[str, Any], source: Path, digest: str, name: str | None) -> Manifest:
    values = {"role": "embedder", "licence": "not stated", "commercial": "unknown", **given}
    if values["role"] == "embedder" and (missing := [key for key in _NEEDED if key not in values]):
        raise InputError(
            f"{source} is not in the registry, so what goes into it must be said: {', '.join(missing)} "
            f"{'is' if len(missing) == 1 else 'are'} missing (crop: {CROPS}; colour: RGB or BGR; "
            "the model is fed (x - mean) / std with x in 0..255)"
        )
    if values.get("sha256", digest) != digest:
        raise ModelFileError(f"{source} has sha256 {digest}, but its manifest says {values['sha256']}")
    values["id"] = name or values.get("id") or re.sub(r"[^A-Za-z0-9._-]+", "-", source.stem)
    values |= {"file": source.name, "sha256": digest, "bytes": source.stat().st_size}
    if values["role"] == "embedder":
        values.setdefault("width", 1)  # until the graph has run
    return manifest_from_dict(values, f"import of {source}")


def _probe(manifest: Manifest, path: Path) -> int:
    """Run the graph once: the width of an embedder; 0 for other roles, whose graphs are only opened."""
    from faceset.packs.image_model import ImageModel
    from faceset.packs.session import open_session

    what = f"{manifest.role} {manifest.id}"
    if manifest.role == "embedder":
        return ImageModel(path, crop_size(manifest.crop), what=what, output=manifest.output).probe()
    open_session(path, what=what)
    return manifest.width


def _whole(name: str) -> bool:
    """Whether the model is in the store with the right bytes."""
    try:
        found = info(name)
        if found.state != AVAILABLE or found.manifest is None or found.folder is None:
            return False
        verified(found.manifest, found.folder)
        if found.manifest.aggregator or found.manifest.calibration:
            open_pack(found.folder, embedder=False)
    except ModelError:
        return False
    return True


def _add(name: str, sha256: str, fill: Callable[[Path], Manifest]) -> ModelInfo:
    """Make the folder of a model: ``fill`` puts the weights in a temporary one and says what they are."""
    check_name(name)
    entry = registry().get(name)
    if entry is not None and entry.sha256 != sha256:
        raise ModelError(f"the name {name!r} belongs to a registry entry of another sha256; choose another (--name)")
    folder = models_dir() / name
    temporary = temporary_beside(folder)
    try:
        temporary.mkdir(parents=True)
        manifest = fill(temporary)
        (temporary / MANIFEST_NAME).write_text(manifest.to_toml(), encoding="utf-8")
        if _whole(name):
            if info(name).manifest == manifest:
                return info(name)
            raise ModelError(
                f"the name {name!r} is taken by another model or other settings; choose another (--name), or delete "
                f"the folder {folder} first"
            )
        if folder.exists():  # damaged: made room for
            broken = temporary_beside(folder)
            folder.rename(broken)
            shutil.rmtree(broken, ignore_errors=True)
        temporary.rename(folder)
    except OSError as e:
        if _whole(name):  # another process was faster
            return info(name)
        raise ModelFileError(
            f"model {name!r} cannot be stored in {models_dir()} ({e.strerror or e}); free some space, or set "
            "FACESET_CACHE to a folder that can be written"
        ) from e
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return info(name)
