"""The command tree."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from faceset import __version__, settings
from faceset.cli import (
    answers,
    calibrate,
    demo,
    embedder_training,
    evaluate,
    exchange,
    exporting,
    features,
    gallery,
    models,
    people,
    service,
    training,
)

app = typer.Typer(
    name="faceset",
    help="Many faces of one person in, one compact template out: verify and identify people in videos and pictures.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

demo.register(app)
answers.register(app)
people.register(app)
features.register(app)
training.register(app)
exporting.register(app)
embedder_training.register(app)
exporting.register(app)
evaluate.register(app)
calibrate.register(app)
service.register(app)
exchange.register(app, gallery.app)
app.add_typer(models.app, name="models")
app.add_typer(gallery.app, name="gallery")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"faceset {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and stop.", callback=_print_version, is_eager=True)
    ] = False,
    device: Annotated[
        str | None,
        typer.Option(
            help="Where models run: cpu, cuda or cuda:1, an error where that cannot be had "
            "(default: FACESET_DEVICE, else cpu)."
        ),
    ] = None,
) -> None:
    """Many faces of one person in, one compact template out: verify and identify people in videos and pictures."""
    if device is not None:
        os.environ["FACESET_DEVICE"] = settings.device_named(device, "--device")  # processes we start inherit it
