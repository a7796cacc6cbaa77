"""Which faces a step sees: people as classes, and epochs without replacement."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from faceset.errors import InputError
from faceset.training.faces.store import FaceStore

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Classes:
    """People as classes 0..C-1.

    Attributes:
        names: (C,) the people, sorted.
        rows: (R,) rows of the store that show one of them, rising.
        labels: (R,) class of each of these rows.
        skipped: people with too few pictures, sorted.
    """

    names: tuple[str, ...]
    rows: Ints
    labels: Ints
    skipped: tuple[str, ...]

    def of(self, rows: npt.NDArray[np.integer]) -> Ints:
        """Classes of rows of the store, each of them in :attr:`rows`."""
        return self.labels[np.searchsorted(self.rows, rows)]


def classes(
    store: FaceStore,
    *,
    least: int = 2,
    subjects: Collection[str] | None = None,
    leave_out: Collection[str] = (),
) -> Classes:
    """The people of a store as classes.

    Args:
        store: with labels.
        least: people with fewer faces are skipped.
        subjects: people to take; default all.
        leave_out: people not to take.

    Raises:
        InputError: fewer than two people are left, or the pictures have no labels.
    """
    if not store.settings["labelled"]:
        raise InputError(f"{store.folder} holds faces of nobody in particular; prepare person folders with labels")
    codes, names = store.subject
    wanted = np.array([(subjects is None or n in subjects) and n not in leave_out for n in names], bool)
    enough = np.bincount(codes, minlength=len(names)) >= least
    chosen = np.flatnonzero(wanted & enough)
    if len(chosen) < 2:
        raise InputError(f"classes need two people with at least {least} faces each, but {len(chosen)} are there")
    place = np.full(len(names), -1, np.int64)
    place[chosen] = np.arange(len(chosen))
    rows = np.flatnonzero(place[codes] >= 0).astype(np.int64)
    return Classes(
        names=tuple(names[k] for k in chosen),
        rows=rows,
        labels=place[codes[rows]],
        skipped=tuple(names[k] for k in np.flatnonzero(wanted & ~enough)),
    )


class Epochs:
    """Batches of rows, shuffled anew in every epoch, each row at most once in it; a function of the step alone.

    Args:
        rows: to draw from.
        batch: faces of one batch, in each process.
        seed: of the order.
        rank, count: which of how many processes this is; together they see each row at most once in an epoch.

    Attributes:
        steps_per_epoch: whole batches in an epoch; what is left over takes part in other epochs.

    Raises:
        InputError: fewer rows than one batch takes.
    """

    def __init__(self, rows: npt.ArrayLike, batch: int, seed: int = 0, *, rank: int = 0, count: int = 1) -> None:
        self._rows = np.asarray(rows, np.int64)
        self._batch, self._seed, self._rank, self._count = batch, seed, rank, count
        if batch < 1 or not 0 <= rank < count:
            raise InputError(f"batch must be at least 1 and rank below count, but got {batch}, {rank} and {count}")
        self.steps_per_epoch = len(self._rows) // (batch * count)
        if self.steps_per_epoch == 0:
            raise InputError(
                f"a batch takes {batch} faces in {count} processes, but {len(self._rows)} are there; make it smaller"
            )
        self._order: tuple[int, Ints] = (-1, self._rows)

    def epoch(self, step: int) -> int:
        """Number of the epoch of a step, from 0."""
        return step // self.steps_per_epoch

    def __call__(self, step: int) -> Ints:
        """Rows (batch,) of a step."""
        epoch, place = divmod(step, self.steps_per_epoch)
        if self._order[0] != epoch:
            rng = np.random.default_rng([self._seed, epoch])
            self._order = (epoch, rng.permutation(self._rows))
        start = (place * self._count + self._rank) * self._batch
        return self._order[1][start : start + self._batch]
