"""The statements on people, media and templates; each runs in the transaction it is given."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from faceset.gallery import rows
from faceset.gallery.database import now
from faceset.gallery.incoming import Incoming
from faceset.gallery.names import new_uid
from faceset.gallery.records import MediaEntry, Person
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


def holder(connection: Connection, digest: str) -> tuple[str, str] | None:
    """Name of the person who has the file of this digest, and the name of the medium."""
    query = sa.select(person.c.name, medium.c.name).join_from(medium, person).where(medium.c.digest == digest)
    found = connection.execute(query.where(medium.c.digest != "")).first()
    return None if found is None else (found[0], found[1])


def name_of(connection: Connection, uid: str) -> str | None:
    """Name of the person of an opaque id; None when there is none."""
    found: str | None = connection.execute(sa.select(person.c.name).where(person.c.uid == uid)).scalar_one_or_none()
    return found


def person_id(connection: Connection, name: str) -> int | None:
    """Number of a person; None when nobody has that name."""
    found: int | None = connection.execute(sa.select(person.c.id).where(person.c.name == name)).scalar_one_or_none()
    return found


def names(connection: Connection) -> list[str]:
    """All names, upper and lower case sorted together."""
    found: Iterable[str] = connection.execute(sa.select(person.c.name)).scalars()
    return sorted(found, key=lambda n: (n.casefold(), n))


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
    for one in incoming.media:
        result = connection.execute(
            sa.insert(medium).values(
                person_id=owner,
                digest=one.digest,
                name=one.name,
                kind=one.kind,
                faces=len(one.faces),
                added=now(),
                uid=new_uid(),
            )
        )
        (number,) = result.inserted_primary_key or (0,)
        connection.execute(sa.insert(face), [{**values, "medium_id": number} for values in one.faces])


def put_template(
    connection: Connection, owner: int, *, aggregator: str, vector: Floats, weights: Floats, consistency: float
) -> None:
    """Replace the template of a person, and note that the person changed now."""
    connection.execute(sa.delete(template).where(template.c.person_id == owner))
    connection.execute(
        sa.insert(template).values(
            person_id=owner,
            generation=sa.select(meta.c.generation).scalar_subquery(),
            aggregator=aggregator,
            consistency=consistency,
            vector=rows.blob(vector),
            weights=rows.blob(weights),
        )
    )


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
    for row in sorted(connection.execute(people_query), key=lambda r: (r.name.casefold(), r.name)):
        media = held.get(row.id, [])
        if (row.consistency is None) != (not media):
            raise ValueError("a person with media and no template, or the other way round")
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


def of_other_aggregators(connection: Connection, aggregator: str) -> list[int]:
    """Numbers of the people whose template another aggregator made."""
    query = sa.select(template.c.person_id).where(template.c.aggregator != aggregator).order_by(template.c.person_id)
    return list(connection.execute(query).scalars())
