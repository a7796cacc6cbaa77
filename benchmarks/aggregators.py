"""What is compared in the accuracy table, behind one call."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from benchmarks.accuracy_rows import Row
from benchmarks.recipes import DEFAULT
from faceset import aggregation
from faceset.aggregation.base import Aggregated
from faceset.aggregation.base import Aggregator as Inference
from faceset.aggregation.onnx_aggregator import OnnxAggregator
from faceset.training.aggregators.base import Aggregator

CLOSED = ("mean", "norm", "norm-score", "media-first", "media-first+norm-score", "medoid", "best", "trimmed")
SHIPPED = ("ers", "nan", DEFAULT)
_CHUNK = 512


def shipped(folder: Path) -> dict[str, Inference]:
    """Closed forms, and the files in a folder."""
    found: dict[str, Inference] = {name: aggregation.get(name) for name in CLOSED}
    return found | {name: OnnxAggregator(folder / f"{name}.onnx", name) for name in SHIPPED}


def apply(aggregator: Inference | Aggregator, row: Row) -> tuple[np.ndarray, np.ndarray]:
    """Templates (T, D), and the weight of each face (F,), of the sets of a row."""
    if isinstance(aggregator, Aggregator):
        return _by_torch(aggregator, row)
    data = row.data
    made: Aggregated = aggregator(
        data.features[row.rows],
        row.offsets,
        media=data.medium.codes[row.rows],
        quality=data.score[row.rows],
    )
    return made.templates, made.weights


def _by_torch(aggregator: Aggregator, row: Row) -> tuple[np.ndarray, np.ndarray]:
    sizes = np.diff(row.offsets)
    mask = np.arange(sizes.max()) < sizes[:, None]
    rows = np.zeros(mask.shape, np.int64)
    rows[mask] = row.rows
    templates, weights = [], []
    with torch.no_grad():
        for i in range(0, len(rows), _CHUNK):
            part = slice(i, i + _CHUNK)
            x = torch.from_numpy(row.data.features[rows[part]])
            template, weight = aggregator.eval()(x, torch.from_numpy(mask[part]))
            templates.append(template.numpy())
            weights.append(weight.numpy()[mask[part]])
    return np.concatenate(templates), np.concatenate(weights)


def relative_weights(aggregator: Inference | Aggregator, row: Row) -> Mapping[str, float]:
    """Mean weight of the faces of each kind, as a multiple of an equal share (1 / N)."""
    _, weights = apply(aggregator, row)
    sizes = np.diff(row.offsets)
    relative = weights * np.repeat(sizes, sizes)
    codes = row.data.kind.codes[row.rows]
    names = row.data.kind.names
    return {names[c]: float(relative[codes == c].mean()) for c in np.unique(codes)}
