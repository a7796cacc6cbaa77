"""A report of an evaluation on a terminal, as JSON or as CSV."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from faceset.cli.output import print_csv, print_json, print_table, remark, say

if TYPE_CHECKING:
    from faceset.evaluation.results import Report

_PIPE_WIDTH = 200  # as of cli.output


def print_report(report: Report, *, as_json: bool, as_csv: bool, quiet: bool, page: Path | None) -> None:
    """Print a report: tables for people, one JSON document, or a CSV line an aggregator.

    Args:
        report: what to print.
        as_json, as_csv: which form.
        quiet: leave out the remarks on standard error.
        page: the HTML page that will have the rest, if one is written.
    """
    from faceset.evaluation.document import aggregators_of, document, record
    from faceset.evaluation.wording import UNRESOLVED, tasks_of

    if as_json:
        print_json(document(report))
        return
    if as_csv:
        records = [record(report, a) for a in aggregators_of(report)]
        columns = list(dict.fromkeys(key for r in records for key in r))
        print_csv(columns, [[r.get(c) for c in columns] for r in records])
        for note in report.notes:
            remark(note, quiet=quiet)
        return
    left_out = [name for task in tasks_of(report) for name in _print_task(report, task)]
    shown = [m[name] for m in report.summary.values() for name in m if name not in left_out]
    if not all(metric.resolved for metric in shown):
        say(UNRESOLVED)
    for note in report.notes:
        say(note)
    if left_out:
        where = "--json has" if page else "--json and --html have"
        remark(f"{where} also: {', '.join(left_out)}", quiet=quiet)


def _print_task(report: Report, task: str) -> list[str]:
    """Print the table of a task; returns the figures that had no room."""
    from faceset.evaluation.document import aggregators_of
    from faceset.evaluation.wording import figure, label, metrics_of, outcomes_of

    names = [a for a in aggregators_of(report) if outcomes_of(report, a, task)]
    metrics = metrics_of(report, task)
    cells = {m: [figure(report.summary.get(a, {}).get(m)) for a in names] for m in metrics}
    room = shutil.get_terminal_size((_PIPE_WIDTH, 24)).columns - max(map(len, [*names, "aggregator"])) - 4
    shown: list[str] = []
    for m in sorted(metrics, key=lambda m: _rank(report, m)):
        width = max(map(len, [label(m), *cells[m]])) + 3
        if not shown or width <= room:
            shown.append(m)
            room -= width
    shown.sort(key=metrics.index)
    parts = dict.fromkeys(o.part for o in report.outcomes if o.task == task)
    over = f", mean ± standard deviation over {len(parts)} experiments" if len(parts) > 1 else ", 95 % intervals"
    rows = [[a, *(cells[m][i] for m in shown)] for i, a in enumerate(names)]
    print_table(f"{report.protocol}, {task}: figures in %{over}", ["aggregator", *map(label, shown)], rows)
    return [m for m in metrics if m not in shown]


def _rank(report: Report, metric: str) -> int:
    """Which figures come first where not all have room."""
    found = [m[metric] for m in report.summary.values() if metric in m]
    if metric in ("accuracy", "rank-1"):
        return 0
    if "@" not in metric:
        return 2 if metric == "eer" else 4
    return 1 if all(m.resolved for m in found) else 3
