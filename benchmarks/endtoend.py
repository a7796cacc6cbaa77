"""CNN and NAN trained together against NAN on the CNN as it is: dlib's network, LFW to learn from, YouTube Faces after.

python -m benchmarks.endtoend [--seeds 3] [--steps 150] [--threads 1] [--write FILE]

Both come from the same runs: a run's first stage trains NAN on features of the network as it is, and that is the rival.
People of YouTube Faces are left out of LFW. Settings were chosen on people of LFW held out; but before ``keep`` was
raised from 5 to 20 for its clean figures there, a trial of this script on 25 people of YouTube Faces had shown a loss
without ``keep``. ``copies=1`` turned out to flatter validation: see docs/training.md.
Faces are cut from the pictures again with the landmarks of build/features (``benchmarks.tables``), so that nothing is
searched twice. The table in Markdown goes to the terminal, and to a file with --write.
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from rich.progress import Progress, track

from benchmarks.accuracy_rows import FULL, LINES, MODERATE, YTF, Faces
from benchmarks.aggregators import apply
from benchmarks.common import ROOT, data_dir, finish
from benchmarks.tables import CONFIG as EXTRACTED
from benchmarks.tables import FOLDER, left_out, sorted_rows, table
from faceset.alignment import align
from faceset.bootstrap import Bootstrap, combine, paired_bootstrap
from faceset.embedding import Embedder
from faceset.extraction.crops import degraded_crops, generator
from faceset.feature_table import FeatureTable
from faceset.features import read
from faceset.training import backbones
from faceset.training.aggregators.base import Aggregator
from faceset.training.aggregators.closed import Mean
from faceset.training.config import SetConfig
from faceset.training.data import TrainData
from faceset.training.endtoend import EndToEndConfig, load_end_to_end, train_end_to_end
from faceset.training.endtoend.held_out import embedded
from faceset.training.faces.padding import padded_crop, padded_size
from faceset.training.runs import load
from faceset.types import Face, Image

GEOMETRY = "dlib150"
FAR = 1e-3
FARS = (1e-2, FAR)
DRAWS = (0, 1, 2)
"""Of the sets of the rows with chance in them, as in ``benchmarks.accuracy``."""
RUNS = ROOT / "build" / "runs" / "end-to-end"
RECIPE = EndToEndConfig(
    aggregator="nan",
    loss="contrast",
    loss_options={"temperature": 0.01},  # of this network, strangers have a cosine of 0.83 +- 0.03, one person 0.95
    frozen_steps=300,
    frozen_rate=1e-2,
    steps=150,
    sets=SetConfig(subjects=32, min_faces=1, max_faces=3),
    learning_rate=1e-3,
    cnn_rate=0.005,
    keep=20.0,
    average=0.9,
    warmup=10,
    chunk=0,
    checkpoint="none",
    copies=1,
    validate_every=75,
    validation_people=350,
    workers=1,
)
"""One core does about 60 faces a second, so a seed takes some minutes."""


class TableFaces:
    """The clean faces of a feature table as padded crops, cut once and kept: a store for end-to-end training.

    Args:
        found: rows of the table.
        root: folder with the pictures that ``medium`` names.
        path: the file for the crops.
    """

    def __init__(self, found: FeatureTable, root: Path, path: Path) -> None:
        clean = found.take(~found.degraded)
        self.subject, self.medium = clean.subject, clean.medium
        self.fingerprint = f"{clean.embedder} {len(clean)}"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            shape = (len(clean), *padded_size(GEOMETRY), 3)
            crops = np.lib.format.open_memmap(path.with_suffix(".tmp"), "w+", np.uint8, shape)
            for i in track(range(len(clean)), description="crops of LFW"):
                image = picture(root / clean.medium.names[clean.medium.codes[i]])
                crops[i] = padded_crop(image, clean.landmarks[i], GEOMETRY)
            crops.flush()
            path.with_suffix(".tmp").replace(path)
        self._crops = np.load(path, mmap_mode="r", allow_pickle=False)

    def __len__(self) -> int:
        return len(self._crops)

    def padded(self, geometry: str) -> np.ndarray:
        """The crops."""
        if geometry != GEOMETRY:
            raise ValueError(f"only {GEOMETRY} is here, not {geometry}")
        crops: np.ndarray = self._crops
        return crops


def picture(path: Path) -> Image:
    """RGB uint8."""
    found: Image = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
    return found


def ytf_crops(found: FeatureTable, root: Path, path: Path) -> np.ndarray:
    """(M, H, W, 3) crops of all rows of the table of YouTube Faces, degraded ones too, drawn as they were then."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        embedder = Embedder.load()
        crops = np.zeros((len(found), *embedder.geometry.size, 3), np.uint8)
        done = np.zeros(len(found), bool)
        for rows in track(list(_frames(found)), description="crops of YouTube Faces"):
            name, frame = found.medium.names[found.medium.codes[rows[0]]], int(found.frame[rows[0]])
            files = sorted((root / name).iterdir(), key=lambda file: int(file.stem))
            image = picture(files[frame])
            landmarks = found.landmarks[rows[0]]
            x0, y0, x1, y1 = map(float, found.box[rows[0]])
            face = Face((x0, y0, x1, y1), float(found.score[rows[0]]), landmarks, scheme=found.scheme)
            made = {("clean", 0.0): align(image, landmarks, GEOMETRY, scheme=found.scheme)}
            drawn = degraded_crops(image, face, embedder, EXTRACTED, generator(EXTRACTED.seed, name, frame))
            made |= {(kind, float(np.float32(strength))): crop for kind, strength, crop in drawn}
            for row in rows:
                crops[row] = made[found.kind.names[found.kind.codes[row]], float(found.strength[row])]
                done[row] = True
        some = np.random.default_rng(0).permutation(len(found))[:128]
        gap = float(np.abs(embedder.embed(crops[some]) - found.vectors[some]).max())
        if not done.all() or gap > 1e-4:
            raise SystemExit(f"the crops differ from those of the table: features by {gap:.2g}; extract it again")
        np.save(path, crops)
    found_crops: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    return found_crops


