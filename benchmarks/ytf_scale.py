"""YouTube Faces at full size on made-up features: from the files to a finished HTML report.

    python -m benchmarks.ytf_scale [--rounds 5]

3,425 videos, 621,126 frames of 128 numbers, 5,000 pairs in 10 folds. The files are made first, in a temporary folder;
then every evaluation runs in a process of its own, imports and reading included. Bar: 30 s. The pairwise baselines are
timed beside it, all four in one pass.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.common import finish
from benchmarks.evaluation_files import write_ytf
from benchmarks.evaluation_job import measured, row

PAIRWISE = "pairwise-min,pairwise-max,pairwise-mean,pairwise-softmin"


def main() -> None:
    """Make the files, run every job by turns, print times and memory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    jobs = {"mean": ("mean", 0), "mean, 200 resamples": ("mean", 200), "pairwise": (PAIRWISE, 0)}
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in jobs}
    with tempfile.TemporaryDirectory() as folder:
        root, table = write_ytf(Path(folder), videos=3425, people=1595, frames=621_126, width=128)
        for _ in range(args.rounds):
            for name, (aggregators, resamples) in jobs.items():
                runs[name].append(measured("ytf", root, table, aggregators=aggregators, resamples=resamples))
                print(row(name, runs[name][-1]), flush=True)
    checks = []
    for name in ("mean", "mean, 200 resamples"):
        seconds = statistics.median(r["seconds"] for r in runs[name])
        checks.append((f"{name}: seconds (<= 30)", f"{seconds:.1f}", seconds <= 30))
    finish("ytf_scale", {"runs": runs}, checks)


if __name__ == "__main__":
    main()
