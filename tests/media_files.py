"""Pictures and videos made at run time for the tests of the media stage."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

LEVEL_STEP = 4


def level_frame(index: int, height: int = 48, width: int = 64) -> np.ndarray:
    """A grey picture whose brightness tells its number; see :func:`level_of`."""
    return np.full((height, width, 3), 20 + LEVEL_STEP * (index % 50), np.uint8)


def level_of(image: np.ndarray) -> int:
    return round((float(image.mean()) - 20) / LEVEL_STEP)


def write_video(
    path: Path,
    frames: Iterable[np.ndarray],
    *,
    codec: str = "mpeg4",
    rate: int = 25,
    stamps: Sequence[int] | None = None,
    unit: Fraction | None = None,
    container_options: dict[str, str] | None = None,
    codec_options: dict[str, str] | None = None,
    format_: str | None = None,
    aspect: Fraction | None = None,
) -> Path:
    """Encode frames; ``stamps`` are their times in ``unit`` seconds (default: one after the other at ``rate``)."""
    frames = list(frames)
    with av.open(str(path), "w", format=format_, container_options=container_options or {}) as container:
        stream = container.add_stream(codec, rate=rate)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.options = codec_options or {}
        if codec == "mpeg4":
            stream.codec_context.qmin = stream.codec_context.qmax = 2
        if unit is not None:
            stream.codec_context.time_base = unit
        if aspect is not None:
            stream.codec_context.sample_aspect_ratio = aspect
        for index, image in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts = index if stamps is None else stamps[index]
            frame.time_base = unit or Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def noisy_frames(count: int, height: int = 120, width: int = 160) -> list[np.ndarray]:
    """A moving window over coarse noise: hard to compress, so that a file has bytes to damage."""
    rng = np.random.default_rng(7)
    coarse = rng.integers(0, 256, ((height + count) // 4 + 1, (width + count) // 4 + 1, 3), dtype=np.uint8)
    fine = coarse.repeat(4, axis=0).repeat(4, axis=1)
    return [np.ascontiguousarray(fine[i : i + height, i : i + width]) for i in range(count)]


def write_sound(path: Path, seconds: float = 0.5, codec: str = "aac") -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=44100)
        for i in range(int(seconds * 44100 / 1024)):
            samples = (np.sin(np.arange(1024) / 20) * 0.3).astype(np.float32)[None]
            frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
            frame.sample_rate = 44100
            frame.pts = i * 1024
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def set_display_matrix(path: Path, a: int, b: int, c: int, d: int) -> None:
    """Write the turn x' = a p + c q, y' = b p + d q into the track header of an MP4, as phones do."""
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4
    matrix = at + (40 if data[at] == 0 else 52)
    one = 0x10000
    data[matrix : matrix + 36] = struct.pack(">9i", a * one, b * one, 0, c * one, d * one, 0, 0, 0, 0x40000000)
    path.write_bytes(data)


def write_png(path: Path, array: np.ndarray, *, size: tuple[int, int] | None = None) -> Path:
    """A PNG of 8 or 16 bits, grey, RGB or RGBA, straight from the specification; ``size`` may lie about it (W, H)."""
    height, width = array.shape[:2]
    depth = array.dtype.itemsize * 8
    colour = {1: 0, 2: 4, 3: 2, 4: 6}[1 if array.ndim == 2 else array.shape[2]]
    rows = array.astype(">u2" if depth == 16 else np.uint8)
    packed = zlib.compress(b"".join(b"\0" + rows[y].tobytes() for y in range(height)))

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", *(size or (width, height)), depth, colour, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b""))
    return path
