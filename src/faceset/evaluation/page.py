"""A report as one HTML page that needs nothing else: no script, no address outside, opens offline."""

from __future__ import annotations

import base64
import importlib.resources
import json
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from faceset.errors import InputError
from faceset.evaluation.combine import size_name, sizes_of
from faceset.evaluation.document import aggregators_of, plain_values
from faceset.evaluation.drawing import look
from faceset.evaluation.markup import brief, bullets, table, terms, text
from faceset.evaluation.pairs import pairs
from faceset.evaluation.plots import Plot, plots
from faceset.evaluation.results import Metric, Report, SizeRate
from faceset.evaluation.wording import (
    UNRESOLVED,
    label,
    metrics_of,
    outcomes_of,
    percent,
    tasks_of,
    totals,
    unique,
    unresolved_of,
)
from faceset.writing import write_whole

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
_TASKS = {"verification": "Verification (1:1)", "identification": "Identification (1:N)"}


def page(report: Report, *, thumbnails: Mapping[str, str] | None = None, command: str = "") -> str:
    """The page as text; the same for the same report.

    Args:
        report: what to show.
        thumbnails: pictures of faces as ``data:`` addresses, by the name of their entry; see
            :mod:`faceset.evaluation.thumbnails`. A pair without them is shown by its names.
        command: what makes the report again.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    classes = {name: f"f{i}" for i, name in enumerate(thumbnails or {})}
    style = (importlib.resources.files("faceset.evaluation") / "page.css").read_text(encoding="utf-8")
    style += "".join(f".{classes[n]}{{background-image:url({uri})}}\n" for n, uri in (thumbnails or {}).items())
    title = f"Evaluation on {report.protocol}"
    sections = [
        _headline(report),
        _measured(report),
        _plots(report),
        _sizes(report),
        _pairs(report, classes),
        _signature(report, command),
    ]
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{text(title)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n<main>\n"
        f"<h1>{text(title)}</h1>\n{''.join(sections)}</main>\n</body>\n</html>\n"
    )


def check(path: Path) -> None:
    """Make sure that a page can be drawn and written there, before the work whose result it shows.

    Raises:
        MissingExtraError: matplotlib is not installed.
        InputError: a folder, or a place that refuses files.
    """
    with look():
        pass
    if path.is_dir():
        raise InputError(f"{path} is a folder; name a file for the page, such as {path / 'report.html'}")
    if path.exists() and not path.is_file():  # a rename would put the page in place of a device
        raise InputError(f"{path} is no regular file; name another file for the page")
    try:
        with tempfile.TemporaryFile(dir=path.parent):
            pass
        if path.exists():
            with path.open("ab"):
                pass
    except OSError as error:
        raise _refused(path, error) from error


def write(path: Path, content: str) -> None:
    """Write the page beside its place, then rename, so that no half page is ever there.

    Raises:
        InputError: the disk refuses.
    """
    try:
        write_whole(path, content.encode())
    except OSError as error:
        raise _refused(path, error) from error


def _refused(path: Path, error: OSError) -> InputError:
    return InputError(f"{path} cannot be written ({error.strerror or error}); choose a place with room and rights")


def _headline(report: Report) -> str:
    shown = []
    for task in tasks_of(report):
        metrics = metrics_of(report, task)
        rows = [
            [text(a), *(_cell(report, a, metric) for metric in metrics)]
            for a in aggregators_of(report)
            if outcomes_of(report, a, task)
        ]
        parts = unique(o.part for o in report.outcomes if o.task == task)
        over = f", mean and standard deviation over {len(parts)} experiments" if len(parts) > 1 else ""
        shown.append(table(f"{_TASKS.get(task, task)}: figures in %{over}", ["Aggregator", *map(label, metrics)], rows))
        if len(parts) > 1:
            shown.append(_by_part(report, task, metrics))
    if any(unresolved_of(report, a) for a in aggregators_of(report)):
        shown.append(f'<p class="foot">{text(UNRESOLVED)}.</p>\n')
    shown += [f'<p class="foot">{text(note)}</p>\n' for note in _intervals(report)]
    return f'<section id="results">\n{"".join(shown)}</section>\n'


def _cell(report: Report, aggregator: str, name: str) -> str:
    metric = report.summary.get(aggregator, {}).get(name)
    return "-" if metric is None else _figure(metric)


def _figure(metric: Metric) -> str:
    mark = "" if metric.resolved else ' <abbr title="too few comparisons to show this rate">?</abbr>'
    if metric.std is not None:
        return f"{percent(metric.value)}{mark}<small>± {percent(metric.std)}</small>"
    if metric.low is None or metric.high is None:
        return f"{percent(metric.value)}{mark}"
    return f"{percent(metric.value)}{mark}<small>{percent(metric.low)} to {percent(metric.high)}</small>"


def _by_part(report: Report, task: str, metrics: list[str]) -> str:
    rows = [
        [f"{text(o.aggregator)}, {text(o.part)}", *(_figure(o.metrics[m]) if m in o.metrics else "-" for m in metrics)]
        for o in report.outcomes
        if o.task == task
    ]
    inner = table("Each experiment, figures in %", ["Aggregator, experiment", *map(label, metrics)], rows)
    return f"<details><summary>Each experiment</summary>\n{inner}</details>\n"


def _intervals(report: Report) -> list[str]:
    """What the intervals of the headline are over, said once for all figures of which it is true."""
    notes: dict[str, dict[str, str]] = {}
    for aggregator, metrics in report.summary.items():
        for name, metric in metrics.items():
            if metric.note:
                notes.setdefault(name, {})[aggregator] = metric.note
    said: dict[str, list[str]] = {}
    for name, by in notes.items():
        same = len(set(by.values())) == 1
        note = next(iter(by.values())) if same else "; ".join(f"{note} ({a})" for a, note in by.items())
        said.setdefault(note, []).append(label(name))
    return [f"{', '.join(names)}: {note}." for note, names in said.items()]


def _measured(report: Report) -> str:
    signature = plain_values(report.signature)
    listed, tables = [("Protocol", text(report.protocol))], ""
    for key, value in signature.items():
        name = key[:1].upper() + key[1:].replace("_", " ")
        if key in ("protocol", "files") or value in (None, "", [], {}):
            continue
        if isinstance(value, list) and all(isinstance(v, dict) for v in value):
            tables += _rows(name, value)
        else:
            listed.append((name, text(brief(value))))
    shown = terms(listed) + bullets(report.notes)
    for task in tasks_of(report):
        counts = {a: totals(found) for a in aggregators_of(report) if (found := outcomes_of(report, a, task))}
        names = unique(name for row in counts.values() for name in row)
        rows = [[text(a), *(f"{row[n]:,}" if n in row else "-" for n in names)] for a, row in counts.items()]
        caption = f"{_TASKS.get(task, task)}: counts, over all experiments"
        shown += table(caption, ["Aggregator", *(n.replace("_", " ") for n in names)], rows) if names else ""
    shown += tables
    files = signature.get("files")
    if isinstance(files, list) and all(isinstance(f, dict) and {"name", "sha256", "lines"} <= set(f) for f in files):
        rows = [[text(f["name"]), text(f["lines"]), f"<code>{text(str(f['sha256'])[:16])}</code>"] for f in files]
        if rows:
            shown += table("Files read", ["File", "Lines", "sha256 begins with"], rows)
    return f'<section id="measured">\n<h2>What was measured</h2>\n{shown}</section>\n'


def _rows(name: str, values: list[dict[str, object]]) -> str:
    """Objects as rows of a table."""
    keys = [k for k in unique(key for value in values for key in value) if any(v.get(k) for v in values)]
    rows = [
        [str(i + 1), *(text(brief(value[key])) if value.get(key) not in (None, "") else "-" for key in keys)]
        for i, value in enumerate(values)
    ]
    return table(name, ["", *keys], rows)


def _plots(report: Report) -> str:
    shown = []
    for task in tasks_of(report):
        drawn = "".join(_plot(plot) for plot in plots(report, task))
        if drawn:
            heading = f"<h3>{text(_TASKS.get(task, task))}</h3>\n" if len(tasks_of(report)) > 1 else ""
            shown.append(f'{heading}<div class="plots">{drawn}</div>\n')
    return f'<section id="plots">\n<h2>Plots</h2>\n{"".join(shown)}</section>\n' if shown else ""


def _plot(plot: Plot) -> str:
    data = base64.b64encode(plot.svg.encode("utf-8")).decode("ascii")
    return (
        f'<figure class="plot"><figcaption>{text(plot.title)}</figcaption>'
        f'<img src="data:image/svg+xml;base64,{data}" alt="{text(plot.text)}"></figure>\n'
    )


def _sizes(report: Report) -> str:
    shown = []
    for task in tasks_of(report):
        found = {a: sizes_of(outcomes_of(report, a, task)) for a in aggregators_of(report)}
        columns = unique(_bin(rate) for rates in found.values() for rate in rates if rate.genuine)
        if not columns:
            continue
        first = {_bin(r): r for rates in found.values() for r in rates}
        header = [f"{size_name(first[c])} ({first[c].genuine:,})" for c in columns]
        rows = []
        for aggregator, rates in found.items():
            by = {_bin(r): r.rate for r in rates}
            cells = [_figure(metric) if (metric := by.get(c)) is not None else "-" for c in columns]
            if rates:
                rows.append([text(aggregator), *cells])
        kind = ("TPIR", "FPIR") if task == "identification" else ("TAR", "FAR")
        far = first[columns[0]].far
        said = f"{kind[0]} in % at {kind[1]} {far:g} by faces in the smaller template (trials); one threshold for all"
        shown.append(table(said, ["Aggregator", *header], rows))
    return f'<section id="sizes">\n<h2>By size of the templates</h2>\n{"".join(shown)}</section>\n' if shown else ""


def _bin(rate: SizeRate) -> tuple[float, int, int | None]:
    return rate.far, rate.low, rate.high


def _pairs(report: Report, classes: Mapping[str, str]) -> str:
    shown = "".join(_pairs_of(report, classes))
    return f'<section id="pairs">\n<h2>Best and worst pairs</h2>\n{shown}</section>\n' if shown else ""


def _pairs_of(report: Report, classes: Mapping[str, str]) -> Iterator[str]:
    state = " open"
    for task in tasks_of(report):
        for aggregator in aggregators_of(report):
            inner = pairs(outcomes_of(report, aggregator, task), classes)
            if inner:
                name = f"{aggregator}, {task}" if len(tasks_of(report)) > 1 else aggregator
                yield f"<details{state}><summary>{text(name)}</summary>\n{inner}</details>\n"
                state = ""


def _signature(report: Report, command: str) -> str:
    again = (
        f'<p>The same files, features and options give the same figures, bit for bit:</p>\n<pre class="wrap">'
        f"{text(command)}</pre>\n"
        if command
        else "<p>Call <code>faceset.evaluation.run.evaluate</code> with the options of the signature.</p>\n"
    )
    full = json.dumps(plain_values(report.signature), indent=2, ensure_ascii=False, allow_nan=False)
    return (
        f'<section id="reproduce">\n<h2>How to reproduce</h2>\n{again}'
        f"<details><summary>Signature</summary>\n<pre>{text(full)}</pre></details>\n</section>\n"
    )
