"""People and their templates in one file: enrol, search, list, forget."""

from __future__ import annotations

import os
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np

from faceset.aggregation.sets import aggregate_set
from faceset.errors import InputError
from faceset.gallery import changes, rows, store
from faceset.gallery.backend import locate, open_store, server_search
from faceset.gallery.cache import TemplateCache
from faceset.gallery.incoming import gather
from faceset.gallery.index import ExactIndex, VectorIndex
from faceset.gallery.names import clean_name
from faceset.gallery.records import MediaEntry, PeoplePage, Person, Uid
from faceset.gallery.refusals import check_embedder, nothing_held, sound, unknown_id
from faceset.types import Candidate, FaceSet, Floats, Template

if TYPE_CHECKING:
    from faceset.aggregation import Aggregator


class Gallery:
    """Enrolled people in an SQLite file or a PostgreSQL database. May be shared by threads, and the store by processes.

    Wherever a method takes the name of a person, it takes a :class:`~faceset.gallery.records.Uid` too, which means the
    same person even when they were given another name, or somebody else theirs, a moment ago.

    Every person is held as the features of all faces they were enrolled with, and one template aggregated over all of
    them. Every change is one transaction: it happens whole or not at all.

    Args:
        path: the file; it is made when missing, unless ``create`` is false. Or the URL of a PostgreSQL database with
            pgvector, as text: ``postgresql://user@host/database`` (``docs/gallery.md``).
        create: whether a missing or empty file becomes a new gallery.
        index: finds the nearest templates; default :class:`~faceset.gallery.index.ExactIndex`. It belongs to this
            gallery alone.

    Raises:
        InputError: ``path`` is no path.
        GalleryError: the file is missing, foreign, damaged, newer than this program or cannot be opened; or the key
            set by ``FACESET_KEY`` is not its own (:mod:`faceset.gallery.sealing`).
        MissingExtraError: a key is set, and the package that encrypts is not installed.

    Any method raises GalleryError when the file cannot be read or written, is damaged, stays locked by another
    process, or the gallery was closed.
    """

    def __init__(self, path: str | os.PathLike[str], *, create: bool = True, index: VectorIndex | None = None) -> None:
        self.path = locate(path, create=create)
        self._database = open_store(self.path, create=create)
        self._server = server_search(self.path, self._database, index)
        self._cache = TemplateCache(self.path, ExactIndex() if index is None else index)

    def close(self) -> None:
        """Close the file. Every later call raises GalleryError."""
        self._database.close()

    def __enter__(self) -> Gallery:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Gallery({str(self.path)!r})"

    # ------------------------------------------------------------------------------------------------ what is held

    @property
    def model_id(self) -> str | None:
        """Id of the embedder the gallery is bound to by its first enrolment; None while nobody is enrolled."""
        with self._database.read() as connection:
            return store.binding(connection).model_id

    def __len__(self) -> int:
        """Number of people."""
        with self._database.read() as connection:
            return store.count(connection)

    def __contains__(self, name: object) -> bool:
        try:
            clean = clean_name(name)  # type: ignore[arg-type]
        except InputError:
            return False
        with self._database.read() as connection:
            return store.person_id(connection, clean) is not None

    def name_of(self, uid: str) -> str:
        """Name of the person of an opaque id (:attr:`~faceset.gallery.records.Person.uid`).

        Raises:
            UnknownPersonError: nobody has that id.
        """
        with self._database.read() as connection:
            found = store.name_of(connection, uid)
        if found is None:
            raise unknown_id(self.path, uid)
        return found

    def uids(self, names: Sequence[str]) -> dict[str, str]:
        """Opaque ids of the people who have these names; names that nobody has are left out."""
        with self._database.read() as connection:
            return store.uids(connection, names)

    def holds(self, digest: str) -> str | None:
        """Name of the person who is enrolled with the file of this digest (sha256); None when nobody is."""
        with self._database.read() as connection:
            found = store.holder(connection, digest)
        return None if found is None else found[0]

    def people(self) -> list[Person]:
        """Everybody enrolled, by name."""
        with self._database.read() as connection, sound(self.path):
            return list(store.read_people(connection))

    def page(self, limit: int, offset: int = 0, *, part: str = "") -> PeoplePage:
        """Some of the people, by name, without their media; quick in large galleries too.

        Args:
            limit: the most.
            offset: how many to pass over.
            part: only those whose name holds this, in upper or lower case.

        Raises:
            InputError: ``limit`` is below 1, or ``offset`` below 0.
        """
        if limit < 1 or offset < 0:
            raise InputError(f"limit must be at least 1 and offset at least 0, but got {limit} and {offset}")
        with self._database.read() as connection, sound(self.path):
            return store.read_page(connection, limit, offset, part)

    def person(self, name: str | Uid) -> Person:
        """One person and the media they were enrolled from.

        Raises:
            UnknownPersonError: nobody of that name is enrolled; near names are suggested.
        """
        with self._database.read() as connection:
            return changes.person(connection, self.path, changes.find(connection, self.path, name))

    def template(self, name: str | Uid) -> Template:
        """The template of one person, with the faces behind it (without features) and their weights.

        Raises:
            UnknownPersonError: nobody of that name is enrolled.
        """
        with self._database.read() as connection:
            number = changes.find(connection, self.path, name)
            held = rows.read_faces(connection, number, crops=True)
            made = store.read_template(connection, number)
            bound = store.binding(connection)
            if made is None and not held:
                raise nothing_held(self.path, changes.person(connection, self.path, number).name)
        with sound(self.path):
            if made is None or bound.model_id is None:
                raise ValueError("a person with media and no template")
            return Template(
                vector=rows.floats(made.vector, bound.width),
                model_id=bound.model_id,
                aggregator=made.aggregator,
                weights=rows.floats(made.weights, len(held)),
                consistency=made.consistency,
                faces=tuple(rows.to_face(row, None) for row in held),
            )

    def features(self, name: str | Uid) -> list[FaceSet]:
        """Everything held of one person's faces: one face set per medium and track, in canonical order.

        Raises:
            UnknownPersonError: nobody of that name is enrolled.
        """
        with self._database.read() as connection:
            held = rows.read_faces(connection, changes.find(connection, self.path, name), crops=True)
            bound = store.binding(connection)
        with sound(self.path):
            return rows.to_sets(held, *_bound(bound))

    def media_templates(self, name: str | Uid, *, aggregator: Aggregator) -> list[tuple[MediaEntry, Template]]:
        """One template for each medium of a person, in order of enrolment; made anew from what is held.

        Raises:
            UnknownPersonError: nobody of that name is enrolled.
            EmbedderMismatchError: the aggregator is of another embedder.
        """
        with self._database.read() as connection:
            number = changes.find(connection, self.path, name)
            media = changes.person(connection, self.path, number).media
            held = rows.read_faces(connection, number, crops=True)
            bound = store.binding(connection)
        with sound(self.path):
            sets = {m.uid: rows.to_sets([r for r in held if r.uid == m.uid], *_bound(bound)) for m in media}
        return [(m, aggregate_set(aggregator, sets[m.uid])) for m in media]

    # ----------------------------------------------------------------------------------------------------- changes

    def create(self, name: str) -> Person:
        """A new person of whom nothing is held yet; search passes over them until media are added.

        Raises:
            InputError: the name cannot be used.
            GalleryError: somebody has that name.
        """
        name = clean_name(name)
        with self._database.write() as connection:
            return changes.create(connection, self.path, name)

    def add(
        self, name: str | Uid, sets: Sequence[FaceSet], *, aggregator: Aggregator, keep_crops: bool = False
    ) -> Person:
        """Enrol the faces of one person, who is created when new, and aggregate anew over everything held of them.

        The template depends on what is held only: adding media one by one, in any order, or all at once gives the same
        bits.

        Args:
            name: the person; stripped and Unicode-normalised (:func:`~faceset.gallery.names.clean_name`). An id
                creates nobody.
            sets: faces of this person only. Sets of one digest are tracks of one medium. Without a digest, the sets of
                one live stream are one medium, and any other set is one by itself.
            aggregator: makes the template.
            keep_crops: store the faces' aligned crops too, where they have one, as PNG.

        Raises:
            InputError: the name cannot be used, or no sets were given (EmptySetError).
            EmbedderMismatchError: the sets are of another embedder, or another width, than the gallery or each other.
            UnknownPersonError: nobody has that id.
            DuplicateMediaError: a file is enrolled already, here or for somebody else, or is given twice.
            GalleryError: the gallery cannot be written.
        """
        if not isinstance(name, Uid):
            name = clean_name(name)
        incoming = gather(sets, keep_crops=keep_crops)
        with self._database.write() as connection:
            return changes.add(connection, self.path, name, incoming, aggregator)

    def refresh(self, aggregator: Aggregator) -> int:
        """Aggregate anew, from the stored features, everybody whose template another aggregator made.

        Returns:
            The number of people this was done for.
        """
        with self._database.read() as connection:
            if not store.of_other_aggregators(connection, aggregator.name):
                return 0
        with self._database.write() as connection:
            return changes.refresh(connection, self.path, aggregator)

    def rename(self, name: str | Uid, new_name: str) -> Person:
        """Give a person another name; the old one is removed for good, as by :meth:`forget`.

        Raises:
            InputError: the new name cannot be used.
            UnknownPersonError: nobody of the old name is enrolled.
            GalleryError: somebody else has the new name.
        """
        with self._database.write() as connection:
            renamed = changes.rename(connection, self.path, name, new_name)
        self._database.purge()
        return renamed

    def remove_media(self, name: str | Uid, media: str, *, aggregator: Aggregator) -> Person:
        """Remove media of a person for good, as by :meth:`forget`, and aggregate anew over the rest.

        Args:
            name: the person.
            media: name, digest or id of the medium; every medium of that name goes.
            aggregator: makes the template.

        Raises:
            UnknownPersonError: nobody of that name is enrolled.
            GalleryError: they have no such medium, or no other.
        """
        with self._database.write() as connection:
            left = changes.remove_media(connection, self.path, name, media, aggregator)
        self._database.purge()
        return left

    def forget(self, name: str | Uid) -> Person:
        """Remove everything held of a person, for good: no byte of it stays in the file or beside it.

        The file is rewritten for that, which takes seconds when it is large. Copies and backups are out of reach.

        Returns:
            The person as they were.

        Raises:
            UnknownPersonError: nobody of that name is enrolled; near names are suggested.
        """
        with self._database.write() as connection:
            gone = changes.forget(connection, self.path, name)
        self._database.purge()
        return gone

    def forget_all(self) -> list[Person]:
        """Remove everybody for good, as by :meth:`forget`; who they were."""
        with self._database.write() as connection:
            gone = changes.forget_all(connection, self.path)
        self._database.purge()
        return gone

    # ------------------------------------------------------------------------------------------------------ search

    def search(
        self, templates: Sequence[Template], k: int = 5, *, aggregator: Aggregator | None = None
    ) -> list[tuple[Candidate, ...]]:
        """The min(k, G) people most like each template, best first; equal scores in order of first enrolment.

        Args:
            templates: the probes.
            k: number of candidates each.
            aggregator: when given, people whose template another aggregator made are aggregated anew first.

        Raises:
            InputError: ``k`` is below 1.
            EmbedderMismatchError: a template of another embedder, or of another width.
        """
        if k < 1:
            raise InputError(f"k must be at least 1, but got {k}")
        if isinstance(templates, Template):
            raise InputError("templates is a sequence of Template, but got one Template; put it into a list")
        if not templates:
            return []
        if self._server is not None:
            found_there = self._server.search(templates, k, aggregator)
            return [tuple(_candidate(name, score) for name, score in found) for found in found_there]
        cache = self._cache
        with cache.lock:
            with self._database.read() as connection:
                bound = store.binding(connection)
                for one in templates:
                    check_embedder(self.path, bound, (one.model_id, one.vector.shape[0]), "the probes")
                cache.update(connection)
            if aggregator is not None and cache.holds_other_than(aggregator.name):
                self._refresh_cache(aggregator)
            if not cache.names:
                return [() for _ in templates]
            queries: Floats = np.stack([t.vector for t in templates])
            indices, scores = cache.search(queries, k)
            return [
                tuple(_candidate(cache.names[i], s) for i, s in zip(found, values, strict=True))
                for found, values in zip(indices, scores, strict=True)
            ]

    def _refresh_cache(self, aggregator: Aggregator) -> None:
        """Aggregate anew and read the result in one transaction, so that no other process comes between."""
        try:
            with self._database.write() as connection:
                changes.refresh(connection, self.path, aggregator)
                self._cache.update(connection)
        except BaseException:
            self._cache.clear()  # it may hold what was not written in the end
            raise


def _bound(bound: store.Binding) -> tuple[str, int]:
    """Embedder and width of a gallery that holds somebody."""
    return str(bound.model_id), int(bound.width or 0)


def _candidate(name: str, score: float) -> Candidate:
    # A template's length is 1 up to rounding, so a product may pass 1 by as much.
    return Candidate(name, min(1.0, max(-1.0, float(score))))
