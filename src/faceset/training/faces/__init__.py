"""Faces to train a network on: found and aligned once, kept on disk, varied as they are read.

:func:`prepare` makes a :class:`FaceStore` of a folder of pictures; :class:`FaceLoader` draws augmented batches from it.
Importing this package loads nothing; only the loader needs torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from faceset.errors import MissingExtraError

if TYPE_CHECKING:
    from faceset.training.faces.augmentation import augment as augment
    from faceset.training.faces.config import AugmentConfig as AugmentConfig
    from faceset.training.faces.loader import FaceBatch as FaceBatch
    from faceset.training.faces.loader import FaceLoader as FaceLoader
    from faceset.training.faces.plans import Classes as Classes
    from faceset.training.faces.plans import Epochs as Epochs
    from faceset.training.faces.plans import classes as classes
    from faceset.training.faces.preparing import prepare as prepare
    from faceset.training.faces.report import PrepareReport as PrepareReport
    from faceset.training.faces.store import FaceStore as FaceStore

_HOMES = {
    "AugmentConfig": "config",
    "Classes": "plans",
    "Epochs": "plans",
    "FaceBatch": "loader",
    "FaceLoader": "loader",
    "FaceStore": "store",
    "PrepareReport": "report",
    "augment": "augmentation",
    "classes": "plans",
    "prepare": "preparing",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'faceset.training.faces' has no attribute {name!r}")
    try:
        value = getattr(importlib.import_module(f"faceset.training.faces.{_HOMES[name]}"), name)
    except ModuleNotFoundError as error:
        if error.name == "torch":
            raise MissingExtraError(
                "loading faces for training needs torch, which is not installed; install the extra: "
                "pip install 'faceset[train]'"
            ) from error
        raise
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return list(__all__)
