"""dlib's frontal face detector: histograms of oriented gradients and a linear classifier. The baseline's detector."""

from __future__ import annotations

import contextlib
import os
import queue
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import dlib
import numpy as np

from faceset.detection.base import check_range, in_order, make_options
from faceset.errors import InputError
from faceset.types import Face, Image, check_image


@dataclass(frozen=True, slots=True)
class HogOptions:
    """How dlib's detector searches.

    Attributes:
        upsample: times the picture is doubled before the search. At 0 it finds faces of about 80 pixels and more, at
            1 (which ``face_recognition`` uses) of 40, at four times the work.
        threshold: least score; dlib's own is 0, and below it more faces and more errors come.
    """

    upsample: int = 0
    threshold: float = 0.0

    def __post_init__(self) -> None:
        check_range("hog", "upsample", self.upsample, 0, 4)
        check_range("hog", "threshold", self.threshold, -2, 10)
        if not isinstance(self.upsample, int):
            raise InputError(f"upsample of hog must be a whole number, but got {self.upsample!r}")


class Hog:
    """Detector without points; scores are dlib's, and 0 where a lower threshold lets negative ones through."""

    name = "hog"
    scheme = None

    def __init__(self, options: HogOptions | None = None) -> None:
        """Nothing is loaded: the detector is part of dlib."""
        self.options = options or HogOptions()

    @classmethod
    def create(cls, **options: Any) -> Hog:
        """From options by keyword; see :class:`HogOptions`."""
        return cls(make_options(HogOptions, cls.name, options))

    def detect(self, images: Sequence[Image]) -> list[list[Face]]:
        """Find faces; see :class:`faceset.detection.base.Detector`."""
        pictures = [check_image(image, f"images[{k}]") for k, image in enumerate(images)]
        workers = min(len(pictures), _POOL.most)
        if workers < 2:
            return [self._one(picture) for picture in pictures]
        with ThreadPoolExecutor(workers) as pool:  # dlib lets other threads run while it searches
            return list(pool.map(self._one, pictures))

    def _one(self, image: Image) -> list[Face]:
        with _POOL.borrowed() as detector:
            found, scores, _ = detector.run(np.ascontiguousarray(image), self.options.upsample, self.options.threshold)
        # dlib counts right and bottom as the last pixel inside.
        return in_order(
            Face((box.left(), box.top(), box.right() + 1, box.bottom() + 1), max(0.0, score))
            for box, score in zip(found, scores, strict=True)
        )


class _Pool:
    """dlib's detectors of this process, at most one a core.

    One keeps its scratch memory inside, so two threads must not use it at once; making one takes half a second, so a
    thread that finds none idle and enough made waits.
    """

    def __init__(self, most: int) -> None:
        self._idle: queue.LifoQueue[Any] = queue.LifoQueue()
        self._lock = threading.Lock()
        self._left = self.most = most

    @contextlib.contextmanager
    def borrowed(self) -> Iterator[Any]:
        detector = self._take()
        try:
            yield detector
        finally:
            self._idle.put(detector)

    def _take(self) -> Any:
        with contextlib.suppress(queue.Empty):
            return self._idle.get_nowait()
        with self._lock:
            make = self._left > 0
            self._left -= make
        return dlib.get_frontal_face_detector() if make else self._idle.get()


_POOL = _Pool(os.cpu_count() or 1)
