"""What ``doctor`` looks at besides vectors: tables, the meta row, people and their media."""

from __future__ import annotations

import re
import sqlite3
from collections import Counter
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine import Connection
from sqlalchemy.schema import CreateIndex, CreateTable

from faceset.errors import GalleryError, InputError
from faceset.gallery import schema
from faceset.gallery.doctor import RESTORE, Findings
from faceset.gallery.names import clean_name
from faceset.gallery.schema import SCHEMA_VERSION, face, medium, meta, person, template

AGAIN = "forget the person and enrol them again, or put back a backup"
ANEW = "export the gallery and import it into a new one, which makes templates and ids anew"
_UID = re.compile(r"[0-9a-f]{32}")
_DIGEST = re.compile(r"(?:[0-9a-f]{64})?")
_KINDS = ("still", "video", "stream", "array", "template")


def tables(connection: Connection, path: Path, found: Findings) -> bool:
    """Version and tables; whether the rows can be looked at.

    Raises:
        GalleryError: a newer program wrote the gallery.
    """
    version = int(connection.exec_driver_sql("PRAGMA user_version").scalar_one())
    if version > SCHEMA_VERSION:
        raise GalleryError(
            f"{path} was written by a newer faceset (gallery version {version}, this one knows {SCHEMA_VERSION}); "
            "upgrade faceset"
        )
    if version < 1:
        found("error", "version", f"gallery version {version} never existed", RESTORE)
        return False
    if version < SCHEMA_VERSION:
        found(
            "warning",
            "version",
            f"it is of gallery version {version}, and this faceset writes {SCHEMA_VERSION}; the rest was not looked at",
            f"open it once, which brings it up, such as by: faceset people --gallery {path.name}",
        )
        return False
    wanted, there, complete = _wanted(), _layout(connection.connection.dbapi_connection), True
    for name, what in wanted.items():
        if name not in there:
            found("error", "tables", f"{name} is missing", RESTORE)
            complete = complete and name.startswith("index")
        elif what - there[name]:
            missing = ", ".join(sorted(" ".join(map(str, part)).strip() for part in what - there[name]))
            found("error", "tables", f"{name} is not as this version makes it: it lacks {missing}", RESTORE)
            complete = False
    for name in there.keys() - wanted.keys():
        found("error", "tables", f"{name} does not belong there", "if you do not know it, put back a backup")
    return complete


def _wanted() -> dict[str, set[tuple[Any, ...]]]:
    """Tables and indexes as this version makes them."""
    with closing(sqlite3.connect(":memory:")) as raw:
        dialect = sqlite.dialect()
        for table in schema.metadata.sorted_tables:
            raw.execute(str(CreateTable(table).compile(dialect=dialect)))
            for index in table.indexes:
                raw.execute(str(CreateIndex(index).compile(dialect=dialect)))
        return _layout(raw)


def _layout(raw: Any) -> dict[str, set[tuple[Any, ...]]]:
    """Columns, keys and indexes of a database, by table and index."""
    out: dict[str, set[tuple[Any, ...]]] = {}
    names = raw.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
    )
    for (table,) in names.fetchall():
        columns = raw.execute(
            """SELECT name, type, iif("notnull", 'needed', 'may be empty'), iif(pk, 'key', '')
            FROM pragma_table_info(?)""",
            (table,),
        ).fetchall()
        keys = raw.execute(
            'SELECT "from", "table", "to", on_delete FROM pragma_foreign_key_list(?)', (table,)
        ).fetchall()
        out[f"table {table}"] = {("column", *row) for row in columns} | {("link", *row) for row in keys}
        for name, unique, origin in raw.execute(
            'SELECT name, "unique", origin FROM pragma_index_list(?)', (table,)
        ).fetchall():
            parts = raw.execute("SELECT name FROM pragma_index_info(?)", (name,)).fetchall()
            label = f"index {name}" if origin == "c" else f"index of {table} on {', '.join(p[0] for p in parts)}"
            out[label] = {("column", part[0]) for part in parts} | {("unique", unique)}
    return out


def meta_row(connection: Connection, found: Findings) -> int | None:
    """The meta row and the embedder; the feature width D, None when it is not known."""
    width = None
    with found.reading("meta"):
        held = connection.execute(sa.select(meta)).all()
        media = connection.execute(sa.select(sa.func.count()).select_from(medium)).scalar_one()
        if len(held) != 1:
            found("error", "meta", f"the meta table has {len(held)} rows, not 1", RESTORE)
        else:
            _meta(held[0], found)
            width = _embedder(held[0], media, found)
    return width


