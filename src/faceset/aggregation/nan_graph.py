"""The Neural Aggregation Network (Yang et al., CVPR 2017) as an ONNX graph.

::

    f_k = x_k / |x_k|
    block(q):  e_k = q . f_k,   a = softmax_k(e),   r = sum_k a_k f_k
    r0 = block(q0),   q1 = tanh(W r0 + b),   r1 = block(q1)

The outputs are ``r1 / |r1|`` and the weights ``a`` of the second block. Parameters: D^2 + 2 D. All zeros give equal
weights, the mean. The same function builds the graph before and after training.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from faceset.errors import InputError
from faceset.types import Floats, finite_array

OPSET = 17
IR_VERSION = 8  # what ONNX Runtime has read since opset 17
LOWEST = float(np.finfo(np.float32).min)
TINY = float(np.finfo(np.float32).tiny)


def nan_graph(
    q0: npt.ArrayLike, W: npt.ArrayLike, b: npt.ArrayLike, *, metadata: Mapping[str, str] | None = None
) -> onnx.ModelProto:
    """The graph with the given parameters.

    Inputs ``features`` (B, N, D) float32 raw embeddings and ``mask`` (B, N) bool, True = a real face. Outputs
    ``template`` (B, D) of unit length and ``weights`` (B, N), 0 where the mask is False. What stands in the padding,
    NaN and infinity included, changes nothing. A row of the mask without a True gives zeros: the caller refuses it.

    Args:
        q0: (D,) query of the first block.
        W: (D, D) and
        b: (D,), which make the query of the second block from the result of the first.
        metadata: kept in the file; ``kind`` is ``nan`` unless given.

    Raises:
        InputError: shapes that do not fit, or values that are not finite.
    """
    query = finite_array(q0, "q0", (None,))
    D = query.shape[0]
    if D == 0:
        raise InputError("q0 must have at least one number, but got none")
    constants = {
        "q0": query,
        "W": finite_array(W, "W", (D, D)),
        "b": finite_array(b, "b", (D,)),
        "zero": np.zeros((), np.float32),
        "one": np.ones((), np.float32),
        "lowest": np.full((), LOWEST, np.float32),
        "tiny": np.full((), TINY, np.float32),
        "axis_n": np.array([1], np.int64),
        "axis_d": np.array([2], np.int64),
        "column": np.array([1, D, 1], np.int64),
        "row": np.array([1, 1, D], np.int64),
    }
    nodes = [
        *_unit_features(),
        _node("Reshape", ["q0", "column"], "query0"),  # (1, D, 1)
        *_block("0", "query0"),
        _node("Transpose", ["W"], "W_t", perm=[1, 0]),
        _node("Reshape", ["b", "row"], "b_row"),
        _node("MatMul", ["r0", "W_t"], "W_r0"),  # (B, 1, D)
        _node("Add", ["W_r0", "b_row"], "pre"),
        _node("Tanh", ["pre"], "q1"),
        _node("Transpose", ["q1"], "query1", perm=[0, 2, 1]),  # (B, D, 1)
        *_block("1", "query1"),
        _node("Squeeze", ["r1", "axis_n"], "r"),  # (B, D)
        _node("ReduceL2", ["r"], "length", axes=[1], keepdims=1),
        _node("Max", ["length", "tiny"], "length_safe"),
        _node("Div", ["r", "length_safe"], "template"),
        _node("Squeeze", ["a1", "axis_d"], "weights"),  # (B, N)
    ]
    graph = helper.make_graph(
        nodes,
        "nan",
        [
            helper.make_tensor_value_info("features", TensorProto.FLOAT, ["B", "N", D]),
            helper.make_tensor_value_info("mask", TensorProto.BOOL, ["B", "N"]),
        ],
        [
            helper.make_tensor_value_info("template", TensorProto.FLOAT, ["B", D]),
            helper.make_tensor_value_info("weights", TensorProto.FLOAT, ["B", "N"]),
        ],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, producer_name="faceset", opset_imports=[helper.make_opsetid("", OPSET)])
    model.ir_version = IR_VERSION
    helper.set_model_props(model, {"kind": "nan", **(metadata or {})})
    onnx.checker.check_model(model)
    return model


def zeros(D: int) -> tuple[Floats, Floats, Floats]:
    """``q0``, ``W`` and ``b`` of width D that are all zero: with them NAN is the mean."""
    return np.zeros(D, np.float32), np.zeros((D, D), np.float32), np.zeros(D, np.float32)


def _node(op: str, inputs: list[str], output: str, **attributes: object) -> onnx.NodeProto:
    return helper.make_node(op, inputs, [output], name=output, **attributes)


def _unit_features() -> list[onnx.NodeProto]:
    """``y`` (B, N, D) and ``inverse`` (B, N, 1), whose product is the unit features ``f``; both 0 in the padding, which
    is cleared before any arithmetic.

    Dividing by the largest component first keeps the square of a large feature from overflowing. The product is never
    formed: each block scales its dots and its weights instead, which spares two passes over all features.
    """
    return [
        _node("Unsqueeze", ["mask", "axis_d"], "real"),  # (B, N, 1)
        _node("Where", ["real", "features", "zero"], "x"),
        _node("ReduceMax", ["x"], "x_highest", axes=[2], keepdims=1),
        _node("ReduceMin", ["x"], "x_lowest", axes=[2], keepdims=1),
        _node("Neg", ["x_lowest"], "x_depth"),
        _node("Max", ["x_highest", "x_depth"], "x_max"),
        _node("Greater", ["x_max", "zero"], "x_any"),
        _node("Where", ["x_any", "x_max", "one"], "x_scale"),
        _node("Div", ["x", "x_scale"], "y"),
        _node("ReduceL2", ["y"], "y_length", axes=[2], keepdims=1),
        _node("Where", ["x_any", "y_length", "one"], "y_scale"),
        _node("Reciprocal", ["y_scale"], "inverse"),
    ]


def _block(i: str, query: str) -> list[onnx.NodeProto]:
    """One attention block: from a query (., D, 1) to weights ``a<i>`` (B, N, 1) and result ``r<i>`` (B, 1, D)."""
    return [
        _node("MatMul", ["y", query], f"products{i}"),  # (B, N, 1)
        _node("Mul", [f"products{i}", "inverse"], f"dots{i}"),
        _node("Where", ["real", f"dots{i}", "lowest"], f"e{i}"),
        _node("ReduceMax", [f"e{i}"], f"top{i}", axes=[1], keepdims=1),
        _node("Sub", [f"e{i}", f"top{i}"], f"shifted{i}"),
        _node("Exp", [f"shifted{i}"], f"exp{i}"),
        _node("Where", ["real", f"exp{i}", "zero"], f"p{i}"),
        _node("ReduceSum", [f"p{i}", "axis_n"], f"sum{i}", keepdims=1),
        _node("Max", [f"sum{i}", "tiny"], f"sum_safe{i}"),
        _node("Div", [f"p{i}", f"sum_safe{i}"], f"a{i}"),  # (B, N, 1)
        _node("Mul", [f"a{i}", "inverse"], f"share{i}"),
        _node("Transpose", [f"share{i}"], f"share_row{i}", perm=[0, 2, 1]),  # (B, 1, N)
        _node("MatMul", [f"share_row{i}", "y"], f"r{i}"),  # (B, 1, D)
    ]
