"""What the server and its worker process say to each other.

A frame is two big-endian 32-bit lengths, a JSON object of the first length, and raw bytes of the second. Nothing is
pickled, and nothing in a frame is believed: a worker that a hostile file has taken over can send wrong faces, but
cannot make the server run, open or allocate anything it would not have otherwise.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Collection
from typing import Any, BinaryIO

HEADER_BYTES = 8 << 20
RAW_BYTES = 512 << 20
"""Longest JSON object and longest raw part."""

_LENGTHS = struct.Struct(">II")

Message = dict[str, Any]


class WireError(Exception):
    """A frame that is cut off, too long, or not of the form it must have."""


def send(file: BinaryIO, message: Message, raw: bytes | bytearray = b"") -> None:
    """Write one frame.

    Raises:
        WireError: it is longer than a frame may be.
        OSError: nobody reads any more.
    """
    header = json.dumps(message, allow_nan=False).encode()
    if len(header) > HEADER_BYTES or len(raw) > RAW_BYTES:
        raise WireError(f"a frame of {len(header)} + {len(raw)} bytes is too long to be sent")
    file.write(_LENGTHS.pack(len(header), len(raw)) + header)
    file.write(raw)
    file.flush()


def receive(file: BinaryIO) -> tuple[Message, bytes] | None:
    """Read one frame; None when the other side has closed its end before the first byte of one.

    Raises:
        WireError: it is cut off, too long, or holds no JSON object.
    """
    start = file.read(_LENGTHS.size)
    if not start:
        return None
    if len(start) < _LENGTHS.size:
        raise WireError("a frame is cut off in its lengths")
    header_length, raw_length = _LENGTHS.unpack(start)
    if header_length > HEADER_BYTES or raw_length > RAW_BYTES:
        raise WireError(f"a frame announces {header_length} + {raw_length} bytes, which is too long")
    header = _exactly(file, header_length)
    raw = _exactly(file, raw_length)
    try:
        message = json.loads(header.decode(), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise WireError(f"the head of a frame is no JSON: {error}") from error
    if not isinstance(message, dict):
        raise WireError(f"the head of a frame must be an object, but is {type(message).__name__}")
    return message, raw


def _exactly(file: BinaryIO, length: int) -> bytes:
    data = file.read(length)
    if len(data) < length:
        raise WireError(f"a frame is cut off: {len(data)} of {length} bytes")
    return data


def _no_constant(text: str) -> float:
    raise ValueError(f"{text} is no JSON")


# ------------------------------------------------------------------------------------------- reading what was received


def members(value: object, names: Collection[str]) -> Message:
    """The object, when it has exactly these members.

    Raises:
        WireError: it is no object, or has others.
    """
    if not isinstance(value, dict) or set(value) != set(names):
        have = sorted(map(str, value))[:20] if isinstance(value, dict) else type(value).__name__
        raise WireError(f"expected an object of {sorted(names)}, but got {have}")
    return value


def count(value: object, most: int, least: int = 0) -> int:
    """A whole number in ``least..most``.

    Raises:
        WireError: it is none.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise WireError(f"expected a whole number in {least}..{most}, but got {str(value)[:40]!r}")
    return value


def number(value: object) -> float:
    """A finite number.

    Raises:
        WireError: it is none.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > 1e300 or math.isnan(value):
        raise WireError(f"expected a finite number, but got {str(value)[:40]!r}")
    return float(value)


def text(value: object, most: int = 4000) -> str:
    """Text of at most ``most`` characters, without control characters, fit for every output.

    Raises:
        WireError: it is no text, or longer.
    """
    if not isinstance(value, str) or len(value) > most:
        raise WireError(f"expected text of at most {most} characters, but got {type(value).__name__}")
    return "".join(c if c.isprintable() else " " for c in value)  # a lone surrogate is not printable either


def items(value: object, most: int) -> list[Any]:
    """A list of at most ``most`` items.

    Raises:
        WireError: it is none, or longer.
    """
    if not isinstance(value, list) or len(value) > most:
        raise WireError(f"expected a list of at most {most}, but got {type(value).__name__}")
    return value
