"""The feature tables of the accuracy benchmarks, extracted when they are not there yet."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from rich.progress import Progress

from benchmarks.common import ROOT, data_dir
from faceset.extraction import ExtractConfig, extract
from faceset.feature_table import FeatureTable
from faceset.recognizer import Recognizer
from faceset.training.data import TrainData

FOLDER = ROOT / "build" / "features"
CONFIG = ExtractConfig(degrade=5, seed=0)
"""Each face clean and in 5 degraded copies, all kinds, any strength."""


def table(name: str, source: Path | None = None) -> TrainData:
    """Features of ``lfw`` or ``ytf`` with the default pack, rows in an order that does not depend on the work.

    Raises:
        FeatureTableError: the table that is there was made with other settings or another embedder.
    """
    pipeline = Recognizer(aggregator="mean").pipeline  # the weights may be what is being made
    with Progress() as bar:
        task = bar.add_task(f"features of {name}", total=None)
        found, _ = extract(  # a finished table is only read
            source or data_dir() / name,
            FOLDER / f"{name}.parquet",
            pipeline,
            CONFIG,
            progress=lambda done, total, faces: bar.update(task, completed=done, total=total),
        )
    return TrainData.from_table(sorted_rows(found))


def left_out() -> tuple[str, ...]:
    """Names in ``ytf_identities.txt``: the people of YouTube Faces, who are in no part of training or validation."""
    text = (data_dir() / "ytf_identities.txt").read_text(encoding="utf-8")
    return tuple(line.strip() for line in text.splitlines() if line.strip())


def sorted_rows(found: FeatureTable) -> FeatureTable:
    """By medium, frame, kind and strength."""
    order = np.lexsort([found.strength, found.kind.codes, found.frame, found.medium.codes])
    return found.take(order)
