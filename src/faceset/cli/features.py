"""``faceset extract``: pictures and videos of many people into one feature table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from faceset.cli import options
from faceset.cli.output import check_format, emit, remark, warnings_shown
from faceset.cli.progress import Bar

if TYPE_CHECKING:
    from faceset.extraction import ExtractReport

COLUMNS = ["people", "media", "faces", "degraded", "without_face", "failed"]


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command()(extract)


def extract(
    root: Annotated[
        Path,
        typer.Argument(
            metavar="ROOT", help="Folder laid out as <person>/<medium>: pictures, videos, or folders of frames."
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The feature table (Parquet).")],
    degrade: Annotated[int, typer.Option(help="Degraded copies of every face.", min=0)] = 0,
    kinds: Annotated[
        str | None, typer.Option(help="Kinds of degradation to draw from, with commas (default: all).")
    ] = None,
    low: Annotated[float, typer.Option(help="Least strength of a degradation.", min=0.0, max=1.0)] = 0.0,
    high: Annotated[float, typer.Option(help="Greatest strength of a degradation.", min=0.0, max=1.0)] = 1.0,
    seed: Annotated[int, typer.Option(help="Of the kinds and strengths that are drawn.", min=0)] = 0,
    fps: options.Fps = options.DEFAULT_FPS,
    detector: options.Detector = options.DEFAULT_DETECTOR,
    embedder: options.EmbedderName = options.DEFAULT_EMBEDDER,
    as_json: options.AsJson = False,
    as_csv: options.AsCsv = False,
    quiet: options.Quiet = False,
) -> None:
    """Extract the features of everybody in ROOT. Goes on after an interruption, and adds new media to a finished table.

    Example: faceset extract lfw/ -o features.parquet --degrade 4
    """
    import faceset.features  # noqa: F401 - names the extra that is missing before any model is loaded
    from faceset.extraction import ExtractConfig
    from faceset.extraction import extract as run

    check_format(as_json, as_csv)
    given = {} if kinds is None else {"kinds": tuple(kind.strip() for kind in kinds.split(","))}
    config = ExtractConfig(degrade=degrade, low=low, high=high, seed=seed, fps=fps or 0.0, **given)
    pipeline = options.recognizer(detector=detector, embedder=embedder).pipeline
    with warnings_shown(quiet=quiet), Bar("extracting", quiet=quiet) as bar:
        try:
            _, report = run(
                root,
                output,
                pipeline,
                config,
                progress=lambda done, media, faces: bar.update("", float(done), float(media), f"{faces} faces"),
            )
        except KeyboardInterrupt:
            remark("interrupted; run the same command again, and it goes on where it was", quiet=False)
            raise typer.Exit(130) from None
    _print(report, output, as_json=as_json, as_csv=as_csv, quiet=quiet)


def _print(report: ExtractReport, output: Path, *, as_json: bool, as_csv: bool, quiet: bool) -> None:
    if not report.added:
        remark(f"nothing to do: {output} holds all {report.done_before} media", quiet=quiet)
    record = {
        **report.to_dict(),
        "without_face": len(report.without_face),
        "failed": len(report.failed),
    }
    for count, what in ((record["without_face"], "without a face"), (record["failed"], "that cannot be read")):
        if count and not as_json:
            remark(f"files {what}: {count}; --json lists them", quiet=quiet)
    emit(
        as_json=as_json,
        as_csv=as_csv,
        title=str(output),
        records=[record],
        columns=COLUMNS,
        document={"file": str(output), **report.to_dict()},
    )
