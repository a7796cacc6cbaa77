"""The accuracy of the shipped aggregators beside every closed form, with paired intervals, written to docs/accuracy.md.

python -m benchmarks.accuracy [--weights DIR] [--resamples 1000] [--quick]

Needs the features of LFW and of YouTube Faces in build/features, or FACESET_DATA to extract them from. Everything
between the marks in docs/accuracy.md is replaced, and docs/weights_by_kind.png is drawn anew.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.progress import track

from benchmarks.accuracy_rows import FACES, FULL, LFW, LINES, MODERATE, YTF, Faces, Line, Row, pictures
from benchmarks.accuracy_text import left_out_table, main_table, size_table, weight_table
from benchmarks.aggregators import apply, relative_weights, shipped
from benchmarks.common import ROOT, finish
from benchmarks.make_weights import MARKS, WEIGHTS, between, train
from benchmarks.recipes import DEFAULT, RECIPES
from benchmarks.tables import left_out, table
from faceset.bootstrap import Bootstrap, combine, paired_bootstrap
from faceset.degradations import KINDS
from faceset.metrics import tar_at_far
from faceset.training.data import TrainData, split_subjects

SEEDS = (0, 1, 2)
FARS = (1e-2, 1e-3, 1e-4)
FAR = 1e-3
SIZES = (2, 4, 8, 16, 32)
PAGE = ROOT / "docs" / "accuracy.md"
FIGURE = ROOT / "docs" / "weights_by_kind.png"

Results = dict[str, Bootstrap]


def measure(aggregators: Mapping[str, Any], line: Line, faces: Faces, resamples: int) -> Bootstrap:
    """All aggregators on the sets of one line: the mean over the draws, with resamples of the same people."""
    parts = []
    for seed in SEEDS if line.uses_degraded else SEEDS[:1]:
        row = line.draw(faces, seed)
        scores = {name: row.trials.scores(apply(a, row)[0]) for name, a in aggregators.items()}
        parts.append(paired_bootstrap(scores, row.trials, fars=FARS, resamples=resamples))
    return combine(parts)


def tars(aggregators: Mapping[str, Any], rows: Sequence[Row]) -> dict[str, float]:
    """TAR at 1e-3, the mean over the draws."""
    found: dict[str, list[float]] = {name: [] for name in aggregators}
    for row in rows:
        for name, a in aggregators.items():
            scores = row.trials.scores(apply(a, row)[0])
            found[name].append(tar_at_far(scores[row.trials.same], scores[~row.trials.same], FAR).tar)
    return {name: float(np.mean(values)) for name, values in found.items()}


def by_size(aggregators: Mapping[str, Any], people: TrainData) -> dict[int, dict[str, float]]:
    """Row 5 with other numbers of faces; TAR at 1e-3."""
    faces = Faces(people, high=MODERATE)
    return {n: tars(aggregators, [pictures(faces, s, number=n) for s in SEEDS]) for n in SIZES}


def without_each_kind(data: TrainData, default: Any, mean: Any, people: TrainData) -> dict[str, dict[str, Any]]:
    """Training without one kind, then row 5 with that kind alone and with all kinds, and the weights it gives."""
    found: dict[str, dict[str, Any]] = {}
    every = Faces(people)
    whole = [pictures(every, s) for s in SEEDS]
    for kind in track(KINDS, description="without each kind"):
        model = train(f"without-{kind}", RECIPES[DEFAULT], data, (kind,))[0].aggregator
        only = Faces(people, (kind,))
        rivals = {"mean": mean, DEFAULT: default, "without": model}
        found[kind] = {
            "only": tars(rivals, [pictures(only, s) for s in SEEDS]),
            "all": tars(rivals, whole),
            "weights": relative_weights(model, whole[0]),
        }
    return found


def main() -> None:
    """Measure, write the page and the figure, and check the bars."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", type=Path, default=WEIGHTS, help="folder with the .onnx files")
    parser.add_argument("--resamples", type=int, default=1000)
    parser.add_argument("--quick", action="store_true", help="the table and the bars only; the page is left alone")
    args = parser.parse_args()
    torch.set_num_threads(1)
    lfw, ytf = table(LFW), table(YTF)
    held_out = lfw.only(split_subjects(lfw.subjects, leave_out=left_out()).validation)
    aggregators = shipped(args.weights)
    results: dict[float, Results] = {}
    for high in (MODERATE, FULL):
        faces = {YTF: Faces(ytf, high=high), LFW: Faces(held_out, high=high)}
        results[high] = {}
        for line in track(LINES, description=f"strength up to {high}"):
            known = results.get(MODERATE, {}).get(line.name)
            if line.uses_degraded or known is None:
                known = measure(aggregators, line, faces[line.source], args.resamples)
            results[high][line.name] = known
        print(main_table(results[high], FAR))
    if args.quick:
        finish("accuracy_quick", {}, bars(results, {}, {}))
        return
    sizes = by_size(aggregators, held_out)
    without = without_each_kind(lfw, aggregators[DEFAULT], aggregators["mean"], held_out)
    every = {YTF: Faces(ytf), LFW: Faces(held_out)}
    weights = {
        source: {name: relative_weights(aggregators[name], draw(every[source], 0)) for name in (DEFAULT, "nan", "ers")}
        for source, draw in ((YTF, LINES[1].draw), (LFW, LINES[4].draw))
    }
    _write(results, sizes, without, weights, len(held_out.subjects), args.resamples)
    from benchmarks.accuracy_figure import draw_figure

    draw_figure(weights, {k: v["weights"] for k, v in without.items()}, FIGURE)
    finish(
        "accuracy",
        {
            "rows": {str(h): {n: _plain(b) for n, b in r.items()} for h, r in results.items()},
            "sizes": {str(n): v for n, v in sizes.items()},
            "without": without,
            "weights": weights,
        },
        bars(results, without, weights),
    )


