"""Reading an exported gallery: nothing in it is believed before it was checked."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from faceset.errors import FacesetError, GalleryError, InputError
from faceset.gallery import rows
from faceset.gallery.exchange import FACES, FORMAT, KINDS, PEOPLE, VERSION, pa, pq, schema
from faceset.gallery.names import clean_name
from faceset.types import Face, Image

_ROWS = 4096
_UID = re.compile(r"[0-9a-f]{32}")
_DIGEST = re.compile(r"(?:[0-9a-f]{64})?")
_WIDEST = 1 << 16
_INTEGER = 1 << 63
_LARGEST_CROP = 4096
_MAX_TEXT = 10_000
_PNG = b"\x89PNG\r\n\x1a\n"

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class ExportedMedium:
    """One medium; the fields are those of :class:`faceset.gallery.records.MediaEntry`."""

    uid: str
    name: str
    digest: str
    kind: str
    faces: int
    added: str


@dataclass(frozen=True, slots=True)
class ExportedPerson:
    """One person; ``aggregator`` made their template."""

    uid: str
    name: str
    created: str
    updated: str
    aggregator: str
    media: tuple[ExportedMedium, ...]


@dataclass(frozen=True, slots=True)
class Export:
    """``people.json`` of an export, checked."""

    folder: Path
    export: str
    model_id: str | None
    width: int | None
    people: tuple[ExportedPerson, ...]


def bad(folder: Path, what: str, file: str = FACES) -> GalleryError:
    """The error for an export whose content cannot be right."""
    return GalleryError(f"{folder / file}: the export is damaged ({what}); export the gallery again")


def read_people(folder: Path) -> Export:
    """People and media of an export, in order of enrolment.

    Raises:
        GalleryError: the file is missing, damaged, foreign or newer than this program.
    """
    path = folder / PEOPLE
    try:
        data = path.read_bytes()
    except OSError as error:
        raise GalleryError(
            f"{path} cannot be read ({error.strerror}); give the folder that `faceset gallery export` wrote"
        ) from error
    try:
        values = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise bad(folder, f"it is no JSON: {error}", PEOPLE) from error
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        raise GalleryError(f"{path} is not an exported gallery; give the folder that `faceset gallery export` wrote")
    version = values.get("version")
    if isinstance(version, int) and version > VERSION:
        raise GalleryError(
            f"{path} was written by a newer faceset (export version {version}, this one knows {VERSION}); upgrade "
            "faceset"
        )
    try:
        return _export(folder, values)
    except (KeyError, TypeError, ValueError) as error:
        what = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise bad(folder, what, PEOPLE) from error


def _export(folder: Path, values: dict[str, Any]) -> Export:
    if values["version"] != VERSION:
        raise ValueError(f"version {values['version']!r} never existed")
    model_id, width = values["model_id"], values["width"]
    if (model_id is None) != (width is None):
        raise ValueError("embedder and width come together")
    people = tuple(_person(one) for one in _typed(values["people"], list, "people"))
    media = [m for one in people for m in one.media]
    for what, found in (
        ("name", [one.name for one in people]),
        ("id", [one.uid for one in people]),
        ("id", [m.uid for m in media]),
        ("digest", [m.digest for m in media if m.digest]),
    ):
        if len(set(found)) != len(found):
            raise ValueError(f"the same {what} is there twice")
    if model_id is not None:
        _typed(model_id, str, "model_id")
        _whole(width, "width", 1, _WIDEST)
    elif media:
        raise ValueError("there are media and no embedder")
    return Export(folder, _text(values["export"], _UID, "export"), model_id, width, people)


def _person(values: Any) -> ExportedPerson:
    values = _typed(values, dict, "a person")
    name = _typed(values["name"], str, "name")
    if clean_name(name) != name:
        raise ValueError(f"the name {name!r} is not as names are stored")
    media = tuple(_medium(one) for one in _typed(values["media"], list, "media"))
    aggregator = values["aggregator"]
    if (aggregator is None) != (not media):
        raise ValueError("a person with media and no aggregator, or the other way round")
    return ExportedPerson(
        uid=_text(values["id"], _UID, "id"),
        name=name,
        created=_moment(values["created"]),
        updated=_moment(values["updated"]),
        aggregator=_label(aggregator or "", "aggregator"),
        media=media,
    )


def _medium(values: Any) -> ExportedMedium:
    values = _typed(values, dict, "a medium")
    if values["kind"] not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}, but is {values['kind']!r}")
    return ExportedMedium(
        uid=_text(values["id"], _UID, "id"),
        name=_label(values["name"], "name"),
        digest=_text(values["digest"], _DIGEST, "digest"),
        kind=values["kind"],
        faces=_whole(values["faces"], "faces", 1, _INTEGER),
        added=_moment(values["added"]),
    )


def read_faces(export: Export) -> Iterator[list[tuple[str, str, dict[str, Any]]]]:
    """Faces, some thousand at a time: id of the person, id of the medium, columns of a row of table ``face``.

    Raises:
        GalleryError: as :func:`read_people`; or the file belongs to another export.
    """
    if export.model_id is None or export.width is None:
        return
    path = export.folder / FACES
    try:
        with pq.ParquetFile(path, pre_buffer=False, page_checksum_verification=True) as file:
            _check_schema(file.schema_arrow, schema(export.width, export.export, export.model_id), export.folder)
            for batch in file.iter_batches(batch_size=_ROWS):
                yield _rows(batch, export.width)
    except FileNotFoundError as error:
        raise GalleryError(f"{path} is missing; copy the export as a whole, both files of it") from error
    except (pa.ArrowException, OSError, FacesetError, ValueError, TypeError, KeyError, AttributeError) as error:
        if isinstance(error, GalleryError):
            raise
        raise bad(export.folder, str(error)) from error


def _check_schema(found: Any, wanted: Any, folder: Path) -> None:
    metadata = found.metadata or {}
    if metadata.get(b"faceset.export") != wanted.metadata[b"faceset.export"]:
        raise GalleryError(
            f"{folder / FACES} does not belong to the {PEOPLE} beside it; copy the export as a whole, both files of it"
        )
    if not found.equals(wanted):
        raise ValueError("its columns are not those of an export")


def _rows(batch: Any, width: int) -> list[tuple[str, str, dict[str, Any]]]:
    batch.validate(full=True)
    columns = {
        name: batch.column(name).to_pylist()
        for name in ("person", "medium", "track", "shot", "frame", "time", "score", "scheme", "landmarks", "crop")
    }
    if any(batch.column(name).null_count for name in batch.schema.names if not batch.schema.field(name).nullable):
        raise ValueError("a value is missing")
    boxes = batch.column("box").flatten().to_numpy().reshape(-1, 4)
    features = batch.column("feature").flatten().to_numpy().reshape(-1, width)
    return [
        (columns["person"][i], columns["medium"][i], _row({k: v[i] for k, v in columns.items()}, boxes[i], features[i]))
        for i in range(batch.num_rows)
    ]


def _row(values: dict[str, Any], box: Any, feature: Any) -> dict[str, Any]:
    """One face as columns of table ``face``; a :class:`Face` of them checks what can be."""
    landmarks = values["landmarks"]
    points = None if landmarks is None else np.array(landmarks, dtype=np.float32).reshape(-1, 2)
    x0, y0, x1, y1 = map(float, box)
    one = Face(
        box=(x0, y0, x1, y1),
        score=values["score"],
        landmarks=points,
        scheme=values["scheme"],
        frame=values["frame"],
        time=values["time"],
        feature=feature,
    )
    if not math.isfinite(one.time):
        raise InputError("a time is not finite")
    norm = float(np.linalg.norm(feature.astype(np.float64)))
    if norm == 0:
        raise InputError("a feature is zero")
    if values["crop"] is not None:
        _check_crop(values["crop"])
    return {
        **{name: values[name] for name in ("track", "shot", "frame", "time", "score", "scheme", "crop")},
        "x0": x0,
        "y0": y0,
        "x1": x1,
        "y1": y1,
        "landmarks": None if points is None else rows.blob(points),
        "norm": norm,
        "feature": rows.blob(feature),
    }


def _check_crop(data: bytes) -> Image:
    """A picture of moderate size; its size is read before it is unpacked."""
    from faceset.gallery import crops  # OpenCV

    sides = [int.from_bytes(data[at : at + 4], "big") for at in (16, 20)]
    if not data.startswith(_PNG) or not all(0 < side <= _LARGEST_CROP for side in sides):
        raise ValueError("a crop is no PNG picture, or too large to be one of a face")
    return crops.decode(data)


def _typed(value: Any, kind: type[_T], what: str) -> _T:
    if not isinstance(value, kind):
        raise TypeError(f"{what} must be a {kind.__name__}, but is {value!r:.40}")
    return value


def _text(value: Any, pattern: re.Pattern[str], what: str) -> str:
    text = _typed(value, str, what)
    if not pattern.fullmatch(text):
        raise ValueError(f"{what} is {value!r:.80}")
    return text


def _label(value: Any, what: str) -> str:
    text = _typed(value, str, what)
    if len(text) > _MAX_TEXT or "\x00" in text or any("\ud800" <= c <= "\udfff" for c in text):
        raise ValueError(f"{what} is {value!r:.80}")
    return text


def _whole(value: Any, what: str, low: int, high: int) -> int:
    if isinstance(value, bool) or not low <= _typed(value, int, what) < high:
        raise ValueError(f"{what} is {value!r:.40}")
    return int(value)


def _moment(value: Any) -> str:
    text = _typed(value, str, "a time")
    if datetime.fromisoformat(text).tzinfo is None:
        raise ValueError(f"the time {text!r} has no time zone")
    return text
