"""Pictures of face sets, made while they are needed: clean faces, degraded ones, augmented, as the backbone takes them.

A row stands for a face of the store as it is, or for the same face made worse: of a store of M faces, row r < M is
face r and row M + r its degraded form. So :class:`faceset.training.sampler.SetSampler` draws clean and degraded sets
from a store as it does from a table of features.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Generic, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from faceset.feature_table import Labels
from faceset.training.backbones import Backbone
from faceset.training.device import channels_last
from faceset.training.faces import AugmentConfig, augment
from faceset.training.sampler import Ints, SetBatch
from faceset.types import Floats

Pictures = npt.NDArray[np.uint8]
Made = TypeVar("Made")


class Store(Protocol):
    """What is asked of a :class:`faceset.training.faces.FaceStore`."""

    @property
    def subject(self) -> Labels:
        """(M,) whose face."""

    @property
    def medium(self) -> Labels:
        """(M,) from which picture or video."""

    @property
    def fingerprint(self) -> str:
        """Changes with what is in it."""

    def __len__(self) -> int:
        """M."""

    def padded(self, geometry: str) -> Pictures:
        """(M, H + 2 p, W + 2 p, 3) crops with what lies around them."""


class FaceRows:
    """The faces of some people of a store, each clean and to be degraded; a :class:`SetSource`.

    Args:
        store: of M faces.
        subjects: names of the people who take part.
        degraded: whether degraded forms take part too.
    """

    def __init__(self, store: Store, subjects: tuple[str, ...], *, degraded: bool = True) -> None:
        M, twice = len(store), 2 if degraded else 1
        faces = np.flatnonzero(store.subject.is_in(subjects))
        self.faces: Ints = faces
        self.rows: Ints = np.concatenate([faces + k * M for k in range(twice)])
        self.subject = Labels(np.tile(store.subject.codes, twice), store.subject.names)
        self.medium = Labels(np.tile(store.medium.codes, twice), store.medium.names)
        self.degraded: npt.NDArray[np.bool_] = np.repeat(np.arange(twice) == 1, faces.size)


class SetPictures:
    """Makes the pictures of a batch of sets, a function of (seed, step, rank).

    Args:
        store: as :class:`FaceRows`.
        geometry: of the crops.
        size: (H, W) of a picture.
        config: how faces are varied; its share of degraded faces is not used, since the sets say which ones are.
        seed: of everything that is drawn.
    """

    def __init__(self, store: Store, geometry: str, size: tuple[int, int], config: AugmentConfig, seed: int) -> None:
        self._padded, self._count, self._size, self._seed = store.padded(geometry), len(store), size, seed
        self._configs = [dataclasses.replace(config, degrade=share) for share in (0.0, 1.0)]

    def of(self, batch: SetBatch, step: int, rank: int, pool: ThreadPoolExecutor) -> Pictures:
        """(F, H, W, 3) RGB of the real faces of a batch, in the order of the mask."""

        def one(place: int) -> Pictures:
            worse, face = divmod(int(rows[place]), self._count)
            rng = np.random.default_rng([self._seed, step, rank, place])
            return augment(self._padded[face], self._size, self._configs[worse], rng)[0]

        rows = batch.rows[batch.mask]
        return np.stack(list(pool.map(one, range(rows.size))))


class Targets:
    """What the features of faces are drawn to, whether the faces are clean or degraded.

    Args:
        faces: (n,) numbers in the store, rising.
        features: (n, D) of unit length.
        count: M, the faces in the store.
    """

    def __init__(self, faces: Ints, features: Floats, count: int) -> None:
        self._faces, self._features, self._count = faces, features, count

    def of(self, batch: SetBatch) -> Tensor:
        """(F, D) of the real faces of a batch, in the order of the mask."""
        at = np.searchsorted(self._faces, batch.rows[batch.mask] % self._count)
        return torch.from_numpy(self._features[at])


def network_input(pictures: Pictures, backbone: Backbone, device: torch.device) -> Tensor:
    """(n, 3, H, W) as a backbone takes pictures (n, H, W, 3) RGB 0..255, the channels of a pixel side by side."""
    x = torch.from_numpy(np.ascontiguousarray(pictures)).to(device).permute(0, 3, 1, 2)
    return channels_last(backbone.normalised(x))


class Ahead(Generic[Made]):
    """Has the next step's batch made in the background while the present one is computed with.

    Args:
        make: step and a pool of threads to its batch.
        last: steps in all; nothing is made beyond.
        workers: threads.
    """

    def __init__(self, make: Callable[[int, ThreadPoolExecutor], Made], last: int, workers: int) -> None:
        self._make, self._last = make, last
        self._pool, self._one = ThreadPoolExecutor(workers), ThreadPoolExecutor(1)
        self._next: tuple[int, Future[Made]] | None = None

    def take(self, step: int) -> Made:
        """The batch of a step."""
        waiting, self._next = self._next, None
        made = waiting[1].result() if waiting is not None and waiting[0] == step else self._make(step, self._pool)
        if step + 1 < self._last:
            self._next = (step + 1, self._one.submit(self._make, step + 1, self._pool))
        return made

    def __enter__(self) -> Ahead[Made]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        for pool in (self._one, self._pool):
            pool.shutdown(cancel_futures=True)
