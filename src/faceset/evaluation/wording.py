"""How figures and names are written in tables and pages."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Sequence
from typing import TypeVar

import numpy as np

from faceset.evaluation.results import Metric, Outcome, Report

_T = TypeVar("_T", bound=Hashable)

UNRESOLVED = "? fewer than 10 comparisons of different people are accepted at this rate: a single one moves the figure"

_UNSAFE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff"  # no part of HTML or XML
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]"  # what turns the direction of the text around it
)
_UPPER = {"tar@far": "TAR@FAR", "tpir@fpir": "TPIR@FPIR", "eer": "EER", "auc": "AUC", "roc": "ROC", "det": "DET"}


def clean(text: str) -> str:
    r"""``text`` without characters that HTML cannot hold or that turn the direction of what stands around them.

    >>> clean("a\x00b")
    'a\ufffdb'
    """
    return _UNSAFE.sub("\ufffd", text)


def label(metric: str) -> str:
    """The name of a metric as the field writes it.

    >>> label("tar@far=0.001"), label("eer"), label("rank-1")
    ('TAR@FAR=0.001', 'EER', 'Rank-1')
    """
    name, equals, rate = metric.partition("=")
    return f"{_UPPER.get(name, name[:1].upper() + name[1:])}{equals}{rate}"


def percent(value: float | None) -> str:
    """A share in percent with two decimals; ``-`` for none.

    >>> percent(0.99134), percent(None)
    ('99.13', '-')
    """
    return "-" if value is None or not np.isfinite(value) else f"{100 * value:.2f}"


def figure(metric: Metric | None) -> str:
    """A figure in percent with its interval, or its spread over splits; ``?``: see :data:`UNRESOLVED`.

    >>> figure(Metric(0.9913, 0.989, 0.994)), figure(Metric(0.5, resolved=False)), figure(Metric(0.8, std=0.0123))
    ('99.13 [98.90, 99.40]', '50.00 ?', '80.00 ± 1.23')
    """
    if metric is None:
        return "-"
    if metric.std is not None:
        shown = f"{percent(metric.value)} ± {percent(metric.std)}"
    elif metric.low is None or metric.high is None:
        shown = percent(metric.value)
    else:
        shown = f"{percent(metric.value)} [{percent(metric.low)}, {percent(metric.high)}]"
    return shown if metric.resolved else f"{shown} ?"


def unique(names: Iterable[_T]) -> list[_T]:
    """Each once, in the order of first sight."""
    return list(dict.fromkeys(names))


def outcomes_of(report: Report, aggregator: str, task: str | None = None) -> list[Outcome]:
    """The experiments of one aggregator, of one task if it is named."""
    return [o for o in report.outcomes if o.aggregator == aggregator and task in (None, o.task)]


def tasks_of(report: Report) -> list[str]:
    """``verification``, ``identification`` or both, in the order of the report."""
    return unique(o.task for o in report.outcomes)


def metrics_of(report: Report, task: str | None = None) -> list[str]:
    """The names of all figures of a task, or of all tasks, in the order to print."""
    return unique(name for o in report.outcomes if task in (None, o.task) for name in o.metrics)


def totals(outcomes: Sequence[Outcome]) -> dict[str, int]:
    """Counts summed over experiments."""
    found: dict[str, int] = {}
    for outcome in outcomes:
        for name, count in outcome.counts.items():
            found[name] = found.get(name, 0) + int(count)
    return found


def unresolved_of(report: Report, aggregator: str) -> list[str]:
    """The figures of an aggregator that the data cannot resolve, in the summary or in any experiment."""
    summary = report.summary.get(aggregator, {})
    names = [name for name, metric in summary.items() if not metric.resolved]
    names += [n for o in outcomes_of(report, aggregator) for n, m in o.metrics.items() if not m.resolved]
    return unique(names)
