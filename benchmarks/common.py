"""What every benchmark needs: where the data is, what machine this is, medians of interleaved rounds, a JSON result."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "build" / "benchmarks"


def data_dir() -> Path:
    """The folder that FACESET_DATA names, or ../shared/data; ends the run when it is not there."""
    path = Path(os.environ.get("FACESET_DATA") or ROOT.parent / "shared" / "data")
    if not path.is_dir():
        sys.exit(f"FACESET_DATA names no folder ({path}); this benchmark needs LFW and the test clips")
    return path


def machine() -> dict[str, Any]:
    """Versions and machine, to stand beside every figure."""
    packages = (
        "faceset",
        "numpy",
        "onnxruntime",
        "onnxruntime-gpu",
        "torch",
        "dlib-bin",
        "opencv-python-headless",
        "av",
    )
    here = {found.metadata["Name"].lower(): found.version for found in importlib.metadata.distributions()}
    return {
        "python": platform.python_version(),
        "system": platform.system(),
        "processor": platform.machine(),
        "cores": os.cpu_count(),
        **{name: here[name] for name in packages if name in here},
    }


def timed(call: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds of wall time of one call, and what it returned."""
    start = time.perf_counter()
    value = call()
    return time.perf_counter() - start, value


def side_by_side(first: Callable[[], Any], second: Callable[[], Any], rounds: int) -> tuple[float, float, list[float]]:
    """Median seconds of two calls run by turns, and the ratio first/second of every round."""
    times: list[tuple[float, float]] = []
    for i in range(rounds):
        if i % 2:
            b, a = timed(second)[0], timed(first)[0]
        else:
            a, b = timed(first)[0], timed(second)[0]
        times.append((a, b))
    ratios = [a / b for a, b in times]
    return statistics.median(a for a, _ in times), statistics.median(b for _, b in times), ratios


def finish(name: str, figures: dict[str, Any], checks: list[tuple[str, str, bool]]) -> None:
    """Print the checks, write the figures as JSON, and end with code 1 when a bar was missed."""
    print("\n{:<66} {:>28}  {}".format("bar", "measured", "met"))
    for bar, measured, met in checks:
        print(f"{bar:<66} {measured:>28}  {'yes' if met else 'NO'}")
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"{name}.json"
    document = {"machine": machine(), "figures": figures, "checks": [list(c) for c in checks]}
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    print(f"\nwritten: {path.relative_to(ROOT)}")
    if not all(met for _, _, met in checks):
        sys.exit(1)
