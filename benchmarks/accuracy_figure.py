"""The figure of docs/accuracy.md: how much the faces of each kind weigh."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("Agg")
from matplotlib import pyplot

from benchmarks.recipes import DEFAULT


def draw_figure(
    weights: Mapping[str, Mapping[str, Mapping[str, float]]], unseen: Mapping[str, Mapping[str, float]], path: Path
) -> None:
    """Bars for each kind: YTF and LFW with the shipped file, and LFW with a model that never saw that kind."""
    kinds = ["clean", *unseen]
    never = [np.mean([w["clean"] for w in unseen.values()]), *(unseen[k][k] for k in unseen)]
    series = [
        ("YouTube Faces, 2 clean + 5 degraded frames", [weights["ytf"][DEFAULT][k] for k in kinds]),
        ("LFW held out, 12 faces, 70 % degraded", [weights["lfw"][DEFAULT][k] for k in kinds]),
        ("LFW held out, trained without that kind", never),
    ]
    figure, axes = pyplot.subplots(figsize=(9, 4), layout="constrained")
    place, width = np.arange(len(kinds)), 0.27
    for i, (label, values) in enumerate(series):
        axes.bar(place + (i - 1) * width, values, width, label=label)
    axes.axhline(1.0, color="black", linewidth=0.8, linestyle="--")
    axes.annotate("equal share (the mean)", (len(kinds) - 0.5, 1.02), ha="right", va="bottom", fontsize=8)
    axes.set_xticks(place, [k.replace("_", "\n") for k in kinds])
    axes.set_ylabel("mean weight x N")
    axes.set_ylim(0, 1.2 * max(max(values) for _, values in series))
    axes.legend(frameon=False, loc="upper right", fontsize=9)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    figure.savefig(path, dpi=110, metadata={"Software": None})
    pyplot.close(figure)