def _frames(found: FeatureTable) -> Iterator[np.ndarray]:
    """Rows of each frame of each video."""
    keys = np.stack([found.medium.codes, found.frame], axis=1)
    _, place = np.unique(keys, axis=0, return_inverse=True)
    order = np.argsort(place, kind="stable")
    yield from np.split(order, np.flatnonzero(np.diff(place[order])) + 1)


def looked_at(run: Path, crops: np.ndarray, data: TrainData) -> TrainData:
    """The data with features of the backbone of a run, in float32; they are kept beside the run."""
    path = run.with_name(f"{run.name}-ytf.npy")
    if not path.exists():
        with Progress() as bar, ThreadPoolExecutor(1) as pool:
            task = bar.add_task("features of YouTube Faces", total=len(crops))
            told = partial(_set, bar, task)
            np.save(path, embedded(load_end_to_end(run)[0], len(crops), lambda i: crops[i], pool, told=told))
    return dataclasses.replace(data, features=np.load(path, allow_pickle=False))


def _set(bar: Progress, task: Any, done: int, total: int) -> None:
    bar.update(task, completed=done)


def measured(
    rivals: dict[str, tuple[Aggregator, TrainData]], high: float, resamples: int
) -> dict[str, list[Bootstrap]]:
    """Rows 1 to 3 of the accuracy table: name of the row to a bootstrap for each draw of its sets."""
    found: dict[str, list[Bootstrap]] = {}
    for line in LINES:
        if line.source != YTF or (high == FULL and not line.uses_degraded):
            continue
        name = line.name + (f", strength up to {high:g}" if line.uses_degraded else "")
        for draw in DRAWS if line.uses_degraded else DRAWS[:1]:
            scores: dict[str, Any] = {}
            for rival, (aggregator, data) in rivals.items():
                row = line.draw(Faces(data, high=high), draw)
                scores[rival] = row.trials.scores(apply(aggregator, row)[0])
            found.setdefault(name, []).append(paired_bootstrap(scores, row.trials, fars=FARS, resamples=resamples))
    return found


def markdown(rows: dict[str, Bootstrap], seeds: Sequence[int]) -> str:
    """TAR at 1e-3 of both, and their difference with its interval."""
    lines = [
        f"TAR in % at FAR {FAR:g}, mean of {len(seeds)} seeds; difference in points with its 95 % interval: paired "
        "bootstrap over people",
        "",
        "| sets | mean, CNN as it is | NAN, CNN as it is | mean, CNN tuned | NAN, end to end | NAN: difference |",
        "|---|---|---|---|---|---|",
    ]
    for name, result in rows.items():
        tars = [f"{100 * result.interval(rival, FAR)[0]:.1f}" for rival in ("mean", "nan", "mean tuned", "nan tuned")]
        gain, low, high = (100 * v for v in result.difference("nan tuned", "nan", FAR))
        lines.append(f"| {name} | " + " | ".join(tars) + f" | {gain:+.1f} [{low:+.1f}, {high:+.1f}] |")
    return "\n".join(lines)


