"""Draws batches of face sets: variable size, from a few media, from all clean to all degraded.

A batch is a function of (seed, step) alone, so a run that was killed goes on with the batches it would have seen.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from faceset.errors import InputError
from faceset.feature_table import Labels
from faceset.training.config import SetConfig

Ints = npt.NDArray[np.int64]


class SetSource(Protocol):
    """What sets are drawn from: faces with a subject and a medium, such as :class:`faceset.training.data.TrainData`."""

    @property
    def rows(self) -> Ints:
        """(R,) numbers of the faces that take part."""

    @property
    def subject(self) -> Labels:
        """(M,) whose face; all faces, also those that take no part."""

    @property
    def medium(self) -> Labels:
        """(M,) which picture or video."""

    @property
    def degraded(self) -> npt.NDArray[np.bool_]:
        """(R,) whether each face that takes part is to be one that was made worse."""


class SetBatch(NamedTuple):
    """B sets of up to N faces."""

    rows: Ints
    """(B, N) rows of the features; 0 in the padding."""
    mask: npt.NDArray[np.bool_]
    """(B, N) True = a face."""
    subjects: Ints
    """(B,) place of the subject in the sorted names of the data."""
    media: Ints
    """(B, N) number of the medium of each face; -1 in the padding."""


class SetSampler:
    """Draws sets of the subjects of some data.

    Args:
        data: what to draw from; features are not needed.
        config: how.
        seed: of every batch.

    Raises:
        InputError: fewer than two subjects, or none with two media.
    """

    def __init__(self, data: SetSource, config: SetConfig, seed: int = 0) -> None:
        self.config, self.seed = config, seed
        rows, media = data.rows, data.medium.codes[data.rows]
        degraded = data.degraded
        # Rows in the order of (medium, degraded): each pool is one stretch.
        order = np.lexsort([rows, degraded, media])
        self._rows = rows[order]
        used, place = np.unique(media[order], return_inverse=True)
        counts = np.bincount(2 * place + degraded[order], minlength=2 * used.size)
        self._counts = counts.reshape(-1, 2)  # (media, clean or degraded)
        self._starts = (np.cumsum(counts) - counts).reshape(-1, 2)
        owner = np.empty(used.size, np.int64)
        owner[place] = data.subject.codes[rows[order]]
        _, owner = np.unique(owner, return_inverse=True)
        by_owner = np.argsort(owner, kind="stable")
        self._media = np.split(by_owner, np.flatnonzero(np.diff(owner[by_owner])) + 1)  # of each subject
        sizes = np.array([m.size for m in self._media])
        self._several, self._single = np.flatnonzero(sizes > 1), np.flatnonzero(sizes == 1)
        if sizes.size < 2 or self._several.size == 0:
            raise InputError(
                f"sets need at least two subjects, one of them with two media; {sizes.size} subjects are there, "
                f"{self._several.size} with two media or more"
            )

    def batch(self, step: int, rank: int = 0) -> SetBatch:
        """The batch of a step; each process of a distributed run takes its own ``rank``."""
        c = self.config
        rng = np.random.default_rng([self.seed, step, rank])
        single = min(self._single.size, c.subjects - max(1, round(c.several * c.subjects)))
        several = min(self._several.size, c.subjects - single)  # where one kind is scarce the other fills up
        chosen = np.concatenate(
            [
                rng.choice(self._several, several, replace=False),
                rng.choice(self._single, single, replace=False),
            ]
        )
        log_size = rng.uniform(np.log(c.min_faces), np.log(c.max_faces + 1), size=c.sets * chosen.size)
        sizes = np.minimum(np.exp(log_size).astype(int), c.max_faces)
        kind = rng.random(sizes.size)
        share = rng.random(sizes.size)
        share = np.where(kind < c.clean, 0.0, np.where(kind < c.clean + c.degraded, 1.0, share))
        return self.draw(rng, chosen, sizes, share)

    def everyone(self, seed: int, size: int, share: float) -> SetBatch:
        """Sets of every subject, all of one size and share of degraded faces: for validation."""
        chosen = np.arange(len(self._media))
        number = self.config.sets * chosen.size
        rng = np.random.default_rng([self.seed, seed])
        return self.draw(rng, chosen, np.full(number, size), np.full(number, share))

    def draw(
        self, rng: np.random.Generator, chosen: Ints, sizes: npt.NDArray[np.int_], share: npt.NDArray[np.float64]
    ) -> SetBatch:
        """Sets of the chosen subjects. ``sizes`` and ``share`` are for up to ``config.sets`` sets of each.

        A face is drawn from a random medium of its set, degraded with probability ``share``, or of the other kind where
        the medium has none of this one. A face may be drawn twice: a picture has but one clean face.
        """
        c = self.config
        groups: list[Ints] = []
        subjects: list[int] = []
        for s in chosen:
            media = rng.permutation(self._media[s])
            parts = min(c.sets, media.size)
            for i in range(parts):
                groups.append(media[i::parts][: rng.integers(1, c.max_media + 1)])
                subjects.append(int(s))
        B, sizes, share = len(groups), sizes[: len(groups)], share[: len(groups)]
        N = int(sizes.max())
        table = np.stack([np.resize(g, c.max_media) for g in groups])  # (B, max_media)
        held = np.array([g.size for g in groups])[:, None]
        medium = np.take_along_axis(table, (rng.random((B, N)) * held).astype(np.int64), axis=1)
        bad = (rng.random((B, N)) < share[:, None]).astype(np.int64)
        bad = np.where(self._counts[medium, bad] > 0, bad, 1 - bad)
        place = (rng.random((B, N)) * self._counts[medium, bad]).astype(np.int64)
        rows = self._rows[self._starts[medium, bad] + place]
        mask = np.arange(N) < sizes[:, None]
        return SetBatch(np.where(mask, rows, 0), mask, np.array(subjects), np.where(mask, medium, -1))
