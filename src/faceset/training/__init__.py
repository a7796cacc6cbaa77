"""Learned aggregation: aggregators, losses, set sampling, trainer and export. Needs the extra ``train`` (torch).

Importing this package loads nothing; the parts load torch when they are imported, and say which extra brings it when
it is missing. Inference needs none of this: a trained aggregator is one ONNX file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from faceset.lazy import exports

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


__getattr__, __dir__ = exports(globals(), _HOMES, doing="training")