def main() -> None:
    """Train the seeds, measure, print the table and check the bar."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=RECIPE.steps)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--resamples", type=int, default=1000)
    parser.add_argument("--runs", type=Path, default=RUNS)
    parser.add_argument("--write", type=Path, help="file for the table in Markdown")
    parser.add_argument("--seed", type=int, help="this seed only, without the table: for several processes")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    cv2.setNumThreads(1)
    table("lfw"), table("ytf")  # extracted where they are not there yet
    lfw, ytf = (sorted_rows(read(FOLDER / f"{name}.parquet")) for name in ("lfw", "ytf"))
    store = TableFaces(lfw, data_dir() / "lfw", ROOT / "build" / "crops" / f"lfw-{GEOMETRY}.npy")
    seeds = range(args.seeds) if args.seed is None else [args.seed]
    figures: dict[str, Any] = {}
    for seed in seeds:
        started = time.perf_counter()
        settings = RECIPE.to_dict() | {"seed": seed, "steps": args.steps}
        with Progress() as bar:
            result = train_end_to_end(
                store,
                EndToEndConfig.from_dict(settings),
                args.runs / str(seed),
                initial=backbones.from_pretrained("dlib-resnet"),
                leave_out=left_out(),
                features=TrainData.from_table(lfw),
                device="cpu",
                tensorboard=False,
                progress=_teller(bar, f"seed {seed}"),
            )
        figures[f"seed {seed}"] = {
            "seconds": time.perf_counter() - started,
            "held out": {"frozen": result.frozen, "end to end": result.score, "mean": result.baseline},
            "kept": {"step": result.best_step, "blend": result.blend},
        }
        print(figures)
        if args.seed is not None:
            crops = ytf_crops(ytf, data_dir() / "ytf", ROOT / "build" / "crops" / f"ytf-{GEOMETRY}.npy")
            looked_at(args.runs / str(seed), crops, TrainData.from_table(ytf))
            return
    rows = compared(args.runs, seeds, ytf, args.resamples)
    text = markdown(rows, seeds)
    print(text)
    if args.write:
        args.write.write_text(text + "\n", encoding="utf-8")
    checks = []
    for name, found in rows.items():
        gain, low, high = (100 * v for v in found.difference("nan tuned", "nan", FAR))
        checks.append(
            (f"row {name}: end to end - as it is >= 0", f"{gain:+.1f} [{low:+.1f}, {high:+.1f}]", gain >= 0.0)
        )
        figures[name] = {rival: found.interval(rival, FAR) for rival in found.names} | {"gain": [gain, low, high]}
    finish("endtoend", figures, checks)


def _teller(bar: Progress, what: str) -> Callable[[str, int, int, Mapping[str, float]], None]:
    """Draws a bar for each stage, and prints the figures of each validation above it."""
    tasks: dict[str, Any] = {}
    last: dict[str, float] = {}

    def told(stage: str, done: int, total: int, figures: Mapping[str, float]) -> None:
        if stage not in tasks:
            tasks[stage] = bar.add_task(f"{what} {stage}", total=total)
        bar.update(tasks[stage], completed=done)
        if figures and figures["tar"] != last.get(stage):
            last[stage] = figures["tar"]
            bar.console.print(what, stage, done, {k: round(v, 4) for k, v in figures.items()})

    return told


def compared(runs: Path, seeds: Sequence[int], ytf: FeatureTable, resamples: int) -> dict[str, Bootstrap]:
    """Each row's bootstrap, the mean over seeds and draws."""
    crops = ytf_crops(ytf, data_dir() / "ytf", ROOT / "build" / "crops" / f"ytf-{GEOMETRY}.npy")
    before = TrainData.from_table(ytf)  # features of the network as it is
    mean = Mean(before.dim)
    parts: dict[str, list[Bootstrap]] = {}
    for seed in seeds:
        after = looked_at(runs / str(seed), crops, before)
        rivals = {
            "mean": (mean, before),
            "nan": (load(runs / str(seed) / "frozen")[0], before),
            "mean tuned": (mean, after),
            "nan tuned": (load_end_to_end(runs / str(seed))[1], after),
        }
        for high in (MODERATE, FULL):
            for name, found in measured(rivals, high, resamples).items():
                parts.setdefault(name, []).extend(found)
    return {name: combine(found) for name, found in parts.items()}


if __name__ == "__main__":
    main()
