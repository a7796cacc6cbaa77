"""YuNet: one small network, through OpenCV. Fast; its ONNX file is imported or pulled.

Source: Wu, Peng, Yu: YuNet: A Tiny Millisecond-level Face Detector, 2023.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from faceset import settings
from faceset.detection.base import check_range, in_order, make_options
from faceset.errors import InputError, LicenceError, ModelFileError
from faceset.packs import store
from faceset.types import Face, Image, check_image

_CREATION = threading.Lock()


@dataclass(frozen=True, slots=True)
class YuNetOptions:
    """How YuNet searches.

    Attributes:
        model: name it was imported or pulled under, or the path of its manifest.
        path: its ONNX file, to be used as it is instead of ``model``.
        max_side: a picture whose longer side is longer is scaled down to this many pixels before the search, so that
            the work does not grow with the picture; smaller ones are taken as they are. YuNet finds faces of about 10
            pixels and more at that size: 30 pixels of a 1080p picture at 640.
        threshold: least score, 0 to 1.
        nms_threshold: largest overlap (intersection over union) of two faces.
    """

    model: str = "yunet"
    path: str | Path | None = None
    max_side: int = 640
    threshold: float = 0.6
    nms_threshold: float = 0.3

    def __post_init__(self) -> None:
        check_range("yunet", "max_side", self.max_side, 32, 100_000)
        check_range("yunet", "threshold", self.threshold, 0, 1)
        check_range("yunet", "nms_threshold", self.nms_threshold, 0, 1)
        if not isinstance(self.max_side, int):
            raise InputError(f"max_side of yunet must be a whole number, but got {self.max_side!r}")


class YuNet:
    """Detector with five points (scheme ``arcface5``); scores are the network's, 0 to 1."""

    name = "yunet"
    scheme = "arcface5"

    def __init__(self, options: YuNetOptions | None = None) -> None:
        """Find and open the network.

        Raises:
            ModelError: its file is not there or is not one that OpenCV can run.
        """
        self.options = options or YuNetOptions()
        self._path = _file(self.options)
        self._local = threading.local()  # OpenCV's detector holds the size of the picture
        self._detector()

    @classmethod
    def create(cls, **options: Any) -> YuNet:
        """From options by keyword; see :class:`YuNetOptions`."""
        return cls(make_options(YuNetOptions, cls.name, options))

    def detect(self, images: Sequence[Image]) -> list[list[Face]]:
        """Find faces; see :class:`faceset.detection.base.Detector`."""
        pictures = [check_image(image, f"images[{k}]") for k, image in enumerate(images)]
        return [self._one(self._detector(), image) for image in pictures]

    def _one(self, detector: Any, image: Image) -> list[Face]:
        height, width = image.shape[:2]
        scale = min(1.0, self.options.max_side / max(width, height))
        if scale < 1:
            size = max(1, round(width * scale)), max(1, round(height * scale))
            image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
        small_height, small_width = image.shape[:2]
        detector.setInputSize((small_width, small_height))
        _, rows = detector.detect(np.ascontiguousarray(image[..., ::-1]))  # BGR
        if rows is None:
            return []
        ratio = np.array([width / small_width, height / small_height], np.float32)
        faces = []
        for row in rows[np.isfinite(rows).all(axis=1)]:
            # x, y, width, height, five points, score. "Right eye" is the subject's: left in the picture.
            (x0, y0), (x1, y1) = row[:2] * ratio, (row[:2] + row[2:4]) * ratio
            if x1 > x0 and y1 > y0:
                points = row[4:14].reshape(5, 2) * ratio
                faces.append(Face((x0, y0, x1, y1), float(np.clip(row[14], 0, 1)), points, self.scheme))
        return in_order(faces)

    def _detector(self) -> Any:
        """This thread's own."""
        if not hasattr(self._local, "detector"):
            options = self.options
            try:
                with _CREATION, _quiet():
                    self._local.detector = cv2.FaceDetectorYN.create(
                        str(self._path), "", (320, 320), options.threshold, options.nms_threshold
                    )
            except cv2.error as e:
                raise ModelFileError(
                    f"{self._path} is no YuNet model that OpenCV {cv2.__version__} can run; import or pull it again"
                ) from e
        return self._local.detector


def _file(options: YuNetOptions) -> Path:
    if options.path is None:
        return store.resolve(options.model, role="detector")[1]
    path = Path(options.path)
    if settings.commercial_only():
        raise LicenceError(
            f"FACESET_COMMERCIAL is set and the licence of {path} is not known; import it with its licence and use "
            "its name instead of its path"
        )
    if not path.is_file():
        raise ModelFileError(f"{path} does not exist; give the path of YuNet's ONNX file, or leave path out")
    return path


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep OpenCV's log to errors: version 5 warns of a choice of target that it makes itself."""
    logging = cv2.utils.logging
    before = logging.setLogLevel(min(logging.getLogLevel(), logging.LOG_LEVEL_ERROR))
    try:
        yield
    finally:
        logging.setLogLevel(before)
