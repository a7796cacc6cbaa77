"""Makes the calibrations that ship with the package from LFW, and checks them on YouTube Faces.

python -m benchmarks.make_calibration [--check]

People: the 25 % of LFW that no training saw (benchmarks.make_weights), without those of YouTube Faces. Features are
read from build/features/*.parquet, or extracted first. Written are the JSON files, and the tables in
docs/calibration.md; ``--check`` only makes the tables, from the files that are there.
"""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Iterator

import numpy as np

from benchmarks import tables
from benchmarks.calibration_check import degraded_text, figures, sizes_text
from benchmarks.common import ROOT
from faceset import aggregation, calibration, features
from faceset.calibration.places import file_name
from faceset.feature_table import FeatureTable
from faceset.training.data import split_subjects

SHIPPED = ROOT / "src" / "faceset" / "calibration" / "shipped"
PAGE = ROOT / "docs" / "calibration.md"
AGGREGATORS = ("anchored", "mean", "nan", "ers", "norm")
MARKS = ("<!-- {}: made by python -m benchmarks.make_calibration -->", "<!-- end of {} -->")


def read(name: str) -> FeatureTable:
    """The faces of ``lfw`` or ``ytf``, clean and degraded."""
    path = tables.FOLDER / f"{name}.parquet"
    if not path.exists():
        tables.table(name)
    return features.read(path)


def clean(table: FeatureTable) -> FeatureTable:
    """The clean faces."""
    return table.take(~table.degraded)


def unseen(lfw: FeatureTable) -> FeatureTable:
    """The people of LFW that no training saw, and who are not in YouTube Faces."""
    return lfw.take(lfw.subject.is_in(split_subjects(lfw.subject.names, leave_out=tables.left_out()).validation))


def made(table: FeatureTable) -> Iterator[calibration.Calibration]:
    """One calibration for each aggregator."""
    for name in AGGREGATORS:
        started = time.perf_counter()
        yield calibration.fit(
            table,
            aggregation.get(name, model_id=table.embedder),
            source=f"{np.unique(table.subject.codes).size:,} people of LFW that no training saw",
        )
        print(f"{name}: {time.perf_counter() - started:.1f} s")


def main() -> None:
    """Fit, write, check."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="make the tables only")
    args = parser.parse_args()
    if not args.check:
        SHIPPED.mkdir(exist_ok=True)
        for old in SHIPPED.glob("*.json"):
            old.unlink()
        for one in made(unseen(clean(read("lfw")))):
            calibration.save(one, SHIPPED / file_name(one.model_id, one.aggregator))
    ytf = read("ytf")
    shipped = {}
    for name in AGGREGATORS:
        aggregator = aggregation.get(name, model_id=ytf.embedder)
        shipped[name] = calibration.load(SHIPPED / file_name(ytf.embedder, aggregator.name))
    both = {name: shipped[name] for name in ("anchored", "mean")}
    parts = {
        "thresholds": _thresholds(shipped["anchored"]),
        "sizes": sizes_text(clean(ytf), aggregation.get("mean")),
        "check": figures(clean(ytf), both),
        "degraded": degraded_text(ytf, both),
    }
    text = PAGE.read_text(encoding="utf-8")
    for part, inside in parts.items():
        text = _between(text, part, inside)
        print(f"\n{inside}")
    PAGE.write_text(text, encoding="utf-8")


def _between(text: str, part: str, inside: str) -> str:
    first, last = (mark.format(part) for mark in MARKS)
    pattern = re.compile(re.escape(first) + ".*?" + re.escape(last), re.DOTALL)
    if not pattern.search(text):
        raise SystemExit(f"{PAGE.name} has no marks {first} ... {last}")
    return pattern.sub(lambda _: f"{first}\n\n{inside.strip()}\n\n{last}", text)


def _thresholds(made: calibration.Calibration) -> str:
    """The shipped thresholds of the default aggregator."""
    fars = [p.far for p in made.pairs[0].points]
    lines = ["| faces | people | " + " | ".join(f"FAR {far:g}" for far in fars) + " |", "|---" * (len(fars) + 2) + "|"]
    for pair in made.pairs:
        a, b = (made.classes[i] for i in pair.sizes)
        cells = [f"{p.threshold:.4f}{'' if p.resolved else '*'} ({p.low:.4f}-{p.high:.4f})" for p in pair.points]
        lines.append(f"| {a} and {b} | {pair.people[0]} and {pair.people[1]} | " + " | ".join(cells) + " |")
    lines += ["", "| people in the gallery | " + " | ".join(f"FPIR {p:g}" for p in made.fpirs) + " |"]
    lines.append("|---" * (len(made.fpirs) + 1) + "|")
    for n in made.galleries:
        points = [s for s in made.searches if s.gallery == n]
        cells = [f"{s.threshold:.4f}{'' if s.resolved else '*'} ({s.low:.4f}-{s.high:.4f})" for s in points]
        lines.append(f"| {n} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
