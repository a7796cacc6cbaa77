"""What a file is, by its first bytes. Its name is not asked."""

from __future__ import annotations

import re
from pathlib import Path

from faceset.errors import MediaError
from faceset.media.base import Limits

SNIFF_BYTES = 4096

_SIGNATURES = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"II*\x00", "TIFF"),
    (b"MM\x00*", "TIFF"),
    (b"II+\x00", "TIFF"),
    (b"MM\x00+", "TIFF"),
    (b"\x00\x00\x00\x0cjP  ", "JPEG2000"),
    (b"\xff\x4f\xff\x51", "JPEG2000"),
)
_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}
_AVIF_BRANDS = {b"avif", b"avis"}
_TEXT_CONTROLS = set(b"\t\n\r\f\x1b")


class NotMediaError(MediaError):
    """A file that is no picture and no video at all: a text, a table, a program."""


def first_bytes(path: Path, name: str, limits: Limits, *, typed: str | None = None) -> bytes:
    """The first :data:`SNIFF_BYTES` of a file.

    Messages call it ``name``;
    where nothing can be opened they say ``typed``, what the user gave, if that is known.

    Raises:
        MediaError: it does not exist, is no file, is empty or cannot be read.
        MediaLimitError: it has more bytes than allowed.
    """
    where = name if typed is None else typed
    try:
        size = path.stat().st_size
        if not path.is_file():
            raise MediaError(f"{where}: not a file; give a picture, a video or a folder")
        with path.open("rb") as file:
            head = file.read(SNIFF_BYTES)
    except FileNotFoundError:
        raise MediaError(f"{where}: no such file or folder; check the path") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise MediaError(f"{where}: cannot be read: {reason}; check the path and its permissions") from error
    if not head:
        raise MediaError(f"{name}: the file is empty (0 bytes); copy or export it again")
    limits.check_bytes(size, name)
    return head


def still_format(head: bytes) -> str | None:
    """Pillow's name of the picture format that starts like this; None when it is none of those read here."""
    for signature, name in _SIGNATURES:
        if head.startswith(signature):
            return name
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    if head[:2] == b"BM" and head[14:18] in (b"\x0c\0\0\0", b"\x28\0\0\0", b"\x6c\0\0\0", b"\x7c\0\0\0"):
        return "BMP"
    if re.match(rb"P[1-6][\s#]", head):
        return "PPM"
    if head[4:8] == b"ftyp":
        end = min(int.from_bytes(head[:4], "big"), len(head))
        brands = {head[8:12], *(head[i : i + 4] for i in range(16, end, 4))}
        if brands & _AVIF_BRANDS:
            return "AVIF"
        if head[8:12] in _HEIF_BRANDS:
            return "HEIF"
    return None


def is_text(head: bytes) -> bool:
    """Whether these first bytes of a file read as text."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff")) and len(head) > 2 and 0 in head[2:4]:
        return True  # UTF-16 with its mark
    if any(byte < 32 and byte not in _TEXT_CONTROLS for byte in head):
        return False
    for cut in range(4):  # the last character may be cut in the middle
        try:
            head[: len(head) - cut].decode("utf-8")
        except UnicodeDecodeError:
            if len(head) < SNIFF_BYTES:
                return False
        else:
            return True
    return False
