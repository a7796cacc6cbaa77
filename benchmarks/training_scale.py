"""Training on 500,000 features of 512 numbers: peak memory of the process that reads the table and trains.

    python -m benchmarks.training_scale [--rows 500000] [--steps 100]

The features are made up and written to a table by one process; another reads it and trains plain NAN.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.common import finish
from faceset import features
from faceset.feature_table import CLEAN, FeatureTable, Labels

WIDTH, FACES_A_MEDIUM, MEDIA_A_PERSON = 512, 5, 4


def make(path: Path, rows: int) -> None:
    """Write a table of random features: people of 4 media of 5 faces, one of which is clean."""
    rng = np.random.default_rng(0)
    number = np.arange(rows)
    media, people = number // FACES_A_MEDIUM, number // (FACES_A_MEDIUM * MEDIA_A_PERSON)
    names = [
        tuple(f"{letter}{i:07d}" for i in range(int(codes[-1]) + 1)) for letter, codes in (("p", people), ("m", media))
    ]
    vectors = rng.standard_normal((rows, WIDTH), dtype=np.float32)
    degraded = number % FACES_A_MEDIUM > 0
    table = FeatureTable(
        embedder="made-up:1",
        vectors=vectors,
        subject=Labels(people.astype(np.int32), names[0]),
        medium=Labels(media.astype(np.int32), names[1]),
        kind=Labels(degraded.astype(np.int32), (CLEAN, "noise")),
        strength=degraded.astype(np.float32),
        track=np.zeros(rows, np.int32),
        frame=number,
        time=np.zeros(rows),
        box=np.tile(np.array([0, 0, 1, 1], np.float32), (rows, 1)),
        landmarks=np.zeros((rows, 5, 2), np.float32),
        score=np.ones(rows, np.float32),
        norm=np.linalg.norm(vectors, axis=1),
    )
    features.write(path, table)


def train(path: Path, steps: int) -> None:
    """Read the table, train, and print seconds and peak memory."""
    import torch

    from faceset.training import TrainConfig, TrainData, fit

    torch.set_num_threads(2)
    start = time.perf_counter()
    data = TrainData.from_table(features.read(path))
    read = time.perf_counter()
    fit(data, TrainConfig(steps=steps, validate_every=steps), path.with_name("run"), tensorboard=False)
    done = time.perf_counter()
    print(read - start, done - read, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)


def main() -> None:
    """Make the table, then train on it in another process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=500_000)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--table", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--part", choices=("make", "train"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.part == "make":
        make(args.table, args.rows)
        return
    if args.part == "train":
        train(args.table, args.steps)
        return
    with tempfile.TemporaryDirectory() as folder:
        again = [sys.executable, "-m", "benchmarks.training_scale", "--table", str(Path(folder) / "t.parquet")]
        again += ["--rows", str(args.rows), "--steps", str(args.steps)]
        subprocess.run([*again, "--part", "make"], check=True)
        done = subprocess.run([*again, "--part", "train"], check=True, stdout=subprocess.PIPE, text=True)
    read, trained, peak = map(float, done.stdout.split())
    print(
        f"{args.rows} features of {WIDTH}: read in {read:.1f} s, {args.steps} steps with validation in {trained:.1f} s"
    )
    figures = {"rows": args.rows, "read_s": read, "train_s": trained, "peak_gb": peak}
    finish("training_scale", figures, [("peak memory of reading and training (< 3 GB)", f"{peak:.2f} GB", peak < 3)])


if __name__ == "__main__":
    main()
