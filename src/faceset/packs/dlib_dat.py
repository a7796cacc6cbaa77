"""Reader of the parameters in a dlib ``.dat`` network file.

dlib's serialization has no index: the layers follow each other, each as a length-prefixed tag and its fields. Only the
records that hold parameters are read; what lies between them (pooling, gradients' flags, empty tensors) is skipped by
searching the next tag, never inside a tensor.

- integer: one byte whose low 4 bits are the number of bytes that follow and whose bit 0x80 is the sign; then the
  magnitude, little-endian;
- float: a packed integer mantissa and a packed integer exponent, ``mantissa * 2**exponent``;
- tensor: version 2, the four dimensions (num_samples, k, nr, nc) as packed integers, then raw little-endian float32.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from faceset.errors import ModelFileError
from faceset.types import Floats

_MAX_INT_BYTES = 8


@dataclass(frozen=True, slots=True, eq=False)
class Conv:
    """A convolution as stored: weights (out, in, kh, kw), bias (out,), stride and zero-padding in pixels."""

    weights: Floats
    bias: Floats
    stride: int
    padding: int


class DatReader:
    """Reads records in order from the bytes of a ``.dat`` file; every fault is a :class:`ModelFileError`.

    Args:
        data: the whole file.
        name: what to call the file in messages.
    """

    def __init__(self, data: bytes, name: str) -> None:
        self._data = data
        self._at = 0
        self._name = name

    def conv(self, channels: int) -> Conv:
        """The next ``con_4`` record, for an input of ``channels`` channels."""
        self._seek("con_4")
        params = self._tensor()
        filters, kh, kw, stride_y, stride_x, pad_y, pad_x = (self._int() for _ in range(7))
        if stride_y != stride_x or pad_y != pad_x:
            raise self._bad(f"a convolution has uneven stride {stride_y, stride_x} or padding {pad_y, pad_x}")
        size = filters * channels * kh * kw
        if min(filters, kh, kw, stride_y) < 1 or pad_y < 0 or params.size != size + filters:
            raise self._bad(
                f"a convolution of {filters} filters {channels}x{kh}x{kw} does not go with {params.size} parameters"
            )
        weights = params[:size].reshape(filters, channels, kh, kw)
        return Conv(weights, params[size:], stride_y, pad_y)

    def affine(self, channels: int) -> tuple[Floats, Floats]:
        """The next ``affine_`` record: gamma (channels,) and beta (channels,)."""
        self._seek("affine_")
        params = self._tensor()
        if params.size != 2 * channels:
            raise self._bad(f"an affine layer has {params.size} parameters where {2 * channels} are needed")
        return params[:channels], params[channels:]

    def dense(self, width: int) -> Floats:
        """The next ``fc_2`` record without bias: the matrix (width, outputs)."""
        self._seek("fc_2")
        outputs, inputs = self._int(), self._int()
        params = self._tensor()
        if inputs != width or outputs < 1 or params.size != inputs * outputs:
            raise self._bad(f"the last layer has {inputs} inputs, {outputs} outputs and {params.size} parameters")
        return params.reshape(inputs, outputs)

    def colour_means(self) -> tuple[float, float, float]:
        """The mean red, green and blue that ``input_rgb_image_sized`` subtracts."""
        self._seek("input_rgb_image_sized")
        return self._float(), self._float(), self._float()

    def expect_no_more(self, tag: str) -> None:
        """Fail when another record of this tag follows."""
        if self._data.find(_prefixed(tag), self._at) >= 0:
            raise self._bad(f"it has more {tag} layers than the known network")

    def _seek(self, tag: str) -> None:
        found = self._data.find(_prefixed(tag), self._at)
        if found < 0:
            raise self._bad(f"no further {tag} layer after byte {self._at}")
        self._at = found + len(_prefixed(tag))

    def _take(self, count: int) -> bytes:
        piece = self._data[self._at : self._at + count]
        if len(piece) < count:
            raise self._bad(f"it ends at byte {len(self._data)}, in the middle of a value")
        self._at += count
        return piece

    def _int(self) -> int:
        head = self._take(1)[0]
        count = head & 0x0F
        if head & 0x70 or not 1 <= count <= _MAX_INT_BYTES:
            raise self._bad(f"byte {self._at - 1} is no packed integer")
        value = int.from_bytes(self._take(count), "little")
        return -value if head & 0x80 else value

    def _float(self) -> float:
        mantissa, exponent = self._int(), self._int()
        try:
            return math.ldexp(mantissa, exponent)
        except OverflowError:
            raise self._bad(f"a number before byte {self._at} is too large") from None

    def _tensor(self) -> Floats:
        version = self._int()
        if version != 2:
            raise self._bad(f"a tensor has version {version}; only version 2 is known")
        size = math.prod(self._dimension() for _ in range(4))
        values = np.frombuffer(self._take(4 * size), dtype="<f4").astype(np.float32)
        if not np.isfinite(values).all():
            raise self._bad(f"the tensor before byte {self._at} holds NaN or infinity")
        return values

    def _dimension(self) -> int:
        value = self._int()
        if not 0 <= value <= len(self._data):
            raise self._bad(f"a tensor dimension before byte {self._at} is {value}")
        return value

    def _bad(self, reason: str) -> ModelFileError:
        return ModelFileError(
            f"{self._name} is not dlib's face recognition network, or is damaged: {reason}; "
            "reinstall it: pip install --force-reinstall --no-deps face_recognition_models"
        )


def _prefixed(tag: str) -> bytes:
    """A tag as dlib writes a string: packed length, then the bytes."""
    return bytes([1, len(tag)]) + tag.encode("ascii")
