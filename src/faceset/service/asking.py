"""The work behind the calls, the same in a request and in a job; every function runs in a thread."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Sequence

from faceset.enrolment import EnrollReport, Enrolment
from faceset.errors import DuplicateMediaError, EmbedderMismatchError, InputError, MediaError
from faceset.gallery import Gallery, Person, Uid
from faceset.media import Found
from faceset.recognizer import Recognizer
from faceset.service.problems import Problem
from faceset.service.showing import (
    FEW_FACES,
    MANY_FACES,
    MOST_FACES,
    Values,
    decision_values,
    enrolled_values,
    match_values,
)
from faceset.service.uploads import Uploads, as_source
from faceset.types import Face, FaceSet, ProgressCallback, Template

STILL_SECONDS = 0.2
"""A still takes as long as so many seconds of video, at five frames a second."""


def length(found: Found) -> float:
    """How much work media are, in seconds of video; a video of unknown length counts as one still."""
    return sum(medium.duration or STILL_SECONDS for medium in found.media)


def check_short(recognizer: Recognizer, uploads: Sequence[Uploads], seconds: float) -> None:
    """Raise a :class:`Problem` when the uploads are too long to be worked on while the client waits."""
    total = sum(length(recognizer.reader.find(as_source(one))) for one in uploads)
    if total > seconds:
        raise Problem(
            413,
            f"this is work for about {total:.1f} s of video, and more than {seconds:g} s are not done while the client "
            "waits; send it to POST /v1/jobs",
            kind="use-a-job",
            seconds=round(total, 2),
            limit=seconds,
        )


def compare(recognizer: Recognizer, a: Uploads, b: Uploads, progress: ProgressCallback | None = None) -> Values:
    """Whether two uploads show the same person; the answer of a verification."""
    first, second = (recognizer.template(as_source(one), progress=progress) for one in (a, b))
    return decision_values(recognizer.compare(first, second), first, second)


def identify(
    recognizer: Recognizer,
    gallery: Gallery,
    uploads: Uploads,
    k: int,
    *,
    progress: ProgressCallback | None = None,
    tell: Callable[[Values, FaceSet], None] | None = None,
) -> tuple[Values, list[FaceSet]]:
    """Everybody in the uploads: the matches and refused files of the answer, and the face set of each match.

    The same steps as :meth:`faceset.Recognizer.identify`, which does not hand out the face sets.

    Args:
        recognizer: reads the uploads.
        gallery: whom to look for.
        uploads: what to look at.
        k: number of candidates each.
        progress: called after every batch of frames.
        tell: called with each match and its face set as soon as the track ends.
    """
    found = recognizer.reader.find(as_source(uploads))
    matches: list[Values] = []
    sets: list[FaceSet] = []
    refused = list(found.skipped)
    listed = 0
    for medium in found.media:
        try:
            for one in recognizer.reader.face_sets(medium, fps=recognizer.fps, progress=progress):
                moving = medium.kind == "video" and medium.report.frames_sampled > 1
                if moving and len(one) < recognizer.min_track:
                    continue
                (match,) = recognizer.identify(gallery, recognizer.aggregate([one]), k=k)
                span = {name: getattr(one, name) for name in ("media", "track", "shot", "start", "end")}
                most = MOST_FACES if listed < MANY_FACES else FEW_FACES
                values = match_values(gallery, dataclasses.replace(match, **span), len(matches), most)
                listed += len(values["faces"])
                matches.append(values)
                sets.append(one)
                if tell is not None:
                    tell(values, one)
        except MediaError as error:
            if len(uploads) == 1:
                raise
            refused.append(str(error))
    return {"matches": matches, "refused": refused}, sets


def enroll(
    recognizer: Recognizer,
    gallery: Gallery,
    who: str | Uid,
    uploads: Uploads,
    progress: ProgressCallback | None = None,
) -> Values:
    """Add uploads to a person; the answer of an enrolment."""
    report = recognizer.enroll(gallery, who, as_source(uploads), progress=progress)
    return _enrolled(gallery, who, report)


def enroll_track(
    recognizer: Recognizer, gallery: Gallery, who: str | Uid, track: FaceSet, *, keep_crops: bool
) -> Values:
    """Add one track to a person, as a medium of its own; the answer of an enrolment.

    Raises:
        DuplicateMediaError: somebody else was enrolled with it.
        UnknownPersonError: the person was forgotten.
    """
    name = f"{track.media}, {track.start:.2f}-{track.end:.2f} s" if track.kind == "video" else track.media
    # A file belongs to one person, but each of its tracks may be of another.
    key = f"{track.digest} track {track.track} shot {track.shot}"
    digest = hashlib.sha256(key.encode()).hexdigest()
    one = dataclasses.replace(track, media=name, digest=digest)
    work = Enrolment(
        gallery,
        who,
        aggregator=recognizer.aggregator,
        same_score=2.0,
        threshold=recognizer.thresholds.alike(recognizer.aggregator.name, len(gallery)),
        keep_crops=keep_crops,
    )
    _add(gallery, work, one)
    return _enrolled(gallery, who, work.report())


def put_template(recognizer: Recognizer, gallery: Gallery, who: Uid, template: Template) -> Person:
    """Keep a template made elsewhere as the one medium of kind ``template`` of a person.

    Raises:
        EmbedderMismatchError: it is of another embedder, or another width, than is in use here.
        DuplicateMediaError: somebody else was enrolled with it.
        UnknownPersonError: the person was forgotten.
    """
    width = recognizer.reader.embedder.manifest.width
    if template.model_id != recognizer.model_id or len(template.vector) != width:
        raise EmbedderMismatchError(
            f"the template is a vector of width {len(template.vector)} of embedder {template.model_id[:200]}, but "
            f"vectors of width {width} of embedder {recognizer.model_id} are compared here; make it with that one"
        )
    data = template.vector.astype("<f4").tobytes()
    digest = hashlib.sha256(template.model_id.encode() + b"\0" + data).hexdigest()
    face = Face((0.0, 0.0, 1.0, 1.0), 1.0, feature=template.vector)
    before = gallery.person(who)
    work = Enrolment(gallery, who, aggregator=recognizer.aggregator, same_score=2.0, threshold=None, keep_crops=False)
    _add(gallery, work, FaceSet((face,), template.model_id, "template", digest=digest, kind="template"))
    for medium in before.media:
        if medium.kind == "template" and medium.digest != digest:
            gallery.remove_media(who, medium.uid, aggregator=recognizer.aggregator)
    return gallery.person(who)


def _add(gallery: Gallery, work: Enrolment, one: FaceSet) -> None:
    """Add a face set that is a medium of its own; one that the person has already is no error."""
    try:
        gallery.add(work.who, [one], aggregator=work.aggregator, keep_crops=work.keep_crops)
    except DuplicateMediaError:
        known = gallery.uids([gallery.holds(one.digest) or ""])
        mine = gallery.person(work.who).uid
        if mine not in known.values():
            raise
        work.already.append(one.media)
    else:
        work.added.append(one.media)


def _enrolled(gallery: Gallery, who: str | Uid, report: EnrollReport) -> Values:
    """The answer; a person who was forgotten since is an error, not an answer about somebody who is gone."""
    return enrolled_values(gallery, gallery.person(who), report)


def owner(person_id: str | None, name: str | None) -> str | Uid:
    """Whom to enrol.

    Raises:
        InputError: not exactly one of the two was given.
    """
    if (person_id is None) == (name is None):
        raise InputError("say whom to enrol: give either person_id or name")
    return Uid(person_id) if person_id is not None else str(name)
