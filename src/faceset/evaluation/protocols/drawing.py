"""Seeded choices that depend on names and numbers only: not on the order of a listing, nor on a library's version."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from faceset.evaluation.trials import Ints


def shuffled(names: Iterable[str], seed: int, purpose: str) -> list[str]:
    """The names in the order of the sha256 of seed, purpose and name (UTF-8, separated by NUL).

    >>> shuffled(["b", "a", "c"], 0, "x") == shuffled(["c", "b", "a"], 0, "x")
    True
    """
    return sorted(names, key=lambda name: (hashlib.sha256(f"{seed}\0{purpose}\0{name}".encode()).digest(), name))


def scramble(seed: int, purpose: str, start: int, count: int) -> npt.NDArray[np.uint64]:
    """(count,) numbers ``start`` to ``start + count`` of a random sequence over all of uint64.

    SplitMix64 (G. Steele, D. Lea, C. Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014), begun at
    the first 8 bytes of the sha256 of seed and purpose.
    """
    key = int.from_bytes(hashlib.sha256(f"{seed}\0{purpose}".encode()).digest()[:8], "big")
    z = np.arange(start + 1, start + count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(key)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def sample(total: int, wanted: int, seed: int, purpose: str) -> Ints:
    """``wanted`` distinct numbers of ``0 .. total - 1``, ascending, all sets as likely; all where there are not more.

    >>> sample(5, 9, 0, "x")
    array([0, 1, 2, 3, 4])
    """
    if wanted >= total:
        return np.arange(total, dtype=np.int64)
    if 2 * wanted > total:  # the few that are left out would be waited for long
        order = np.argsort(scramble(seed, purpose, 0, total), kind="stable")
        return np.sort(order[:wanted]).astype(np.int64)
    drawn = np.empty(0, dtype=np.int64)
    taken = 0
    while True:
        step = 2 * wanted
        new = (scramble(seed, purpose, taken, step) % np.uint64(total)).astype(np.int64)
        drawn, taken = np.concatenate([drawn, new]), taken + step
        first = np.unique(drawn, return_index=True)[1]
        if first.size >= wanted:
            return np.sort(drawn[np.sort(first)[:wanted]])
