"""``faceset extract``: pictures and videos of many people, or the faces a protocol names, into one feature table."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from faceset.cli import options
from faceset.cli.output import check_format, counted, emit, remark, warnings_shown
from faceset.cli.progress import Bar
from faceset.errors import InputError

if TYPE_CHECKING:
    from faceset.extraction import ExtractConfig, ExtractReport
    from faceset.pipeline import Pipeline

COLUMNS = ["people", "media", "faces", "degraded", "fallback", "without_face", "failed", "missing"]
LISTS = ("without_face", "failed", "fallback", "missing")


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
    flip: Annotated[
        bool | None,
        typer.Option(
            "--flip/--no-flip",
            help="Feature of a face: the mean over its crop and the mirror image (default: off; with --protocol on).",
        ),
    ] = None,
    undetected: Annotated[
        str | None,
        typer.Option(
            help="A picture without a detected face: skip it, or take a face in its centre "
            "(default: skip; with --protocol centre)."
        ),
    ] = None,
    protocol: Annotated[
        str | None,
        typer.Option(
            help="Extract only the faces this protocol names: lfw, ytf, ijba, ijbb, ijbc, ...",
            rich_help_panel="Protocol",
        ),
    ] = None,
    protocol_root: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder of the protocol's files (default: ROOT).", rich_help_panel="Protocol"),
    ] = None,
    split: Annotated[
        int | None, typer.Option(help="One split of the protocol (default: all).", rich_help_panel="Protocol")
    ] = None,
    list_: Annotated[
        str | None,
        typer.Option(
            "--list", help="Which list, where a protocol has several, as of evaluate.", rich_help_panel="Protocol"
        ),
    ] = None,
    detector: options.Detector = options.DEFAULT_DETECTOR,
    embedder: options.EmbedderName = None,
    pack: options.PackPath = None,
    as_json: options.AsJson = False,
    as_csv: options.AsCsv = False,
    quiet: options.Quiet = False,
) -> None:
    """Extract the features of everybody in ROOT. Goes on after an interruption, and adds new media to a finished table.

    With --protocol, ROOT is the folder of the pictures, and only what the protocol names is extracted.

    Example: faceset extract lfw/ -o features.parquet --degrade 4
    """
    import faceset.features  # noqa: F401 - names the extra that is missing before any model is loaded
    from faceset.extraction import ExtractConfig

    check_format(as_json, as_csv)
    chosen = {"root": protocol_root, "split": split, "list": list_}
    chosen = {name: value for name, value in chosen.items() if value is not None}
    if chosen and protocol is None:
        raise InputError(f"{_flag(next(iter(chosen)))} goes with --protocol; name the protocol too")
    given = {} if kinds is None else {"kinds": tuple(kind.strip() for kind in kinds.split(","))}
    config = ExtractConfig(
        degrade=degrade,
        low=low,
        high=high,
        seed=seed,
        fps=fps or 0.0,
        flip=flip if flip is not None else protocol is not None,
        undetected=undetected or ("skip" if protocol is None else "centre"),
        **given,
    )
    run = _runner(root, output, config, protocol, chosen, quiet=quiet)
    pipeline = options.recognizer(detector=detector, embedder=embedder, pack=pack).pipeline
    with warnings_shown(quiet=quiet), Bar("extracting", quiet=quiet) as bar:
        try:
            _, report = run(
                pipeline, lambda done, media, faces: bar.update("", float(done), float(media), f"{faces} faces")
            )
        except KeyboardInterrupt:
            remark("interrupted; run the same command again, and it goes on where it was", quiet=False)
            raise typer.Exit(130) from None
    _print(report, output, as_json=as_json, as_csv=as_csv, quiet=quiet)


def _flag(name: str) -> str:
    return "--protocol-root" if name == "root" else f"--{name}"


def _runner(
    root: Path, output: Path, config: ExtractConfig, protocol: str | None, chosen: dict[str, Any], *, quiet: bool
) -> Callable[[Pipeline, Any], Any]:
    """What runs, given the models; a protocol is read first, so that what is wrong with it is said at once."""
    from faceset import extraction

    if protocol is None:
        return lambda pipeline, progress: extraction.extract(root, output, pipeline, config, progress=progress)
    from faceset.cli import protocol_faces
    from faceset.evaluation import protocols

    if "list" in chosen and "pairs" in protocols.options(protocol):
        chosen["pairs"] = chosen.pop("list")  # lfw calls its list by the name of its file
    experiments = protocols.load(protocol, chosen.pop("root", root), **chosen)
    feature = "the mean over crop and mirror image" if config.flip else "of the crop alone"
    blank = extraction.CENTRE_RULE if config.undetected == "centre" else "left out"
    remark(f"protocol {protocol}: feature {feature}; pictures without a detected face: {blank}", quiet=quiet)
    media = protocol_faces.media_of(experiments)
    if media is not None:
        return lambda pipeline, progress: extraction.extract(
            root, output, pipeline, config, media=media, progress=progress
        )
    faces = list(protocol_faces.faces_of(experiments))
    return lambda pipeline, progress: extraction.extract_faces(root, output, pipeline, faces, config, progress=progress)


def _print(report: ExtractReport, output: Path, *, as_json: bool, as_csv: bool, quiet: bool) -> None:
    if not report.added:
        remark(f"nothing to do: {output} holds all {counted(report.done_before, 'medium', 'media')}", quiet=quiet)
    record = {**report.to_dict(), **{name: len(getattr(report, name)) for name in LISTS}}
    said = {
        "without_face": "files without a face",
        "failed": "files or faces that cannot be read or cut out",
        "missing": "named, but not there",
        "fallback": f"faces not detected, and placed by a rule ({report.fallback_rule})",
    }
    for name, what in said.items():
        if record[name] and not as_json:
            remark(f"{what}: {record[name]}; --json lists them", quiet=quiet)
    emit(
        as_json=as_json,
        as_csv=as_csv,
        title=str(output),
        records=[record],
        columns=COLUMNS,
        document={"file": str(output), **report.to_dict()},
    )
