"""The three networks of MTCNN as ONNX graphs, from the weights inside the package ``mtcnn``.

The weights are a list of arrays, dumped by joblib. joblib unpickles, so a file is read only after its sha256 has been
found right. TensorFlow and the package's own code are not needed.

Source: Zhang, Zhang, Li, Qiao: Joint Face Detection and Alignment using Multitask Cascaded Convolutional Networks,
2016. All three graphs take ``image`` (n, 3, H, W) float32 RGB 0..255 and give ``score`` (probability of a face) and
``box`` (offsets of x0, y0, x1, y1 in fractions of the window); the last one gives ``points`` too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from faceset.packs import installed
from faceset.packs.cache import cached
from faceset.packs.session import open_session
from faceset.types import Floats

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

FILES = {"pnet": installed.MTCNN_PNET, "rnet": installed.MTCNN_RNET, "onet": installed.MTCNN_ONET}
"""Weight file of each network."""

CONVERTER_VERSION = 1
"""Raised whenever the graphs change for the same weights."""

# Opset 13 and IR 8 are what the oldest ONNX Runtime we allow reads, and nothing newer is used.
_OPSET = 13
_IR_VERSION = 8

# Pooling after each convolution, as (kernel, stride, pixels added below and to the right). "same" pooling of
# TensorFlow adds its pixels at the end first; with these sizes it is never more than one, and never at the start.
_POOLS: dict[str, list[tuple[int, int, int] | None]] = {
    "pnet": [(2, 2, 1), None, None],
    "rnet": [(3, 2, 1), (3, 2, 0), None],
    "onet": [(3, 2, 1), (3, 2, 0), (2, 2, 0), None],
}
_WINDOW = {"rnet": 24, "onet": 48}


def weights(net: str) -> list[Floats]:
    """The arrays of one network in Keras' order and layout (kernels are (h, w, in, out)).

    Args:
        net: ``pnet``, ``rnet`` or ``onet``.

    Raises:
        ModelFileError: the file is missing or is not the one that is known here.
    """
    path = installed.installed_file(*FILES[net])
    import joblib

    return [np.asarray(array, dtype=np.float32) for array in joblib.load(path)]


def graph(net: str, arrays: Sequence[Floats]) -> bytes:
    """One network as a serialised ONNX model.

    Batch is dynamic, and for the P-net height and width too (at least 12); the R-net takes 24x24, the O-net 48x48.
    The normalisation (x - 127.5) / 128 is folded into the first convolution, which is exact as it pads nothing; the
    softmax over (no face, face) is written as the logistic function of their difference, which is the same number.

    Args:
        net: ``pnet``, ``rnet`` or ``onet``.
        arrays: see :func:`weights`.
    """
    build = _Builder(list(arrays))
    top = "image"
    for number, pool in enumerate(_POOLS[net]):
        top = build.convolution(top, first=number == 0, pool=pool)
    side = _WINDOW.get(net)
    if side is None:
        build.pointwise(top, "box")
        build.face_probability(top, convolution=True)
        rows = ["n", "h", "w"]
    else:
        top = build.dense_over_map(top)
        build.dense(top, "box")
        if net == "onet":
            build.dense(top, "points")
        build.face_probability(top, convolution=False)
        rows = ["n"]
    outputs = {"score": [rows[0], 1, *rows[1:]], "box": [rows[0], 4, *rows[1:]]}
    if net == "onet":
        outputs["points"] = [rows[0], 10]
    return build.model(net, ["n", 3, side or "height", side or "width"], outputs)


def session(net: str) -> InferenceSession:
    """One network, ready to run; converted once and then read from the user's cache folder."""
    key = f"{FILES[net].sha256}-{CONVERTER_VERSION}"
    path = cached(f"mtcnn_{net}.onnx", key, lambda: graph(net, weights(net)))
    return open_session(path, what=f"MTCNN's {net}")


