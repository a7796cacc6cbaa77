"""The command tree."""

from __future__ import annotations

from typing import Annotated

import typer

from faceset import __version__
from faceset.cli import (
    answers,
    calibrate,
    demo,
    evaluate,
    exchange,
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
) -> None:
    """Many faces of one person in, one compact template out: verify and identify people in videos and pictures."""
