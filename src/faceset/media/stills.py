"""Stills and animations through Pillow."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow
from PIL import ImageFile

from faceset.errors import MediaError, MediaLimitError
from faceset.media.base import Limits, Media, Tally
from faceset.media.timing import Ticks
from faceset.types import Frame, Image

_ANIMATED = {"GIF", "WEBP", "PNG", "AVIF"}
_ORIENTATION_TAG = 0x0112
_UPRIGHT = {
    2: Pillow.Transpose.FLIP_LEFT_RIGHT,
    3: Pillow.Transpose.ROTATE_180,
    4: Pillow.Transpose.FLIP_TOP_BOTTOM,
    5: Pillow.Transpose.TRANSPOSE,
    6: Pillow.Transpose.ROTATE_270,
    7: Pillow.Transpose.TRANSVERSE,
    8: Pillow.Transpose.ROTATE_90,
}
_UNKNOWN_DURATION_SECONDS = 0.1  # what browsers take for an animation frame that says 0
_UNKNOWN_MODE = "unknown pixel mode"  # what Pillow says of a TIFF whose kind of values it does not know
_CURES = {
    "HEIF": "install pillow-heif and call pillow_heif.register_heif_opener() first, or convert it to JPEG",
    "AVIF": "install a newer Pillow, or convert it to JPEG",
}


class Still(Media):
    """One picture; its one frame has index 0 and time 0."""

    kind = "still"

    def __init__(self, path: Path, name: str, limits: Limits, format_: str) -> None:
        super().__init__(name, limits, path=path)
        self._format = format_

    def _read(self, fps: float | None, tally: Tally) -> Generator[Frame, None, None]:
        with open_picture(cast(Path, self.path), self.name, self._format, self.limits) as picture:
            if getattr(picture, "n_frames", 1) > 1:
                tally.note(f"holds {getattr(picture, 'n_frames', 1)} pictures, of which the first is taken")
            image = _decode(picture, self.name)
            if self._format == "JPEG":
                _check_jpeg(cast(Path, self.path), self.name)
        tally.decoded += 1
        yield Frame(image, 0, 0.0, self.name)


class Animation(Media):
    """An animated GIF, WebP, PNG or AVIF: a video, timed by its own frame durations. Its length is not known ahead."""

    kind = "video"

    def __init__(self, path: Path, name: str, limits: Limits, format_: str) -> None:
        super().__init__(name, limits, path=path)
        self._format = format_

    def _read(self, fps: float | None, tally: Tally) -> Generator[Frame, None, None]:
        ticks = Ticks(fps, slack=0.0005)
        seconds = 0.0
        with open_picture(cast(Path, self.path), self.name, self._format, self.limits) as picture:
            for index in range(getattr(picture, "n_frames", 1)):
                with _complaining(self.name):
                    picture.seek(index)
                    picture.load()
                tally.decoded += 1
                self.limits.check_length(seconds, self.name)
                if ticks.wants(seconds):
                    yield Frame(_decode(picture, self.name), index, seconds, self.name)
                shown = picture.info.get("duration") or 0
                seconds += shown / 1000 if shown > 0 else _UNKNOWN_DURATION_SECONDS


def open_still(path: Path, name: str, limits: Limits, format_: str) -> Media:
    """The picture or animation in a file that starts like ``format_``; only its header is read.

    Raises:
        MediaError: the header is damaged, or this Pillow cannot read the format.
        MediaLimitError: it has more pixels than allowed.
    """
    with open_picture(path, name, format_, limits) as picture:
        animated = format_ in _ANIMATED and bool(getattr(picture, "is_animated", False))
    return (Animation if animated else Still)(path, name, limits, format_)


@contextlib.contextmanager
def open_picture(path: Path, name: str, format_: str, limits: Limits) -> Iterator[ImageFile.ImageFile]:
    """The opened file with its size checked, before anything is decoded. Raises as :func:`open_still` does."""
    Pillow.init()
    if format_ not in Pillow.OPEN:
        cure = _CURES.get(format_, "convert it to JPEG or PNG")
        raise MediaError(f"{name}: {format_} pictures cannot be read here; {cure}")
    # Not through Image.open: that warns and raises by a limit of its own before it tells the size.
    opener = Pillow.OPEN[format_][0]
    with contextlib.ExitStack() as closing:
        with _complaining(name):
            file = closing.enter_context(path.open("rb"))
            picture = closing.enter_context(opener(file, str(path)))
        limits.check_size(*picture.size, name)
        yield picture


@contextlib.contextmanager
def _complaining(name: str) -> Iterator[None]:
    """Turn what Pillow raises on damaged files, which may be nearly anything, into :class:`MediaError`."""
    try:
        yield
    except (MediaError, MemoryError):
        raise
    except Pillow.DecompressionBombError as error:
        raise MediaLimitError(f"{name}: its frames are larger than its header says: {error}") from error
    except Exception as error:
        reason = str(error) or type(error).__name__
        if reason == _UNKNOWN_MODE:
            raise MediaError(
                f"{name}: its pixels are stored in a way that is not read here, such as floating-point or 24-bit "
                "values; convert it to 8 or 16 bits"
            ) from error
        raise MediaError(f"{name}: the picture is damaged or incomplete ({reason}); copy or export it again") from error


def _check_jpeg(path: Path, name: str) -> None:
    from faceset.media import jpegcheck

    if jpegcheck.is_damaged(path.read_bytes()):
        raise MediaError(
            f"{name}: the picture is damaged or incomplete (its coded data contradicts itself, so a part of it would "
            "come out grey or shifted); copy or export it again"
        )


def _decode(picture: ImageFile.ImageFile, name: str) -> Image:
    """The current picture as RGB uint8 (H, W, 3), upright."""
    with _complaining(name):
        picture.load()
    orientation = _orientation(picture)
    with _complaining(name):
        rgb = _to_rgb(picture, name)
        if orientation in _UPRIGHT:
            rgb = rgb.transpose(_UPRIGHT[orientation])
        return np.array(rgb, dtype=np.uint8)


def _orientation(picture: ImageFile.ImageFile) -> int:
    """The EXIF orientation 1..8; 1 where the EXIF data is missing or cannot be read."""
    try:
        value = picture.getexif().get(_ORIENTATION_TAG, 1)
    except Exception:  # damaged metadata is no reason to refuse a good picture
        return 1
    return value if isinstance(value, int) else 1


def _to_rgb(picture: Pillow.Image, name: str) -> Pillow.Image:
    """Any of Pillow's modes as RGB of 8 bits.

    16-bit values are scaled by 255/65535, transparency is laid over white. Colour profiles are not applied.
    """
    if picture.mode.startswith("I"):
        return Pillow.fromarray(_scaled_16_bit(np.asarray(picture), name)).convert("RGB")
    if picture.mode == "F":
        raise MediaError(f"{name}: pictures of floating-point values are not read; convert it to 8 or 16 bits")
    if picture.mode in ("LA", "PA", "La", "RGBA", "RGBa") or "transparency" in picture.info:
        layer = picture.convert("RGBA")
        ground = Pillow.new("RGBA", layer.size, (255, 255, 255, 255))
        return Pillow.alpha_composite(ground, layer).convert("RGB")
    return picture.convert("RGB")


def _scaled_16_bit(values: npt.NDArray[np.generic], name: str) -> npt.NDArray[np.uint8]:
    """Whole numbers 0..65535 as 0..255, rounded."""
    wide = values.astype(np.int64)
    if wide.min() < 0 or wide.max() > 65535:
        raise MediaError(
            f"{name}: its values from {wide.min()} to {wide.max()} do not fit 16 bits; convert it to 8 or 16 bits"
        )
    return ((wide * 255 + 32767) // 65535).astype(np.uint8)
