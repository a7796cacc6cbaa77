"""Writes docs/cli.md from the commands' own help: ``python docs/make_cli.py``; a test holds the two together."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

PAGE = Path(__file__).resolve().parent / "cli.md"
OWN = ("--help", "--install-completion", "--show-completion")


def text() -> str:
    """The page as it should be."""
    from typer.main import get_command

    from faceset.cli.app import app

    head = (
        "# Command line\n\nMade by `python docs/make_cli.py` from the commands' own help. Exit codes: 0 done or yes, "
        "1 no (where the answer is yes or no), 2 bad input, 130 interrupted. Results go to standard output, remarks, "
        "progress and errors to standard error.\n"
    )
    return "\n".join([head, *_pages(get_command(app), "faceset")])


def _pages(command: Any, name: str) -> list[str]:
    children = getattr(command, "commands", {})
    if children:
        about = f"## {name}\n\n{inspect.cleandoc(command.help)}\n"
        pages = [_before_the_command(command)] if name == "faceset" else [about]
        for child, sub in sorted(children.items()):
            pages += _pages(sub, f"{name} {child}")
        return pages
    what, *examples = inspect.cleandoc(command.help).split("\n\nExample: ")
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    options = [p for p in command.params if p.param_type_name == "option" and p.opts[0] not in OWN]
    usage = " ".join([name, *((p.metavar or p.name.upper()) for p in arguments), "[OPTIONS]"])
    lines = [
        f"## {name}",
        "",
        f"`{usage}`",
        "",
        " ".join(what.split()),
        "",
        *(f"Example: `{e.strip()}`\n" for e in examples),
    ]
    lines += ["| argument or option | meaning | default |", "|---|---|---|"]
    for p in arguments:
        lines.append(f"| `{p.metavar or p.name.upper()}` | {p.help} | |")
    return ["\n".join([*lines, *map(_row, options)]) + "\n"]


def _before_the_command(app: Any) -> str:
    """The options of the program itself, such as ``--device``."""
    rows = [_row(p) for p in app.params if p.opts[0] not in OWN]
    usage = "Before the command: `faceset [OPTIONS] COMMAND ...`"
    head = [usage, "", "| option | meaning | default |", "|---|---|---|"]
    return "\n".join([*head, *rows]) + "\n"


def _row(p: Any) -> str:
    default = "required" if p.required else "" if p.default is None or p.default is False else f"`{p.default}`"
    return f"| {', '.join(f'`{o}`' for o in sorted(p.opts, key=len, reverse=True))} | {p.help} | {default} |"


if __name__ == "__main__":
    PAGE.write_text(text(), encoding="utf-8")