class _Builder:
    """Takes arrays from the front of a list and strings nodes together."""

    def __init__(self, arrays: list[Floats]) -> None:
        from onnx import helper, numpy_helper

        self._helper = helper
        self._tensor = numpy_helper.from_array
        self._arrays = arrays
        self._nodes: list[Any] = []
        self._initializers: list[Any] = []
        self._order: npt.NDArray[np.intp] | None = None

    def convolution(self, top: str, *, first: bool, pool: tuple[int, int, int] | None) -> str:
        """Convolution, PReLU and, where there is one, max pooling.

        PReLU(x) = max(x, a x) for a slope a <= 1. Pooling therefore goes first: it commutes with PReLU where a >= 0,
        and where a < 0 both x and a x are pooled, which costs a few more channels in the convolution. The numbers are
        the same, and PReLU, which is slow on large maps, has a quarter of the work.
        """
        kernel, bias, slope = self._kernel(), self._arrays.pop(0), self._arrays.pop(0).ravel()
        if first:
            bias = bias - kernel.sum(axis=(1, 2, 3)) * np.float32(127.5 / 128)
            kernel = kernel / np.float32(128)
        if pool is None:
            top = self._convolution(top, kernel, bias)
            return self._node("PRelu", [top, self._constant(slope.reshape(-1, 1, 1))])
        order = np.argsort(slope < 0, kind="stable")  # negative slopes last; the next kernel is told
        kernel, bias, slope = kernel[order], bias[order], slope[order]
        self._order = order
        negative = int((slope < 0).sum())
        positive = len(slope) - negative
        steep = slope[positive:]
        kernel = np.concatenate([kernel, kernel[positive:] * steep[:, None, None, None]])
        bias = np.concatenate([bias, bias[positive:] * steep])
        size, stride, after = pool
        top = self._convolution(top, kernel, bias)
        top = self._node("MaxPool", [top], kernel_shape=[size] * 2, strides=[stride] * 2, pads=[0, 0, after, after])
        upper, plain, scaled = self._split(top, [positive, negative, negative])
        upper = self._node("PRelu", [upper, self._constant(slope[:positive].reshape(-1, 1, 1))])
        lower = self._node("Max", [plain, scaled])
        return self._node("Concat", [upper, lower], axis=1)

    def pointwise(self, top: str, output: str) -> str:
        return self._convolution(top, self._kernel(), self._arrays.pop(0), output)

    def dense_over_map(self, top: str) -> str:
        """A dense layer with PReLU over a 3x3 map, which Keras flattens in the order W, H, C and ONNX in C, H, W."""
        kernel, bias, slope = self._arrays.pop(0), self._arrays.pop(0), self._arrays.pop(0)
        wide, width = kernel.shape
        kernel = kernel.reshape(3, 3, wide // 9, width).transpose(2, 1, 0, 3).reshape(wide, width)
        top = self._gemm(self._node("Flatten", [top], axis=1), kernel, bias)
        return self._node("PRelu", [top, self._constant(slope)])

    def dense(self, top: str, output: str) -> str:
        return self._gemm(top, self._arrays.pop(0), self._arrays.pop(0), output)

    def face_probability(self, top: str, *, convolution: bool) -> str:
        if convolution:
            kernel, bias = self._kernel(), self._arrays.pop(0)
            logit = self._convolution(top, kernel[1:] - kernel[:1], bias[1:] - bias[:1])
        else:
            kernel, bias = self._arrays.pop(0), self._arrays.pop(0)
            logit = self._gemm(top, kernel[:, 1:] - kernel[:, :1], bias[1:] - bias[:1])
        return self._node("Sigmoid", [logit], "score")

    def model(self, name: str, input_shape: list[Any], outputs: dict[str, list[Any]]) -> bytes:
        if self._arrays:
            raise ValueError(f"{len(self._arrays)} arrays are left over")
        info, real = self._helper.make_tensor_value_info, 1  # 1 is TensorProto.FLOAT
        graph = self._helper.make_graph(
            self._nodes,
            name,
            [info("image", real, input_shape)],
            [info(key, real, shape) for key, shape in outputs.items()],
            self._initializers,
        )
        opset = self._helper.make_opsetid("", _OPSET)
        made = self._helper.make_model(graph, opset_imports=[opset], ir_version=_IR_VERSION, producer_name="faceset")
        return bytes(made.SerializeToString())

    def _kernel(self) -> Floats:
        """The next kernel as (out, in, h, w), its inputs in the order the layer before left them."""
        kernel = self._arrays.pop(0).transpose(3, 2, 0, 1)
        if self._order is not None:
            kernel, self._order = kernel[:, self._order], None
        return kernel

    def _convolution(self, top: str, kernel: Floats, bias: Floats, output: str | None = None) -> str:
        return self._node("Conv", [top, self._constant(kernel), self._constant(bias)], output)

    def _gemm(self, top: str, kernel: Floats, bias: Floats, output: str | None = None) -> str:
        return self._node("Gemm", [top, self._constant(kernel), self._constant(bias)], output)

    def _constant(self, value: npt.NDArray[Any]) -> str:
        name = f"w{len(self._initializers)}"
        self._initializers.append(self._tensor(np.ascontiguousarray(value), name))
        return name

    def _split(self, top: str, sizes: list[int]) -> list[str]:
        outputs = [f"t{len(self._nodes)}_{k}" for k in range(len(sizes))]
        self._nodes.append(self._helper.make_node("Split", [top, self._constant(np.array(sizes))], outputs, axis=1))
        return outputs

    def _node(self, kind: str, inputs: list[str], output: str | None = None, **attributes: Any) -> str:
        output = output or f"t{len(self._nodes)}"
        self._nodes.append(self._helper.make_node(kind, inputs, [output], **attributes))
        return output
