"""The statements on people, media and templates; each runs in the transaction it is given."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from faceset.gallery import pg_index, rows, sealing
from faceset.gallery.database import now
from faceset.gallery.incoming import Incoming
from faceset.gallery.names import new_uid
from faceset.gallery.records import MediaEntry, PeoplePage, Person, PersonSummary, Uid
from faceset.gallery.schema import face, medium, meta, person, template
from faceset.types import Floats


class Binding(NamedTuple):
    """Embedder and feature width of a gallery; both None while it is empty."""

    model_id: str | None
    width: int | None


def binding(connection: Connection) -> Binding:
    """What the gallery is bound to."""
    return Binding(*connection.execute(sa.select(meta.c.model_id, meta.c.width)).one())


def bind(connection: Connection, model_id: str | None, width: int | None) -> None:
    """Bind the gallery to an embedder, or with None free it."""
    connection.execute(sa.update(meta).values(model_id=model_id, width=width))
    if width is not None and connection.dialect.name == "postgresql":
        pg_index.set_width(connection, width)


def holder(connection: Connection, digest: str) -> tuple[str, str] | None:
    """Name of the person who has the file of this digest, and the name of the medium."""
    query = sa.select(person.c.name, medium.c.name).join_from(medium, person).where(medium.c.digest == digest)
    found = connection.execute(query.where(medium.c.digest != "")).first()
    return None if found is None else (found[0], found[1])


def name_of(connection: Connection, uid: str) -> str | None:
    """Name of the person of an opaque id; None when there is none."""
    found: str | None = connection.execute(sa.select(person.c.name).where(person.c.uid == uid)).scalar_one_or_none()
    return found


def uids(connection: Connection, names: Iterable[str]) -> dict[str, str]:
    """Opaque id of everybody who has one of these names."""
    query = sa.select(person.c.name, person.c.uid).where(person.c.name.in_(list(names)))
    return {row.name: row.uid for row in connection.execute(query)}


def person_id(connection: Connection, name: str | Uid) -> int | None:
    """Number of a person; None when nobody has that name or id."""
    wanted = person.c.uid == name.value if isinstance(name, Uid) else person.c.name == name
    found: int | None = connection.execute(sa.select(person.c.id).where(wanted)).scalar_one_or_none()
    return found


def names(connection: Connection) -> list[str]:
    """All names, upper and lower case sorted together."""
    found: Iterable[str] = connection.execute(sa.select(person.c.name)).scalars()
    return sorted(found, key=_by_name)


def _by_name(name: str) -> tuple[str, str]:
    return name.casefold(), name


def count(connection: Connection) -> int:
    """Number of people."""
    return int(connection.execute(sa.select(sa.func.count()).select_from(person)).scalar_one())


def media_count(connection: Connection) -> int:
    """Number of media, of everybody."""
    return int(connection.execute(sa.select(sa.func.count()).select_from(medium)).scalar_one())


def create_person(connection: Connection, name: str) -> int:
    """A new person without media; their number."""
    moment = now()
    result = connection.execute(sa.insert(person).values(name=name, created=moment, updated=moment, uid=new_uid()))
    (number,) = result.inserted_primary_key or (0,)
    return int(number)


def insert_media(connection: Connection, owner: int, incoming: Incoming) -> None:
    """Write media and their faces."""
    seal = sealing.of(connection)
    for one in incoming.media:
        uid = new_uid()
        result = connection.execute(
            sa.insert(medium).values(
                person_id=owner,
                digest=one.digest,
                name=one.name,
                kind=one.kind,
                faces=len(one.faces),
                added=now(),
                uid=uid,
            )
        )
        (number,) = result.inserted_primary_key or (0,)
        sealed = [{**seal.seal_face(values, uid), "medium_id": number} for values in one.faces]
        connection.execute(sa.insert(face), sealed)


def put_template(
    connection: Connection, owner: int, *, aggregator: str, vector: Floats, weights: Floats, consistency: float
) -> None:
    """Replace the template of a person, and note that the person changed now."""
    uid = connection.execute(sa.select(person.c.uid).where(person.c.id == owner)).scalar_one()
    connection.execute(sa.delete(template).where(template.c.person_id == owner))
    connection.execute(
        sa.insert(template).values(
            person_id=owner,
            generation=sa.select(meta.c.generation).scalar_subquery(),
            aggregator=aggregator,
            consistency=consistency,
            vector=sealing.of(connection).seal_vector(rows.blob(vector), uid, aggregator),
            weights=rows.blob(weights),
        )
    )


class StoredTemplate(NamedTuple):
    """A template as it is stored, its vector and weights as bytes."""

    aggregator: str
    consistency: float
    vector: bytes
    weights: bytes


def read_template(connection: Connection, owner: int) -> StoredTemplate | None:
    """The template of a person; None when nothing is held of them.

    Raises:
        GalleryError: its vector does not decrypt.
    """
    columns = (template.c.aggregator, template.c.consistency, template.c.vector, template.c.weights)
    query = sa.select(person.c.uid, *columns).join_from(template, person).where(person.c.id == owner)
    row = connection.execute(query).one_or_none()
    if row is None:
        return None
    vector = sealing.of(connection).open_vector(row.vector, row.uid, row.aggregator)
    return StoredTemplate(row.aggregator, row.consistency, vector, row.weights)


def touch(connection: Connection, owner: int) -> None:
    """Note that what is held of a person changed now."""
    connection.execute(sa.update(person).where(person.c.id == owner).values(updated=now()))


def mark_removed(connection: Connection) -> None:
    """Ask every process to fill its memory anew, and for the removed bytes to be overwritten."""
    connection.execute(sa.update(meta).values(purge=1, reset_generation=meta.c.generation))


def read_people(connection: Connection, only: int | None = None) -> Iterator[Person]:
    """All people by name, or the one with number ``only``.

    Raises:
        ValueError: a row cannot be right.
    """
    people_query = sa.select(person, template.c.consistency).join_from(person, template, isouter=True)
    media_query = sa.select(medium).order_by(medium.c.id)
    if only is not None:
        people_query = people_query.where(person.c.id == only)
        media_query = media_query.where(medium.c.person_id == only)
    held: dict[int, list[Row[Any]]] = {}
    for row in connection.execute(media_query):
        held.setdefault(row.person_id, []).append(row)
    for row in sorted(connection.execute(people_query), key=lambda r: _by_name(r.name)):
        media = held.get(row.id, [])
        _check_template(row.consistency, len(media))
        yield Person(
            name=row.name,
            faces=sum(m.faces for m in media),
            media=tuple(
                MediaEntry(m.name, m.digest, m.kind, m.faces, datetime.fromisoformat(m.added), m.uid) for m in media
            ),
            consistency=row.consistency,
            created=datetime.fromisoformat(row.created),
            updated=datetime.fromisoformat(row.updated),
            uid=row.uid,
        )


def read_page(connection: Connection, limit: int, offset: int, part: str) -> PeoplePage:
    """At most ``limit`` people by name, after ``offset`` others, of those whose name holds ``part`` in any case.

    Raises:
        ValueError: a row cannot be right.
    """
    # No database folds the case of all of Unicode: names are sorted here, and only what is shown is read in full.
    part = part.casefold()
    named = ((name.casefold(), name, n) for name, n in connection.execute(sa.select(person.c.name, person.c.id)))
    found = sorted(one for one in named if part in one[0])
    numbers = [number for _, _, number in found[offset : offset + limit]]
    counts = sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(medium.c.faces), 0), medium.c.person_id)
    counted = connection.execute(counts.where(medium.c.person_id.in_(numbers)).group_by(medium.c.person_id))
    held = {number: (media, int(faces)) for media, faces, number in counted}
    query = sa.select(person, template.c.consistency).join_from(person, template, isouter=True)
    rows_ = {row.id: row for row in connection.execute(query.where(person.c.id.in_(numbers)))}
    people = []
    for number in numbers:
        row, (media, faces) = rows_[number], held.get(number, (0, 0))
        _check_template(row.consistency, media)
        created, updated = datetime.fromisoformat(row.created), datetime.fromisoformat(row.updated)
        people.append(PersonSummary(row.name, faces, media, row.consistency, created, updated, row.uid))
    return PeoplePage(len(found), tuple(people))


def _check_template(consistency: float | None, media: int) -> None:
    if (consistency is None) != (not media):
        raise ValueError("a person with media and no template, or the other way round")


def of_other_aggregators(connection: Connection, aggregator: str) -> list[int]:
    """Numbers of the people whose template another aggregator made."""
    query = sa.select(template.c.person_id).where(template.c.aggregator != aggregator).order_by(template.c.person_id)
    return list(connection.execute(query).scalars())
