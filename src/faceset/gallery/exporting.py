"""A gallery written out as a folder that other programs can read."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from faceset.errors import GalleryError
from faceset.gallery import rows, store
from faceset.gallery.exchange import FACES, FORMAT, PEOPLE, VERSION, pa, pq, schema
from faceset.gallery.refusals import sound
from faceset.gallery.schema import medium, person, template
from faceset.types import LANDMARK_SCHEMES

if TYPE_CHECKING:
    from faceset.gallery.gallery import Gallery

_ROWS = 4096
"""Faces of one row group: what is held in memory while writing."""
_CROP_BYTES = 32 << 20
"""A row group ends early when its crops have grown to this."""


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What was written.

    Attributes:
        folder: where it lies.
        people, media, faces: how many.
    """

    folder: str
    people: int
    media: int
    faces: int

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def export_gallery(gallery: Gallery, folder: str | os.PathLike[str], *, crops: bool = True) -> ExportReport:
    """Write everything held in ``gallery`` to a new folder, as one moment saw it.

    The export is plain: nothing in it is encrypted, whether the gallery is or not. The folder and its files are made
    readable by their owner only. It is written beside its place and renamed, so it is there whole or not at all.

    Args:
        gallery: an open gallery.
        folder: it must not exist, or be empty.
        crops: write the crops of faces too, where they are held.

    Raises:
        GalleryError: the folder holds something already or cannot be written, or the gallery cannot be read.
    """
    target = Path(folder).absolute()
    _check_target(target)
    try:
        beside = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".tmp", dir=target.parent))
        try:
            with gallery._database.read() as connection, sound(gallery.path):
                report = _write(connection, beside, str(target), crops)
            if target.is_dir():
                target.rmdir()
            beside.rename(target)
        finally:
            shutil.rmtree(beside, ignore_errors=True)
    except OSError as error:
        raise GalleryError(
            f"{target} cannot be written ({error.strerror or error}); free some space or choose another folder"
        ) from error
    return report


def _check_target(target: Path) -> None:
    if target.is_dir():
        if any(target.iterdir()):
            raise GalleryError(f"{target} is not empty; give the name of a new folder to export to")
    elif target.exists() or target.is_symlink():
        raise GalleryError(f"{target} is a file, but an export is a folder; give the name of a new folder")
    elif not target.parent.is_dir():
        raise GalleryError(f"{target} cannot be made: there is no folder {target.parent}; make it first")


def _write(connection: Connection, folder: Path, shown: str, crops: bool) -> ExportReport:
    bound, export = store.binding(connection), secrets.token_hex(16)
    counts = {"people": 0, "media": 0, "faces": 0}
    faces: _Faces | None = None
    if bound.model_id is not None and bound.width is not None:
        faces = _Faces(folder / FACES, bound.width, export, bound.model_id)
    head = {
        "format": FORMAT,
        "version": VERSION,
        "export": export,
        "model_id": bound.model_id,
        "width": bound.width,
    }
    try:
        with _private(folder / PEOPLE) as file:
            file.write(json.dumps(head, ensure_ascii=False)[:-1] + ', "people": [')
            for number, described in _people(connection):
                file.write((",\n" if counts["people"] else "\n") + json.dumps(described, ensure_ascii=False))
                held = rows.read_faces(connection, number, crops=crops)
                if faces is not None:
                    faces.add(held, described["id"])
                counts["people"] += 1
                counts["media"] += len(described["media"])
                counts["faces"] += len(held)
            file.write("\n]}\n")
        if faces is not None:
            faces.flush()
    finally:
        if faces is not None:
            faces.close()
    return ExportReport(shown, **counts)


def _private(path: Path) -> Any:
    return open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8", newline="\n")


def _people(connection: Connection) -> Iterator[tuple[int, dict[str, Any]]]:
    """Number and description of everybody, in order of their first enrolment, which decides between equal scores."""
    query = sa.select(person, template.c.aggregator).join_from(person, template, isouter=True).order_by(person.c.id)
    for one in connection.execute(query).all():
        held = connection.execute(sa.select(medium).where(medium.c.person_id == one.id).order_by(medium.c.id))
        media = [
            {"id": m.uid, "name": m.name, "digest": m.digest, "kind": m.kind, "faces": m.faces, "added": m.added}
            for m in held
        ]
        yield (
            one.id,
            {
                "id": one.uid,
                "name": one.name,
                "created": one.created,
                "updated": one.updated,
                "aggregator": one.aggregator,
                "media": media,
            },
        )


class _Faces:
    """Writes ``faces.parquet``, some thousand rows at a time."""

    def __init__(self, path: Path, width: int, export: str, model_id: str) -> None:
        self._width = width
        self._schema = schema(width, export, model_id)
        self._held: list[tuple[rows.FaceRow, str]] = []
        self._crop_bytes = 0
        # Opened by us, for its permissions; the writer does not close what it did not open.
        self._sink = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
        self._writer = pq.ParquetWriter(
            self._sink,
            self._schema,
            compression="zstd",
            use_dictionary=["person", "medium", "scheme"],
            write_page_checksum=True,
        )

    def add(self, faces: list[rows.FaceRow], owner: str) -> None:
        """Faces of one person."""
        for one in faces:
            self._held.append((one, owner))
            self._crop_bytes += len(getattr(one, "crop", None) or b"")
            if len(self._held) >= _ROWS or self._crop_bytes >= _CROP_BYTES:
                self.flush()

    def flush(self) -> None:
        """Write what is held."""
        if self._held:
            self._writer.write_table(self._table())
            self._held.clear()
            self._crop_bytes = 0

    def close(self) -> None:
        """Write the end of the file."""
        self._writer.close()
        self._sink.close()

    def _table(self) -> Any:
        held = [one for one, _ in self._held]
        columns: dict[str, Any] = {
            "person": [owner for _, owner in self._held],
            "medium": [one.uid for one in held],
            **{name: [getattr(one, name) for one in held] for name in ("track", "shot", "frame", "time", "score")},
            "scheme": [one.scheme for one in held],
            "landmarks": [None if one.landmarks is None else _points(one) for one in held],
            "norm": [one.norm for one in held],
            "crop": [getattr(one, "crop", None) for one in held],
        }
        boxes = np.array([(one.x0, one.y0, one.x1, one.y1) for one in held], dtype=np.float64)
        features = rows.features(held, self._width)
        arrays = []
        for field in self._schema:
            if field.name in ("box", "feature"):
                flat = pa.array((boxes if field.name == "box" else features).reshape(-1))
                arrays.append(pa.FixedSizeListArray.from_arrays(flat, type=field.type))
            else:
                arrays.append(pa.array(columns[field.name], field.type))
        return pa.Table.from_arrays(arrays, schema=self._schema)


def _points(one: rows.FaceRow) -> Any:
    return rows.floats(one.landmarks, 2 * LANDMARK_SCHEMES[one.scheme])
