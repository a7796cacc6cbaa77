"""What is about to be enrolled: face sets gathered by medium, checked before anything is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from faceset.errors import DuplicateMediaError, EmbedderMismatchError, EmptySetError, InputError
from faceset.gallery import rows
from faceset.types import FaceSet


@dataclass(frozen=True, slots=True)
class Medium:
    """One medium and the rows of its faces."""

    digest: str
    name: str
    kind: str
    faces: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Incoming:
    """Media of one person, all of one embedder and width D."""

    model_id: str
    width: int
    media: list[Medium]


def gather(sets: Sequence[FaceSet], *, keep_crops: bool) -> Incoming:
    """Face sets of one person, gathered by medium.

    Sets of one digest are tracks of one medium. Without a digest, the sets of one live stream are one medium, and any
    other set is a medium by itself.

    Raises:
        EmptySetError: no set was given.
        EmbedderMismatchError: the sets are of two embedders or two widths.
        DuplicateMediaError: one file is given under two names, or one track twice.
    """
    if isinstance(sets, FaceSet):
        raise InputError("sets is a sequence of FaceSet, but got one FaceSet; put it into a list")
    if not sets:
        raise EmptySetError("an enrolment needs at least one FaceSet, but got none; nothing was changed")
    ids = sorted({s.model_id for s in sets})
    if len(ids) > 1:
        raise EmbedderMismatchError(
            f"the face sets were made with embedders {' and '.join(ids)}; enrol what one embedder made"
        )
    widths = sorted({s.features.shape[1] for s in sets})
    if len(widths) > 1 or not ids[0]:
        what = f"have features of widths {widths}" if ids[0] else "name no embedder (model_id is empty)"
        raise EmbedderMismatchError(f"the face sets {what}; enrol what one embedder made")
    media: dict[object, list[FaceSet]] = {}
    for number, one in enumerate(sets):
        key: object = one.digest or ((one.media, one.kind) if one.kind == "stream" else number)
        media.setdefault(key, []).append(one)
    return Incoming(ids[0], widths[0], [_medium(tracks, keep_crops) for tracks in media.values()])


def _medium(tracks: list[FaceSet], keep_crops: bool) -> Medium:
    first = tracks[0]
    for number, one in enumerate(tracks):
        if (one.media, one.kind) != (first.media, first.kind):
            raise DuplicateMediaError(
                f"{first.media!r} ({first.kind}) and {one.media!r} ({one.kind}) are the same file; give it once; "
                "nothing was changed"
            )
        if (one.track, one.shot) in {(t.track, t.shot) for t in tracks[:number]}:
            raise DuplicateMediaError(
                f"track {one.track} (shot {one.shot}) of {one.media!r} is given twice; give it once; "
                "nothing was changed"
            )
    # A file name may hold bytes that are no text; they are stored in a readable form.
    name = first.media.encode("utf-8", "backslashreplace").decode()
    return Medium(first.digest, name, first.kind, rows.from_sets(tracks, keep_crops=keep_crops))
