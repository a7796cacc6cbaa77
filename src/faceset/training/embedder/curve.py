"""The learning curve of a run as a picture, drawn from its log."""

from __future__ import annotations

import csv
import importlib.util
import math
from pathlib import Path

from faceset.training import runs

CURVE = "curve.png"


def draw_curve(run: Path, title: str) -> Path | None:
    """``curve.png`` of a run: the loss, and the figures of validation, over the steps; None without matplotlib."""
    if importlib.util.find_spec("matplotlib") is None:
        return None
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with (run / runs.LOG).open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    steps = [int(row["step"]) for row in rows]
    figure = Figure(figsize=(9.0, 4.0), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    columns = {name: [float(row[name]) for row in rows] for name in rows[0] if name != "step"}
    left.plot(steps, columns["loss"], marker=".")
    left.set(xlabel="step", ylabel="loss of training", title=title)
    for name, values in columns.items():
        if name.startswith(("tar/", "teacher", "lfw")) and any(math.isfinite(v) for v in values):
            right.plot(steps, values, marker=".", label=name)
    right.set(xlabel="step", ylabel="people held out", ylim=(0.0, 1.02))
    right.legend(fontsize="small")
    for axes in (left, right):
        axes.grid(alpha=0.3)
    temporary = run / f".{CURVE}.tmp.png"
    figure.savefig(temporary, dpi=120, metadata={"Software": None})
    temporary.replace(run / CURVE)
    return run / CURVE
