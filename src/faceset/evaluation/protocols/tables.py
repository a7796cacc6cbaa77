"""Big tables of whole numbers, and CSV files with a header."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from faceset.errors import ProtocolError
from faceset.evaluation.protocols.lines import FETCH, TextFile, find_file, read_text, wrong
from faceset.evaluation.trials import Ints, ProtocolFile

CHUNK = 1 << 20
"""Bytes parsed at a time: small enough for the caches of a desktop processor to help, large enough for NumPy to pay."""

_DIGITS = 9
"""Longest number that the fast path takes; below 2**31 whatever the digits."""


@dataclass(frozen=True, slots=True, eq=False)
class IntegerFile:
    """A file of whole numbers.

    Attributes:
        name, sha256: see :class:`~faceset.evaluation.protocols.lines.TextFile`.
        values: (N, columns); row i is line ``first + i``.
        first: number of the first line of data: 1, or 2 after a header.
    """

    name: str
    sha256: str
    values: Ints
    first: int = 1

    def line(self, row: int) -> int:
        """The line number of a row counted from 0."""
        return self.first + row

    def error(self, row: int, problem: str, cure: str = FETCH) -> ProtocolError:
        """To be raised for a row, from 0: ``name, line N: problem; cure``."""
        return wrong(self.name, self.line(row), problem, cure)

    def record(self) -> ProtocolFile:
        """What goes into the signature."""
        return ProtocolFile(self.name, self.sha256, len(self.values))


def read_integers(root: Path, name: str, columns: int, separator: str = " ", header: str = "") -> IntegerFile:
    """A file whose every line is ``columns`` whole numbers from 0 to 2**31 - 1; ``header`` may stand above them.

    Numbers are taken in the one form that a program writes: no leading zero, no sign. A file in regular form, LF line
    ends and up to 9 digits a number, is parsed by NumPy in blocks; any other is read line by line, which takes a
    hundred times as long and either copes (CRLF, a byte order mark, longer numbers) or names the line that is wrong.

    Raises:
        ProtocolError: a missing, empty or unreadable file; a line of another form.
    """
    find_file(root, name)
    try:
        fast = _parse_file(root / name, columns, ord(separator), header)
    except OSError as error:
        raise ProtocolError(f"{root / name} cannot be read ({error.strerror}); check its rights") from error
    if fast is not None:
        return IntegerFile(name, *fast)
    text = read_text(root, name)
    first = 2 if header and text.lines[0] == header else 1
    values = [
        [text.integer(number, part, f"field {at}") for at, part in enumerate(parts, 1)]
        for number, parts in text.rows(separator, columns, first)
    ]
    if not values:
        raise text.error(1, "a header and no rows")
    return IntegerFile(name, text.sha256, np.array(values, dtype=np.int64), first)


def _parse_file(path: Path, columns: int, separator: int, header: str) -> tuple[str, Ints, int] | None:
    """(sha256, (N, columns) values, number of the first line of data) of a file in regular form, else None."""
    digest = hashlib.sha256()
    blocks: list[npt.NDArray[np.int32]] = []
    rest = b""
    with path.open("rb") as file:
        above = f"{header}\n".encode()
        first = 2 if header and file.read(len(above)) == above else 1
        if first == 2:
            digest.update(above)
        else:
            file.seek(0)
        while data := file.read(CHUNK):
            digest.update(data)
            end = data.rfind(b"\n") + 1
            if not end and len(rest) + len(data) > CHUNK:
                return None  # a line of megabytes
            if end:
                block = _parse(rest + data[:end], columns, separator)
                if block is None:
                    return None
                blocks.append(block)
                rest = b""
            rest += data[end:]
    if rest:
        block = _parse(rest + b"\n", columns, separator)
        if block is None:
            return None
        blocks.append(block)
    if not blocks:
        return None
    values = np.empty((sum(map(len, blocks)), columns), dtype=np.int64)
    at = 0
    for block in blocks:
        values[at : at + len(block)] = block
        at += len(block)
    return digest.hexdigest(), values, first


def _parse(data: bytes, columns: int, separator: int) -> npt.NDArray[np.int32] | None:
    """(N, columns) of whole lines in regular form, else None.

    Every byte is a digit or ends a field, and the bytes that end fields are ``columns - 1`` separators and a line
    feed, over and over. Then number k has the digits between end k - 1 and end k, and digits are summed by place.
    """
    raw = np.frombuffer(data, dtype=np.uint8)
    digits = raw - np.uint8(ord("0"))  # wraps below "0", so that one comparison finds all that is no digit
    ends = np.flatnonzero(digits > 9).astype(np.int32)
    if ends.size % columns:
        return None
    pattern = raw[ends].reshape(-1, columns)
    if np.any(pattern[:, -1] != ord("\n")) or np.any(pattern[:, :-1] != separator):
        return None
    lengths = np.diff(ends, prepend=np.int32(-1)) - 1
    longest = int(lengths.max())
    if lengths.min() < 1 or longest > _DIGITS:
        return None
    if np.any((digits[ends - lengths] == 0) & (lengths > 1)):
        return None  # a leading zero
    values = digits[ends - 1].astype(np.int32)
    for place in range(1, longest):
        has = np.flatnonzero(lengths > place)
        values[has] += digits[ends[has] - (place + 1)].astype(np.int32) * np.int32(10**place)
    return values.reshape(-1, columns)


@dataclass(frozen=True, slots=True, eq=False)
class CsvFile:
    """A CSV file with a header, all fields as text.

    Attributes:
        file: the lines it was read from.
        columns: name -> the field of each row.
    """

    file: TextFile
    columns: dict[str, tuple[str, ...]]

    def __len__(self) -> int:
        return len(self.file.lines) - 1

    def __getitem__(self, column: str) -> tuple[str, ...]:
        return self.columns[column]

    def line(self, row: int) -> int:
        """The line number of a row counted from 0."""
        return row + 2

    def error(self, row: int, problem: str, cure: str = FETCH) -> ProtocolError:
        """To be raised for a row, from 0: ``name, line N: problem; cure``."""
        return self.file.error(self.line(row), problem, cure)

    def record(self) -> ProtocolFile:
        """What goes into the signature."""
        return self.file.record(headers=1)


def read_csv(root: Path, name: str, required: Sequence[str]) -> CsvFile:
    """A CSV file with a header and no quoting, as NIST's are; columns in any order, further ones allowed.

    Raises:
        ProtocolError: a missing or damaged file, a required column missing, a column twice, a quote, no rows, or a
            row with another number of fields. Fields may be empty.
    """
    file = read_text(root, name)
    header = file.lines[0].split(",")
    missing = [column for column in required if column not in header]
    if missing:
        raise file.error(1, f"the header has no column {', '.join(missing)}")
    for column in header:
        if header.count(column) > 1:
            raise file.error(1, f"the header has column {column!r} twice")
    if len(file.lines) == 1:
        raise file.error(1, "a header and no rows")
    rows = []
    for number, parts in file.rows(",", len(header), first=2, empty=True):
        if '"' in file.lines[number - 1]:
            raise file.error(number, "holds a quote; the official files have none")
        rows.append(parts)
    return CsvFile(file, dict(zip(header, zip(*rows, strict=True), strict=True)))
