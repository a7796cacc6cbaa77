"""What a step is taught with: pictures of some faces, their classes, and what the teacher says of them."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from faceset.embedding import Embedder
from faceset.errors import InputError
from faceset.training.distributed import Workers
from faceset.training.embedder import targets
from faceset.training.embedder.config import EmbedderConfig
from faceset.training.embedder.people import Parts
from faceset.training.faces import Epochs, FaceBatch, FaceLoader, FaceStore, classes
from faceset.types import Floats


class Example(NamedTuple):
    """One batch on its device; see :meth:`faceset.training.embedder.network.Work.forward`."""

    pictures: Tensor
    labels: Tensor | None
    places: Tensor | None
    targets: Tensor | None


class Examples:
    """Batches by number.

    Args:
        store: the faces.
        split: who is trained on.
        config: the settings.
        crop: geometry of the student.
        teacher: None: there is none.
        features: (M, 2, W) features of the teacher, of each face and its mirror image; None without one.
        dim: width D of the student.
        team: the processes.

    Raises:
        InputError: too few faces or people, or settings that contradict each other.
    """

    def __init__(
        self,
        store: FaceStore,
        split: Parts,
        config: EmbedderConfig,
        crop: str,
        teacher: Embedder | None,
        features: npt.NDArray[np.float32] | None,
        dim: int,
        team: Workers,
    ) -> None:
        self._config, self._team, self._teacher, self._features = config, team, teacher, features
        self.rows = split.rows
        self._class: npt.NDArray[np.int64] | None = None
        self.classes = 0
        if config.head:
            if not split.named:
                raise InputError(f"head {config.head!r} needs the names of people, and this store has none")
            found = classes(store, least=config.least, subjects=split.split.train)
            self.classes = len(found.names)
            if self.classes < 2:
                raise InputError(
                    f"head {config.head!r} needs two people with {config.least} pictures or more, but there are "
                    f"{self.classes} to train on; lower least, or add people"
                )
            self._class = np.full(len(store), -1, np.int64)
            self._class[found.rows] = found.labels
            if teacher is None:
                self.rows = np.sort(found.rows)
        self.targets: targets.Targets | None = None
        if teacher is not None and features is not None:
            self.targets = targets.fit(features[split.rows, 0], dim, config.distil)
        views = config.distil.views if teacher is not None else "stored"
        if config.augment.needs_teacher and (views == "stored" or config.head):
            raise InputError(
                "augment.mix and augment.shape make faces of nobody, which only a teacher that sees them can label: "
                "set distil.views to 'plain' or 'same' and leave head empty, or set both to 0"
            )
        share = config.batch // team.count
        if share * team.count != config.batch or share < 2:
            raise InputError(
                f"batch {config.batch} must be a multiple of the {team.count} processes, with 2 faces or more for each"
            )
        if config.batch > self.rows.size:
            raise InputError(f"batch is {config.batch}, but there are {self.rows.size} faces to train on; lower it")
        self._looks = views != "stored"
        self.plan = Epochs(self.rows, share, seed=config.seed, rank=team.rank, count=team.count)
        self._loader = FaceLoader(
            store,
            crop,
            self.plan,
            config.augment,
            seed=config.seed,
            rank=team.rank,
            workers=config.workers or None,
            teacher=teacher.geometry.name if self._looks and teacher is not None else "",
            teacher_view=views if self._looks else "plain",
        )

    def batches(self, start: int, stop: int) -> Iterator[Example]:
        """The batches of these steps, in order; the teacher looks at the next while the student learns."""
        with closing(self._loader.batches(start, stop)) as batches, ThreadPoolExecutor(1, "teacher") as thread:
            if not self._looks:
                yield from map(self.example, batches)
                return
            ahead: list[Future[Example]] = []
            for batch in batches:
                ahead.append(thread.submit(self.example, batch))
                if len(ahead) > 1:
                    yield ahead.pop(0).result()
            for last in ahead:
                yield last.result()

    def example(self, batch: FaceBatch) -> Example:
        """A batch with all that is to be learnt of it."""
        device = self._team.device
        labels = places = None
        if self._class is not None:
            known = self._class[batch.rows]
            at = np.flatnonzero(known >= 0)
            labels = torch.from_numpy(known[at]).to(device)
            places = None if at.size == known.size else torch.from_numpy(at).to(device)
        goal = None
        if self.targets is not None:
            goal = torch.from_numpy(np.ascontiguousarray(self.targets(self._taught(batch)))).to(device)
        return Example(batch.images.to(device, non_blocking=True), labels, places, goal)

    def _taught(self, batch: FaceBatch) -> Floats:
        """(n, W) features of the teacher."""
        if self._teacher is not None and batch.teacher_images is not None:
            return self._teacher.embed(batch.teacher_crops())
        if self._features is None:
            raise AssertionError("a teacher without features")
        mirror = self._config.distil.mirror
        if mirror == "mean":
            return np.asarray(self._features[batch.rows].mean(axis=1), np.float32)
        side = batch.flipped.astype(np.int64) if mirror == "own" else 0
        return np.asarray(self._features[batch.rows, side], np.float32)
