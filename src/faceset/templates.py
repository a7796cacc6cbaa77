"""Templates as files: ``.npz`` (compact) or ``.json`` (readable). The layout is in ``docs/formats.md``."""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from faceset.errors import InputError, TemplateFileError
from faceset.types import Face, Template
from faceset.writing import write_whole

FORMAT = "faceset template"
VERSION = 1
SUFFIXES = (".npz", ".json")
_MEMBERS = {"header.npy", "vector.npy", "weights.npy"}


def is_template_path(path: str | os.PathLike[str]) -> bool:
    """Whether the name of ``path`` is that of a template file; the file need not exist."""
    return Path(path).suffix.lower() in SUFFIXES


def check_template_path(path: str | os.PathLike[str]) -> Path:
    """``path`` when a template can be written there.

    Raises:
        TemplateFileError: another suffix than ``.npz`` or ``.json``, a folder that does not exist, or a folder itself.
    """
    path = Path(path)
    if not is_template_path(path):
        raise TemplateFileError(f"{path}: a template file ends in .npz or .json; choose another name")
    if not path.parent.is_dir():
        raise TemplateFileError(f"{path}: the folder {path.parent} does not exist; make it first")
    if path.is_dir():
        raise TemplateFileError(f"{path} is a folder; give the name of a file")
    return path


def save_template(template: Template, path: str | os.PathLike[str]) -> None:
    """Write ``template``; the suffix says how. Features and crops of its faces are not kept.

    A file of that name is replaced only when the new one is whole: it is written beside it first.

    Raises:
        TemplateFileError: the name does not fit, or the file cannot be written.
    """
    path = check_template_path(path)
    values = {"format": FORMAT, "version": VERSION, **template.to_dict()}
    if path.suffix.lower() == ".json":
        data = _utf8(json.dumps(values, ensure_ascii=False, indent=1) + "\n")
    else:
        del values["vector"], values["weights"]
        header = np.frombuffer(_utf8(json.dumps(values, ensure_ascii=False)), np.uint8)
        buffer = io.BytesIO()
        np.savez_compressed(buffer, header=header, vector=template.vector, weights=template.weights)
        data = buffer.getvalue()
    try:
        write_whole(path, data)
    except OSError as e:
        raise TemplateFileError(
            f"{path} cannot be written ({e.strerror or e}); free some space or choose another folder"
        ) from e


def load_template(path: str | os.PathLike[str]) -> Template:
    """Read what :func:`save_template` wrote.

    Raises:
        TemplateFileError: the file is missing, damaged, something else, or of a newer version; the message says which.
    """
    path = Path(path)
    if not is_template_path(path):
        raise TemplateFileError(f"{path}: a template file ends in .npz or .json")
    try:
        data = path.read_bytes()
    except OSError as e:
        raise TemplateFileError(f"{path} cannot be read ({e.strerror or e}); check the name") from e
    values = _json(data, str(path)) if path.suffix.lower() == ".json" else _npz(data, str(path))
    return template_from_dict(values, name=str(path))


def template_from_dict(values: Mapping[str, Any], *, name: str = "template") -> Template:
    """The template behind :meth:`faceset.types.Template.to_dict`, or behind the contents of a template file.

    Args:
        values: the plain values. ``format`` and ``version`` are checked where they are there.
        name: what the values are, for messages.

    Raises:
        TemplateFileError: they are not those of a template, or of a newer version.
    """
    if not isinstance(values, Mapping) or values.get("format", FORMAT) != FORMAT or "vector" not in values:
        raise TemplateFileError(f"{name} is not a faceset template; make one with `faceset template SRC -o FILE`")
    version = values.get("version", VERSION)
    if not isinstance(version, int) or version > VERSION:
        raise TemplateFileError(
            f"{name} has version {version!r}, but this faceset reads up to {VERSION}; upgrade faceset"
        )
    try:
        return Template(
            vector=values["vector"],
            model_id=_text(values["model_id"]),
            aggregator=_text(values["aggregator"]),
            weights=values["weights"],
            consistency=float(values["consistency"]),
            faces=tuple(_face(f) for f in values["faces"]),
            left_out=tuple(_text(s) for s in values["left_out"]),
        )
    except (KeyError, TypeError, ValueError, OverflowError) as e:  # InputError is a ValueError
        reason = f"{e.args[0]!r} is missing" if isinstance(e, KeyError) else str(e)
        raise TemplateFileError(f"{name} is a damaged template ({reason}); make it anew") from e


def _face(values: Mapping[str, Any]) -> Face:
    return Face(
        box=tuple(values["box"]),
        score=float(values["score"]),
        landmarks=values["landmarks"],
        scheme=values["scheme"],
        frame=int(values["frame"]),
        time=float(values["time"]),
        media=_text(values["media"]),
    )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise InputError(f"text was expected, but got {value!r}")
    return value


def _utf8(text: str) -> bytes:
    """Half a surrogate pair, in names that faceset's own media never have, becomes ``?``: no strict reader takes it."""
    return text.encode("utf-8", "replace")


def _json(data: bytes, name: str) -> Any:
    try:
        return json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as e:
        raise TemplateFileError(f"{name} is no JSON, or a damaged one ({e}); make it anew") from e


def _npz(data: bytes, name: str) -> Any:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = set(archive.namelist())
        if members >= _MEMBERS:
            with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
                header, vector, weights = (arrays[key] for key in ("header", "vector", "weights"))
    except Exception as e:  # zipfile, zlib and NumPy raise a dozen unrelated types on damaged files
        raise TemplateFileError(f"{name} is no .npz file, or a damaged one ({e}); make it anew") from e
    if not members >= _MEMBERS:
        raise TemplateFileError(f"{name} is not a faceset template; make one with `faceset template SRC -o FILE`")
    values = _json(header.tobytes(), f"the header of {name}")
    return {**values, "vector": vector, "weights": weights} if isinstance(values, Mapping) else values


def template_span(template: Template) -> dict[str, Any]:
    """Media, track and times of a template given as a probe."""
    times = [face.time for face in template.faces] or [0.0]
    names = dict.fromkeys(face.media for face in template.faces)
    return {"media": ", ".join(names), "track": 0, "shot": 0, "start": min(times), "end": max(times)}