def _meta(row: Any, found: Findings) -> None:
    if row.schema_version != SCHEMA_VERSION:
        found("error", "meta", f"it says schema version {row.schema_version}, not {SCHEMA_VERSION}", RESTORE)
    if not 0 <= row.reset_generation <= row.generation:
        found("error", "meta", f"generation {row.generation} is before {row.reset_generation}", RESTORE)
    _moment(row.created, "the gallery", found)
    if row.purge:
        found(
            "warning",
            "purge",
            "somebody or something was removed, and the removed bytes may still be in the file",
            "open the gallery once with no other program using it, such as by: faceset people --gallery GALLERY",
        )


def _embedder(row: Any, media: int, found: Findings) -> int | None:
    if (row.model_id is None) != (row.width is None) or (row.width is not None and row.width < 1):
        found("error", "embedder", f"it names embedder {row.model_id!r} with feature width {row.width}", RESTORE)
    elif media and row.model_id is None:
        found("error", "embedder", f"it holds {media} media and names no embedder", RESTORE)
    elif row.model_id is not None and not media:
        found("error", "embedder", f"it holds no media and is bound to embedder {row.model_id}", "make a new gallery")
    return row.width if isinstance(row.width, int) and row.width > 0 else None


def people(connection: Connection, found: Findings) -> None:
    """People, their media, and how many faces each medium has."""
    counts = sa.select(face.c.medium_id, sa.func.count().label("rows")).group_by(face.c.medium_id).subquery()
    with found.reading("media"):
        query = sa.select(medium, person.c.name.label("owner"), counts.c.rows).join_from(medium, person)
        seen: Counter[tuple[str, str]] = Counter()
        for row in connection.execute(query.join(counts, counts.c.medium_id == medium.c.id, isouter=True)):
            label = f"medium {row.name!r} of {row.owner!r}"
            if row.faces != (row.rows or 0):
                found("error", "faces", f"{label} says {row.faces} faces, and {row.rows or 0} are there", AGAIN)
            if row.kind not in _KINDS or not _DIGEST.fullmatch(str(row.digest)):
                found("error", "media", f"{label} has kind {row.kind!r} and digest {row.digest!r}", AGAIN)
            _moment(row.added, label, found)
            _uid(row.uid, label, found)
            seen.update([("id", row.uid), *([("digest", row.digest)] if row.digest else [])])
        _twice(seen, "media", found)
    with found.reading("people"):
        held = sa.select(medium.c.person_id).distinct().subquery()
        query = sa.select(person, template.c.person_id.label("made"), held.c.person_id.label("held"))
        query = query.join_from(person, template, isouter=True).join(
            held, held.c.person_id == person.c.id, isouter=True
        )
        seen = Counter()
        for row in connection.execute(query):
            _person(row, found)
            seen.update([("id", row.uid), ("name", row.name)])
        _twice(seen, "people", found)


def _person(row: Any, found: Findings) -> None:
    label = f"{row.name!r}"
    try:
        fits = clean_name(row.name) == row.name
    except InputError:
        fits = False
    if not fits:
        found("error", "people", f"the name {label} is not as names are stored", "give the person another name")
    if (row.made is None) != (row.held is None):
        what = "media and no template" if row.made is None else "a template and no media"
        found("error", "template", f"{label} has {what}", AGAIN)
    _moment(row.created, label, found)
    _moment(row.updated, label, found)
    _uid(row.uid, label, found)


def _uid(uid: Any, label: str, found: Findings) -> None:
    if not (isinstance(uid, str) and _UID.fullmatch(uid)):
        found("error", "ids", f"{label} has the id {uid!r}, which is no id", ANEW)


def _twice(seen: Counter[tuple[str, str]], what: str, found: Findings) -> None:
    for (kind, value), count in seen.items():
        if count > 1:
            found("error", "ids" if kind == "id" else what, f"the {kind} {value!r} is there {count} times", RESTORE)


def _moment(text: Any, label: str, found: Findings) -> None:
    try:
        datetime.fromisoformat(text)
    except (TypeError, ValueError):
        found("error", "times", f"{label} has the time {text!r}, which is none", RESTORE)
