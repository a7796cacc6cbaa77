"""A report as plain values, for JSON and CSV. ``docs/evaluation.md`` lists the keys."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from faceset.evaluation.combine import sizes_of
from faceset.evaluation.results import Curve, Example, Metric, Outcome, Report, SizeRate
from faceset.evaluation.wording import metrics_of, outcomes_of, totals, unique, unresolved_of


def document(report: Report, *, curves: bool = False) -> dict[str, Any]:
    """All of a report in types that JSON has; what is not finite is None.

    Args:
        report: the report.
        curves: also the points of curves and the bins of histograms, some thousand numbers an experiment.

    Returns:
        ``protocol``, ``signature``, ``notes``, and ``results`` with one object per aggregator: as :func:`record`, and
        its ``experiments``.
    """
    results = []
    for aggregator in aggregators_of(report):
        experiments = [_experiment(o, curves=curves) for o in outcomes_of(report, aggregator)]
        results.append({**record(report, aggregator), "experiments": experiments})
    found = {
        "protocol": report.protocol,
        "signature": dict(report.signature),
        "notes": list(report.notes),
        "results": results,
    }
    plain: dict[str, Any] = plain_values(found)
    return plain


def record(report: Report, aggregator: str) -> dict[str, Any]:
    """One aggregator as one flat object.

    Every figure stands under its own name (``accuracy``, ``tar@far=0.001``), the ends of its interval under that name
    with ``_low`` and ``_high``, its standard deviation over several experiments with ``_std``. Counts are summed over
    experiments. ``unresolved`` names the figures that the data cannot resolve.
    """
    outcomes = outcomes_of(report, aggregator)
    found: dict[str, Any] = {
        "aggregator": aggregator,
        "used": ", ".join(unique(o.used for o in outcomes)),
    }
    summary = report.summary.get(aggregator, {})
    for name in unique([*metrics_of(report), *summary]):
        if name not in summary:
            continue
        metric = summary[name]
        found[name] = metric.value
        if metric.low is not None or metric.high is not None:
            found[f"{name}_low"], found[f"{name}_high"] = metric.low, metric.high
        if metric.std is not None:
            found[f"{name}_std"] = metric.std
    found["unresolved"] = unresolved_of(report, aggregator)
    found.update(totals(outcomes))
    found["seconds"] = sum(o.seconds for o in outcomes)
    plain: dict[str, Any] = plain_values(found)
    return plain


def aggregators_of(report: Report) -> list[str]:
    """The aggregators, in the order they were asked for."""
    return unique([*(o.aggregator for o in report.outcomes), *report.summary])


def plain_values(value: Any) -> Any:
    """The same in dicts with text keys, lists, texts, numbers, booleans and None; None for what is not finite."""
    if isinstance(value, Mapping):
        return {str(key): plain_values(inner) for key, inner in value.items()}
    if isinstance(value, np.ndarray):
        return plain_values(value.tolist())
    if isinstance(value, list | tuple | set | frozenset):
        return [plain_values(inner) for inner in (sorted(value) if isinstance(value, set | frozenset) else value)]
    if isinstance(value, np.generic):
        return plain_values(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, str | int | bool) else str(value)


def _experiment(outcome: Outcome, *, curves: bool) -> dict[str, Any]:
    found: dict[str, Any] = {
        "part": outcome.part,
        "task": outcome.task,
        "metrics": {name: metric.to_dict() for name, metric in outcome.metrics.items()},
        "counts": dict(outcome.counts),
        "by_size": [_size(rate) for rate in sizes_of([outcome])],
        "examples": [_example(example) for example in outcome.examples],
        "seconds": outcome.seconds,
    }
    if curves:
        found["curves"] = {name: _curve(curve) for name, curve in outcome.curves.items()}
        if outcome.histogram is not None:
            h = outcome.histogram
            found["histogram"] = {"edges": h.edges, "genuine": h.genuine, "impostor": h.impostor}
    return found


def _curve(curve: Curve) -> dict[str, Any]:
    return {"x": curve.x, "y": curve.y}


def _size(rate: SizeRate) -> dict[str, Any]:
    metric: Metric | None = rate.rate
    return {
        "low": rate.low,
        "high": rate.high,
        "genuine": rate.genuine,
        "far": rate.far,
        "rate": None if metric is None else metric.to_dict(),
    }


def _example(example: Example) -> dict[str, Any]:
    return {
        "kind": example.kind,
        "score": example.score,
        "first": example.first,
        "second": example.second,
        "first_subject": example.first_subject,
        "second_subject": example.second_subject,
        "first_media": list(example.first_media),
        "second_media": list(example.second_media),
    }
