"""Printing: a table for people, JSON or CSV for programs; remarks go to standard error."""

from __future__ import annotations

import contextlib
import csv
import json
import logging
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from faceset.errors import InputError


def check_format(as_json: bool, as_csv: bool) -> None:
    """Refuse two output formats at once.

    Raises:
        InputError: both were asked for.
    """
    if as_json and as_csv:
        raise InputError("--json and --csv exclude each other; give one of them")


def print_json(value: object) -> None:
    """One JSON document on standard output."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def print_csv(header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A header line and rows on standard output; None becomes an empty field."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([["" if v is None else _csv_value(v) for v in row] for row in rows])


def print_table(title: str, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table on standard output; columns of numbers are set to the right."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    rows = [list(row) for row in rows]
    table = Table(title=title, title_justify="left")
    for i, name in enumerate(header):
        numbers = bool(rows) and all(isinstance(row[i], int | float) or row[i] is None for row in rows)
        table.add_column(name, justify="right" if numbers else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text("-" if v is None else f"{v:.3f}" if isinstance(v, float) else str(v)) for v in row))
    console = Console()
    if not console.is_terminal:
        console = Console(width=200)
    console.print(table)


def emit(
    *,
    as_json: bool,
    as_csv: bool,
    title: str,
    records: Sequence[Mapping[str, Any]],
    columns: Sequence[str],
    document: object | None = None,
) -> None:
    """Print records in the form asked for; ``columns`` are those of the table and of the CSV."""
    if as_json:
        print_json(document if document is not None else list(records))
    elif as_csv:
        print_csv(columns, [[record[c] for c in columns] for record in records])
    else:
        print_table(title, columns, [[record[c] for c in columns] for record in records])


def remark(message: str, *, quiet: bool) -> None:
    """One line on standard error, unless asked to be quiet."""
    if not quiet:
        sys.stderr.write(message + "\n")


@contextlib.contextmanager
def warnings_shown(*, quiet: bool) -> Iterator[None]:
    """Print what the library warns of, such as lost frames, on standard error."""
    handler = logging.NullHandler() if quiet else logging.StreamHandler()
    handler.setLevel(logging.WARNING)
    logger = logging.getLogger("faceset")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


def _csv_value(value: object) -> object:
    if isinstance(value, list | tuple):
        return "; ".join(str(v) for v in value)
    return f"{value:.6g}" if isinstance(value, float) else value
