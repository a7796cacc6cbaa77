"""Small ONNX graphs made by hand, to see what an embedder feeds to a network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper, save_model


def channel_means(
    path: Path, size: tuple[int, int], *, batch: int | str = "n", extra: float | None = None, kind: str = "means"
) -> Path:
    """``image (batch, 3, H, W) -> feature (batch, 3)``: the mean of each channel as the network gets it.

    ``extra`` divides by that number (0 gives infinity); ``kind="constant"`` ignores the picture.
    """
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [batch, 3, *size])
    feature = helper.make_tensor_value_info("feature", TensorProto.FLOAT, [batch, 3])
    nodes = [
        helper.make_node("ReduceMean", ["image"], ["mean"], axes=[2, 3], keepdims=0),
        helper.make_node("Div", ["mean", "by"], ["feature"]),
    ]
    by = float("inf") if kind == "constant" else 1.0 if extra is None else extra
    constants = [numpy_helper.from_array(np.array(by, np.float32), "by")]
    graph = helper.make_graph(nodes, "means", [image], [feature], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7)
    save_model(model, str(path))
    return path
