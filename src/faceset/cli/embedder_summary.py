"""What ``faceset train-embedder`` prints of a network: how it gets on, and what it can do."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from faceset.cli import training_options as shared
from faceset.cli.output import counted, emit, print_table, remark, say

if TYPE_CHECKING:
    from faceset.training.embedder import EmbedderResult
    from faceset.training.faces import PrepareReport


def note(figures: Mapping[str, float]) -> str:
    """What stands behind the bar of training."""
    shown = [f"loss {figures['loss']:.4f}"] if figures["loss"] == figures["loss"] else []
    speed = figures.get("images_per_second", float("nan"))
    shown += [f"{speed:.0f} images/s"] if speed == speed else []
    tars = [name for name in figures if name.startswith("tar/single/")]
    shown += [f"TAR {figures[tars[-1]]:.4f}"] if tars else []
    shown += [f"score {figures['score']:.4f}"] if "score" in figures else []
    shown += [f"best {figures['best']:.4f}"] if figures.get("best") is not None else []
    return "  ".join(shown)


def show(result: EmbedderResult, report: PrepareReport, *, as_json: bool, as_csv: bool, quiet: bool) -> None:
    """The outcome of a run."""
    document = document_of(result, report)
    rows = [
        {"figure": name, "student": value, "teacher": result.teacher.get(name)}
        for name, value in sorted(shared.finite(result.figures).items(), key=_place)
    ]
    if as_json or as_csv:
        names = ["figure", "student", "teacher"]
        emit(as_json=as_json, as_csv=as_csv, title="", records=rows, columns=names, document=document)
        return
    columns = ["figure", "student", *(["teacher"] if result.teacher else [])]
    print_table(
        f"{counted(len(result.validation), 'person', 'people')} never trained on; rates in %",
        [{"figure": "", "student": document["backbone"]}.get(c, c) for c in columns],
        [[said(row["figure"]), *(_shown(row["figure"], row[c]) for c in columns[1:])] for row in rows],
    )
    run = document["run"]
    say(f"{run}: best after {result.best_step} of {counted(result.steps, 'step')}")
    if result.threshold is None:
        say(f"threshold: {result.threshold_source}")
    else:
        say(f"threshold: {result.threshold:.4f} ({result.threshold_source})")
    remark(f"next: faceset export {shlex.quote(run)} -o pack/", quiet=quiet)


def document_of(result: EmbedderResult, report: PrepareReport) -> dict[str, Any]:
    """Everything about a run, for JSON."""
    backbone = result.backbone
    document: dict[str, Any] = {
        "run": str(result.run),
        "backbone": backbone.name,
        "dim": backbone.dim,
        "crop": backbone.crop,
        "parameters": sum(p.numel() for p in backbone.parameters()),
        "steps": result.steps,
        "best_step": result.best_step,
        "score": result.score,
        "threshold": result.threshold,
        "threshold_source": result.threshold_source,
        "figures": result.figures,
        "teacher": result.teacher,
        "trained_on": len(result.train),
        "held_out": len(result.validation),
        "left_out": len(result.left_out),
        "faces": report.to_dict(),
    }
    finite: dict[str, Any] = shared.finite(document)
    return finite


def said(name: str) -> str:
    """A figure in words.

    >>> said("tar/single/0.001"), said("eer/sets"), said("lfw")
    ('TAR at FAR 0.001, single faces', 'EER, sets of faces', 'accuracy on the pairs of LFW')
    """
    kinds = {"single": "single faces", "sets": "sets of faces"}
    what, _, rest = name.partition("/")
    if what == "tar":
        kind, _, far = rest.partition("/")
        return f"TAR at FAR {far}, {kinds.get(kind, kind)}"
    if what == "eer":
        return f"EER, {kinds.get(rest, rest)}"
    return {"lfw": "accuracy on the pairs of LFW", "teacher": "mean cosine to the teacher"}.get(name, name)


def _place(item: tuple[str, float]) -> tuple[int, int, float, str]:
    """Order in a table: single faces before sets, TAR before EER, what is easier to reach first."""
    name = item[0]
    what, _, rest = name.partition("/")
    kind, _, far = rest.partition("/")
    first = ["lfw", "teacher"].index(name) if name in ("lfw", "teacher") else -1
    return first, 0 if kind == "single" else 1, -float(far) if what == "tar" else 0.0, name


def _shown(name: str, value: float | None) -> str:
    shown = "-" if value is None else f"{value:.3f}" if name == "teacher" else f"{100 * value:.1f}"
    return shown.rjust(6)
