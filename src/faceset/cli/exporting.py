"""``faceset export``: a trained run into a pack, or the aggregator of a run into one file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from faceset.cli import options
from faceset.cli import training_options as shared
from faceset.cli.output import check_format, emit, remark
from faceset.errors import InputError

if TYPE_CHECKING:
    from faceset.packs.pack import Pack

_OF_PACKS = "Packs"


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command()(export)


def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder that `faceset train` or `train-embedder` wrote.")],
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", help="The folder of the pack; or a file (.onnx) for the aggregator of a run alone."
        ),
    ],
    embedder: Annotated[
        str | None,
        typer.Option(
            help="With the run of an aggregator: the embedder to put in, a name, manifest or pack (default: the one it "
            "was trained for).",
            rich_help_panel=_OF_PACKS,
        ),
    ] = None,
    aggregator: Annotated[
        str | None,
        typer.Option(
            help="With the run of an embedder: a run of `faceset train` on its features, an .onnx file, mean or norm "
            "(default: mean).",
            rich_help_panel=_OF_PACKS,
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(help="What the pack calls itself (default: the name of the run).", rich_help_panel=_OF_PACKS),
    ] = None,
    licence: Annotated[str, typer.Option(help="Licence of the weights (default: inherited, else not stated).")] = "",
    commercial: Annotated[
        str | None,
        typer.Option(help="Commercial use: yes, no or unknown (default: inherited).", rich_help_panel=_OF_PACKS),
    ] = None,
    training_data: Annotated[
        str, typer.Option(help="What it was trained on (default: numbers of people and faces).")
    ] = "",
    threshold: Annotated[
        float | None,
        typer.Option(
            help="Cosine from which two single faces are one person (default: the run's).", rich_help_panel=_OF_PACKS
        ),
    ] = None,
    threshold_source: Annotated[
        str | None, typer.Option(help="How and on whom that was measured.", rich_help_panel=_OF_PACKS)
    ] = None,
    calibration: Annotated[
        Path | None,
        typer.Option(help="A file of `faceset calibrate --pack` to put in.", rich_help_panel=_OF_PACKS),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a pack.", rich_help_panel=_OF_PACKS)] = False,
    relicense: Annotated[
        bool,
        typer.Option(
            "--relicense",
            help="What is said of the licence replaces what was inherited; you hold the rights to say so.",
            rich_help_panel=_OF_PACKS,
        ),
    ] = False,
    accept_licence: Annotated[
        bool,
        typer.Option(
            "--accept-licence",
            help="Copying the embedder into the pack is within its licence.",
            rich_help_panel=_OF_PACKS,
        ),
    ] = False,
    as_json: options.AsJson = False,
    as_csv: options.AsCsv = False,
    quiet: options.Quiet = False,
) -> None:
    """Write a trained run as a pack: embedder, aggregator and what they need, used without torch by --pack.

    An embedder's features without an aggregator are averaged. With -o FILE.onnx only the aggregator of a run of
    `faceset train` is written.

    Example: faceset export run/ -o pack/

    Example: faceset export run/ -o pack/ --embedder dlib-resnet

    Example: faceset export run/ -o aggregator.onnx --licence MIT
    """
    check_format(as_json, as_csv)
    of_packs: dict[str, Any] = {
        "embedder": embedder,
        "aggregator": aggregator,
        "name": name,
        "commercial": commercial,
        "threshold": threshold,
        "threshold_source": threshold_source,
        "calibration": calibration,
        "force": force or None,
        "relicense": relicense or None,
        "accept_licence": accept_licence or None,
    }
    given = {key: value for key, value in of_packs.items() if value is not None}
    with shared.extra_named():
        if output.suffix != ".onnx":
            from faceset.training.packing import export_pack

            pack = export_pack(run, output, licence=licence, data=training_data, **given)
            _print_pack(pack, run, as_json=as_json, as_csv=as_csv, quiet=quiet)
            return
        if given:
            word = next(iter(given)).replace("_", "-")
            raise InputError(f"--{word} is for packs, but {output} names one file; give a folder: -o pack/")
        _check_aggregator(run, output)
        _one_file(
            run, output, licence=licence, training_data=training_data, as_json=as_json, as_csv=as_csv, quiet=quiet
        )


def _check_aggregator(run: Path, output: Path) -> None:
    from faceset.training import runs

    kind = runs.read_config(run, *runs.KINDS).get("kind", "aggregator")
    if kind != "aggregator":
        raise InputError(f"{output} names one file, but {run} is a run of kind {kind}; give a folder: -o pack/")


def _print_pack(pack: Pack, run: Path, *, as_json: bool, as_csv: bool, quiet: bool) -> None:
    from faceset.training import runs

    if "result" not in runs.read_config(run, *runs.KINDS):
        _unfinished(run, quiet=quiet)
    record = pack.to_dict()
    record["aggregator"] = record.pop("aggregator_name", "") or "mean"
    emit(
        as_json=as_json,
        as_csv=as_csv,
        title=str(pack.folder),
        records=[record] if as_csv else [{"field": key, "value": _shown(value)} for key, value in record.items()],
        columns=list(record) if as_csv else ["field", "value"],
        document=pack.to_dict(),
    )
    if pack.manifest.threshold is None and pack.calibration is None:
        remark("the pack has no threshold; verify and identify need --threshold, or `faceset calibrate`", quiet=quiet)


def _one_file(
    run: Path, output: Path, *, licence: str, training_data: str, as_json: bool, as_csv: bool, quiet: bool
) -> None:
    """The aggregator of a run as one ONNX file."""
    from faceset.aggregation.onnx_aggregator import OnnxAggregator
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
        _unfinished(run, quiet=quiet)
    emit(
        as_json=as_json,
        as_csv=as_csv,
        title=str(path),
        records=[record] if as_csv else [{"field": key, "value": str(value)} for key, value in record.items()],
        columns=list(record) if as_csv else ["field", "value"],
        document={**record, "metrics": metrics},
    )


def _unfinished(run: Path, *, quiet: bool) -> None:
    remark(f"the training of {run} has not ended; these are the best parameters so far", quiet=quiet)


def _shown(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
