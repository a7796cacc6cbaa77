"""Writes dlib's serialization, record by record, the plain way: the counterpart of faceset.packs.dlib_dat."""

from __future__ import annotations

import struct

import numpy as np


def packed(value: int) -> bytes:
    """A packed integer."""
    magnitude = abs(value)
    size = max(1, (magnitude.bit_length() + 7) // 8)
    return bytes([size | (0x80 if value < 0 else 0)]) + magnitude.to_bytes(size, "little")


def packed_float(mantissa: int, exponent: int) -> bytes:
    """mantissa * 2**exponent."""
    return packed(mantissa) + packed(exponent)


def tag(name: str) -> bytes:
    """A string: its length, then its bytes."""
    return packed(len(name)) + name.encode()


def tensor(values: np.ndarray) -> bytes:
    """A tensor of num_samples values."""
    head = b"".join(packed(v) for v in (2, values.size, 1, 1, 1))
    return head + b"".join(struct.pack("<f", v) for v in values.ravel())


def conv(weights: np.ndarray, bias: np.ndarray, stride: int, padding: int) -> bytes:
    """A con_4 record: parameters, then filters, kernel height and width, strides, paddings."""
    filters, _, kh, kw = weights.shape
    numbers = (filters, kh, kw, stride, stride, padding, padding)
    return tag("con_4") + tensor(np.concatenate([weights.ravel(), bias])) + b"".join(map(packed, numbers))


def affine(gamma: np.ndarray, beta: np.ndarray) -> bytes:
    """An affine_ record."""
    return tag("affine_") + tensor(np.concatenate([gamma, beta]))


def dense(matrix: np.ndarray) -> bytes:
    """An fc_2 record without bias."""
    inputs, outputs = matrix.shape
    return tag("fc_2") + packed(outputs) + packed(inputs) + tensor(matrix.ravel())
