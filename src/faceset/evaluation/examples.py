"""The best and the worst pairs, with the faces that weigh most in each template."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from faceset.aggregation import Aggregator
from faceset.evaluation.joining import Sets
from faceset.evaluation.results import Example
from faceset.evaluation.trials import Bools, Ints, TemplateList
from faceset.feature_table import FeatureTable
from faceset.types import Floats

EACH = 6
"""Examples of a kind."""
MEDIA = 3
"""Media named of each template."""


class Chosen(NamedTuple):
    """One pair: what it shows, its score and the places of its templates."""

    kind: str
    score: float
    first: int
    second: int


def choose(first: npt.NDArray[np.int32], second: npt.NDArray[np.int32], same: Bools, scores: Floats) -> list[Chosen]:
    """The pairs at the ends of both kinds; where scores tie, those that stand first. Pairs that could not be compared
    are named among the missed ones only where there are too few others.

    Args:
        first, second: (P,) places of templates; the pairs sorted.
        same: (P,).
        scores: (P,); -inf where one of the two was not enrolled.
    """
    made = scores > -np.inf
    own, other = np.flatnonzero(same & made), np.flatnonzero(~same & made)
    missed = _lowest(scores, own)
    missed = np.concatenate([missed, np.flatnonzero(same & ~made)[: EACH - missed.size]])
    chosen = (
        ("missed", missed),
        ("false alarm", _lowest(-scores, other)),
        ("easy", _lowest(-scores, own)),
        ("apart", _lowest(scores, other)),
    )
    return [Chosen(kind, float(scores[i]), int(first[i]), int(second[i])) for kind, found in chosen for i in found]


def describe(
    chosen: list[Chosen],
    templates: TemplateList,
    sets: Sets,
    table: FeatureTable,
    enrolled: Bools,
    aggregator: Aggregator | None,
) -> tuple[Example, ...]:
    """Names in place of numbers.

    Args:
        chosen: the pairs.
        templates, sets, table: who they are of, and their faces.
        enrolled: (T,) which templates there are.
        aggregator: weighs the faces; without one (pairwise), and in templates that were not enrolled, all weigh the
            same.
    """
    media: dict[int, tuple[str, ...]] = {}
    for place in sorted({p for c in chosen for p in (c.first, c.second)}):
        media[place] = _heaviest(place, sets, table, aggregator if enrolled[place] else None)
    who = templates.subject

    def named(place: int) -> tuple[str, str]:
        number = int(sets.order[place])
        return templates.ids[number], who.names[who.codes[number]]

    examples = []
    for kind, score, first, second in chosen:
        (a, a_subject), (b, b_subject) = named(first), named(second)
        known = score if score > -np.inf else None
        examples.append(Example(kind, known, a, b, a_subject, b_subject, media[first], media[second]))
    return tuple(examples)


def _lowest(values: npt.NDArray[np.float32], among: Ints) -> Ints:
    """The ``EACH`` of ``among`` with the lowest values, the first of equals first."""
    if among.size > EACH:
        here = values[among]
        limit = np.partition(here, EACH - 1)[EACH - 1]
        among = np.concatenate([among[here < limit], among[here == limit][:EACH]])
        among.sort()
    return among[np.argsort(values[among], kind="stable")][:EACH]


def _heaviest(place: int, sets: Sets, table: FeatureTable, aggregator: Aggregator | None) -> tuple[str, ...]:
    low, high = int(sets.offsets[place]), int(sets.offsets[place + 1])
    if low == high:
        return ()
    rows = sets.rows[low:high]
    weights = np.ones(rows.size, np.float32)
    if aggregator is not None:
        bounds = [0, rows.size]
        weights = aggregator(table.vectors[rows], bounds, media=sets.media[low:high], quality=table.score[rows]).weights
    codes = table.medium.codes[rows]
    names: list[str] = []
    for i in np.argsort(-weights, kind="stable"):
        name = table.medium.names[codes[i]]
        if name not in names:
            names.append(name)
        if len(names) == MEDIA:
            break
    return tuple(names)
