"""An IJB-C-sized evaluation on made-up features: from the files to a finished HTML report.

    python -m benchmarks.ijbc_scale [--rounds 3] [--aggregator mean]

469,375 faces of 512 numbers, 23,124 templates, 15,658,489 pairs; 1:N of 19,593 probes against galleries of 1,772 and
1,759. The files are made first (about 2.3 GB in a temporary folder, removed at the end); then every evaluation runs in
a process of its own, imports and reading included. Bars on two cores: 1:1 in 60 s and 4 GB, 200 resamples of subjects
in 60 s more, 1:N in 20 s.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.common import finish
from benchmarks.evaluation_files import Size, write_ijbc
from benchmarks.evaluation_job import measured, row


def main() -> None:
    """Make the files, run every job by turns, print times and memory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--aggregator", default="mean")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        files = write_ijbc(Path(folder) / "ijbc", Size())
        jobs: dict[str, tuple[Path, dict[str, Any]]] = {
            "1:1": (files.table, {"task": "verify"}),
            "1:1, features as .npy": (files.array, {"task": "verify"}),
            "1:1, 200 resamples": (files.table, {"task": "verify", "resamples": 200}),
            "1:N": (files.table, {"task": "identify"}),
        }
        runs: dict[str, list[dict[str, Any]]] = {name: [] for name in jobs}
        for _ in range(args.rounds):
            for name, (features, options) in jobs.items():
                runs[name].append(measured("ijbc", files.root, features, aggregators=args.aggregator, **options))
                print(row(name, runs[name][-1]), flush=True)
    seconds = {name: statistics.median(r["seconds"] for r in found) for name, found in runs.items()}
    memory = {name: max(r["peak_gb"] for r in found) for name, found in runs.items()}
    more = seconds["1:1, 200 resamples"] - seconds["1:1"]
    checks = [
        *((f"{name}: seconds (<= 60)", f"{seconds[name]:.1f}", seconds[name] <= 60) for name in list(jobs)[:2]),
        *((f"{name}: peak of memory in GB (<= 4)", f"{memory[name]:.2f}", memory[name] <= 4) for name in jobs),
        ("200 resamples of subjects: seconds more (<= 60)", f"{more:.1f}", more <= 60),
        ("1:N: seconds (<= 20)", f"{seconds['1:N']:.1f}", seconds["1:N"] <= 20),
    ]
    finish("ijbc_scale", {"runs": runs}, checks)


if __name__ == "__main__":
    main()
