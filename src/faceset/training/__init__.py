"""Learned aggregation: aggregators, losses, set sampling, trainer and export. Needs the extra ``train`` (torch).

Importing this package loads nothing; the parts load torch when they are imported, and say which extra brings it when
it is missing. Inference needs none of this: a trained aggregator is one ONNX file.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from faceset.errors import MissingExtraError

if TYPE_CHECKING:
    from faceset.training.config import SetConfig as SetConfig
    from faceset.training.config import TrainConfig as TrainConfig
    from faceset.training.data import TrainData as TrainData
    from faceset.training.data import split_subjects as split_subjects
    from faceset.training.exporting import export as export
    from faceset.training.runs import load as load
    from faceset.training.trainer import fit as fit

_HOMES = {
    "SetConfig": "config",
    "TrainConfig": "config",
    "TrainData": "data",
    "export": "exporting",
    "fit": "trainer",
    "load": "runs",
    "split_subjects": "data",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'faceset.training' has no attribute {name!r}")
    try:
        value = getattr(importlib.import_module(f"faceset.training.{_HOMES[name]}"), name)
    except ModuleNotFoundError as error:
        if error.name in ("torch", "safetensors", "onnxscript"):
            raise MissingExtraError(
                f"training needs {error.name}, which is not installed; install the extra: pip install 'faceset[train]'"
            ) from error
        raise
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return list(__all__)
