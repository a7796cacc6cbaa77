"""Reports made by hand, for the tests of how reports are shown."""

from __future__ import annotations

import numpy as np

from faceset.evaluation.results import Curve, Example, Histogram, Metric, Outcome, Report, SizeRate
from faceset.metrics import roc


def outcome(aggregator: str = "mean", part: str = "", seed: int = 0, shift: float = 2.5, **changes) -> Outcome:
    """A verification of 300 genuine and 3,000 impostor scores, drawn at random, with real curves."""
    rng = np.random.default_rng(seed)
    genuine = np.tanh(rng.normal(shift, 1.0, 300) / 4)
    impostor = np.tanh(rng.normal(0.0, 1.0, 3000) / 4)
    found = roc(genuine, impostor)
    edges = np.linspace(-1, 1, 81)
    values = {
        "aggregator": aggregator,
        "used": f"{aggregator}:1f2e3d4c" if aggregator == "nan" else aggregator,
        "task": "verification",
        "part": part,
        "metrics": {
            "accuracy": Metric(0.9913 - seed / 1000, 0.989, 0.994, note="over subjects, 200 resamples"),
            "tar@far=0.001": Metric(0.97 - seed / 1000, 0.9, 0.98, resolved=False, threshold=0.4),
            "eer": Metric(0.0123, 0.011, 0.014),
            "auc": Metric(0.9991),
        },
        "counts": {"templates": 700, "faces": 1400, "failed_templates": 3, "genuine": 300, "impostors": 3000},
        "curves": {"roc": Curve(found.far, found.tar), "det": Curve(found.far, 1 - found.tar)},
        "histogram": Histogram(edges, np.histogram(genuine, edges)[0], np.histogram(impostor, edges)[0]),
        "by_size": (
            SizeRate(1, 1, 100, 0.001, Metric(0.8, 0.7, 0.9)),
            SizeRate(2, 4, 100, 0.001, Metric(0.9, 0.85, 0.95)),
            SizeRate(5, 8, 0, 0.001, None),
            SizeRate(9, None, 100, 0.001, Metric(0.95)),
        ),
        "examples": (
            Example("missed", -0.25, "t1", "t2", "Ann", "Ann", ("Ann/0.jpg",), ("Ann/1.jpg",)),
            Example("missed", None, "t1", "t9", "Ann", "Ann", ("Ann/0.jpg",), ()),
            Example("false alarm", 0.75, "t1", "t3", "Ann", "Bob", ("Ann/0.jpg",), ("Bob/0.jpg",)),
            Example("easy", 0.99, "t1", "t4", "Ann", "Ann", ("Ann/0.jpg",), ("Ann/2.jpg",)),
            Example("apart", -0.9, "t2", "t3", "Ann", "Bob", ("Ann/1.jpg",), ("Bob/0.jpg",)),
        ),
        "seconds": 1.5,
    }
    return Outcome(**{**values, **changes})


def search(aggregator: str = "mean", part: str = "", seed: int = 0) -> Outcome:
    """An identification."""
    ranks = np.arange(1, 31, dtype=np.float64)
    fpir = np.geomspace(0.002, 1, 200)
    return Outcome(
        aggregator,
        aggregator,
        "identification",
        part,
        {"rank-1": Metric(0.93 + seed / 100), "tpir@fpir=0.01": Metric(0.81 + seed / 100, 0.8, 0.84)},
        {"templates": 90, "searches": 60, "mated": 40},
        {
            "cmc": Curve(ranks, 1 - 0.07 / ranks),
            "open-set": Curve(fpir, 0.8 + 0.15 * (1 + np.log10(fpir) / 3)),
        },
        Histogram(np.linspace(0, 1, 11), np.arange(10), np.arange(10)[::-1].copy()),
    )


def report(*outcomes: Outcome, notes: tuple[str, ...] = ("3 templates failed to enrol",), **signature) -> Report:
    """A report of these outcomes; the summary is the mean over those of one aggregator."""
    outcomes = outcomes or (outcome(), outcome("nan", seed=1, shift=2.8))
    summary: dict[str, dict[str, Metric]] = {}
    for o in outcomes:
        for name, metric in o.metrics.items():
            same = [p.metrics[name] for p in outcomes if p.aggregator == o.aggregator and name in p.metrics]
            values = [m.value for m in same]
            mean = Metric(float(np.mean(values)), std=float(np.std(values)), resolved=all(m.resolved for m in same))
            summary.setdefault(o.aggregator, {})[name] = metric if len(same) == 1 else mean
    made = {
        "protocol": "lfw",
        "files": [{"name": "pairs.txt", "sha256": "ab" * 32, "lines": 6001}],
        "options": {"seed": 0, "media_first": False, "fars": [0.001]},
        "features": {"embedder": "e:1", "settings": {"detector": "mtcnn"}},
        "versions": {"faceset": "0.1.0"},
    }
    return Report("lfw", {**made, **signature}, outcomes, summary, notes)
