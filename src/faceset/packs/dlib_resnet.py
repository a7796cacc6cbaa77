"""dlib's face recognition network (ResNet, 29 convolutions, 128-d) rebuilt as an ONNX graph from its ``.dat`` file.

Architecture: dlib's ``dnn_face_recognition_ex.cpp``. From the input on::

    (x - mean) / 256 -> conv 7x7 stride 2, 32 -> affine -> relu -> max pool 3x3 stride 2
      -> 3 blocks of 32 -> down 64, 3 of 64 -> down 128, 2 of 128 -> down 256, 2 of 256 -> down 256
      -> mean over the picture -> 128 numbers, no bias

    block:  relu(x + affine(conv3x3(relu(affine(conv3x3(x))))))
    down:   the same with stride 2 and no padding in the first convolution, and a 2x2 stride 2 average pool for x;
            both are zero-padded (below, on the right, and at the last channels) to the larger of the two

The affine layers are folded into the convolutions in float64. The result agrees with dlib to about 2e-7 a component.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from faceset.errors import ModelFileError
from faceset.packs.cache import cached
from faceset.packs.dlib_dat import Conv, DatReader
from faceset.packs.installed import DLIB_RESNET, installed_file
from faceset.types import Floats

CONVERTER_VERSION = 1
"""Goes into the embedder id: raise it whenever the numbers that come out change."""

SIZE = 150
WIDTH = 128
MEAN = (122.782, 117.001, 104.298)
SCALE = 256.0
STEM = 32
"""Filters of the first convolution."""

_OPSET = 13  # read by every ONNX Runtime since 2020
_IR_VERSION = 7
BLOCKS = (
    *[(32, False)] * 3,
    (64, True),
    *[(64, False)] * 3,
    (128, True),
    *[(128, False)] * 2,
    (256, True),
    *[(256, False)] * 2,
    (256, True),
)
"""(filters, whether it halves the picture), from input to output."""


def dlib_resnet_file() -> Path:
    """The ONNX file of the installed network, made at the first call and cached.

    Raises:
        ModelFileError: the package is missing or its file damaged, or the graph can be stored nowhere.
    """
    source = installed_file(*DLIB_RESNET)
    key = f"{DLIB_RESNET.sha256} {CONVERTER_VERSION}"
    return cached("dlib-resnet.onnx", key, lambda: convert(source.read_bytes(), source.name))


def convert(data: bytes, name: str = "the .dat file") -> bytes:
    """The bytes of the ONNX model for the bytes of a ``.dat`` file.

    The model takes ``image`` float32 (n, 3, 150, 150), RGB 0..255, and gives ``feature`` float32 (n, 128).

    Raises:
        ModelFileError: the file is truncated, damaged, or another network.
    """
    network = read_network(data, name)
    graph = _Graph()
    value = graph.node("Sub", "image", graph.constant(np.array(MEAN, np.float32).reshape(1, 3, 1, 1)))
    layers = iter(network.layers)
    value, side = graph.conv(next(layers), value, SIZE, SCALE)
    value = graph.node("Relu", value)
    value = graph.node("MaxPool", value, kernel_shape=[3, 3], strides=[2, 2])
    side, channels = (side - 3) // 2 + 1, STEM
    for filters, down in BLOCKS:
        value, side = graph.block(next(layers), next(layers), value, side, filters - channels, down)
        channels = filters
    value = graph.node("GlobalAveragePool", value)
    value = graph.node("Flatten", value, axis=1)
    graph.node("MatMul", value, graph.constant(network.matrix), output="feature")
    return graph.model()


class Layer(NamedTuple):
    """A convolution and the affine layer after it: ``gamma * (w * x + b) + beta``."""

    conv: Conv
    gamma: Floats
    beta: Floats


class Network(NamedTuple):
    """The parameters of the network: 29 layers from input to output, and the last matrix (256, 128)."""

    layers: tuple[Layer, ...]
    matrix: Floats


def read_network(data: bytes, name: str = "the .dat file") -> Network:
    """The parameters in the bytes of a ``.dat`` file, as stored there.

    Raises:
        ModelFileError: the file is truncated, damaged, or another network.
    """
    reader = DatReader(data, name)
    means = reader.colour_means()
    if not np.allclose(means, MEAN, atol=1e-3):
        raise ModelFileError(f"{name} is another network: it subtracts the colour {means}, not {MEAN}")
    layers = tuple(_layer(reader, name, spec) for spec in _specs())
    matrix = reader.dense(BLOCKS[-1][0])
    reader.expect_no_more("con_4")
    if matrix.shape[1] != WIDTH:
        raise ModelFileError(f"{name} is another network: it has {matrix.shape[1]} outputs, not {WIDTH}")
    return Network(layers, matrix)


class _Spec(NamedTuple):
    """What a convolution must be."""

    channels: int
    filters: int
    kernel: int
    stride: int
    padding: int


def _specs() -> Iterator[_Spec]:
    """The 29 convolutions, from input to output."""
    yield _Spec(channels=3, filters=STEM, kernel=7, stride=2, padding=0)
    channels = STEM
    for filters, down in BLOCKS:
        stride, padding = (2, 0) if down else (1, 1)
        yield _Spec(channels, filters, 3, stride, padding)
        yield _Spec(filters, filters, 3, 1, 1)
        channels = filters


def _layer(reader: DatReader, name: str, spec: _Spec) -> Layer:
    conv = reader.conv(spec.channels)
    gamma, beta = reader.affine(conv.weights.shape[0])
    wanted = (spec.filters, spec.channels, spec.kernel, spec.kernel)
    if conv.weights.shape != wanted or (conv.stride, conv.padding) != (spec.stride, spec.padding):
        raise ModelFileError(
            f"{name} is another network: a convolution is {conv.weights.shape} with stride {conv.stride} and "
            f"padding {conv.padding}, not {wanted} with stride {spec.stride} and padding {spec.padding}"
        )
    return Layer(conv, gamma, beta)


class _Graph:
    """Collects nodes and constants; every method that adds a node returns the name of its output."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []

    def constant(self, values: npt.NDArray[np.generic]) -> str:
        name = f"c{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def node(self, op: str, *inputs: str, output: str | None = None, **attributes: object) -> str:
        output = output or f"v{len(self._nodes)}"
        self._nodes.append(helper.make_node(op, list(inputs), [output], **attributes))
        return output

    def conv(self, layer: Layer, value: str, side: int, divisor: float = 1.0) -> tuple[str, int]:
        """A convolution with the affine layer after it folded in, and the division of its input by ``divisor``.

        Returns:
            The name of its output and the side of the picture there.
        """
        conv, scale = layer.conv, layer.gamma.astype(np.float64)
        weights = conv.weights.astype(np.float64) * scale[:, None, None, None] / divisor
        bias = conv.bias.astype(np.float64) * scale + layer.beta.astype(np.float64)
        kernel = conv.weights.shape[2]
        output = self.node(
            "Conv",
            value,
            self.constant(weights.astype(np.float32)),
            self.constant(bias.astype(np.float32)),
            kernel_shape=[kernel] * 2,
            strides=[conv.stride] * 2,
            pads=[conv.padding] * 4,
        )
        return output, (side + 2 * conv.padding - kernel) // conv.stride + 1

    def block(
        self, first: Layer, second: Layer, value: str, side: int, more_channels: int, down: bool
    ) -> tuple[str, int]:
        """One residual block (see the top of the file) that adds so many channels; returns like :meth:`conv`."""
        branch, inner = self.conv(first, value, side)
        branch = self.node("Relu", branch)
        branch, inner = self.conv(second, branch, inner)
        shortcut = value
        if down:
            shortcut = self.node("AveragePool", value, kernel_shape=[2, 2], strides=[2, 2])
            side //= 2
        outer = max(inner, side)
        branch = self._padded(branch, 0, outer - inner)
        shortcut = self._padded(shortcut, more_channels, outer - side)
        return self.node("Relu", self.node("Add", branch, shortcut)), outer

    def _padded(self, value: str, channels: int, pixels: int) -> str:
        """Zeros at the last channels, below and on the right."""
        if not channels and not pixels:
            return value
        pads = np.array([0, 0, 0, 0, 0, channels, pixels, pixels], np.int64)
        return self.node("Pad", value, self.constant(pads), mode="constant")

    def model(self) -> bytes:
        image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, SIZE, SIZE])
        feature = helper.make_tensor_value_info("feature", TensorProto.FLOAT, ["n", WIDTH])
        graph = helper.make_graph(self._nodes, "dlib-resnet", [image], [feature], self._constants)
        model = helper.make_model(
            graph,
            producer_name="faceset",
            producer_version=str(CONVERTER_VERSION),
            opset_imports=[helper.make_opsetid("", _OPSET)],
            ir_version=_IR_VERSION,
        )
        onnx.checker.check_model(model)
        data: bytes = model.SerializeToString()
        return data
