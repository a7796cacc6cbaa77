"""An IJB-C-sized job: 469,375 faces of 512 numbers into 23,124 templates, beside a plain NumPy loop over the sets.

    python -m benchmarks.aggregation_scale [--rounds 5]

The features are made up; set sizes are drawn on a logarithmic scale from 1 to 400 and scaled to the right sum. Bars for
the mean and for NAN: no slower than the loop over the same formula, and a peak of memory of at most 1.3 times the
input.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import sys
from typing import Any

import numpy as np

from benchmarks.common import finish, side_by_side
from faceset import aggregation
from faceset.aggregation.nan_graph import nan_graph

FACES, SETS, WIDTH, LARGEST = 469_375, 23_124, 512, 400


def sizes(rng: np.random.Generator) -> np.ndarray:
    """Set sizes of 1 to 400 that sum to the number of faces."""
    drawn = np.minimum(np.exp(rng.uniform(0, np.log(LARGEST + 1), SETS)).astype(int), LARGEST)
    while (excess := int(drawn.sum()) - FACES) != 0:
        step = -np.sign(excess)
        free = np.flatnonzero((drawn + step >= 1) & (drawn + step <= LARGEST) & (drawn > 1))
        drawn[rng.choice(free, min(abs(excess), free.size), replace=False)] += step
    return drawn


def loop(features: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """The plain way: for each set the mean of its unit features, scaled to unit length."""
    templates = np.empty((offsets.size - 1, features.shape[1]), np.float32)
    for b in range(offsets.size - 1):
        faces = features[offsets[b] : offsets[b + 1]]
        mean = (faces / np.linalg.norm(faces, axis=1, keepdims=True)).mean(axis=0)
        templates[b] = mean / np.linalg.norm(mean)
    return templates


def nan_loop(features: np.ndarray, offsets: np.ndarray, q0: np.ndarray, W: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The plain way for NAN: for each set two attention blocks over its unit features."""
    templates = np.empty((offsets.size - 1, features.shape[1]), np.float32)
    for i in range(offsets.size - 1):
        faces = features[offsets[i] : offsets[i + 1]]
        faces = faces / np.linalg.norm(faces, axis=1, keepdims=True)
        r = attend(faces, q0)
        r = attend(faces, np.tanh(W @ r + b))
        templates[i] = r / np.linalg.norm(r)
    return templates


def attend(faces: np.ndarray, q: np.ndarray) -> np.ndarray:
    """One attention block."""
    logits = faces @ q
    weights = np.exp(logits - logits.max())
    return (weights / weights.sum()) @ faces


def peak() -> float:
    """Largest resident memory so far, in MB."""
    scale = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale / 2**20


def main() -> None:
    """Make the job, run it both ways, print times and memory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    rng = np.random.default_rng(0)
    offsets = np.concatenate([[0], np.cumsum(sizes(rng))])
    features = np.empty((FACES, WIDTH), np.float32)
    for start in range(0, FACES, 8192):
        rng.standard_normal(dtype=np.float32, out=features[start : start + 8192])
    size = features.nbytes / 2**20
    before = peak()
    figures: dict[str, Any] = {"input_mb": size, "peak_before_mb": before}
    checks = []
    weights = [(rng.standard_normal(shape) * 0.1).astype(np.float32) for shape in (WIDTH, (WIDTH, WIDTH), WIDTH)]
    rivals = {
        "mean": (aggregation.get("mean"), lambda: loop(features, offsets)),
        "nan": (aggregation.get("nan", model=nan_graph(*weights)), lambda: nan_loop(features, offsets, *weights)),
    }
    for name, (aggregator, plain) in rivals.items():
        made = aggregator(features, offsets)
        used = peak() / size
        worst = float(np.abs(made.templates - plain()).max())
        del made
        ours, theirs, ratios = side_by_side(lambda a=aggregator: a(features, offsets), plain, args.rounds)
        ratio = statistics.median(ratios)
        figures[name] = {"seconds": ours, "loop_seconds": theirs, "ratio": ratio, "peak": used, "difference": worst}
        print(f"{name}: {ours:.2f} s, loop {theirs:.2f} s, peak memory {used:.2f} times the input")
        checks += [
            (f"{name}: largest difference from the loop (<= 1e-5)", f"{worst:.1e}", worst <= 1e-5),
            (f"{name}: time against the loop (<= 1)", f"{ratio:.2f}", ratio <= 1.0),
            (f"{name}: peak memory against the input (<= 1.3)", f"{used:.2f}", used <= 1.3),
        ]
    finish("aggregation_scale", figures, checks)


if __name__ == "__main__":
    main()
