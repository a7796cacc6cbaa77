"""``faceset demo``: the main job on clips rendered from two public-domain portraits."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from faceset.cli import options
from faceset.cli.output import check_format, emit, print_table, remark
from faceset.cli.progress import Bar

if TYPE_CHECKING:
    from faceset.demo.run import DemoResult

COLUMNS = ["step", "question", "answer", "truth", "score", "threshold", "faces", "ok"]


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command()(demo)


def demo(
    folder: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for the clips, galleries and the contact sheet.")
    ] = Path("faceset-demo"),
    seed: Annotated[int, typer.Option(help="Another seed renders other clips.", min=0)] = 0,
    reuse: Annotated[
        bool, typer.Option("--reuse", help="Take the clips that are in the folder instead of rendering.")
    ] = False,
    as_json: options.AsJson = False,
    as_csv: options.AsCsv = False,
    quiet: options.Quiet = False,
) -> None:
    """Render clips of two real people, enrol them, verify and identify; exit code 1 when an answer is wrong.

    Example: faceset demo
    """
    from faceset.demo.run import run_demo

    check_format(as_json, as_csv)
    with Bar("demo:", quiet=quiet) as bar:
        result = run_demo(
            folder, seed=seed, reuse=reuse, hook=lambda what, done, steps: bar.update(what, float(done), float(steps))
        )
    records = [row.to_dict() for row in result.rows]
    if as_json or as_csv:
        emit(as_json=as_json, as_csv=as_csv, title="", records=records, columns=COLUMNS, document=result.to_dict())
    else:
        _print(result)
    if result.correct < result.total:
        remark(f"{result.total - result.correct} answers were wrong", quiet=quiet)
        raise typer.Exit(1)


def _print(result: DemoResult) -> None:
    print_table(
        f"{len(result.clips)} clips in {result.folder / 'clips'}",
        ["clip", "who is in it", "frames", "spoilt"],
        [[c.path.name, ", ".join(c.people), len(c.frames), f"{c.spoilt:.0%}"] for c in result.clips],
    )
    rows = [
        [r.step, r.question, r.answer, r.truth, r.score, r.faces, "right" if r.ok else "WRONG"] for r in result.rows
    ]
    print_table("questions", ["step", "question", "answer", "truth", "score", "faces", ""], rows)
    rendering, answering = result.seconds
    told = set()
    for row in result.rows:
        step = row.step.partition(",")[0]
        if row.threshold_source and step not in told:  # the first of each kind; the others differ by the sizes of sets
            told.add(step)
            typer.echo(f"threshold of {step}: {row.threshold:.3f} ({row.threshold_source})")
    typer.echo(
        f"{result.correct} of {result.total} answers right (aggregator {result.aggregator})\n"
        f"rendering took {rendering:.1f} s, everything else {answering:.1f} s\n"
        f"the faces of one clip with their weights: {result.sheet}"
    )
