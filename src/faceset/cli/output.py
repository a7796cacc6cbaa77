"""Printing: a table for people, JSON or CSV for programs; remarks go to standard error.

Names of files and people come from anywhere. What a terminal would act on in them is escaped before it gets there.
"""

from __future__ import annotations

import contextlib
import csv
import json
import logging
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from faceset.errors import InputError

_PIPE_WIDTH = 200
_DIGITS = {"score": 4, "weight": 4}
"""Decimals of the columns of a table that have others than 3: a score may be close to its threshold."""
_UNSAFE = re.compile(
    "[\\x00-\\x1f\\x7f-\\x9f"  # C0 and C1 controls
    "\\u061c\\u200e\\u200f\\u202a-\\u202e\\u2066-\\u2069"  # direction marks and overrides
    "\\u2028\\u2029\\ud800-\\udfff]"  # line breaks, halves of surrogate pairs
)


def plain(text: str) -> str:
    r"""``text`` on one line, with every character that a terminal would act on spelt out.

    Control characters, characters that turn the direction of writing, and half surrogate pairs become ``\x1b`` or
    ``\u202e``; bytes of file names that are no UTF-8 become ``\xe9``.

    >>> plain("a\x1b[31m.jpg")
    'a\\x1b[31m.jpg'
    """
    return _UNSAFE.sub(_spelt, text)


def counted(count: int, one: str, many: str | None = None) -> str:
    """A number with its noun, such as ``1 face`` and ``2 faces``."""
    return f"{count} {one if count == 1 else many or one + 's'}"


def say(text: str) -> None:
    """One line on standard output."""
    sys.stdout.write(plain(text) + "\n")


def check_format(as_json: bool, as_csv: bool) -> None:
    """Refuse two output formats at once.

    Raises:
        InputError: both were asked for.
    """
    if as_json and as_csv:
        raise InputError("--json and --csv exclude each other; give one of them")


def print_json(value: object) -> None:
    """One JSON document on standard output, of valid Unicode; terminal controls in its texts are JSON escapes."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    sys.stdout.write(re.sub(_UNSAFE, lambda m: m[0] if m[0] == "\n" else _json_escape(m[0]), text) + "\n")


def print_csv(header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A header line and rows on standard output; None becomes an empty field.

    A program gets texts as they are, line breaks quoted; a terminal gets them by :func:`plain`.
    """
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([["" if v is None else _csv_value(v) for v in row] for row in rows])


def print_table(title: str, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table on standard output; columns of numbers are set to the right.

    The title may have several lines. Where the output is no terminal, the width is ``COLUMNS``, else 200.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    rows = [list(row) for row in rows]
    lines = "\n".join(map(plain, title.split("\n")))
    table = Table(title=Text(lines, style="table.title"), title_justify="left")
    for i, name in enumerate(header):
        numbers = bool(rows) and all(isinstance(row[i], int | float) or row[i] is None for row in rows)
        table.add_column(name, justify="right" if numbers else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(_cell(v, _DIGITS.get(name, 3))) for v, name in zip(row, header, strict=True)))
    console = Console()
    if not console.is_terminal:
        console = Console(width=_columns())
    console.print(table)


def emit(
    *,
    as_json: bool,
    as_csv: bool,
    title: str,
    records: Sequence[Mapping[str, Any]],
    columns: Sequence[str],
    document: object | None = None,
    headings: Mapping[str, str] | None = None,
) -> None:
    """Print records in the form asked for.

    ``columns`` are those of the table and of the CSV; ``headings`` says what the table calls some of them.
    """
    if as_json:
        print_json(document if document is not None else list(records))
    elif as_csv:
        print_csv(columns, [[record[c] for c in columns] for record in records])
    else:
        names = [(headings or {}).get(c, c) for c in columns]
        print_table(plain(title), names, [[record[c] for c in columns] for record in records])


def remark(message: str, *, quiet: bool) -> None:
    """One line on standard error, unless asked to be quiet."""
    if not quiet:
        sys.stderr.write(plain(message) + "\n")


@contextlib.contextmanager
def warnings_shown(*, quiet: bool) -> Iterator[None]:
    """Print what the library warns of, such as lost frames, on standard error."""
    handler = logging.NullHandler() if quiet else logging.StreamHandler()
    handler.setLevel(logging.WARNING)
    handler.setFormatter(_PlainFormatter())
    logger = logging.getLogger("faceset")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


class _PlainFormatter(logging.Formatter):
    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the name that logging calls
        return plain(super().formatMessage(record))


def _cell(value: object, digits: int) -> str:
    if value is None:
        return "-"
    return f"{value:.{digits}f}" if isinstance(value, float) else plain(str(value))


def _columns() -> int:
    """The width that the environment asks for; rich reads it too, but takes what is no number of columns."""
    asked = os.environ.get("COLUMNS", "")
    return int(asked) if asked.isdecimal() and int(asked) > 0 else _PIPE_WIDTH


def _csv_value(value: object) -> object:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, bool | int):
        return value
    text = "; ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return plain(text) if sys.stdout.isatty() else re.sub("[\ud800-\udfff]", _spelt, text)


def _spelt(match: re.Match[str]) -> str:
    code = ord(match[0])
    if 0xDC80 <= code <= 0xDCFF:  # how Python holds a byte that is no UTF-8
        code -= 0xDC00
    return {9: r"\t", 10: r"\n", 13: r"\r"}.get(code) or (f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}")


def _json_escape(character: str) -> str:
    # Half a surrogate pair can be escaped in JSON, but strict readers refuse it.
    return "\ufffd" if "\ud800" <= character <= "\udfff" else f"\\u{ord(character):04x}"
