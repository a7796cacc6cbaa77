"""An exported gallery taken into another."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from faceset import aggregation
from faceset.errors import GalleryError
from faceset.gallery import changes, sealing, store
from faceset.gallery.exchange_reading import Export, ExportedMedium, ExportedPerson, bad, read_faces, read_people
from faceset.gallery.named import aggregator_of
from faceset.gallery.names import MAX_NAME, new_uid
from faceset.gallery.records import Uid
from faceset.gallery.refusals import check_embedder
from faceset.gallery.schema import face, medium, person

if TYPE_CHECKING:
    from faceset.aggregation import Aggregator
    from faceset.gallery.gallery import Gallery

_SHOWN = 5


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What an import did.

    Attributes:
        people, media, faces: how many were taken in.
        already: sentences on media that were left out, because the gallery holds the same file.
        left_out: names of people of whom nothing but such media was exported; they were not made.
        renamed: the new names of people whose name was taken, by the exported ones.
    """

    people: int
    media: int
    faces: int
    already: list[str]
    left_out: list[str]
    renamed: dict[str, str]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def import_gallery(
    gallery: Gallery,
    folder: str | os.PathLike[str],
    *,
    aggregator: Aggregator | str | None = None,
    rename: bool = False,
) -> ImportReport:
    """Take in everybody of an export: all of it, or on any error nothing.

    Ids, times, order and every bit of the features are kept. Templates are aggregated anew from them.

    Args:
        gallery: an open gallery; it may hold people already.
        folder: what :func:`~faceset.gallery.exporting.export_gallery` wrote.
        aggregator: makes the templates, or the name of one (:func:`faceset.aggregation.get`); default: those by whose
            names they were made.
        rename: give people whose name is taken a free one, such as ``Grace (2)``, instead of refusing.

    Raises:
        GalleryError: the folder is missing, damaged, foreign or newer than this program; names are taken; or an
            aggregator is needed that its name alone does not give.
        EmbedderMismatchError: the gallery, or the aggregator, is of another embedder.
        InputError: there is no such aggregator.
    """
    export = read_people(Path(folder).absolute())
    if isinstance(aggregator, str):
        aggregator = aggregation.get(aggregator, model_id=export.model_id)
    makers = {} if aggregator is not None else _makers(export)
    with gallery._database.write() as connection:
        work = _Import(connection, gallery, export)
        work.make_people(rename=rename)
        work.insert_faces()
        for number, name in work.to_aggregate:
            changes.aggregate(connection, gallery.path, number, aggregator if aggregator is not None else makers[name])
    return work.report()


def _makers(export: Export) -> dict[str, Aggregator]:
    """The aggregators that made the exported templates, by name."""
    makers: dict[str, Aggregator] = {}
    for name in {one.aggregator for one in export.people if one.media}:
        found = aggregator_of(name, str(export.model_id))
        if found is None:
            raise GalleryError(
                f"{export.folder}: templates were made by aggregator {name!r}, which its name alone does not give; "
                "give the file it was trained to, or another aggregator, with --aggregator (aggregator=)"
            )
        makers[name] = found
    return makers


