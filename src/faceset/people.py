"""Which of the faces seen belong to the one person that was promised.

A source that is said to show one person may show others beside them: passers-by in a video, friends in a still. The
rules, in this order:

1. Tracks of one medium that agree with each other are one person.
2. A medium that shows one person is sure.
3. In any other medium the person is taken who agrees with the reference (what is already enrolled, or the sure media).
4. Without a reference, the person who dominates the medium is taken: :data:`DOMINANCE` times the presence of the
   next. When people are enrolled, a single picture is never decided this way, because a mistake would stay.
5. Otherwise the medium is refused, and the reason says who was seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from faceset.types import FaceSet, Floats

DOMINANCE = 2.0
"""How many times more present (faces x size) than the next the leading person of a medium has to be."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What was taken from one medium.

    Attributes:
        sets: the face sets of the person; empty when the medium was refused.
        left_out: one sentence for every other person seen.
        reason: why the medium was refused; None when it was not.
    """

    sets: tuple[FaceSet, ...]
    left_out: tuple[str, ...] = ()
    reason: str | None = None


def centre(sets: Sequence[FaceSet]) -> Floats:
    """Mean of the unit features of all faces, scaled to unit length: (D,)."""
    features = np.concatenate([s.features for s in sets]).astype(np.float64)
    mean = (features / np.linalg.norm(features, axis=1, keepdims=True)).mean(axis=0)
    unit: Floats = (mean / max(float(np.linalg.norm(mean)), 1e-12)).astype(np.float32)
    return unit


def group_people(sets: Sequence[FaceSet], threshold: float) -> list[list[FaceSet]]:
    """The face sets of one medium, gathered by person, the most present person first.

    Longest tracks first, each joins the person it agrees with most, when that reaches ``threshold`` and the two were
    never seen in the same frame; otherwise it is somebody new.
    """
    people: list[list[FaceSet]] = []
    for one in sorted(sets, key=lambda s: (-len(s), s.track)):
        frames = {f.frame for f in one.faces}
        scores = [
            -2.0 if frames & {f.frame for s in person for f in s.faces} else float(centre([one]) @ centre(person))
            for person in people
        ]
        best = int(np.argmax(scores)) if scores else -1
        if best >= 0 and scores[best] >= threshold:
            people[best].append(one)
        else:
            people.append([one])
    for person in people:
        person.sort(key=lambda s: s.track)
    return sorted(people, key=lambda p: (-presence(p), p[0].track))


def presence(person: Sequence[FaceSet]) -> float:
    """How much of a medium a person fills: the sum over faces of the square root of the box's area, in pixels."""
    return float(sum(face.area**0.5 for s in person for face in s.faces))


def is_sure(people: Sequence[Sequence[FaceSet]]) -> bool:
    """Whether a medium shows one person only."""
    return len(people) == 1


def choose(
    people: Sequence[Sequence[FaceSet]], threshold: float, reference: Floats | None, *, to_enrol: bool = False
) -> Choice:
    """Take one person of a medium, by the rules on top of this file.

    Args:
        people: the persons of one medium, from :func:`group_people`; at least one.
        threshold: cosine from which two templates are the same person.
        reference: unit vector (D,) of the promised person, or None when nothing is known yet.
        to_enrol: whether the choice is to be kept in a gallery.
    """
    if is_sure(people):
        return Choice(tuple(people[0]))
    medium = people[0][0].media
    if reference is not None:
        scores = [float(centre(person) @ reference) for person in people]
        best = int(np.argmax(scores))
        if scores[best] < threshold:
            return Choice((), reason=f"{medium}: none of {_listing(people)} agrees with the person's other media "
                              f"(best score {scores[best]:.3f}, threshold {threshold:.3f})")  # fmt: skip
        why = [f"score {s:.3f} to the person's other media, the one taken has {scores[best]:.3f}" for s in scores]
    elif (_moves(people) or not to_enrol) and presence(people[0]) >= DOMINANCE * presence(people[1]):
        best = 0
        why = [f"present {presence(p) / presence(people[0]):.0%} as much as the one taken" for p in people]
    else:
        return Choice((), reason=f"{medium}: {_listing(people)} were seen and nothing says who is meant; "
                          "crop it to one person, or give other media that show the person alone")  # fmt: skip
    left_out = tuple(f"{medium}: left out {describe(person)}: {why[i]}" for i, person in enumerate(people) if i != best)
    return Choice(tuple(people[best]), left_out)


def _moves(people: Sequence[Sequence[FaceSet]]) -> bool:
    """Whether the medium is more than one picture."""
    return len({face.frame for person in people for s in person for face in s.faces}) > 1


def describe(person: Sequence[FaceSet]) -> str:
    """One person of a medium in words: where and when."""
    first = person[0].faces[0]
    count = sum(map(len, person))
    where = f"at x {first.box[0]:.0f}-{first.box[2]:.0f}, y {first.box[1]:.0f}-{first.box[3]:.0f}"
    if count == 1 and first.time == 0:
        return f"a face {where}"
    start, end = min(s.start for s in person), max(s.end for s in person)
    return f"a person of {count} {'face' if count == 1 else 'faces'} from {start:.2f} to {end:.2f} s, first {where}"


def _listing(people: Sequence[Sequence[FaceSet]], most: int = 5) -> str:
    shown = "; ".join(describe(person) for person in people[:most])
    more = f"; and {len(people) - most} more" if len(people) > most else ""
    return f"{len(people)} people ({shown}{more})"
