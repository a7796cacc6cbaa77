"""``faceset train`` and ``faceset export``: a feature table into an aggregator, and that into one file."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from faceset.cli import options
from faceset.cli.output import check_format, emit, print_table, remark
from faceset.cli.progress import Bar
from faceset.errors import InputError, MissingExtraError
from faceset.training.config import OPTIMISERS, TrainConfig

if TYPE_CHECKING:
    from faceset.training import TrainData
    from faceset.training.report import Report

DEFAULTS = TrainConfig()
EXTRA = ("onnxscript", "pyarrow", "safetensors", "tensorboard", "torch")


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    app.command()(train)
    app.command()(export)


def train(
    features: Annotated[Path, typer.Argument(metavar="FEATURES", help="The table that `faceset extract` wrote.")],
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
    as_json: options.AsJson = False,
    as_csv: options.AsCsv = False,
    quiet: options.Quiet = False,
) -> None:
    """Train an aggregator and compare it with every closed form on people held out. Goes on after an interruption.

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
    settings = _settings(config, {key: value for key, value in options_given.items() if value is not None})
    names = _names(leave_out)
    _check_folder(run)
    with _extra_named():
        from faceset.features import read
        from faceset.training import TrainData, fit
        from faceset.training.report import compare

        _check_device(device)
        data = TrainData.from_table(read(features))
        kinds = _kinds(without_kinds, data)
        _check_people(features, data, names)
        if names:
            there = len(names.intersection(data.subjects))
            remark(f"{there} of the {len(names)} names in {leave_out} are in the table and left out", quiet=quiet)
        try:
            with Bar("training", quiet=quiet) as bar:
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
        except KeyboardInterrupt:
            remark("interrupted; run the same command again, and it goes on where it was", quiet=False)
            raise typer.Exit(130) from None
        except OSError as error:
            raise InputError(f"{run} cannot be written ({error}); choose a place with room and rights") from error
        if os.environ.get("RANK", "0") != "0":  # torchrun: one process answers
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
        "report": _finite(report.to_dict()),
    }
    _print_report(document, report, as_json=as_json, as_csv=as_csv, quiet=quiet)


def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder that `faceset train` wrote.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write (ONNX).")],
    licence: Annotated[str, typer.Option(help="Licence of the weights, kept in the file (default: unknown).")] = "",
    training_data: Annotated[
        str, typer.Option(help="What it was trained on, kept in the file (default: numbers of people).")
    ] = "",
    as_json: options.AsJson = False,
    as_csv: options.AsCsv = False,
    quiet: options.Quiet = False,
) -> None:
    """Write the aggregator of a run as one ONNX file, which is used without torch.

    Example: faceset export run/ -o aggregator.onnx --licence MIT
    """
    from faceset.aggregation.onnx_aggregator import OnnxAggregator

    check_format(as_json, as_csv)
    with _extra_named():
        from faceset.training import export as write

        try:
            path = write(run, output, licence=licence, training_data=training_data)
        except OSError as error:
            raise InputError(f"{output} cannot be written ({error}); choose a place with room and rights") from error
    written = OnnxAggregator(path)
    said = {key: written.metadata.get(key, "") for key in ("embedder", "training_data", "seed", "licence", "faceset")}
    record = {"file": str(path), "kind": written.kind, "width": written.width, "bytes": path.stat().st_size, **said}
    metrics = json.loads(written.metadata["metrics"])
    if not metrics:
        remark(f"the training of {run} has not ended; these are the best parameters so far", quiet=quiet)
    emit(
        as_json=as_json,
        as_csv=as_csv,
        title=str(path),
        records=[record] if as_csv else [{"field": key, "value": str(value)} for key, value in record.items()],
        columns=list(record) if as_csv else ["field", "value"],
        document={**record, "metrics": metrics},
    )


@contextlib.contextmanager
def _extra_named() -> Iterator[None]:
    """Say which extra brings a module that is missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        name = (error.name or "").partition(".")[0]
        if name not in EXTRA:
            raise
        raise MissingExtraError(
            f"training needs {name}, which is not installed; install the extra: pip install 'faceset[train]'"
        ) from error


def _settings(path: Path | None, given: dict[str, Any]) -> TrainConfig:
    """The settings of the file with the options over them."""
    if path is None:
        return TrainConfig.from_dict(given)
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read as JSON ({error}); give a file of settings") from error
    if not isinstance(values, dict):
        raise InputError(f'{path} holds no settings; it is an object such as {{"loss": "angular", "steps": 900}}')
    try:
        return TrainConfig.from_dict({**values, **given})
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    except (TypeError, AttributeError, ValueError) as error:
        raise InputError(f"{path}: a setting is of the wrong type ({error})") from error


def _names(path: Path | None) -> set[str]:
    """The names in a file, one a line; empty lines do not count."""
    if path is None:
        return set()
    try:
        return {line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()}
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read ({error}); give a text file with a name a line") from error


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


def _check_folder(run: Path) -> None:
    """Refuse a folder that holds something else, so that no file of another is written over."""
    from faceset.errors import ModelFileError

    if run.exists() and not run.is_dir():
        raise InputError(f"{run} is a file; name a folder for the run")
    if run.is_dir() and any(not e.name.startswith(".") for e in run.iterdir()) and not (run / "config.json").is_file():
        raise InputError(f"{run} holds other files and no run; name an empty folder, or one that is not there")
    if (run / "config.json").is_file():
        with _extra_named():
            from faceset.training.runs import read_config
        try:
            read_config(run)
        except ModelFileError as error:
            raise InputError(f"{error}; to train anew, name another folder or delete {run}") from error


def _check_device(device: str) -> None:
    import torch

    try:
        kind = torch.device(device or "cpu").type
    except RuntimeError as error:
        raise InputError(f"device {device!r} is not known to torch; use cpu, cuda or cuda:0") from error
    if kind == "cuda" and not torch.cuda.is_available():
        raise InputError(f"device {device!r} is not there; leave --device out to train on the CPU")


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


def _finite(value: Any) -> Any:
    """The same with None for numbers that are not finite, as JSON has none."""
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and value - value != 0 else value
