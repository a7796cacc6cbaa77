"""The face sets of the accuracy table: which faces make a template, and which templates are compared."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from faceset.bootstrap import Trials, all_pairs
from faceset.training.data import TrainData

Ints = npt.NDArray[np.int64]
MODERATE, FULL = 0.5, 1.0
"""Upper bounds of the strength of degradation that the table is made for."""
YTF, LFW = "ytf", "lfw"
FACES = 12
"""Faces in a set of row 5."""


class Faces:
    """The faces of a data set by medium, clean and degraded ones apart.

    Args:
        data: of the people who take part.
        kinds: kinds of degradation that are drawn; None: all.
        high: strength of degradation at most.
    """

    def __init__(self, data: TrainData, kinds: tuple[str, ...] | None = None, high: float = FULL) -> None:
        self.data = data.only(kinds=None if kinds is None else ("clean", *kinds), max_strength=high)
        rows, flags = self.data.rows, self.data.degraded
        media = data.medium.codes[rows]
        self.clean = {int(m): rows[(media == m) & ~flags] for m in np.unique(media)}
        self.degraded = {int(m): rows[(media == m) & flags] for m in np.unique(media)}
        self.by_subject: dict[int, list[int]] = {}
        for m in sorted(self.clean):
            if self.clean[m].size:
                self.by_subject.setdefault(int(data.subject.codes[self.clean[m][0]]), []).append(m)


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """One line of the table, drawn once.

    Attributes:
        rows: (F,) rows of the data, set after set.
        offsets: (T + 1,) where each set begins.
        trials: pairs of sets.
    """

    name: str
    data: TrainData
    rows: Ints
    offsets: Ints
    trials: Trials


class Line(NamedTuple):
    """A row of the table before it is drawn."""

    name: str
    source: str
    draw: Callable[[Faces, int], Row]
    uses_degraded: bool


def _row(name: str, faces: Faces, sets: list[Ints], subjects: list[int], trials: Trials | None = None) -> Row:
    offsets = np.concatenate([[0], np.cumsum([s.size for s in sets])])
    trials = all_pairs(np.array(subjects)) if trials is None else trials
    return Row(name, faces.data, np.concatenate(sets), offsets, trials)


def _videos(faces: Faces) -> Iterator[tuple[int, int]]:
    """(subject, medium) of every video with clean and degraded faces."""
    for subject, media in faces.by_subject.items():
        for m in media:
            if faces.degraded[m].size:
                yield subject, m


def _take(rng: np.random.Generator, pool: Ints, number: int) -> Ints:
    """That many of the pool; each once where there are enough, else with repeats."""
    chosen: Ints = rng.choice(pool, number, replace=pool.size < number)
    return chosen


def videos(faces: Faces, seed: int) -> Row:
    """Row 1: the clean frames of a video make a set; all pairs of videos."""
    found = [(s, m) for s, media in faces.by_subject.items() for m in media]
    return _row("1", faces, [faces.clean[m] for _, m in found], [s for s, _ in found])


def mixed(faces: Faces, seed: int) -> Row:
    """Row 2: 2 clean and 5 degraded frames of a video."""
    rng, sets, subjects = np.random.default_rng([seed, 2]), [], []
    for s, m in _videos(faces):
        clean = faces.clean[m]
        sets.append(np.concatenate([_take(rng, clean, min(2, clean.size)), _take(rng, faces.degraded[m], 5)]))
        subjects.append(s)
    return _row("2", faces, sets, subjects)


def degraded(faces: Faces, seed: int) -> Row:
    """Row 3: 5 degraded frames of a video."""
    rng, found = np.random.default_rng([seed, 3]), list(_videos(faces))
    return _row("3", faces, [_take(rng, faces.degraded[m], 5) for _, m in found], [s for s, _ in found])


def two_videos(faces: Faces, seed: int) -> Row:
    """Row 4: the clean frames of two videos of a person against those of all the others.

    Every way to part the videos so is taken (3 for 3 or 4 videos), which has less chance in it than one. Pairs of one
    person are the two sides of one parting; of two people, all.
    """
    sets: list[Ints] = []
    subjects: list[int] = []
    same: list[tuple[int, int]] = []
    for s, media in faces.by_subject.items():
        if len(media) < 3:
            continue
        seen: set[frozenset[int]] = set()
        for pair in itertools.combinations(media, 2):
            others = [m for m in media if m not in pair]
            if frozenset(others) in seen:
                continue
            seen.add(frozenset(pair))
            same.append((len(sets), len(sets) + 1))
            sets += [np.concatenate([faces.clean[m] for m in side]) for side in (pair, others)]
            subjects += [s, s]
    every = all_pairs(np.array(subjects))
    sides = np.array(same)
    partner = np.empty(len(sets), np.int64)
    partner[sides[:, 0]], partner[sides[:, 1]] = sides[:, 1], sides[:, 0]
    keep = ~every.same | (partner[every.first] == every.second)
    parts = (every.first, every.second, every.first_subject, every.second_subject)
    return _row("4", faces, sets, subjects, Trials(*(p[keep] for p in parts), every.subjects))


def pictures(faces: Faces, seed: int, *, number: int = FACES, share: float = 0.7) -> Row:
    """Row 5: 12 faces, 70 % of them degraded, from up to 3 pictures; two sets of a person share no picture."""
    rng, sets, subjects = np.random.default_rng([seed, 5]), [], []
    for s, media in faces.by_subject.items():
        order = rng.permutation(media)
        parts = min(2, order.size)
        for i in range(parts):
            mine = order[i::parts][:3]
            clean = np.concatenate([faces.clean[m] for m in mine])
            bad = np.concatenate([faces.degraded[m] for m in mine])
            count = int(rng.binomial(number, share)) if bad.size else 0
            sets.append(
                np.concatenate([rng.choice(clean, number - count), rng.choice(bad, count) if count else bad[:0]])
            )
            subjects.append(s)
    return _row("5", faces, sets, subjects)


LINES = (
    Line("1 YTF videos as they are", YTF, videos, False),
    Line("2 YTF, 2 clean + 5 degraded frames", YTF, mixed, True),
    Line("3 YTF, 5 degraded frames", YTF, degraded, True),
    Line("4 YTF, two videos against the others", YTF, two_videos, False),
    Line("5 LFW held out, 12 faces, 70 % degraded", LFW, pictures, True),
)
"""The table. Rows 1 and 4 have no chance in them."""
