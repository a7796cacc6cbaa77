"""Templates of all sets by one aggregator, chunk by chunk; a set that gives none has failed to enrol."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from faceset.aggregation import Aggregator
from faceset.errors import InputError
from faceset.evaluation.joining import Sets
from faceset.evaluation.trials import Bools, Ints
from faceset.evaluation.workers import Workers
from faceset.feature_table import FeatureTable
from faceset.types import Floats

CHUNK = 8192
"""Faces aggregated at a time, unless one set alone has more: bounds what is held besides the table."""


@dataclass(frozen=True, slots=True, eq=False)
class Made:
    """Templates of T sets.

    Attributes:
        vectors: (T, D) float32 of unit length, zeros where there is none.
        enrolled: (T,) whether there is one.
        refused: number of each set with faces that the aggregator refused, and what it said.
    """

    vectors: Floats
    enrolled: Bools
    refused: Mapping[int, str]


def make(aggregator: Aggregator, table: FeatureTable, sets: Sets, workers: Workers) -> Made:
    """Aggregate every set that has faces.

    Raises:
        InputError: the aggregator cannot work on this table at all, such as one that needs detector scores.
    """
    T, D = sets.order.size, table.vectors.shape[1]
    vectors, enrolled = np.zeros((T, D), np.float32), sets.sizes > 0
    if not enrolled.any():
        return Made(vectors, enrolled, {})
    one = sets.rows[:1]
    aggregator(table.vectors[one], [0, 1], media=[0], quality=table.score[one])  # what is wrong with all shows here

    def work(chunk: Ints) -> tuple[Ints, Floats, Bools, dict[int, str]]:
        said: dict[int, str] = {}
        made, well = _aggregate(aggregator, table, sets, chunk, said)
        return chunk, made, well, said

    refused: dict[int, str] = {}
    for chunk, made, well, said in workers.map(work, list(_chunks(sets))):
        vectors[chunk], enrolled[chunk] = made, well
        refused |= said
    return Made(vectors, enrolled, refused)


def _chunks(sets: Sets) -> Iterator[Ints]:
    """Numbers of sets with faces, about ``CHUNK`` faces at a time."""
    filled = np.flatnonzero(sets.sizes > 0)
    ends = np.cumsum(sets.sizes[filled])
    start = 0
    while start < filled.size:
        before = ends[start - 1] if start else 0
        stop = max(int(np.searchsorted(ends, before + CHUNK, side="right")), start + 1)
        yield filled[start:stop]
        start = stop


def _aggregate(
    aggregator: Aggregator, table: FeatureTable, sets: Sets, chunk: Ints, said: dict[int, str]
) -> tuple[Floats, Bools]:
    """Templates (C, D) of the sets of a chunk, and which of them there are; halves the chunk around a refused set."""
    sizes = sets.sizes[chunk]
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    members = np.arange(offsets[-1]) - np.repeat(offsets[:-1] - sets.offsets[chunk], sizes)
    rows = sets.rows[members]
    try:
        out = aggregator(table.vectors[rows], offsets, media=sets.media[members], quality=table.score[rows])
    except InputError as error:
        if chunk.size == 1:
            said[int(chunk[0])] = str(error)
            return np.zeros((1, table.vectors.shape[1]), np.float32), np.zeros(1, dtype=bool)
        half = chunk.size // 2
        parts = [_aggregate(aggregator, table, sets, part, said) for part in (chunk[:half], chunk[half:])]
        return np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])
    return out.templates, np.ones(chunk.size, dtype=bool)
