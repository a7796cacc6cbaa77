"""One timed evaluation in a process of its own: from the files of a protocol and of features to a finished HTML page.

    python -m benchmarks.evaluation_job ijbc ROOT FEATURES --task verify --resamples 0

Prints one line of JSON: seconds of each stage, their sum with the imports, and the peak of memory.
"""

from __future__ import annotations

import time

BEGIN = time.perf_counter()

import argparse  # noqa: E402
import json  # noqa: E402
import resource  # noqa: E402
import subprocess  # noqa: E402
import sys  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402


def measured(protocol: str, root: Path, features: Path, **options: Any) -> dict[str, Any]:
    """Run it in a fresh process."""
    command = [sys.executable, "-m", "benchmarks.evaluation_job", protocol, str(root), str(features)]
    for name, value in options.items():
        command += [f"--{name}", str(value)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def row(name: str, run: dict[str, Any]) -> str:
    """One line of a table."""
    stages = "  ".join(f"{stage} {seconds:.1f}" for stage, seconds in run["stages"].items())
    times = f"{run['seconds']:6.1f} s  {run['cpu_seconds']:6.1f} s of CPU  {run['peak_gb']:.2f} GB"
    return f"{name:<24} {times}   {stages}"


def main() -> None:
    """Evaluate and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("protocol")
    parser.add_argument("root", type=Path)
    parser.add_argument("features", type=Path)
    parser.add_argument("--task", default=None)
    parser.add_argument("--aggregators", default="mean")
    parser.add_argument("--resamples", type=int, default=0)
    args = parser.parse_args()
    stages: dict[str, float] = {}
    clock = BEGIN

    def lap(name: str) -> None:
        nonlocal clock
        now = time.perf_counter()
        stages[name], clock = now - clock, now

    from faceset.evaluation import page, protocols, sources
    from faceset.evaluation.run import evaluate

    lap("imports")
    experiments = protocols.load(args.protocol, args.root, task=args.task)
    lap("protocol")
    table = sources.load(args.features, experiments)
    lap("features")
    report = evaluate(experiments, table, args.aggregators.split(","), resamples=args.resamples)
    lap("evaluation")
    page.write(args.features.with_suffix(".html"), page.page(report))
    lap("page")
    scale = 1 if sys.platform == "darwin" else 1024
    used = resource.getrusage(resource.RUSAGE_SELF)
    found = {
        "seconds": time.perf_counter() - BEGIN,
        "cpu_seconds": used.ru_utime + used.ru_stime,
        "peak_gb": used.ru_maxrss * scale / 2**30,
        "stages": stages,
        "scoring": {f"{o.aggregator} {o.task}": o.seconds for o in report.outcomes},
        "figures": {a: {name: m.value for name, m in found.items()} for a, found in report.summary.items()},
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
