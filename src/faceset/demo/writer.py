"""Frames to an mp4 file (PyAV)."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import cast

import av
import av.codec

from faceset.errors import MediaError
from faceset.types import Image

# libx264 is missing from some builds of FFmpeg; mpeg4 is in all of them.
# Macroblock trees, which "superfast" leaves out, make x264 turn equal pictures into files that now and then differ.
CODECS = {"libx264": {"preset": "superfast", "crf": "20"}, "mpeg4": {"qscale": "3"}}


def codec() -> str:
    """Name of the best encoder this FFmpeg has."""
    for name in CODECS:
        try:
            av.codec.Codec(name, "w")
        except ValueError:  # av.codec.UnknownCodecError
            continue
        return name
    raise MediaError(f"this build of FFmpeg has none of the encoders {', '.join(CODECS)}; install PyAV from a wheel")


def write_video(path: Path, pictures: Iterable[Image], size: tuple[int, int], fps: int) -> None:
    """Write ``pictures``, RGB uint8 (H, W, 3) of ``size`` = (W, H), to an mp4 file.

    Raises:
        MediaError: the file cannot be written; what was written of it is removed.
    """
    name = codec()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with av.open(str(path), "w", format="mp4") as container:
            stream = cast(av.VideoStream, container.add_stream(name, rate=fps, options=CODECS[name]))
            stream.width, stream.height = size
            stream.pix_fmt = "yuv420p"
            stream.codec_context.thread_count = 1  # x264's bytes depend on the number of its threads
            for picture in pictures:
                frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    except (av.error.FFmpegError, OSError) as error:
        if path.is_file():
            path.unlink()
        raise MediaError(f"{path} cannot be written: {error}") from error
