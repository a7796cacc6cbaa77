"""Finds JPEG files that a tolerant decoder would fill up with grey.

libjpeg, and so Pillow, reads on over damaged data and returns a picture without a word: a download that broke off and
was closed with an end mark comes out half grey. FFmpeg's decoder, told to be strict, refuses the same bytes.
"""

from __future__ import annotations

import av
import av.error

_BASELINE_OR_PROGRESSIVE = {0xC0, 0xC1, 0xC2}
_START_OF_FRAME = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_START_OF_SCAN = 0xDA
_COLOUR_SEGMENTS = {0xE0, 0xEE}  # JFIF and Adobe: they say how the colours are coded


def is_damaged(jpeg: bytes) -> bool:
    """Whether the coded picture in these bytes is incomplete or contradicts itself.

    False for the rare kinds (12 bits, lossless, arithmetic, CMYK) that FFmpeg may not read, and for anything else
    the check cannot judge. Costs about as much as decoding the picture once more.
    """
    bare = _without_metadata(jpeg)
    if bare is None:
        return False
    decoder = av.CodecContext.create("mjpeg", "r")
    decoder.options = {"err_detect": "explode"}
    try:
        for packet in (av.Packet(bare), None):
            decoder.decode(packet)
    except av.error.InvalidDataError:
        return True
    except av.error.FFmpegError:
        return False
    return False


def _without_metadata(jpeg: bytes) -> bytes | None:
    """The first picture without EXIF, profiles and comments, whose faults are no faults of the picture.

    None when it is not of a kind that the check can judge.
    """
    kept = bytearray(jpeg[:2])
    at = 2
    judged = False
    while at + 4 <= len(jpeg) and jpeg[at] == 0xFF:
        marker = jpeg[at + 1]
        if marker == 0xFF:  # padding
            at += 1
            continue
        if marker == _START_OF_SCAN:
            return bytes(kept + jpeg[at:]) if judged else None
        end = at + 2 + int.from_bytes(jpeg[at + 2 : at + 4], "big")
        if marker in _START_OF_FRAME:
            judged = marker in _BASELINE_OR_PROGRESSIVE and jpeg[at + 4] == 8 and jpeg[at + 9] in (1, 3)
        application = 0xE0 <= marker <= 0xEF or marker == 0xFE
        if not application or marker in _COLOUR_SEGMENTS:
            kept += jpeg[at:end]
        at = end
    return None