def _plain(result: Bootstrap) -> dict[str, Any]:
    return {
        name: {
            "tar": {f"{far:g}": result.interval(name, far) for far in FARS},
            "minus_mean": result.difference(name, "mean", FAR),
        }
        for name in result.names
    }


def _write(
    results: Mapping[float, Results], sizes: Any, without: Any, weights: Any, people: int, resamples: int
) -> None:
    parts = [
        f"TAR in % at FAR 1e-2 / 1e-3 / 1e-4; in brackets the 95 % interval of the difference to the mean at 1e-3, in "
        f"points: paired bootstrap over people, {resamples} resamples, mean of {len(SEEDS)} draws of the sets "
        "(rows 1 and 4 have no chance in them).",
        f"### Strength of degradation up to {MODERATE:g}",
        main_table(results[MODERATE], FAR),
        f"### Any strength (up to {FULL:g})",
        main_table(results[FULL], FAR),
        "### By number of faces",
        f"Row 5 with N faces instead of {FACES}, {people} people, strength up to {MODERATE:g}; TAR in % at 1e-3.",
        size_table(sizes),
        "### Each kind left out of training",
        'Row 5, any strength, TAR in % at 1e-3. "That kind alone": all degraded faces are of the kind that '
        "training did not see, neither in its sets nor in the centroid.",
        left_out_table(without, DEFAULT),
        "### Weights by kind",
        "Mean weight of the faces of a kind, as a multiple of an equal share (1 / N). Rows 2 and 5, any strength;"
        ' "never trained on" is the model trained without that kind.',
        weight_table(weights, without, DEFAULT),
    ]
    page = PAGE.read_text(encoding="utf-8")
    marks = (MARKS[0].replace("make_weights", "accuracy"), MARKS[1])
    PAGE.write_text(between(page, marks, "\n\n".join(parts)), encoding="utf-8")


def bars(
    results: Mapping[float, Results], without: Mapping[str, Any], weights: Mapping[str, Any]
) -> list[tuple[str, str, bool]]:
    """The bars of the default: bar, what was measured, whether it is met."""
    checks = []
    for high, rows in results.items():
        names = list(rows)
        for i, name in enumerate(names):
            if high != MODERATE and not LINES[i].uses_degraded:
                continue
            gain, low, _ = (100 * v for v in rows[name].difference(DEFAULT, "mean", FAR))
            least = 0.0 if LINES[i].uses_degraded else -1.5
            checks.append(
                (
                    f"<={high:g} row {name[0]}: default - mean, lower bound > {least:g}",
                    f"{gain:+.1f} [{low:+.1f}]",
                    low > least,
                )
            )
        point = {
            n: np.array([100 * rows[r].interval(n, FAR)[0] for r in names]) for n in (DEFAULT, "nan", "ers", "mean")
        }
        for rival in ("nan", "ers"):
            worst = float((point[DEFAULT] - point[rival]).min())
            checks.append((f"<={high:g} default - {rival}, worst row >= -1", f"{worst:+.1f}", worst >= -1.0))
            ahead = float((point[DEFAULT] - point[rival])[[1, 2, 4]].mean())
            checks.append((f"<={high:g} default - {rival}, mean of rows 2, 3, 5 > 0", f"{ahead:+.1f}", ahead > 0))
        cut = 1 - (100 - point[DEFAULT][4]) / (100 - point["mean"][4])
        checks.append((f"<={high:g} row 5: misses cut by >= 40 %", f"{cut:.0%}", cut >= 0.4))
    for kind, found in without.items():
        cut = 1 - (1 - found["all"]["without"]) / (1 - found["all"]["mean"])
        checks.append((f"trained without {kind}, row 5: misses cut by >= 40 %", f"{cut:.0%}", cut >= 0.4))
        # A kind that hardly harms the features leaves nothing to cut; there it must not lose.
        gain = 100 * (found["only"]["without"] - found["only"]["mean"])
        checks.append((f"trained without {kind}, row 5 of that kind alone: - mean > -0.5", f"{gain:+.1f}", gain > -0.5))
    for source, models in weights.items():
        clean = models[DEFAULT]["clean"]
        most = max(w for k, w in models[DEFAULT].items() if k != "clean")
        checks.append((f"{source}: weight of clean > of each kind", f"{clean:.2f} > {most:.2f}", clean > most))
    for kind, found in without.items():
        clean, other = found["weights"]["clean"], found["weights"][kind]
        checks.append((f"never trained on {kind}: clean outweighs it", f"{clean:.2f} > {other:.2f}", clean > other))
    return [(bar, measured, bool(met)) for bar, measured, met in checks]


if __name__ == "__main__":
    main()
