"""Lists of comparisons by template id: ``enrol template, verify template``, one a line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from faceset.evaluation.protocols.lines import first_repeat
from faceset.evaluation.protocols.tables import IntegerFile
from faceset.evaluation.trials import Bools, Ints

_TABLE = 1 << 24
"""Largest id that is looked up in a table (an array access a pair); larger ones cost a binary search."""


def is_cut_short(root: Path, name: str) -> bool:
    """Whether the last line of a file has no line end, so that its last number may have lost digits."""
    with (root / name).open("rb") as file:
        file.seek(-1, 2)
        return file.read(1) != b"\n"


def pair_up(
    pairs: IntegerFile, ids: Sequence[str], enrol: Bools | None = None, verify: Bools | None = None
) -> tuple[Ints, Ints]:
    """(P,), (P,) numbers of the templates of each line.

    Args:
        pairs: P lines of two ids.
        ids: (T,) id of each template.
        enrol, verify: (T,) whether a template may stand first, and second; None: any.

    Raises:
        ProtocolError: an unknown template, one in the wrong place, one compared with itself, or a comparison twice
            (in either order: scores are symmetric).
    """
    numbers = _look_up(pairs.values, np.array(ids, dtype=np.int64))
    bad = numbers < 0
    if bad.any():
        row, at = divmod(int(np.argmax(bad)), 2)
        raise pairs.error(row, f"template {pairs.values[row, at]} is in none of the template files")
    for at, (allowed, role) in enumerate(((enrol, "enrolled"), (verify, "verified"))):
        if allowed is not None and not (fits := allowed[numbers[:, at]]).all():
            row = int(np.argmin(fits))
            raise pairs.error(row, f"template {pairs.values[row, at]} is none of those to be {role}")
    first, second = np.ascontiguousarray(numbers.T)
    itself = first == second
    if itself.any():
        row = int(np.argmax(itself))
        raise pairs.error(row, f"template {pairs.values[row, 0]} is compared with itself")
    repeat = first_repeat(np.minimum(first, second) * len(ids) + np.maximum(first, second))
    if repeat:
        earlier, later = repeat
        one, two = pairs.values[later]
        raise pairs.error(
            later,
            f"the comparison of {one} and {two} is in line {pairs.line(earlier)} already",
            "remove the repeated line",
        )
    return first, second


def _look_up(values: Ints, ids: Ints) -> Ints:
    """Position of each value in ``ids``, which are distinct and not negative; -1 where it is not there."""
    top = int(ids.max())
    if top < _TABLE:
        table = np.full(top + 2, -1, dtype=np.int64)
        table[ids] = np.arange(ids.size)
        return table[np.minimum(values, top + 1)]
    order = np.argsort(ids)
    at = np.minimum(np.searchsorted(ids, values, sorter=order), ids.size - 1)
    found: Ints = np.where(ids[order[at]] == values, order[at], -1)
    return found
