"""Batches of augmented faces, made ahead in threads.

Threads and not processes: what takes time (reading, warping, filtering, compressing) runs in NumPy and OpenCV, which
release the interpreter, so that threads share one memory map, need no start and no copy, and end with the loop.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Generator, Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from faceset.alignment import geometry
from faceset.errors import InputError
from faceset.training.faces.augmentation import draw, render
from faceset.training.faces.config import AugmentConfig
from faceset.training.faces.ordering import cores, in_order
from faceset.training.faces.store import FaceStore

CHUNK = 16
"""Faces made by one thread at a time."""
TEACHER_VIEWS = ("plain", "same")

Plan = Callable[[int], npt.NDArray[np.int64]]
"""From the number of a step to rows (n,) of the store."""


class FaceBatch(NamedTuple):
    """n faces.

    Attributes:
        images: (n, 3, H, W) uint8, in the channels-last layout.
        rows: (n,) rows of the store.
        flipped: (n,) whether each is mirrored.
        teacher_images: (n, 3, Ht, Wt) uint8, the same faces as the teacher is to see them; None without a teacher.
    """

    images: torch.Tensor
    rows: npt.NDArray[np.int64]
    flipped: npt.NDArray[np.bool_]
    teacher_images: torch.Tensor | None = None

    def to(self, device: torch.device | str) -> FaceBatch:
        """The batch with its pictures on a device; the copy overlaps with work there when they are in pinned memory."""
        other = self.teacher_images
        return self._replace(
            images=self.images.to(device, non_blocking=True),
            teacher_images=None if other is None else other.to(device, non_blocking=True),
        )

    def teacher_crops(self) -> npt.NDArray[np.uint8]:
        """The teacher's pictures as crops (n, Ht, Wt, 3), as :meth:`faceset.embedding.Embedder.embed` takes them.

        Raises:
            InputError: there are none.
        """
        if self.teacher_images is None:
            raise InputError("this batch has no pictures for a teacher; give the loader the teacher's geometry")
        return np.ascontiguousarray(self.teacher_images.permute(0, 2, 3, 1).cpu().numpy())


class FaceLoader:
    """Makes the batch of each step; a batch is a function of (seed, step, rank), whatever the number of workers.

    Args:
        store: the faces.
        geometry: name of the crops.
        plan: the rows of each step, such as :class:`~faceset.training.faces.Epochs`.
        augment: how pictures are varied.
        seed, rank: of what is drawn; the plan has its own.
        workers: threads; 0: everything in the caller's. Default: one less than there are cores.
        ahead: batches that are made before they are asked for; default: enough for all workers, at least 2.
        teacher: name of the crops of a teacher that is to see the same faces; empty for none.
        teacher_view: ``plain``: the face, mirrored, mixed and bent like the student's, and else as it is; ``same``:
            turned, shifted, coloured, degraded and erased like the student's too. Lengths are fractions of each
            crop's own sides, so the two agree best in geometries of one family (``dlib112`` and ``dlib150``).
        pin: whether batches are made in pinned memory; default: where there is a GPU.

    Attributes:
        waited: seconds that batches were waited for.

    Raises:
        InputError: a setting out of range, or faces of nobody (``mix``, ``shape``) without a teacher.
        FaceStoreError: the store lacks a geometry.
    """

    def __init__(
        self,
        store: FaceStore,
        geometry: str,
        plan: Plan,
        augment: AugmentConfig | None = None,
        *,
        seed: int = 0,
        rank: int = 0,
        workers: int | None = None,
        ahead: int | None = None,
        teacher: str = "",
        teacher_view: str = "plain",
        pin: bool | None = None,
    ) -> None:
        self._config = augment or AugmentConfig()
        self._plan, self._seed, self._rank = plan, seed, rank
        self.workers = max(1, cores() - 1) if workers is None else workers
        self._ahead = ahead
        if self.workers < 0 or (ahead is not None and ahead < 1):
            raise InputError(f"workers must be at least 0 and ahead at least 1, but got {workers} and {ahead}")
        if teacher_view not in TEACHER_VIEWS:
            raise InputError(f"teacher_view must be one of {', '.join(TEACHER_VIEWS)}, but got {teacher_view!r}")
        if self._config.needs_teacher and not teacher:
            raise InputError("mix and shape make faces of nobody; give the geometry of a teacher, or set both to 0")
        self._student = _Crops(store, geometry, plain=False)
        self._teacher = _Crops(store, teacher, plain=teacher_view == "plain") if teacher else None
        self._pin = torch.cuda.is_available() if pin is None else pin
        self.waited = 0.0

    def batch(self, step: int) -> FaceBatch:
        """The batch of a step, made here and now."""
        job = self._job(step)
        for start in range(0, len(job.rows), CHUNK):
            self._fill(job, start)
        return job.batch()

    def batches(self, start: int, stop: int) -> Generator[FaceBatch, None, None]:
        """The batches of the steps ``start`` to ``stop - 1``, in order, made ahead.

        What goes wrong in a worker is raised here. The workers end with the last batch, with ``close()`` of the
        iterator (``with contextlib.closing(...)``), and when nothing holds the iterator any more.
        """
        if self.workers == 0:
            for step in range(start, stop):
                began = time.perf_counter()
                made = self.batch(step)
                self.waited += time.perf_counter() - began
                yield made
            return
        parts = self._parts(range(start, stop))
        chunks = math.ceil(len(self._plan(start)) / CHUNK) if start < stop else 1
        batches = max(2, math.ceil(2 * self.workers / chunks)) if self._ahead is None else self._ahead
        with contextlib.closing(in_order(self._part, parts, self.workers, batches * chunks)) as done:
            began = time.perf_counter()
            for job in done:
                if job is not None:
                    self.waited += time.perf_counter() - began
                    yield job.batch()
                    began = time.perf_counter()

    def _parts(self, steps: range) -> Iterator[_Part]:
        for step in steps:
            job = self._job(step)
            starts = range(0, len(job.rows), CHUNK)
            for start in starts:
                yield _Part(job, start, start == starts[-1])

    def _part(self, part: _Part) -> _Job | None:
        """In a thread: make some faces of a batch; the last part brings the batch, as parts are taken in order."""
        self._fill(part.job, part.start)
        return part.job if part.last else None

    def _job(self, step: int) -> _Job:
        rows = np.asarray(self._plan(step), np.int64)
        if rows.ndim != 1 or len(rows) == 0:
            raise InputError(f"a plan gives rows (n,) with n >= 1, but gave {rows.shape} for step {step}")
        crops = [c for c in (self._student, self._teacher) if c is not None]
        pictures = [torch.empty((len(rows), *c.size, 3), dtype=torch.uint8, pin_memory=self._pin) for c in crops]
        return _Job(step, rows, np.zeros(len(rows), bool), pictures)

    def _fill(self, job: _Job, start: int) -> None:
        """Make the faces ``start`` to ``start + CHUNK - 1`` of a batch."""
        rng = np.random.default_rng([self._seed, job.step, self._rank, start])
        crops = [c for c in (self._student, self._teacher) if c is not None]
        outs = [picture.numpy() for picture in job.pictures]
        for k in range(start, min(start + CHUNK, len(job.rows))):
            view = draw(self._config, rng)
            other = None if view.mixed is None else int(job.rows[view.mixed % len(job.rows)])
            job.flipped[k] = view.flip
            for c, out in zip(crops, outs, strict=True):
                partner = None if other is None else c.padded[other]
                row = c.padded[job.rows[k]]
                out[k] = render(row, c.size, view, self._config, other=partner, plain=c.plain)


class _Crops:
    """Padded crops of one geometry, and how they are looked at."""

    def __init__(self, store: FaceStore, name: str, *, plain: bool) -> None:
        self.padded, self.size, self.plain = store.padded(name), geometry(name).size, plain


class _Job(NamedTuple):
    """A batch in the making; its pictures (n, H, W, 3) are filled in place."""

    step: int
    rows: npt.NDArray[np.int64]
    flipped: npt.NDArray[np.bool_]
    pictures: list[torch.Tensor]

    def batch(self) -> FaceBatch:
        """The batch, once all its parts are made."""
        images, *others = (picture.permute(0, 3, 1, 2) for picture in self.pictures)
        return FaceBatch(images, self.rows, self.flipped, others[0] if others else None)


class _Part(NamedTuple):
    """Some faces of a batch."""

    job: _Job
    start: int
    last: bool
