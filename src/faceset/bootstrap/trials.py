"""Pairs of templates, and who they are of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from faceset.errors import InputError

AnyInts = npt.NDArray[np.integer[Any]]


@dataclass(frozen=True, slots=True, eq=False)
class Trials:
    """Pairs of templates.

    Attributes:
        first, second: (P,) numbers of the two templates.
        first_subject, second_subject: (P,) numbers of their subjects, from 0 in sorted order of the names.
        subjects: number of subjects S.
    """

    first: AnyInts
    second: AnyInts
    first_subject: AnyInts
    second_subject: AnyInts
    subjects: int

    @classmethod
    def of(cls, first: AnyInts, second: AnyInts, template_subjects: Sequence[str] | npt.NDArray[np.generic]) -> Trials:
        """The pairs of a list, such as the official one of a protocol.

        >>> pairs = Trials.of(np.array([0, 2]), np.array([1, 0]), ["b", "b", "a"])
        >>> pairs.first_subject.tolist(), pairs.second_subject.tolist(), pairs.same.tolist()
        ([1, 0], [1, 1], [True, False])

        Args:
            first, second: (P,) numbers of templates.
            template_subjects: (T,) name or number of the subject of each template. Subjects in no pair do not count.

        Raises:
            InputError: no pairs, lists of two lengths, or a number that is no template's.
        """
        first, second, names = np.asarray(first), np.asarray(second), np.asarray(template_subjects)
        if first.ndim != 1 or first.size == 0 or first.shape != second.shape:
            raise InputError(f"pairs must be two lists of one length, but got shapes {first.shape} and {second.shape}")
        low, high = min(first.min(), second.min()), max(first.max(), second.max())
        if low < 0 or high >= names.size:
            raise InputError(f"pairs name templates {low} to {high}, but there are {names.size}, numbered from 0")
        used = np.zeros(names.size, dtype=bool)
        used[first] = used[second] = True
        found, codes = np.unique(names[used], return_inverse=True)
        code = np.full(names.size, -1, dtype=np.int32)
        code[used] = codes
        return cls(first, second, code[first], code[second], found.size)

    @property
    def same(self) -> npt.NDArray[np.bool_]:
        """(P,) True where both templates are of one person."""
        return np.equal(self.first_subject, self.second_subject)

    def scores(self, templates: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """(P,) dot products of unit-length templates (T, D)."""
        T, out = len(templates), np.empty(self.first.size, dtype=np.float32)
        if 4 * out.size >= T * T:  # most pairs are wanted: one product of matrices is the fastest way
            return (templates @ templates.T)[self.first, self.second]
        for i in range(0, out.size, 65536):
            part = slice(i, i + 65536)
            out[part] = np.einsum("pd,pd->p", templates[self.first[part]], templates[self.second[part]])
        return out


def all_pairs(subjects: Sequence[str] | npt.NDArray[np.generic]) -> Trials:
    """Every unordered pair of the templates whose subjects are given, (T,).

    >>> pairs = all_pairs(["a", "b", "a"])
    >>> pairs.first.tolist(), pairs.second.tolist(), pairs.same.tolist()
    ([0, 0, 1], [1, 2, 2], [False, True, False])
    """
    names, codes = np.unique(np.asarray(subjects), return_inverse=True)
    first, second = np.triu_indices(codes.size, k=1)
    return Trials(first, second, codes[first], codes[second], names.size)