class _Import:
    """One import, in the transaction of ``connection``."""

    def __init__(self, connection: Connection, gallery: Gallery, export: Export) -> None:
        self.connection = connection
        self.path = gallery.path
        self.export = export
        self.counts = {"people": 0, "media": 0, "faces": 0}
        self._already: list[str] = []
        self._left_out: list[str] = []
        self._renamed: dict[str, str] = {}
        self.to_aggregate: list[tuple[int, str]] = []
        """Numbers of the people, and the aggregators of their exported templates."""
        self._owners: dict[str, str] = {}
        self._media: dict[str, tuple[int, str] | None] = {}
        self._declared: dict[str, int] = {}
        self._bind()

    def report(self) -> ImportReport:
        """What was done."""
        return ImportReport(**self.counts, already=self._already, left_out=self._left_out, renamed=self._renamed)

    def _bind(self) -> None:
        if self.export.model_id is None:
            return
        given = (self.export.model_id, int(self.export.width or 0))
        bound = store.binding(self.connection)
        check_embedder(self.path, bound, given, f"the people of {self.export.folder}")
        if bound.model_id is None and any(one.media for one in self.export.people):
            store.bind(self.connection, *given)

    def make_people(self, *, rename: bool) -> None:
        """Write people and media, without faces."""
        taken = set(store.names(self.connection))
        clashes = [one for one in self.export.people if one.name in taken]
        if clashes and not rename:
            raise self._clash(clashes)
        clashing = {one.name for one in clashes}
        taken |= {one.name for one in self.export.people}
        for one in self.export.people:
            fresh = [m for m in one.media if not self._held(m, one.name)]
            for m in one.media:
                self._owners[m.uid], self._declared[m.uid] = one.uid, m.faces
            if one.media and not fresh:
                self._left_out.append(one.name)
                continue
            number = self._make_person(one, self._free(one.name, taken) if one.name in clashing else one.name)
            for m in fresh:
                self._make_medium(m, number)
            self.counts["people"] += 1
            self.counts["media"] += len(fresh)

    def _clash(self, clashes: list[ExportedPerson]) -> GalleryError:
        names = ", ".join(repr(one.name) for one in clashes[:_SHOWN])
        more = f" and {len(clashes) - _SHOWN} more" if len(clashes) > _SHOWN else ""
        same = all(store.name_of(self.connection, one.uid) == one.name for one in clashes)
        why = "they were imported before, or come from this gallery" if same else "they may be other people"
        return GalleryError(
            f"{self.path}: there are people called {names}{more} already ({why}); nothing was changed: import to "
            "another gallery, rename or forget them first, or import under other names with --rename (rename=True)"
        )

    def _free(self, name: str, taken: set[str]) -> str:
        number = 2
        while (free := f"{name[: MAX_NAME - 8].rstrip()} ({number})") in taken:
            number += 1
        taken.add(free)
        self._renamed[name] = free
        return free

    def _held(self, one: ExportedMedium, name: str) -> bool:
        holder = store.holder(self.connection, one.digest)
        if holder is None:
            return False
        self._media[one.uid] = None
        self._already.append(f"{one.name!r} of {name!r} is held for {holder[0]!r} already, as {holder[1]!r}")
        return True

    def _make_person(self, one: ExportedPerson, name: str) -> int:
        known = store.person_id(self.connection, Uid(one.uid)) is not None
        result = self.connection.execute(
            sa.insert(person).values(
                name=name, created=one.created, updated=one.updated, uid=new_uid() if known else one.uid
            )
        )
        (number,) = result.inserted_primary_key or (0,)
        if one.media:
            self.to_aggregate.append((int(number), one.aggregator))
        return int(number)

    def _make_medium(self, one: ExportedMedium, owner: int) -> None:
        known = self.connection.execute(sa.select(medium.c.id).where(medium.c.uid == one.uid)).first() is not None
        uid = new_uid() if known else one.uid
        result = self.connection.execute(
            sa.insert(medium).values(
                person_id=owner,
                digest=one.digest,
                name=one.name,
                kind=one.kind,
                faces=one.faces,
                added=one.added,
                uid=uid,
            )
        )
        (number,) = result.inserted_primary_key or (0,)
        self._media[one.uid] = (int(number), uid)

    def insert_faces(self) -> None:
        """Write the faces of the media that were made; every medium must have as many as it says."""
        found: Counter[str] = Counter()
        for batch in read_faces(self.export):
            values = list(self._rows(batch, found))
            self.counts["faces"] += len(values)
            if values:
                self.connection.execute(sa.insert(face), values)
        for uid, count in self._declared.items():
            if found[uid] != count:
                raise bad(self.export.folder, f"a medium should have {count} faces, but {found[uid]} are there")

    def _rows(self, batch: Iterable[tuple[str, str, dict[str, Any]]], found: Counter[str]) -> Iterable[dict[str, Any]]:
        seal = sealing.of(self.connection)
        for owner, uid, values in batch:
            if self._owners.get(uid) != owner:
                raise bad(
                    self.export.folder, f"a face belongs to medium {uid!r} of person {owner!r}, who are not there"
                )
            found[uid] += 1
            made = self._media[uid]
            if made is not None:
                yield {**seal.seal_face(values, made[1]), "medium_id": made[0]}
