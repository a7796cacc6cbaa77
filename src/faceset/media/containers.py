"""Opening files and addresses through PyAV, with messages a user can act on.

FFmpeg is silent as long as PyAV's own logging level is left at None, which it is by default; nothing is set here.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import av
import av.error

from faceset.errors import MediaError
from faceset.media.base import Limits
from faceset.media.isoboxes import missing_index

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

_ATTACHED_PICTURE = 0x400  # AV_DISPOSITION_ATTACHED_PIC: the cover of a song


def open_file(path: Path, name: str) -> InputContainer:
    """Open a local video file.

    Raises:
        MediaError: it is no video or is too damaged to open.
    """
    reason = ""
    try:
        # The scheme keeps FFmpeg from reading a name such as "a:b.mp4" as an address; the list keeps a file that
        # is a playlist in disguise from opening connections.
        container = av.open("file:" + str(path.absolute()), "r", options={"protocol_whitelist": "file"})
    except av.error.FFmpegError as error:
        reason = missing_index(path) or _reason(error)
    except UnicodeDecodeError:
        reason = "its metadata is damaged; copy it again, or convert it to MP4"
    else:
        if _is_no_video_format(container.format.name):
            reason = _UNKNOWN
        elif not container.streams.video and not container.streams.audio:
            reason = missing_index(path) or f"holds no video; {_CONVERT}"
        if not reason:
            return container
        container.close()
    raise MediaError(f"{name}: {reason}")


def open_url(url: str, name: str, limits: Limits) -> InputContainer:
    """Open a stream; ``name`` is its address as it may be shown.

    Raises:
        MediaError: nobody answers, it is refused, or it is no video. No message holds the credentials in ``url``.
    """
    options = {"rtsp_flags": "prefer_tcp"} if url.lower().startswith("rtsp") else {}
    reason = ""
    try:
        return av.open(
            url, "r", options=options, timeout=(limits.connect_seconds, limits.read_seconds), metadata_errors="replace"
        )
    except av.error.ExitError:
        reason = (
            f"no video came within {limits.connect_seconds:g} s; check that the source is sending, or raise "
            "connect_seconds"
        )
    except av.error.ProtocolNotFoundError:
        reason = f"this build of FFmpeg does not open {url.split(':', 1)[0]} addresses; use rtsp, http or tcp"
    except (av.error.InvalidDataError, av.error.EOFError):
        reason = "what it sends is no video that can be read; check the address"
    except av.error.FFmpegError as error:
        reason = f"cannot be opened: {error.strerror}; check the address, the network and the credentials"
    except OSError as error:
        reason = f"cannot be opened: {error.strerror}; check the address, the network and the credentials"
    # Raised out here so that FFmpeg's error, which quotes the address with its password, is not chained to it.
    raise MediaError(f"{name}: {reason}")


def video_stream(container: InputContainer, name: str, limits: Limits) -> VideoStream:
    """The stream of pictures to read, checked against the limits.

    Raises:
        MediaError: there is none, or none that can be decoded.
        MediaLimitError: its frames have more pixels than allowed.
    """
    pictures = [s for s in container.streams.video if not int(getattr(s, "disposition", 0)) & _ATTACHED_PICTURE]
    if not pictures:
        if container.streams.audio:
            raise MediaError(f"{name}: holds sound but no video; give the file that has the pictures")
        raise MediaError(f"{name}: holds no video; {_CONVERT}")
    stream = max(pictures, key=lambda s: s.width * s.height if s.codec_context else 0)
    if stream.codec_context is None:
        raise MediaError(f"{name}: its video is coded in a way that FFmpeg cannot read here; {_CONVERT}")
    limits.check_size(stream.width, stream.height, name)
    # Frames may be larger than the header says; then the decoder itself refuses them.
    stream.codec_context.options = {"max_pixels": str(min(limits.max_pixels, 2**31 - 1))}
    stream.thread_type = "AUTO"
    return stream


def length(container: InputContainer, stream: VideoStream) -> float | None:
    """Seconds of the video, or of the whole file, where either is known."""
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    if container.duration is not None:
        return container.duration / 1_000_000
    return None


_CONVERT = "convert it to MP4 (H.264)"
_UNKNOWN = (
    "neither a picture nor a video in a format that is read here, whatever its name says; "
    "convert pictures to JPEG or PNG and videos to MP4"
)


def _is_no_video_format(format_name: str) -> bool:
    """Whether FFmpeg took the file for a single picture, a text or a playlist: none of them is a video here."""
    names = set(format_name.split(","))
    return format_name.endswith("_pipe") or bool(
        names & {"image2", "tty", "hls", "dash", "concat", "sdp", "ffmetadata"}
    )


def _reason(error: av.error.FFmpegError) -> str:
    if isinstance(error, av.error.EOFError):
        return "the file ends before its first frame; copy or export it again"
    if isinstance(error, (av.error.InvalidDataError, av.error.ProtocolNotFoundError)):
        return _UNKNOWN
    return f"cannot be read: {error.strerror}; {_CONVERT}"
