"""Face detectors by name.

``mtcnn`` (the default) brings its weights by an installed package and finds most; ``hog`` is dlib's frontal detector,
which the baseline uses; ``yunet`` is fast and needs its ONNX file. Landmarks are a step of their own:
:mod:`faceset.detection.landmarks`.
"""

from __future__ import annotations

import importlib
from typing import Any

from faceset.detection.base import Detector
from faceset.errors import InputError

__all__ = ["DEFAULT", "NAMES", "Detector", "get"]

DEFAULT = "mtcnn"
NAMES = ("hog", "mtcnn", "yunet")

_CLASSES = {"hog": "Hog", "mtcnn": "Mtcnn", "yunet": "YuNet"}


def get(name: str = DEFAULT, **options: Any) -> Detector:
    """The detector of that name; its adapter is loaded only now.

    Args:
        name: one of :data:`NAMES`.
        options: fields of its options: :class:`~faceset.detection.mtcnn.MtcnnOptions`,
            :class:`~faceset.detection.hog.HogOptions`, :class:`~faceset.detection.yunet.YuNetOptions`.

    Raises:
        InputError: no detector has that name, or it has no such option, or the value is refused.
        ModelError: its weights are missing or damaged.
    """
    if name not in _CLASSES:
        raise InputError(f"there is no detector {name!r}; the detectors are {', '.join(NAMES)}")
    made: Detector = getattr(importlib.import_module(f"faceset.detection.{name}"), _CLASSES[name]).create(**options)
    return made
