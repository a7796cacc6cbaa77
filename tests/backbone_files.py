"""Published keys and shapes of networks (``tests/data/backbones_<name>.txt``), and checkpoints made of them."""

from __future__ import annotations

from pathlib import Path

import torch

PUBLISHED = sorted(p.stem.removeprefix("backbones_") for p in (Path(__file__).parent / "data").glob("backbones_*.txt"))


def published(name: str) -> dict[str, tuple[int, ...]]:
    """Key -> shape."""
    text = (Path(__file__).parent / "data" / f"backbones_{name}.txt").read_text(encoding="utf-8")
    lines = [line.split() for line in text.splitlines() if not line.startswith("#")]
    return {key: () if shape == "scalar" else tuple(int(n) for n in shape.split("x")) for key, shape in lines}


def value_of(i: int, key: str) -> float:
    """What stands in the i-th tensor, a different number in each."""
    return float(i) if key.endswith("num_batches_tracked") else (i + 1) / 1024


def tensors(shapes: dict[str, tuple[int, ...]]) -> dict[str, torch.Tensor]:
    """A tensor for each key that holds one number throughout; it takes the memory of that number only."""
    found = {}
    for i, (key, shape) in enumerate(shapes.items()):
        kind = torch.int64 if key.endswith("num_batches_tracked") else torch.float32
        found[key] = torch.tensor(value_of(i, key), dtype=kind).expand(shape)
    return found
