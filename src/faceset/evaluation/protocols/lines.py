"""Text files of protocols, read line by line so that an error can name the line.

Strict on purpose: what a lenient reader would mend (a blank line, ``01`` for 1, a space too many) may be the trace of
damage, and a figure from a damaged list is worse than an error. Tolerated are only a byte order mark, CRLF line ends
and a last line without line end, as copies of the official files have them.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from faceset.errors import ProtocolError
from faceset.evaluation.trials import ProtocolFile

FETCH = "fetch the official file anew"
"""The cure where a file is damaged."""

_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,17}")
_DECIMAL = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffd]")


def wrong(name: str, line: int, problem: str, cure: str = FETCH) -> ProtocolError:
    """The error for one line; ``line`` counts from 1."""
    return ProtocolError(f"{name}, line {line}: {problem}; {cure}")


def find_file(root: Path, *names: str) -> str:
    """The first of some relative names that is a file below ``root``.

    Raises:
        ProtocolError: ``root`` is no folder, or none of them is there.
    """
    if not root.is_dir():
        raise ProtocolError(f"{root} is no folder; give the folder that holds {names[0]}")
    for name in names:
        if (root / name).is_file():
            return name
    raise ProtocolError(f"{root} does not hold {' or '.join(names)}; copy the official file there")


def read_bytes(root: Path, name: str) -> bytes:
    """The bytes of ``root/name``.

    Raises:
        ProtocolError: it is missing, unreadable or empty.
    """
    find_file(root, name)
    try:
        data = (root / name).read_bytes()
    except OSError as error:
        raise ProtocolError(f"{root / name} cannot be read ({error.strerror}); check its rights") from error
    if not data.strip():
        raise ProtocolError(f"{name} is empty; {FETCH}")
    return data


@dataclass(frozen=True, slots=True, eq=False)
class TextFile:
    """The lines of a file.

    Attributes:
        name: relative to the root of the protocol, with ``/``.
        sha256: of the bytes.
        lines: without line ends; line n is ``lines[n - 1]``.
        ended: whether the last line has a line end. Where the official file is known to have one and the last field
            may lose characters without becoming invalid, call :meth:`check_ended`.
    """

    name: str
    sha256: str
    lines: tuple[str, ...]
    ended: bool

    def error(self, line: int, problem: str, cure: str = FETCH) -> ProtocolError:
        """To be raised: ``name, line N: problem; cure``."""
        return wrong(self.name, line, problem, cure)

    def record(self, headers: int = 0) -> ProtocolFile:
        """What goes into the signature."""
        return ProtocolFile(self.name, self.sha256, len(self.lines) - headers)

    def check_ended(self) -> None:
        """Raise ProtocolError if the last line has no line end."""
        if not self.ended:
            raise self.error(len(self.lines), "no line end, so that the line may be cut short")

    def rows(
        self, separator: str, fields: int | Sequence[int], first: int = 1, empty: bool = False
    ) -> Iterator[tuple[int, list[str]]]:
        """(line number, fields) of each line from line ``first`` on.

        Args:
            separator: one character or more, exactly.
            fields: the number, or numbers, of fields that a line may have.
            first: number of the first line of data.
            empty: whether a field may be empty.

        Raises:
            ProtocolError: a blank line, another number of fields, an empty field, blanks around a field.
        """
        counts = (fields,) if isinstance(fields, int) else tuple(fields)
        for number, line in enumerate(self.lines[first - 1 :], first):
            parts = line.split(separator)
            if len(parts) not in counts:
                want = " or ".join(map(str, counts))
                found = "a blank line" if not line.strip() else f"{len(parts)} fields"
                raise self.error(number, f"{found} where {want} fields separated by {separator!r} are due")
            for at, part in enumerate(parts, 1):
                if not part and not empty:
                    raise self.error(number, f"field {at} is empty")
                if part != part.strip():
                    raise self.error(number, f"blanks around field {at}, {part!r}")
            yield number, parts

    def integer(self, line: int, text: str, what: str, low: int = 0, high: int = 2**31 - 1) -> int:
        """A whole number as a program writes it: ASCII digits, no leading zero or plus, within ``low .. high``."""
        if not _INTEGER.fullmatch(text):
            raise self.error(line, f"{what} is {text!r}, no whole number in plain form")
        value = int(text)
        if not low <= value <= high:
            raise self.error(line, f"{what} is {text}, outside {low} to {high}")
        return value

    def decimal(self, line: int, text: str, what: str) -> float:
        """A finite decimal number such as ``-12.50`` or ``1e-05``; no nan, inf, plus, underscore or leading zero."""
        if not _DECIMAL.fullmatch(text) or not np.isfinite(float(text)):
            raise self.error(line, f"{what} is {text!r}, no finite decimal number")
        return float(text)

    def decimals(self, rows: Sequence[Sequence[str]], first: int, what: str) -> npt.NDArray[np.float64]:
        """(N, K) float64 of N rows of K texts, row i from line ``first + i``; as :meth:`decimal`, but fast."""
        width = len(rows[0]) if rows else 0
        flat = [text for row in rows for text in row]
        if all(map(_DECIMAL.fullmatch, flat)):
            values = np.array(flat, dtype=object).astype(np.float64).reshape(len(rows), width)
            if np.isfinite(values).all():
                return values
        return np.array([[self.decimal(n, t, what) for t in row] for n, row in enumerate(rows, first)])


def read_text(root: Path, name: str) -> TextFile:
    """A text file in UTF-8.

    Raises:
        ProtocolError: it is missing, unreadable, empty, no UTF-8, or holds control characters (tabs are fine).
    """
    data = read_bytes(root, name)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise wrong(name, data[: error.start].count(b"\n") + 1, "no valid UTF-8") from None
    text = text.replace("\r\n", "\n")
    if found := _CONTROL.search(text):
        raise wrong(name, text.count("\n", 0, found.start()) + 1, "holds a control character")
    ended = text.endswith("\n")
    lines = text.removesuffix("\n").split("\n")
    return TextFile(name, hashlib.sha256(data).hexdigest(), tuple(lines), ended)


def first_repeat(keys: Sequence[object] | npt.NDArray[np.int64]) -> tuple[int, int] | None:
    """(earlier, later) positions, from 0, of the first key that came before; None if all are distinct.

    >>> first_repeat(["a", "b", "a"])
    (0, 2)
    """
    if isinstance(keys, np.ndarray):
        ordered = np.sort(keys)
        if not np.any(ordered[1:] == ordered[:-1]):
            return None
        keys = keys.tolist()
    seen: dict[object, int] = {}
    for at, key in enumerate(keys):
        if seen.setdefault(key, at) != at:
            return seen[key], at
    return None
