"""A trained run as one ONNX file, which inference runs without torch.

Inputs ``features`` (B, N, D) raw and ``mask`` (B, N) bool; outputs ``template`` (B, D) of unit length and ``weights``
(B, N). NAN comes from the graph that inference knows (``faceset.aggregation.nan_graph``), the others from torch's
exporter. Before the file is written, its answers are held against torch's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from faceset.errors import InputError
from faceset.packs.session import open_session
from faceset.training.aggregators.base import Aggregator
from faceset.training.aggregators.nan import Nan
from faceset.training.onnx_files import traced
from faceset.training.runs import load

TOLERANCE = 1e-5
"""Largest difference between the file and torch."""


def export(run: Path | str, path: Path | str, *, licence: str = "", training_data: str = "", kind: str = "") -> Path:
    """Write the aggregator of a run as one ONNX file.

    The metadata names ``kind``, ``embedder``, ``training_data``, ``seed``, ``metrics`` (JSON), ``licence`` and
    ``faceset`` (the version that trained it).

    Args:
        run: folder of the run.
        path: the file to write.
        licence: of the weights; empty: ``unknown``.
        training_data: what it was trained on; empty: the number of people and the fingerprint of the table.
        kind: name the file gives itself; empty: the aggregator's.

    Raises:
        ModelFileError: the run is incomplete or damaged.
        InputError: the path is a folder, or the file would not answer as torch does.
    """
    aggregator, config = load(run)
    told = metadata(config, licence=licence, training_data=training_data)
    return write_onnx(aggregator, path, told | ({"kind": kind} if kind else {}))


def metadata(config: Mapping[str, Any], *, licence: str = "", training_data: str = "") -> dict[str, str]:
    """What the file of an aggregator says of itself, from the ``config.json`` of its run; see :func:`export`.

    A run without an embedder's id, which is one end to end, has an empty ``embedder``.
    """
    data = config["data"]
    fingerprint = f", table {data['fingerprint'][:16]}" if "fingerprint" in data else ""
    return {
        "kind": config["aggregator"],
        "embedder": config.get("embedder", ""),
        "training_data": training_data or f"{data['subjects']} people, {data['held_out']} held out{fingerprint}",
        "seed": str(config["settings"]["seed"]),
        "metrics": json.dumps(config.get("result", {}), sort_keys=True),
        "licence": licence or "unknown",
        "faceset": config["faceset"],
    }


def write_onnx(aggregator: Aggregator, path: Path | str, metadata: Mapping[str, str]) -> Path:
    """Write an aggregator as one ONNX file with that metadata, which must name the ``kind``.

    Raises:
        InputError: as :func:`export`.
    """
    target = Path(path)
    if target.is_dir():
        raise InputError(f"{target} is a folder; name a file, such as {target / 'aggregator.onnx'}")
    model = to_onnx(aggregator, metadata)
    gap = largest_gap(aggregator, model)
    if not gap <= TOLERANCE:
        raise InputError(f"the exported graph differs from torch by {gap:.2g}, more than {TOLERANCE:g}")
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.tmp")
    temporary.write_bytes(model.SerializeToString())
    temporary.replace(target)
    return target


def to_onnx(aggregator: Aggregator, metadata: Mapping[str, str]) -> onnx.ModelProto:
    """The graph of an aggregator, its parameters included."""
    aggregator = aggregator.cpu().eval()
    if isinstance(aggregator, Nan) and aggregator.blocks == 2:
        from faceset.aggregation.nan_graph import nan_graph

        q0, W, b = (p.detach().numpy() for p in (aggregator.q0, aggregator.W, aggregator.b))
        return nan_graph(q0, W, b, metadata=metadata)
    model = _by_torch(aggregator)
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, dict(metadata))
    onnx.checker.check_model(model)
    return model


def largest_gap(aggregator: Aggregator, model: onnx.ModelProto) -> float:
    """Largest absolute difference between the graph and torch, over sets of several sizes with ragged masks."""
    session = open_session(model.SerializeToString(), what="exported aggregator", device="cpu")
    rng, gap = np.random.default_rng(0), 0.0
    for B, N in ((1, 1), (1, 7), (5, 1), (3, 4), (4, 33)):
        x = (rng.normal(size=(B, N, aggregator.dim)) * rng.uniform(0.1, 10, (B, N, 1))).astype(np.float32)
        mask = rng.random((B, N)) < 0.6
        mask[np.arange(B), rng.integers(N, size=B)] = True
        x[~mask] = rng.choice([np.nan, np.inf, 1e30, 0.0], size=(int((~mask).sum()), 1))
        with torch.no_grad():
            mine = aggregator(torch.from_numpy(x), torch.from_numpy(mask))
        theirs = session.run(["template", "weights"], {"features": x, "mask": mask})
        gap = max(gap, *(float(np.abs(a.numpy() - b).max()) for a, b in zip(mine, theirs, strict=True)))
    return gap


class _Unchecked(nn.Module):
    def __init__(self, aggregator: Aggregator) -> None:
        super().__init__()
        self.aggregator = aggregator

    def forward(self, features: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        return self.aggregator.compute(features, mask)


def _by_torch(aggregator: Aggregator) -> onnx.ModelProto:
    return traced(
        _Unchecked(aggregator).eval(),
        (torch.ones(2, 3, aggregator.dim), torch.ones(2, 3, dtype=torch.bool)),
        sizes=({0: "B", 1: "N"}, {0: "B", 1: "N"}),
        inputs=("features", "mask"),
        outputs=("template", "weights"),
    )
