"""Makes the aggregators that ship with the package, from LFW alone.

python -m benchmarks.make_weights [--data DIR] [--output DIR]

Features of LFW are read from build/features/lfw.parquet, or extracted to it first (an hour on two cores). Written are
``<kind>.onnx`` and the figures of training in ``MODEL_CARD.md``. From the same table, on the same machine with the same
versions, the files come out the same to 1e-5.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from benchmarks.common import ROOT, machine
from benchmarks.recipes import ERS_POWER, RECIPES, SEED
from benchmarks.tables import left_out, table
from faceset.training import aggregators
from faceset.training.aggregators.closed import centroid_of
from faceset.training.config import TrainConfig
from faceset.training.data import TrainData, split_subjects
from faceset.training.exporting import export, write_onnx
from faceset.training.trainer import FitResult, fit

WEIGHTS = ROOT / "src" / "faceset" / "aggregation" / "weights"
RUNS = ROOT / "build" / "runs"
LICENCE = "MIT"
TRAINING_DATA = (
    "Labeled Faces in the Wild, deep-funneled, clean and degraded by faceset.degradations; "
    "without the people of YouTube Faces and without a quarter held out by a hash of the name"
)
MARKS = ("<!-- figures: made by python -m benchmarks.make_weights -->", "<!-- end of figures -->")


def train(
    name: str, config: TrainConfig, data: TrainData, without_kinds: tuple[str, ...] = ()
) -> tuple[FitResult, float]:
    """A fresh run in build/runs, and the seconds it took."""
    run = RUNS / name
    shutil.rmtree(run, ignore_errors=True)
    started = time.perf_counter()
    result = fit(data, config, run, leave_out=left_out(), without_kinds=without_kinds, device="cpu", tensorboard=False)
    return result, time.perf_counter() - started


def write_ers(data: TrainData, path: Path, faceset_version: str) -> Path:
    """The closed form, with the centroid of the people that are trained on."""
    split = split_subjects(data.subjects, leave_out=left_out())
    centroid = centroid_of(data.only(split.train).unrecognisable()[0])
    metadata = {
        "kind": "ers",
        "embedder": data.embedder,
        "training_data": TRAINING_DATA,
        "seed": str(SEED),
        "metrics": json.dumps({}),
        "licence": LICENCE,
        "faceset": faceset_version,
    }
    return write_onnx(aggregators.build("ers", data.dim, power=ERS_POWER, centroid=centroid), path, metadata)


def main() -> None:
    """Train, export, and bring the model card up to date."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="folder with lfw/ (default: FACESET_DATA)")
    parser.add_argument("--output", type=Path, default=WEIGHTS, help="where the files go")
    args = parser.parse_args()
    torch.set_num_threads(1)  # sums are formed in another order with another number; and one is the fastest here
    data = table("lfw", None if args.data is None else args.data / "lfw")
    args.output.mkdir(parents=True, exist_ok=True)
    figures: dict[str, Any] = {}
    for name, config in RECIPES.items():
        result, seconds = train(name, config, data)
        path = export(result.run, args.output / f"{name}.onnx", licence=LICENCE, training_data=TRAINING_DATA, kind=name)
        figures[name] = {
            "score": result.score,
            "baseline": result.baseline,
            "step": result.best_step,
            "seconds": seconds,
            "parameters": sum(p.numel() for p in result.aggregator.parameters()),
            "bytes": path.stat().st_size,
            "train": len(result.train),
            "validation": len(result.validation),
        }
        print(f"{name}: {json.dumps(figures[name])}")
    write_ers(data, args.output / "ers.onnx", machine()["faceset"])
    card = args.output / "MODEL_CARD.md"
    if card.exists():
        card.write_text(between(card.read_text(encoding="utf-8"), MARKS, _text(figures, data)), encoding="utf-8")


def between(text: str, marks: tuple[str, str], inside: str) -> str:
    """The text with what stands between the two marks replaced."""
    pattern = re.compile(re.escape(marks[0]) + ".*?" + re.escape(marks[1]), re.DOTALL)
    if not pattern.search(text):
        raise SystemExit(f"the text has no marks {marks[0]} ... {marks[1]}")
    return pattern.sub(lambda _: f"{marks[0]}\n\n{inside.strip()}\n\n{marks[1]}", text)


def _text(figures: Mapping[str, Mapping[str, Any]], data: TrainData) -> str:
    first = next(iter(figures.values()))
    versions = machine()
    lines = [
        f"Table: {len(data.features)} rows, {len(data.medium.names)} pictures of {len(data.subjects)} people; "
        f"trained on {first['train']}, validated on {first['validation']}. Seed {SEED}. Embedder "
        f"`{data.embedder}`. Made with torch "
        f"{torch.__version__}, numpy {versions['numpy']}, Python {versions['python']}.",
        "",
        "| file | parameters trained | size | steps kept | seconds to train | TAR at FAR 1e-3, validation "
        "| the mean there |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, f in figures.items():
        lines.append(
            f"| `{name}.onnx` | {f['parameters']} | {f['bytes'] / 1000:.0f} kB | {f['step']} | {f['seconds']:.0f} | "
            f"{100 * f['score']:.1f} % | {100 * f['baseline']:.1f} % |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
