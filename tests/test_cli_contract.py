"""The shape of the command line: help, examples, docs, formats, exit codes."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from faceset import __version__
from faceset.cli.app import app

DOCS = Path(__file__).resolve().parent.parent / "docs"


def commands(command: object = None, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every command that does something."""
    command = command if command is not None else get_command(app)
    children = getattr(command, "commands", {})
    if not children:
        yield words
    for name, child in children.items():
        yield from commands(child, (*words, name))


@pytest.mark.parametrize("words", list(commands()), ids=" ".join)
def test_every_command_has_help_with_an_example(words: tuple[str, ...]) -> None:
    shown = CliRunner().invoke(app, [*words, "--help"], prog_name="faceset")
    assert shown.exit_code == 0
    assert f"Example: faceset {' '.join(words)}" in " ".join(shown.output.replace("│", " ").split())


@pytest.mark.parametrize("words", list(commands()), ids=" ".join)
def test_every_command_prints_json_and_csv(words: tuple[str, ...]) -> None:
    if words == ("serve",):
        return  # it answers over HTTP
    shown = CliRunner().invoke(app, [*words, "--help"], prog_name="faceset", env={"TERMINAL_WIDTH": "120"})
    assert "--json" in shown.output
    assert "--csv" in shown.output


def test_the_page_in_the_docs_is_the_help() -> None:
    spec = importlib.util.spec_from_file_location("make_cli", DOCS / "make_cli.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert (DOCS / "cli.md").read_text(encoding="utf-8") == module.text(), "run: python docs/make_cli.py"


def test_version() -> None:
    assert CliRunner().invoke(app, ["--version"]).output == f"faceset {__version__}\n"


def test_a_wrong_option_is_bad_input() -> None:
    assert CliRunner().invoke(app, ["verify", "--nonsense"]).exit_code == 2
