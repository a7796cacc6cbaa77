"""``faceset models``: which models there are, what they may be used for, and how to bring in others."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from faceset.cli import options
from faceset.cli.output import check_format, emit, print_csv, print_json, remark
from faceset.cli.progress import Bar
from faceset.errors import InputError

if TYPE_CHECKING:
    from faceset.packs.store import ModelInfo

app = typer.Typer(help="List, describe, import and pull models.", no_args_is_help=True)


@app.command(name="list")
def list_all(as_json: options.AsJson = False, as_csv: options.AsCsv = False) -> None:
    """List every known model, whether it is here, and whether it may be used commercially.

    Example: faceset models list
    """
    from faceset.packs.pack import aggregator_of
    from faceset.packs.store import list_models

    check_format(as_json, as_csv)
    found = list_models()
    records = []
    for model in found:
        manifest = model.manifest
        records.append(
            {
                "name": model.name,
                "role": manifest.role if manifest else None,
                "state": model.state,
                "licence": manifest.licence if manifest else None,
                "commercial": manifest.commercial if manifest else None,
                "width": (manifest.width or None) if manifest else None,
                "crop": (manifest.crop or None) if manifest else None,
                "aggregator": aggregator_of(model) or None,
            }
        )
    emit(
        as_json=as_json,
        as_csv=as_csv,
        title=f"{len(found)} models",
        records=records,
        columns=["name", "role", "state", "commercial", "aggregator"]
        + (["licence", "width", "crop"] if as_csv else []),
        document=[_values(model) for model in found],
    )


@app.command(name="info")
def show(
    name: Annotated[str, typer.Argument(help="A name of `faceset models list`.")],
    as_json: options.AsJson = False,
    as_csv: options.AsCsv = False,
) -> None:
    """Describe one model: licence, source, sha256, preprocessing, threshold.

    Example: faceset models info dlib-resnet
    """
    from faceset.packs.store import info

    check_format(as_json, as_csv)
    _describe(info(name), as_json=as_json, as_csv=as_csv)


@app.command(name="import")
def import_file(
    file: Annotated[Path, typer.Argument(help="The ONNX file, or the folder of a pack.")],
    name: Annotated[
        str | None, typer.Option(help="What to call it (default: the name of the file, or the pack's own).")
    ] = None,
    manifest: Annotated[Path | None, typer.Option(help="A TOML manifest that describes it.")] = None,
    role: Annotated[str | None, typer.Option(help="embedder (default), detector or quality.")] = None,
    crop: Annotated[
        str | None, typer.Option(help="Crop geometry: arcface112, sphere112x96, dlib150; arcface<N>, dlib<N>.")
    ] = None,
    colour: Annotated[str | None, typer.Option(help="Channel order the model takes: RGB or BGR.")] = None,
    mean: Annotated[str | None, typer.Option(help="Subtracted from 0..255: one number, or three with commas.")] = None,
    std: Annotated[str | None, typer.Option(help="Divides the rest: one number, or three with commas.")] = None,
    threshold: Annotated[float | None, typer.Option(help="Cosine from which two faces are one person.")] = None,
    threshold_source: Annotated[str | None, typer.Option(help="Where that threshold comes from.")] = None,
    licence: Annotated[str | None, typer.Option(help="Licence of the weights.")] = None,
    commercial: Annotated[str | None, typer.Option(help="Commercial use of the weights: yes, no or unknown.")] = None,
    as_json: options.AsJson = False,
    as_csv: options.AsCsv = False,
) -> None:
    """Copy an ONNX file into the store, with what must be known of it; or a pack, which says that itself.

    Example: faceset models import mine.onnx --crop arcface112 --colour RGB --mean 127.5 --std 127.5

    Example: faceset models import pack/ --name mine
    """
    from faceset.packs.store import import_model

    check_format(as_json, as_csv)
    made = import_model(
        file,
        manifest=manifest,
        name=name,
        role=role,
        crop=crop,
        colour=colour,
        mean=_numbers(mean, "--mean"),
        std=_numbers(std, "--std"),
        threshold=threshold,
        threshold_source=threshold_source,
        licence=licence,
        commercial=commercial,
    )
    _describe(made, as_json=as_json, as_csv=as_csv)


@app.command()
def pull(
    name: Annotated[str, typer.Argument(help="A name of `faceset models list`.")],
    accept_licence: Annotated[
        bool, typer.Option("--accept-licence", help="Your use is within the licence that the command names.")
    ] = False,
    as_json: options.AsJson = False,
    as_csv: options.AsCsv = False,
    quiet: options.Quiet = False,
) -> None:
    """Download a model of the registry, check its sha256 and keep it.

    Example: faceset models pull yunet
    """
    from faceset.packs.store import pull

    check_format(as_json, as_csv)
    with Bar("fetching", quiet=quiet) as bar:
        made = pull(
            name,
            accept_licence=accept_licence,
            progress=lambda done, total: bar.update(name, float(done), None if total is None else float(total)),
        )
    if made.manifest is not None:
        remark(f"licence: {made.manifest.licence}; commercial use: {made.manifest.commercial}", quiet=quiet)
    _describe(made, as_json=as_json, as_csv=as_csv)


def _describe(model: ModelInfo, *, as_json: bool, as_csv: bool) -> None:
    values = _values(model)
    if as_json:
        print_json(values)
    elif as_csv:
        print_csv(list(values), [[_flat(v) for v in values.values()]])
    else:
        emit(
            as_json=False,
            as_csv=False,
            title=model.name,
            records=[{"field": key, "value": str(_flat(value))} for key, value in values.items()],
            columns=["field", "value"],
        )


def _values(model: ModelInfo) -> dict[str, Any]:
    from faceset.packs.pack import aggregator_of

    name = aggregator_of(model)
    return model.to_dict() | ({"aggregator_name": name} if name else {})


def _flat(value: object) -> object:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else value


def _numbers(text: str | None, option: str) -> list[float] | None:
    """One or three numbers of an option."""
    if text is None:
        return None
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        raise InputError(f"{option} {text!r} is not a number, nor three with commas") from None
    return numbers * 3 if len(numbers) == 1 else numbers
