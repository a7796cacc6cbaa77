"""The changes a gallery knows; each runs in a write transaction begun by the caller."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

import numpy as np
from sqlalchemy import delete, update
from sqlalchemy.engine import Connection

from faceset.errors import EmbedderMismatchError, GalleryError
from faceset.gallery import rows, store
from faceset.gallery.incoming import Incoming
from faceset.gallery.names import clean_name
from faceset.gallery.place import Place
from faceset.gallery.records import Person, Uid
from faceset.gallery.refusals import check_embedder, duplicate_medium, sound, unknown_id, unknown_person
from faceset.gallery.schema import medium as medium_table
from faceset.gallery.schema import person as person_table

if TYPE_CHECKING:
    from faceset.aggregation import Aggregator


def find(connection: Connection, path: Place, name: str | Uid) -> int:
    """Number of a person."""
    if isinstance(name, Uid):
        known = store.person_id(connection, name)
        if known is None:
            raise unknown_id(path, name.value)
        return known
    clean = clean_name(name)
    number = store.person_id(connection, clean)
    if number is None:
        raise unknown_person(path, clean, store.names(connection))
    return number


def person(connection: Connection, path: Place, number: int) -> Person:
    """The person of a number."""
    with sound(path):
        (found,) = store.read_people(connection, number)
        return found


def add(connection: Connection, path: Place, name: str | Uid, incoming: Incoming, aggregator: Aggregator) -> Person:
    """Write media of one person and their new template; a name that nobody has becomes a new person."""
    if isinstance(name, Uid):
        name = person(connection, path, find(connection, path, name)).name
    bound = store.binding(connection)
    if bound.model_id is None:
        store.bind(connection, incoming.model_id, incoming.width)
    check_embedder(path, bound, (incoming.model_id, incoming.width), "the faces")
    for one in incoming.media:
        held = store.holder(connection, one.digest)
        if held is not None:
            raise duplicate_medium(path, name, one.name, *held)
    number = store.person_id(connection, name)
    if number is None:
        number = store.create_person(connection, name)
    store.insert_media(connection, number, incoming)
    store.touch(connection, number)
    aggregate(connection, path, number, aggregator)
    return person(connection, path, number)


def create(connection: Connection, path: Place, name: str) -> Person:
    """A new person, of whom nothing is held yet."""
    if store.person_id(connection, name) is not None:
        raise GalleryError(f"{path}: {name!r} is enrolled already; add media to them, or choose another name")
    return person(connection, path, store.create_person(connection, name))


def aggregate(connection: Connection, path: Place, number: int, aggregator: Aggregator) -> None:
    """Replace the template of a person by one over everything held of them."""
    bound = store.binding(connection)
    trained_for = getattr(aggregator, "embedder_id", "")
    if trained_for and trained_for != bound.model_id:
        raise EmbedderMismatchError(
            f"{path}: aggregator {aggregator.name!r} was trained for embedder {trained_for}, but the gallery is "
            f"bound to {bound.model_id}; take another aggregator"
        )
    with sound(path):
        held = rows.read_faces(connection, number)
        features = rows.features(held, int(bound.width or 0))
    made = aggregator(
        features,
        np.array([0, len(held)], dtype=np.int64),
        media=rows.media_ids(held),
        quality=np.array([row.score for row in held], dtype=np.float32),
    )
    store.put_template(
        connection,
        number,
        aggregator=aggregator.name,
        vector=made.templates[0],
        weights=made.weights,
        consistency=float(made.consistency[0]),
    )


def refresh(connection: Connection, path: Place, aggregator: Aggregator) -> int:
    """Aggregate anew everybody whose template another aggregator made; how many that were."""
    numbers = store.of_other_aggregators(connection, aggregator.name)
    for number in numbers:
        aggregate(connection, path, number, aggregator)
    return len(numbers)


def rename(connection: Connection, path: Place, name: str | Uid, new_name: str) -> Person:
    """Give a person another name."""
    new_name = clean_name(new_name)
    number = find(connection, path, name)
    if store.person_id(connection, new_name) not in (None, number):
        raise GalleryError(
            f"{path}: {new_name!r} is enrolled already; choose another name, or forget one of the two first"
        )
    connection.execute(update(person_table).where(person_table.c.id == number).values(name=new_name))
    store.touch(connection, number)
    store.mark_removed(connection)
    return person(connection, path, number)


def remove_media(connection: Connection, path: Place, name: str | Uid, media: str, aggregator: Aggregator) -> Person:
    """Remove the media of a person that have this name or digest."""
    number = find(connection, path, name)
    held = person(connection, path, number)
    going = [m for m in held.media if media and media in (m.name, m.digest, m.uid)]
    if not going:
        near = difflib.get_close_matches(media, [m.name for m in held.media], n=3, cutoff=0.4)
        hint = (
            f"did you mean {' or '.join(map(repr, near))}?" if near else "see the media held: `faceset people --media`"
        )
        raise GalleryError(f"{path}: {held.name!r} was not enrolled with {media!r}; {hint}")
    if len(going) == len(held.media):
        raise GalleryError(f"{path}: {held.name!r} is held by {media!r} alone; forget the person instead")
    table = medium_table.c
    connection.execute(delete(medium_table).where(table.person_id == number, table.uid.in_([m.uid for m in going])))
    store.touch(connection, number)
    store.mark_removed(connection)
    aggregate(connection, path, number, aggregator)
    return person(connection, path, number)


def forget_all(connection: Connection, path: Place) -> list[Person]:
    """Remove everybody; who they were."""
    with sound(path):
        gone = list(store.read_people(connection))
    connection.execute(delete(person_table))
    store.mark_removed(connection)
    store.bind(connection, None, None)
    return gone


def forget(connection: Connection, path: Place, name: str | Uid) -> Person:
    """Remove everything held of a person; the last medium frees the gallery from its embedder."""
    number = find(connection, path, name)
    gone = person(connection, path, number)
    connection.execute(delete(person_table).where(person_table.c.id == number))  # media, faces, template follow
    store.mark_removed(connection)
    if not store.media_count(connection):
        store.bind(connection, None, None)
    return gone
