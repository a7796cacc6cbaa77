"""Features of faces of a store by a backbone, clean and degraded, and the figures of held-out people by them."""

from __future__ import annotations

import dataclasses
import functools
import tempfile
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from faceset.bootstrap import all_pairs
from faceset.degradations import degrade, random_degradation
from faceset.errors import InputError
from faceset.feature_table import CLEAN
from faceset.metrics import Rate, tar_at_far
from faceset.training.backbones import Backbone
from faceset.training.data import TrainData, unit
from faceset.training.endtoend.network import EndToEnd
from faceset.training.endtoend.pictures import Pictures, Store, network_input
from faceset.training.faces import AugmentConfig
from faceset.training.sampler import Ints
from faceset.training.validation import Validation
from faceset.types import Floats

SEED = 20170721
"""Of the degraded copies; not a run's own, so that all runs are measured on the same."""
SINGLE_FAR = 1e-3
"""The FAR of the threshold for two single faces."""
_BATCH = 64

Cast = Callable[[], AbstractContextManager[object]]
"""Gives the context in which a backbone computes."""
Told = Callable[[int, int], None]
"""Called with the faces done and the faces in all."""


class Copies:
    """Faces of a store, each followed by degraded copies, which are the same in all runs.

    Row ``i * (1 + copies)`` is the i-th face as it is. What is around the crop is made worse with it, so that blur has
    something to draw on.

    Args:
        store: where the faces are.
        geometry: of the crops.
        size: (H, W) of a crop.
        faces: (n,) their numbers in the store.
        copies: degraded copies of each.
        config: kinds and strengths.
    """

    def __init__(
        self, store: Store, geometry: str, size: tuple[int, int], faces: Ints, copies: int, config: AugmentConfig
    ) -> None:
        self._padded, self._size, self._faces, self._each = store.padded(geometry), size, faces, 1 + copies
        self._store = store
        low, high = config.low, config.high
        self._drawn = [
            random_degradation(self._rng(row), config.kinds or None, low=low, high=high)
            if row % self._each
            else (CLEAN, 0.0)
            for row in range(len(self))
        ]

    def __len__(self) -> int:
        return self._faces.size * self._each

    def data(self, features: Floats, embedder: str = "") -> TrainData:
        """The rows with their labels and these features (n (1 + copies), D)."""
        face = np.repeat(self._faces, self._each)
        subject, medium = self._store.subject, self._store.medium
        return TrainData.of(
            features,
            np.array(subject.names)[subject.codes[face]],
            np.array(medium.names)[medium.codes[face]],
            kinds=[kind for kind, _ in self._drawn],
            strength=[strength for _, strength in self._drawn],
            embedder=embedder,
        )

    def picture(self, row: int) -> Pictures:
        """(H, W, 3) RGB."""
        whole, (kind, strength) = self._padded[self._faces[row // self._each]], self._drawn[row]
        if kind != CLEAN:
            rng = self._rng(row)
            random_degradation(rng)  # what was drawn of it before
            whole = degrade(np.ascontiguousarray(whole), kind, strength, rng)
        top, left = ((whole.shape[i] - self._size[i]) // 2 for i in (0, 1))
        return np.ascontiguousarray(whole[top : top + self._size[0], left : left + self._size[1]])

    def features(
        self,
        backbone: Backbone,
        rows: Ints,
        pool: ThreadPoolExecutor,
        cast: Cast = nullcontext,
        told: Told | None = None,
    ) -> Floats:
        """(n, D) features of some rows."""
        return embedded(backbone, len(rows), lambda i: self.picture(int(rows[i])), pool, cast, told)

    def _rng(self, row: int) -> np.random.Generator:
        return np.random.default_rng([SEED, int(self._faces[row // self._each]), row % self._each])


class HeldOut:
    """Verification of sets of held-out people, with features of the backbone as it is now.

    Pictures are made once and kept in a temporary file.

    Args:
        copies: of the faces of held-out people.
        most: people at most.
        pool: threads that make pictures.
    """

    def __init__(self, copies: Copies, most: int, pool: ThreadPoolExecutor) -> None:
        self.validation = Validation(copies.data(np.zeros((len(copies), 1), np.float32)), most=most)
        used = [c.sets.rows[c.sets.mask] for c in self.validation.conditions.values()]
        clean = self.validation.data.rows[~self.validation.data.degraded]
        self._clean, self._rows, self._pool = clean, np.unique(np.concatenate([clean, *used])), pool
        self._copies = copies

    @functools.cached_property
    def _kept(self) -> npt.NDArray[np.uint8]:
        """The pictures of the rows; a finished run, and processes that measure nothing, never ask for them."""
        with tempfile.TemporaryFile() as file:  # gone with the map of it
            kept = np.memmap(file, np.uint8, "w+", shape=(self._rows.size, *self._copies.picture(0).shape))
        for i, picture in enumerate(self._pool.map(self._copies.picture, self._rows.tolist())):
            kept[i] = picture
        return kept

    def look(self, network: EndToEnd, *, exact: bool = False) -> TrainData:
        """The rows of validation with features of the network's backbone; zeros where none are needed.

        Features are computed as in training, or in float32 where they are to be ``exact``.
        """
        cast = nullcontext if exact else network.cast
        kept = self._kept  # made here, not by one of the threads, which would wait for the others
        found = embedded(network.backbone, self._rows.size, lambda i: kept[i], self._pool, cast)
        features = np.zeros((len(self.validation.data.features), found.shape[1]), np.float32)
        features[self._rows] = found
        return dataclasses.replace(self.validation.data, features=features)

    def rates(self, aggregator: nn.Module, data: TrainData, far: float) -> dict[str, Rate]:
        """TAR in every condition, with the features of :meth:`look`."""
        self.validation.data = data
        return self.validation.rates(aggregator, far)

    def singles(self, data: TrainData) -> tuple[Rate, int, int]:
        """Two single faces as they are, all pairs: threshold and TAR at :data:`SINGLE_FAR`, and pairs of each kind."""
        trials = all_pairs(data.subject.codes[self._clean])
        scores = trials.scores(unit(data.features[self._clean]))
        same, other = scores[trials.same], scores[~trials.same]
        return tar_at_far(same, other, SINGLE_FAR), same.size, other.size


def embedded(
    backbone: Backbone,
    count: int,
    picture: Callable[[int], npt.NDArray[np.uint8]],
    pool: ThreadPoolExecutor,
    cast: Cast = nullcontext,
    told: Told | None = None,
) -> Floats:
    """(count, D) float32 features of pictures, with batch normalisation and drop-out in evaluation mode.

    Raises:
        InputError: a feature is not finite.
    """
    was, device = backbone.training, next(backbone.parameters()).device
    backbone.eval()
    found = np.empty((count, backbone.dim), np.float32)
    with torch.inference_mode():
        waiting = _submit(pool, picture, range(min(_BATCH, count)))
        for i in range(0, count, _BATCH):
            pictures = np.stack([task.result() for task in waiting])
            waiting = _submit(pool, picture, range(i + _BATCH, min(i + 2 * _BATCH, count)))
            x = network_input(pictures, backbone, device)
            with cast():
                found[i : i + len(x)] = backbone(x).float().cpu().numpy()
            if told is not None:
                told(i + len(x), count)
    backbone.train(was)
    if not np.isfinite(found).all():
        raise InputError(
            "the backbone gives NaN or infinity for a face, so that training cannot go on; start from other weights, "
            "or take a lower learning_rate or cnn_rate, in another folder"
        )
    return found


def _submit(pool: ThreadPoolExecutor, picture: Callable[[int], Pictures], which: range) -> list[Future[Pictures]]:
    return [pool.submit(picture, i) for i in which]
