"""The two public-domain portraits that come inside ordinary packages."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image as PillowImage

from faceset.errors import InputError, MissingExtraError
from faceset.types import Box, Image, check_image


@dataclass(frozen=True, slots=True, eq=False)
class Portrait:
    """A picture of one person.

    Attributes:
        name: who it is.
        image: RGB uint8 (H, W, 3).
        face: xyxy pixels of the face, from the hair line to the chin and from ear to ear.
        source: where it comes from and why it is free.
    """

    name: str
    image: Image
    face: Box
    source: str = ""

    def __post_init__(self) -> None:
        check_image(self.image)
        height, width = self.image.shape[:2]
        x0, y0, x1, y1 = self.face
        if not (0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height):
            raise InputError(f"the face {self.face} of {self.name} must lie in its picture of {width} x {height}")


@dataclass(frozen=True, slots=True)
class _Known:
    name: str
    package: str
    distribution: str
    parts: tuple[str, ...]
    size: tuple[int, int]
    face: Box
    source: str


_COLLINS = _Known(
    "Eileen Collins",
    "skimage",
    "scikit-image",
    ("data", "astronaut.png"),
    (512, 512),
    (180, 72, 272, 184),
    "NASA, in scikit-image (skimage.data.astronaut); public domain, no known copyright restrictions",
)
_HOPPER = _Known(
    "Grace Hopper",
    "matplotlib",
    "matplotlib",
    ("mpl-data", "sample_data", "grace_hopper.jpg"),
    (600, 512),
    (162, 118, 374, 338),
    "United States Navy, 1984, in matplotlib (sample data); public domain",
)


def portraits() -> tuple[Portrait, Portrait]:
    """Eileen Collins and Grace Hopper.

    Raises:
        MissingExtraError: scikit-image or matplotlib is not installed, or came without its picture.
    """
    return _load(_COLLINS), _load(_HOPPER)


def _load(known: _Known) -> Portrait:
    cure = "install the demo's extra: pip install 'faceset[demo]'"
    who = f"the portrait of {known.name} comes inside {known.distribution}"
    # The file is read from the installed folder without importing the package, which would be slow and, for
    # matplotlib, leave traces in the home directory.
    spec = importlib.util.find_spec(known.package)
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtraError(f"{who}, which is not installed; {cure}")
    path = Path(spec.submodule_search_locations[0]).joinpath(*known.parts)
    if not path.is_file():
        raise MissingExtraError(f"{who}, but the installed one has no {'/'.join(known.parts)}; {cure}")
    with PillowImage.open(path) as opened:
        image = np.asarray(opened.convert("RGB"))
    if image.shape[:2] != known.size:
        raise MissingExtraError(
            f"{who}, but the installed one is {image.shape[1]} x {image.shape[0]} pixels and the demo knows the one of "
            f"{known.size[1]} x {known.size[0]}; {cure}"
        )
    return Portrait(known.name, image, known.face, known.source)
