"""Pictures that are in memory already."""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Sequence
from functools import cached_property

import numpy as np

from faceset.errors import InputError
from faceset.media.base import Limits, Media, Tally
from faceset.media.timing import Ticks
from faceset.types import Frame, Image

WANTED = "RGB uint8 (H, W, 3), or (T, H, W, 3) for a sequence"


class Pictures(Media):
    """One array or a sequence of them; kind ``array``.

    Args:
        pictures: an array (H, W, 3), (H, W) grey or (T, H, W, 3), or a list of (H, W, 3) or (H, W), all uint8 RGB.
        name: name for people.
        rate: frames a second, which gives frame i of a sequence the time i / rate. A single picture has no duration.

    Raises:
        InputError: another type, shape or NaN in it; an empty sequence; a rate that is not greater than 0.
    """

    kind = "array"

    def __init__(self, pictures: object, name: str, limits: Limits, rate: float) -> None:
        if not (np.isfinite(rate) and rate > 0):
            raise InputError(f"array_fps must be a number greater than 0, but got {rate!r}")
        self._rate = rate
        single = isinstance(pictures, np.ndarray) and pictures.ndim != 4
        if single:
            self._pictures = [as_rgb(pictures, name)]
        elif isinstance(pictures, (np.ndarray, Sequence)):
            if isinstance(pictures, np.ndarray):
                check_type(pictures, name)  # the whole at once, so that the message gives the whole shape
            self._pictures = [as_rgb(picture, f"{name}[{i}]") for i, picture in enumerate(pictures)]
        else:
            raise InputError(f"{name} must be {WANTED}, but got {type(pictures).__name__}")
        if not self._pictures:
            raise InputError(f"{name} holds no picture; give at least one")
        super().__init__(name, limits, duration=None if single else len(self._pictures) / rate)

    @cached_property
    def digest(self) -> str:
        """Sha256 over the shape and the bytes of each picture."""
        sha = hashlib.sha256()
        for picture in self._pictures:
            sha.update(f"{picture.shape[0]}x{picture.shape[1]};".encode())
            sha.update(np.ascontiguousarray(picture).data)
        return sha.hexdigest()

    def _read(self, fps: float | None, tally: Tally) -> Generator[Frame, None, None]:
        ticks = Ticks(fps)
        for index, picture in enumerate(self._pictures):
            tally.decoded += 1
            time = index / self._rate
            if ticks.wants(time):
                yield Frame(picture, index, time, self.name)


def check_type(array: object, name: str) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """``array`` when it is a NumPy array of uint8.

    Raises:
        InputError: it is not; the message says how to make it one.
    """
    if not isinstance(array, np.ndarray):
        hint = "; open the paths of a list one by one" if isinstance(array, str) or hasattr(array, "__fspath__") else ""
        raise InputError(f"{name} must be a NumPy array, {WANTED}, but got {type(array).__name__}{hint}")
    if array.dtype == np.uint8:
        return array
    got = f"{name} must be {WANTED}, but got {array.dtype} {array.shape}"
    if np.issubdtype(array.dtype, np.floating):
        bad = int(array.size - np.isfinite(array).sum())
        if bad:
            raise InputError(f"{got}, and {bad} of its values are NaN or infinity; such a picture cannot be used")
        raise InputError(f"{got}; if its values go from 0 to 1, multiply by 255, round and cast to uint8")
    raise InputError(f"{got}; scale its values to 0..255 and cast to uint8")


def as_rgb(array: object, name: str) -> Image:
    """An array (H, W, 3) or grey (H, W) as RGB uint8 (H, W, 3), without a copy where none is needed.

    Raises:
        InputError: another type or shape.
    """
    picture = check_type(array, name)
    got = f"{name} must be {WANTED}, but got shape {picture.shape}"
    if 0 in picture.shape:
        raise InputError(f"{got}, which holds no pixel")
    if picture.ndim == 2:
        return np.repeat(picture[:, :, None], 3, axis=2)
    if picture.ndim == 3 and picture.shape[2] == 3:
        return picture
    if picture.ndim == 3 and picture.shape[2] == 4:
        raise InputError(f"{got}; drop the fourth channel: picture[..., :3]")
    if picture.ndim == 3 and picture.shape[0] == 3:
        raise InputError(f"{got}; the channels come last here: numpy.moveaxis(picture, 0, -1)")
    raise InputError(got)
