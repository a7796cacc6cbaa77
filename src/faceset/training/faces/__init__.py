"""Faces to train a network on: found and aligned once, kept on disk, varied as they are read.

:func:`prepare` makes a :class:`FaceStore` of a folder of pictures; :class:`FaceLoader` draws augmented batches from it.
Importing this package loads nothing; only the loader needs torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from faceset.lazy import exports

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


__getattr__, __dir__ = exports(globals(), _HOMES, doing="loading faces for training")
