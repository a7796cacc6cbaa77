"""Networks of torch as ONNX graphs that say nothing of the machine they were made on, held against torch."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from faceset.errors import InputError
from faceset.packs.session import open_session
from faceset.training.backbones import Backbone

OPSET = 18
IMAGE, FEATURE = "image", "feature"
"""Names of the input and the output of an embedder's graph."""
TOLERANCE = 1e-4
"""Largest difference between an embedder's file and torch, as a share of the largest number of the feature."""
BATCHES = (1, 2, 5)
"""Numbers of pictures with which the two are compared."""


def traced(
    network: nn.Module,
    example: Sequence[Tensor],
    *,
    sizes: Sequence[Mapping[int, str]],
    inputs: Sequence[str],
    outputs: Sequence[str],
) -> onnx.ModelProto:
    """The graph of a network by torch's exporter.

    Args:
        network: in evaluation mode, on the CPU.
        example: one tensor for each input; none of its free sizes may be 1, which the exporter takes for a fixed size.
        sizes: for each input, axis -> name of the size, of the axes that stay free.
        inputs: names of the inputs.
        outputs: names of the outputs.
    """
    free = {name: torch.export.Dim(name) for axes in sizes for name in axes.values()}
    log = logging.getLogger("torch.onnx")
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), contextlib.ExitStack() as after:
        warnings.simplefilter("ignore")  # the exporter uses parts of torch that torch itself calls old
        after.callback(log.setLevel, log.level)
        log.setLevel(logging.ERROR)  # it warns that torchvision is not there, which nothing here needs
        program: Any = torch.onnx.export(
            network,
            tuple(example),
            dynamo=True,
            dynamic_shapes=tuple({axis: free[name] for axis, name in axes.items()} for axes in sizes),
            input_names=list(inputs),
            output_names=list(outputs),
            opset_version=OPSET,
            verbose=False,
        )
    model: onnx.ModelProto = program.model_proto
    model.producer_name, model.producer_version = "faceset", ""
    _forget_the_trace(model)
    return model


def write_backbone(network: Backbone, path: Path, *, mean: Sequence[float], std: Sequence[float]) -> float:
    """Write an embedding network as one ONNX file: ``image`` (n, 3, H, W) to ``feature`` (n, D), n free.

    Args:
        network: whose raw features the file gives.
        path: the file to write.
        mean, std: three numbers each; what goes into the graph is ``(x - mean) / std`` with x in 0..255.

    Returns:
        The largest difference from torch that was found; see :func:`largest_gap`.

    Raises:
        InputError: the network gives NaN, infinity or nothing but zeros, or the file does not answer as torch does; it
            is removed again.
    """
    network = network.cpu().float().eval()
    model = traced(
        network,
        [torch.zeros(2, 3, *network.size)],
        sizes=[{0: "n"}],
        inputs=[IMAGE],
        outputs=[FEATURE],
    )
    path.write_bytes(model.SerializeToString(deterministic=True))
    del model
    try:
        gap = largest_gap(network, path, mean=mean, std=std)
        if not gap <= TOLERANCE:
            raise InputError(
                f"the ONNX file of {network.name} differs from torch by {gap:.2g} of the largest number of a feature, "
                f"more than {TOLERANCE:g}; its parameters are far out of range: train again"
            )
    except InputError:
        path.unlink()
        raise
    return gap


def largest_gap(network: Backbone, path: Path, *, mean: Sequence[float], std: Sequence[float]) -> float:
    """Largest difference between the features of a file and of torch, over batches of random pictures.

    It is a share of the largest number of the feature, since raw features of two networks may differ in length by
    orders of magnitude. NaN counts as infinite.

    Raises:
        InputError: torch's own features are not finite, or all zero.
    """
    session = open_session(path, what="exported embedder", device="cpu")
    rng, gap = np.random.default_rng(0), 0.0
    shift, scale = (np.array(v, np.float32)[:, None, None] for v in (mean, std))
    for n in BATCHES:
        # From flat to noisy pictures of any brightness: the features of noise alone lie close together.
        noise = rng.uniform(0, 64, (n, 1, 1, 1)) * rng.normal(size=(n, 3, *network.size))
        pictures = (rng.uniform(0, 255, (n, 3, 1, 1)) + noise).clip(0, 255).round().astype(np.float32)
        x = (pictures - shift) / scale
        with torch.no_grad():
            mine = network(torch.from_numpy(x)).numpy()
        (theirs,) = session.run([FEATURE], {IMAGE: x})
        largest = np.abs(mine).max(axis=1)
        if not (np.isfinite(largest).all() and largest.all()):
            raise InputError(
                f"{network.name} gives features of NaN, infinity or zeros for pictures; it is not trained, or its "
                "training went wrong"
            )
        found = float((np.abs(mine - theirs).max(axis=1) / largest).max())
        gap = max(gap, found if found == found else float("inf"))
    return gap


def _forget_the_trace(model: onnx.ModelProto) -> None:
    """Take out what torch notes of every node: the stack it was traced in, with paths of this machine."""
    graph = model.graph
    for part in (graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        del part.metadata_props[:]
        part.doc_string = ""
