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
        name: one of :data:`NAMES`, or the name or manifest of an imported detector, which is run as YuNet.
        options: fields of its options: :class:`~faceset.detection.mtcnn.MtcnnOptions`,
            :class:`~faceset.detection.hog.HogOptions`, :class:`~faceset.detection.yunet.YuNetOptions`.

    Raises:
        InputError: no detector has that name, or it has no such option, or the value is refused.
        ModelError: its weights are missing or damaged.
    """
    if name not in _CLASSES:
        if _is_model(name):
            return get("yunet", model=name, **options)
        raise InputError(
            f"there is no detector {name!r}; the detectors are {', '.join(NAMES)}, and those that "
            "`faceset models import FILE --role detector` brings in"
        )
    made: Detector = getattr(importlib.import_module(f"faceset.detection.{name}"), _CLASSES[name]).create(**options)
    return made


def _is_model(name: str) -> bool:
    """Whether an imported or pulled model goes by that name, or a manifest lies there."""
    from faceset.packs.store import list_models

    if name.endswith(".toml"):
        return True
    return any(m.name == name and m.manifest is not None and m.manifest.role == "detector" for m in list_models())
