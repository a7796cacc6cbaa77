"""One figure of each kind for each aggregator, over all its experiments."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from faceset.evaluation.results import Metric, Outcome


def summarise(outcomes: Sequence[Outcome]) -> dict[str, dict[str, Metric]]:
    """Aggregator -> metric -> the figure, or its mean and (population) standard deviation over experiments.

    Intervals are of single experiments, so a mean has none: splits share people, and their scatter is what protocols
    with splits report.
    """
    found: dict[str, dict[str, list[Metric]]] = {}
    for outcome in outcomes:
        for name, metric in outcome.metrics.items():
            found.setdefault(outcome.aggregator, {}).setdefault(name, []).append(metric)
    return {a: {name: _one(metrics) for name, metrics in by_name.items()} for a, by_name in found.items()}


def _one(metrics: Sequence[Metric]) -> Metric:
    if len(metrics) == 1:
        return metrics[0]
    values = np.array([m.value for m in metrics])
    mean, std = float(values.mean()), float(values.std())
    note = f"mean of {values.size} splits, standard deviation {std:.4f} (population)"
    return Metric(mean, resolved=all(m.resolved for m in metrics), note=note, std=std)
