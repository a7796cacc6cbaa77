"""A trained run as one ONNX file, which inference runs without torch.

Inputs ``features`` (B, N, D) raw and ``mask`` (B, N) bool; outputs ``template`` (B, D) of unit length and ``weights``
(B, N). NAN comes from the graph that inference knows (``faceset.aggregation.nan_graph``), the others from torch's
exporter. Before the file is written, its answers are held against torch's.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import warnings
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
from faceset.training.runs import load

OPSET = 18
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
    data, settings = config["data"], config["settings"]
    metadata = {
        "kind": kind or config["aggregator"],
        "embedder": config["embedder"],
        "training_data": training_data
        or f"{data['subjects']} people, {data['held_out']} held out, table {data['fingerprint'][:16]}",
        "seed": str(settings["seed"]),
        "metrics": json.dumps(config.get("result", {}), sort_keys=True),
        "licence": licence or "unknown",
        "faceset": config["faceset"],
    }
    return write_onnx(aggregator, path, metadata)


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
    session = open_session(model.SerializeToString(), what="exported aggregator")
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
    # The sizes of the example are not 1, which the exporter would take for a fixed size.
    example = (torch.ones(2, 3, aggregator.dim), torch.ones(2, 3, dtype=torch.bool))
    sizes = {0: torch.export.Dim("B"), 1: torch.export.Dim("N")}
    log = logging.getLogger("torch.onnx")
    level = log.level
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), contextlib.ExitStack() as after:
        warnings.simplefilter("ignore")  # the exporter uses parts of torch that torch itself calls old
        after.callback(log.setLevel, level)
        log.setLevel(logging.ERROR)  # it warns that torchvision is not there, which nothing here needs
        program: Any = torch.onnx.export(
            _Unchecked(aggregator).eval(),
            example,
            dynamo=True,
            dynamic_shapes={"features": sizes, "mask": sizes},
            input_names=["features", "mask"],
            output_names=["template", "weights"],
            opset_version=OPSET,
            verbose=False,
        )
    model: onnx.ModelProto = program.model_proto
    model.producer_name, model.producer_version = "faceset", ""
    _forget_the_trace(model)
    return model


def _forget_the_trace(model: onnx.ModelProto) -> None:
    """Take out what torch notes of every node: the stack it was traced in, with paths of this machine."""
    graph = model.graph
    for part in (graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        del part.metadata_props[:]
        part.doc_string = ""
