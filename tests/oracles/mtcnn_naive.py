"""MTCNN's three networks layer by layer in loops, and plain suppression of boxes: the way the papers say it."""

from __future__ import annotations

import numpy as np

Array = np.ndarray


def convolution(x: Array, kernel: Array, bias: Array) -> Array:
    """x (H, W, C), kernel (h, w, C, out), no padding."""
    high, wide = kernel.shape[:2]
    out = np.empty((x.shape[0] - high + 1, x.shape[1] - wide + 1, kernel.shape[3]))
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            out[i, j] = np.tensordot(x[i : i + high, j : j + wide], kernel, 3) + bias
    return out


def prelu(x: Array, slope: Array) -> Array:
    return np.where(x > 0, x, x * slope.ravel())


def max_pool(x: Array, size: int, stride: int, *, same: bool) -> Array:
    """TensorFlow's two paddings; "same" adds what is missing at the end first, and never wins the maximum."""
    if same:
        missing = [max((-(-n // stride) - 1) * stride + size - n, 0) for n in x.shape[:2]]
        x = np.pad(x, [(m // 2, m - m // 2) for m in missing] + [(0, 0)], constant_values=-np.inf)
    out = np.empty(((x.shape[0] - size) // stride + 1, (x.shape[1] - size) // stride + 1, x.shape[2]))
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            out[i, j] = x[i * stride : i * stride + size, j * stride : j * stride + size].max(axis=(0, 1))
    return out


def softmax(x: Array) -> Array:
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def forward(net: str, weights: list[Array], image: Array) -> dict[str, Array]:
    """One picture (H, W, 3) of 0..255; maps come out as (h, w, channels)."""
    w = [a.astype(float) for a in weights]
    x = (image - 127.5) / 128
    pools = {
        "pnet": [(2, True), None, None],
        "rnet": [(3, True), (3, False), None],
        "onet": [(3, True), (3, False), (2, True), None],
    }[net]
    for pool in pools:
        x = prelu(convolution(x, w.pop(0), w.pop(0)), w.pop(0))
        if pool is not None:
            x = max_pool(x, pool[0], 2, same=pool[1])
    if net == "pnet":
        return {
            "box": convolution(x, w.pop(0), w.pop(0)),
            "score": softmax(convolution(x, w.pop(0), w.pop(0)))[..., 1:],
        }
    x = x.transpose(1, 0, 2).ravel()  # Keras permutes the axes to W, H, C before it flattens
    x = prelu(x @ w.pop(0) + w.pop(0), w.pop(0))
    out = {"box": x @ w.pop(0) + w.pop(0)}
    if net == "onet":
        out["points"] = x @ w.pop(0) + w.pop(0)
    out["score"] = softmax(x @ w.pop(0) + w.pop(0))[1:]
    return out


def overlap(a: Array, b: Array, *, of_smaller: bool) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    shared = max(width, 0) * max(height, 0)
    first, second = ((c[2] - c[0]) * (c[3] - c[1]) for c in (a, b))
    return shared / (min(first, second) if of_smaller else first + second - shared)


def suppress(boxes: Array, scores: Array, groups: Array, threshold: float, *, of_smaller: bool) -> list[int]:
    kept: list[int] = []
    for k in sorted(range(len(boxes)), key=lambda k: -scores[k]):
        rivals = [j for j in kept if groups[j] == groups[k]]
        if all(overlap(boxes[k], boxes[j], of_smaller=of_smaller) <= threshold for j in rivals):
            kept.append(k)
    return kept
