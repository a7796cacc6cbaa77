"""Scores of pairs of templates: cosines in blocks of fixed shape. A template that was not enrolled scores -inf."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from faceset.bootstrap.trials import AnyInts
from faceset.evaluation.trials import Bools
from faceset.evaluation.workers import Workers
from faceset.types import Floats

FIRSTS = 128
"""Distinct first templates worked at a time."""
DENSE = 16
"""A block is one product of matrices where at least one in so many of its cells is wanted: a cell of a product costs
about as much less than a pair that is gathered."""
GATHERED = 8192
"""Pairs gathered at a time otherwise."""


class Scorer(Protocol):
    """Scores by K rules at once."""

    @property
    def kinds(self) -> tuple[str, ...]:
        """(K,) what the rules are called."""
        ...

    def pairs(self, first: AnyInts, second: AnyInts) -> Floats:
        """(K, P) float32 scores of pairs whose ``first`` rises."""
        ...

    def matrix(self, rows: AnyInts, columns: AnyInts) -> Floats:
        """(K, R, C) float32 scores of every row with every column."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class TemplateScorer:
    """Cosine of two templates, in -1..1; ``vectors`` (T, D) of unit length, ``enrolled`` (T,)."""

    vectors: Floats
    enrolled: Bools
    kinds: tuple[str, ...] = ("cosine",)

    def pairs(self, first: AnyInts, second: AnyInts) -> Floats:
        """See :class:`Scorer`."""
        rows, row = np.unique(first, return_inverse=True)
        wanted = np.zeros(len(self.vectors), dtype=bool)
        wanted[second] = True
        columns = np.flatnonzero(wanted)
        if DENSE * first.size >= rows.size * columns.size:
            column = np.empty(wanted.size, np.int64)
            column[columns] = np.arange(columns.size)
            return self.matrix(rows, columns)[:, row, column[second]]
        out = np.empty((1, first.size), np.float32)
        for low in range(0, first.size, GATHERED):
            part = slice(low, low + GATHERED)
            out[0, part] = np.einsum("pd,pd->p", self.vectors[first[part]], self.vectors[second[part]])
        np.clip(out, -1.0, 1.0, out=out)
        out[:, ~(self.enrolled[first] & self.enrolled[second])] = -np.inf
        return out

    def matrix(self, rows: AnyInts, columns: AnyInts) -> Floats:
        """See :class:`Scorer`."""
        out = self.vectors[rows] @ self.vectors[columns].T
        np.clip(out, -1.0, 1.0, out=out)
        out[~self.enrolled[rows]] = -np.inf
        out[:, ~self.enrolled[columns]] = -np.inf
        return out[None]


def score_pairs(scorer: Scorer, first: AnyInts, second: AnyInts, workers: Workers) -> Floats:
    """(K, P) scores of pairs that are sorted by first template, then second."""
    cuts = _cuts(first)
    out = np.empty((len(scorer.kinds), first.size), np.float32)

    def work(bounds: tuple[int, int]) -> None:
        low, high = bounds
        out[:, low:high] = scorer.pairs(first[low:high], second[low:high])

    for _ in workers.map(work, list(itertools.pairwise(cuts))):
        pass
    return out


def _cuts(first: AnyInts) -> list[int]:
    """Bounds of runs of pairs with ``FIRSTS`` distinct first templates each."""
    starts = np.flatnonzero(np.r_[True, np.diff(first) != 0]) if first.size else np.zeros(1, np.int64)
    return [*starts[::FIRSTS].tolist(), first.size]
