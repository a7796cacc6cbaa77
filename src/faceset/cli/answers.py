"""``faceset template`` and ``faceset verify``: one template, and a yes or no."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from faceset.cli import options
from faceset.cli.output import check_format, counted, emit, print_json, remark, say
from faceset.cli.progress import Bar


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    app.command()(template)
    app.command()(verify)


def template(
    source: Annotated[str, typer.Argument(metavar="SRC", help="Picture, video, folder or stream URL of one person.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Where to write it: .npz or .json.")],
    detector: options.Detector = options.DEFAULT_DETECTOR,
    embedder: options.EmbedderName = None,
    pack: options.PackPath = None,
    aggregator: options.AggregatorName = None,
    fps: options.Fps = options.DEFAULT_FPS,
    as_json: options.AsJson = False,
    as_csv: options.AsCsv = False,
    quiet: options.Quiet = False,
) -> None:
    """Make one template of the person in SRC and write it to a file.

    Example: faceset template grace.mp4 -o grace.npz
    """
    from faceset.templates import check_template_path, save_template

    check_format(as_json, as_csv)
    check_template_path(output)
    recognizer = options.recognizer(detector=detector, embedder=embedder, pack=pack, aggregator=aggregator, fps=fps)
    with Bar("reading", quiet=quiet) as bar:
        made = recognizer.template(source, progress=bar)
    save_template(made, output)
    for sentence in made.left_out:
        remark(sentence, quiet=quiet)
    if as_json:
        summary = {k: v for k, v in made.to_dict().items() if k != "vector"}
        print_json({"file": str(output), **summary})
        return
    records = [
        {"media": f.media, "frame": f.frame, "time": f.time, "score": float(f.score), "weight": float(w)}
        for f, w in zip(made.faces, made.weights, strict=True)
    ]
    if as_csv:
        emit(
            as_json=False, as_csv=True, title="", records=records, columns=["media", "frame", "time", "score", "weight"]
        )
        return
    say(
        f"{output}: {counted(len(made), 'face')}, aggregator {made.aggregator}, "
        f"consistency {made.consistency:.3f}, embedder {made.model_id}"
    )


def verify(
    a: Annotated[str, typer.Argument(metavar="A", help="Picture, video, folder, stream URL or template file.")],
    b: Annotated[str, typer.Argument(metavar="B", help="The same, for the second person.")],
    detector: options.Detector = options.DEFAULT_DETECTOR,
    embedder: options.EmbedderName = None,
    pack: options.PackPath = None,
    aggregator: options.AggregatorName = None,
    fps: options.Fps = options.DEFAULT_FPS,
    threshold: options.ThresholdValue = None,
    far: options.Far = options.DEFAULT_FAR,
    calibration: options.CalibrationFile = None,
    as_json: options.AsJson = False,
    as_csv: options.AsCsv = False,
    quiet: options.Quiet = False,
) -> None:
    """Say whether A and B show the same person. Exit code 0: yes, 1: no.

    Example: faceset verify a.mp4 b.mp4
    """
    check_format(as_json, as_csv)
    recognizer = options.recognizer(
        detector=detector,
        embedder=embedder,
        pack=pack,
        aggregator=aggregator,
        fps=fps,
        threshold=threshold,
        far=far,
        calibration=calibration,
    )
    with Bar("reading", quiet=quiet) as bar:
        decision = recognizer.compare(options.media_or_template(a), options.media_or_template(b), progress=bar)
    for sentence in decision.left_out:
        remark(sentence, quiet=quiet)
    record = decision.to_dict()
    if as_json or as_csv:
        columns = ["same", "score", "threshold", "threshold_source", "far", "faces", "aggregator", "model_id"]
        emit(as_json=as_json, as_csv=as_csv, title="", records=[record], columns=columns, document=record)
    else:
        answer = "same person" if decision.same else "different people"
        sign = ">=" if decision.same else "<"
        say(
            f"{answer}: score {decision.score:.4f} {sign} threshold {decision.threshold:.4f} "
            f"({decision.threshold_source}); {decision.faces[0]} against {counted(decision.faces[1], 'face')}"
        )
    if not decision.same:
        raise typer.Exit(1)
