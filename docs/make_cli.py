"""Writes docs/cli.md from the commands' own help: ``python docs/make_cli.py``; a test holds the two together."""

from __future__ import annotations

import os
import re
from pathlib import Path

PAGE = Path(__file__).resolve().parent / "cli.md"


def text() -> str:
    """The page as it should be."""
    os.environ.update({"TERMINAL_WIDTH": "100", "COLUMNS": "100", "NO_COLOR": "1"})
    from typer.main import get_command

    from faceset.cli.app import app

    command = get_command(app)
    parts = ["# Command line\n\nMade by `python docs/make_cli.py` from the commands' own help.\n"]
    parts += _pages(command, "faceset")
    return "\n".join(parts)


def _pages(command: object, name: str) -> list[str]:
    from typer.testing import CliRunner

    from faceset.cli.app import app

    words = name.split()[1:]
    shown = CliRunner().invoke(app, [*words, "--help"], prog_name="faceset", terminal_width=100)
    body = re.sub(r"\x1b\[[0-9;]*m", "", shown.output).strip("\n")
    body = "\n".join(line.rstrip() for line in body.splitlines())
    pages = [f"## {name}\n\n```\n{body}\n```\n"]
    for child, sub in sorted(getattr(command, "commands", {}).items()):
        pages += _pages(sub, f"{name} {child}")
    return pages


if __name__ == "__main__":
    PAGE.write_text(text(), encoding="utf-8")
