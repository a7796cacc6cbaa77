"""``faceset train``: a feature table into an aggregator, or pictures into a CNN and an aggregator."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from faceset.cli import endtoend, options
from faceset.cli import training_options as shared
from faceset.cli.output import check_format, emit, print_table, remark
from faceset.cli.progress import Bar
from faceset.errors import InputError
from faceset.training.config import OPTIMISERS, TrainConfig

if TYPE_CHECKING:
    from faceset.training import TrainData
    from faceset.training.report import Report

DEFAULTS = TrainConfig()
PANEL = "End to end"


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    app.command()(train)


def train(
    features: Annotated[
        Path,
        typer.Argument(
            metavar="FEATURES|ROOT",
            help="The table that `faceset extract` wrote; with --end-to-end, a folder laid out as <person>/<picture>.",
        ),
    ],
    run: Annotated[Path, typer.Option("--output", "-o", help="Folder of the run; a run that is there goes on.")],
    config: Annotated[
        Path | None, typer.Option("--config", help="JSON with any settings of TrainConfig; options win over it.")
    ] = None,
    aggregator: Annotated[
        str | None, typer.Option(help=f"What to train: anchored, nan ... (default: {DEFAULTS.aggregator}).")
    ] = None,
    loss: Annotated[
        str | None,
        typer.Option(help=f"verification, contrast, classification or angular (default: {DEFAULTS.loss})."),
    ] = None,
    optimiser: Annotated[
        str | None, typer.Option(help=f"{' or '.join(OPTIMISERS)} (default: {DEFAULTS.optimiser}).")
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option(help=f"Reached after the warm-up (default: {DEFAULTS.learning_rate:g}).")
    ] = None,
    steps: Annotated[int | None, typer.Option(help=f"Batches (default: {DEFAULTS.steps}).")] = None,
    seed: Annotated[int | None, typer.Option(help=f"Of everything that is drawn (default: {DEFAULTS.seed}).")] = None,
    far: Annotated[float | None, typer.Option(help=f"Target FAR of validation (default: {DEFAULTS.far:g}).")] = None,
    leave_out: Annotated[
        Path | None, typer.Option(help="Text file with a name a line: people neither trained on nor validated with.")
    ] = None,
    without_kinds: Annotated[
        str | None, typer.Option(help="Kinds of degradation to leave out of training, with commas.")
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda ... (default: a GPU when there is one).")] = "",
    end_to_end: Annotated[
        bool,
        typer.Option(
            "--end-to-end",
            help="Train on pictures, CNN and aggregator in one; --config and the defaults are then of EndToEndConfig.",
            rich_help_panel=PANEL,
        ),
    ] = False,
    backbone: Annotated[
        str | None,
        typer.Option(
            help="The CNN: dlib-resnet, googlenet, vgg16, iresnet50 ... (default: dlib-resnet with its weights, or "
            "that of the run in --init).",
            rich_help_panel=PANEL,
        ),
    ] = None,
    init: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|RUN",
            help="Weights the CNN starts from: a checkpoint, or a run of `train-embedder` or of this command.",
            rich_help_panel=PANEL,
        ),
    ] = None,
    faces: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder of the prepared faces, which several runs may share (default: faces in the run).",
            rich_help_panel=PANEL,
        ),
    ] = None,
    detector: Annotated[
        str, typer.Option(help="Face detector: mtcnn, yunet, or an imported one.", rich_help_panel=PANEL)
    ] = options.DEFAULT_DETECTOR,
    as_json: options.AsJson = False,
    as_csv: options.AsCsv = False,
    quiet: options.Quiet = False,
) -> None:
    """Train an aggregator and compare it with every closed form on people held out. Goes on after an interruption.

    With --end-to-end (`faceset train lfw/ -o run/ --end-to-end`) a CNN is trained with it, on pictures.

    Example: faceset train features.parquet -o run/ --aggregator nan
    """
    check_format(as_json, as_csv)
    options_given = {
        "aggregator": aggregator,
        "loss": loss,
        "optimiser": optimiser,
        "learning_rate": learning_rate,
        "steps": steps,
        "seed": seed,
        "far": far,
    }
    given = {key: value for key, value in options_given.items() if value is not None}
    chosen = endtoend.Chosen(backbone, init, faces, detector)
    endtoend.check_source(features, chosen, end_to_end=end_to_end, without_kinds=without_kinds)
    if end_to_end:
        with shared.extra_named():
            told = endtoend.train(features, run, config, given, chosen, leave_out=leave_out, device=device, quiet=quiet)
        if told is not None:
            found, report = told
            found["report"] = shared.finite(report.to_dict())
            _print_report(found, report, as_json=as_json, as_csv=as_csv, quiet=quiet)
        return
    settings = shared.settings(TrainConfig, config, given)
    names = shared.names(leave_out)
    shared.check_folder(run)
    with shared.extra_named():
        from faceset.features import read
        from faceset.training import TrainData, fit
        from faceset.training.device import choose
        from faceset.training.report import compare

        choose(device)
        data = TrainData.from_table(read(features))
        kinds = _kinds(without_kinds, data)
        _check_people(features, data, names)
        if names:
            there = len(names.intersection(data.subjects))
            remark(f"{there} of the {len(names)} names in {leave_out} are in the table and left out", quiet=quiet)
        with shared.resumable(run), Bar("training", quiet=quiet) as bar:
            result = fit(
                data,
                settings,
                run,
                leave_out=names,
                without_kinds=kinds,
                device=device,
                progress=lambda done, total, figures: bar.update(
                    "",
                    float(done),
                    float(total),
                    f"loss {figures['loss']:.4f}  TAR {figures['tar']:.4f}  best {figures['best']:.4f}",
                ),
            )
        if not shared.first_process():  # torchrun: one process answers
            return
        remark(f"comparing on {len(result.validation)} people never trained on", quiet=quiet)
        report = compare({settings.aggregator: result.aggregator}, data.only(result.validation), far=settings.far)
    document = {
        "run": str(run),
        "aggregator": settings.aggregator,
        "steps": result.steps,
        "best_step": result.best_step,
        "score": result.score,
        "baseline": result.baseline,
        "trained_on": len(result.train),
        "report": shared.finite(report.to_dict()),
    }
    _print_report(document, report, as_json=as_json, as_csv=as_csv, quiet=quiet)


def _kinds(text: str | None, data: TrainData) -> list[str]:
    """Kinds of degradation by name; a misspelt one would leave nothing out."""
    wanted = [] if text is None else [kind.strip() for kind in text.split(",")]
    there = [kind for kind in data.kind.names if kind != "clean"]
    unknown = sorted(set(wanted) - set(there))
    if unknown:
        raise InputError(
            f"no face in the table is degraded by {', '.join(unknown)}; there is {', '.join(there) or '-'}"
        )
    return wanted


def _check_people(features: Path, data: TrainData, leave_out: set[str]) -> None:
    """Both parts need pairs of one person and of two."""
    from faceset.training import split_subjects

    split = split_subjects(data.subjects, leave_out=leave_out)
    pairs = {(int(s), int(m)) for s, m in zip(data.subject.codes, data.medium.codes, strict=True)}
    media: dict[str, int] = {}
    for subject, _ in pairs:
        name = data.subject.names[subject]
        media[name] = media.get(name, 0) + 1
    for part, names in (("to train on", split.train), ("to validate with", split.validation)):
        several = sum(media[name] > 1 for name in names)
        if len(names) < 2 or not several:
            raise InputError(
                f"{features}: people {part}: {len(names)}, with two media or more: {several}; two people, one of them "
                f"with two media, are needed (of all {len(data.subjects)} a quarter is held out, chosen by a hash of "
                "the name): extract more people"
            )


def _print_report(document: dict[str, Any], report: Report, *, as_json: bool, as_csv: bool, quiet: bool) -> None:
    table = document["report"]["table"]
    if as_json or as_csv:
        records = [
            {
                "aggregator": name,
                "sets": condition,
                **dict(zip(("tar", "low", "high"), found["tar"], strict=True)),
                **dict(zip(("minus_mean", "minus_mean_low", "minus_mean_high"), found["minus_mean"], strict=True)),
            }
            for condition, row in table.items()
            for name, found in row.items()
        ]
        emit(
            as_json=as_json, as_csv=as_csv, title="", records=records, columns=list(records[0]), document=document
        )  # fmt: skip
        return
    rows = [
        [name, *(_cell(row[name], with_interval=name != "mean") for row in table.values())]
        for name in next(iter(table.values()))
    ]
    print_table(
        f"TAR in % at FAR {report.far:g} on {report.subjects} people never trained on, by kind and size of the sets\n"
        "in brackets: 95 % interval of the difference to the mean, in points",
        ["aggregator", *table],
        rows,
    )
    typer.echo(
        f"{document['run']}: {document['aggregator']}, best after {document['best_step']} of {document['steps']} steps"
    )
    unresolved = [name for name, good in document["report"]["resolved"].items() if not good]
    if unresolved:
        remark(
            f"too few people to measure a FAR of {report.far:g} in {', '.join(unresolved)}; take --far larger, or more "
            "people",
            quiet=quiet,
        )


def _cell(found: dict[str, list[float | None]], *, with_interval: bool) -> str:
    tar = found["tar"][0]
    _, low, high = found["minus_mean"]
    shown = "-" if tar is None else f"{100 * tar:.1f}"
    return (
        shown if not with_interval or low is None or high is None else f"{shown} [{100 * low:+.1f}, {100 * high:+.1f}]"
    )
