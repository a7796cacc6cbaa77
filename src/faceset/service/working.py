"""Jobs: the work of :mod:`faceset.service.asking` outside a request, and the audit log of either."""

from __future__ import annotations

from typing import Any

from faceset.gallery import Gallery, Uid
from faceset.media import Media
from faceset.service import asking
from faceset.service.audit import AuditLog
from faceset.service.job_context import JobContext
from faceset.service.jobs import Work
from faceset.service.showing import Values
from faceset.service.uploads import Uploads, as_source
from faceset.types import FaceSet

_KEPT_AT_ONCE = 50
"""So many tracks can be enrolled while their job still runs; the others when it is done."""


class Noted:
    """Writes what was done with a gallery to the audit log: ids and counts, no names.

    Args:
        audit: the log.
        key: id of the API key the request came with.
        gallery: name of the gallery.
    """

    def __init__(self, audit: AuditLog, key: str | None, gallery: str) -> None:
        self._audit, self._key, self._gallery = audit, key, gallery

    def write(self, action: str, **more: Any) -> None:
        """Any action; ``more``: opaque ids and counts."""
        self._audit.write(action, key=self._key, gallery=self._gallery, **more)

    def enrolled(self, values: Values, **more: Any) -> None:
        """An answer of an enrolment."""
        person, report = values["person"], values["report"]
        counts = {name: len(report[name]) for name in ("added", "already", "refused")}
        self.write("enrol", person=person["id"], faces=person["faces"], **counts, **more)

    def identified(self, values: Values, **more: Any) -> None:
        """An answer of an identification."""
        found = sorted({m["person_id"] for m in values["matches"] if m["person_id"] is not None})
        self.write("identify", tracks=len(values["matches"]), people=found, **more)

    def verified(self, values: Values, **more: Any) -> None:
        """An answer of a verification."""
        self.write("verify", same=values["same"], **more)


def to_identify(gallery: Gallery, name: str, uploads: Uploads, k: int, noted: Noted) -> Work:
    """A job that looks for people."""

    def work(context: JobContext) -> Values:
        kept: list[FaceSet] = []

        def tell(match: Values, track: FaceSet) -> None:
            context.check()
            kept.append(track)
            if len(kept) <= _KEPT_AT_ONCE:
                context.keep(kept)
            context.track(match)

        progress = context.on_progress(_media(context, uploads))
        values, sets = asking.identify(context.recognizer, gallery, uploads, k, progress=progress, tell=tell)
        context.keep(sets)
        noted.identified(values, job=context.id)
        return {"id": context.id, "gallery": name, **values}

    return work


def to_enroll(gallery: Gallery, who: str | Uid, uploads: Uploads, noted: Noted) -> Work:
    """A job that adds media to a person."""

    def work(context: JobContext) -> Values:
        progress = context.on_progress(_media(context, uploads))
        values = asking.enroll(context.recognizer, gallery, who, uploads, progress)
        noted.enrolled(values, job=context.id)
        return values

    return work


def to_compare(a: Uploads, b: Uploads, noted: Noted) -> Work:
    """A job that compares two sets."""

    def work(context: JobContext) -> Values:
        progress = context.on_progress([*_media(context, a), *_media(context, b)])
        values = asking.compare(context.recognizer, a, b, progress)
        noted.verified(values, job=context.id)
        return values

    return work


def _media(context: JobContext, uploads: Uploads) -> tuple[Media, ...]:
    return context.recognizer.reader.find(as_source(uploads)).media
