"""MTCNN: three networks in a row, each looking closer at fewer windows. The default detector.

The P-net looks at every 12x12 window of the picture at many scales, the R-net at the windows it kept at 24x24, the
O-net at what is left at 48x48, where it gives five points too. Source: see :mod:`faceset.packs.mtcnn`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from faceset.detection import boxes as bx
from faceset.detection.base import check_range, in_order, make_options
from faceset.detection.pyramid import GREY, Pyramid, network_input
from faceset.packs import mtcnn as networks
from faceset.types import Face, Floats, Image, check_image

_WINDOW = 12  # the P-net's window and its stride, in pixels of a scaled copy
_STRIDE = 2
# Grey pixels around every scaled copy, so that a face cut off by the border, or larger than the picture, fits.
_MARGIN = 4

# From edges of pixels to centres, as points are given. On 300 LFW pictures and their mirror images the points then
# agree to 0.2 pixels in the mean, on faces of 92.
_POINT_SHIFT = 0.5

# Limits that keep memory flat whatever is asked for; they do not change the answers.
_PICTURES = 16
_PIXELS = 2**25  # of whole pictures held at once
_SEARCHED_PIXELS = 2**19  # of scaled copies that go through the P-net at once
_WINDOWS = {24: 256, 48: 64}  # that go through the R- and the O-net at once


@dataclass(frozen=True, slots=True)
class MtcnnOptions:
    """How MTCNN searches.

    Attributes:
        min_face: smallest face searched for, in pixels.
        min_face_fraction: smallest face as a fraction of the picture's short side. The larger of the two holds, so
            that the work grows no further with the picture: at 1/27 it is 20 pixels up to 540 lines, 40 at 1080.
        scale_factor: ratio of one search scale to the next.
        pnet_threshold, rnet_threshold, onet_threshold: least probability of a face after each network.
    """

    min_face: float = 20
    min_face_fraction: float = 1 / 27
    scale_factor: float = 0.709
    pnet_threshold: float = 0.7
    rnet_threshold: float = 0.7
    onet_threshold: float = 0.9

    def __post_init__(self) -> None:
        check_range("mtcnn", "min_face", self.min_face, _WINDOW, 100_000)
        check_range("mtcnn", "min_face_fraction", self.min_face_fraction, 0, 1)
        check_range("mtcnn", "scale_factor", self.scale_factor, 0.3, 0.95)
        for name in ("pnet_threshold", "rnet_threshold", "onet_threshold"):
            check_range("mtcnn", name, getattr(self, name), 0, 1)

    def smallest_face(self, width: int, height: int) -> float:
        """Smallest face searched for in a picture of that size, in pixels."""
        return max(self.min_face, self.min_face_fraction * min(width, height))


class _Windows(NamedTuple):
    """Windows that may hold a face, of several pictures at once."""

    boxes: bx.Boxes  # (N, 4)
    scores: npt.NDArray[np.float64]  # (N,)
    picture: npt.NDArray[np.intp]  # (N,) which picture

    def take(self, which: npt.NDArray[Any]) -> _Windows:
        return _Windows(self.boxes[which], self.scores[which], self.picture[which])

    def without_overlap(self, threshold: float) -> _Windows:
        return self.take(bx.suppress(self.boxes, self.scores, self.picture, threshold))


class Mtcnn:
    """Detector with five points (scheme ``arcface5``); scores are the O-net's probability."""

    name = "mtcnn"
    scheme = "arcface5"

    def __init__(self, options: MtcnnOptions | None = None) -> None:
        """Open the three networks.

        Raises:
            ModelError: the package ``mtcnn`` or its weights are missing or damaged.
        """
        self.options = options or MtcnnOptions()
        self._pnet, self._rnet, self._onet = (networks.session(net) for net in ("pnet", "rnet", "onet"))

    @classmethod
    def create(cls, **options: Any) -> Mtcnn:
        """From options by keyword; see :class:`MtcnnOptions`."""
        return cls(make_options(MtcnnOptions, cls.name, options))

    def detect(self, images: Sequence[Image]) -> list[list[Face]]:
        """Find faces; see :class:`faceset.detection.base.Detector`."""
        pictures = [check_image(image, f"images[{k}]") for k, image in enumerate(images)]
        found: list[list[Face]] = []
        for part in _parts(pictures):
            found += self._detect(part)
        return found

    def _detect(self, images: Sequence[Image]) -> list[list[Face]]:
        pyramids = [Pyramid(image) for image in images]
        windows = self._propose(pyramids)
        windows = self._refine(pyramids, windows)
        return self._finish(pyramids, windows)

    def _propose(self, pyramids: Sequence[Pyramid]) -> _Windows:
        """P-net: windows of all pictures, those of one size together."""
        alike: dict[tuple[int, int], list[int]] = defaultdict(list)
        for k, pyramid in enumerate(pyramids):
            alike[pyramid.width, pyramid.height].append(k)
        found = [_Windows(np.empty((0, 4)), np.empty(0), np.empty(0, np.intp))]
        for (width, height), members in alike.items():
            for wide, high in _scales(width, height, self.options):
                at_once = max(1, _SEARCHED_PIXELS // (wide * high))
                for first in range(0, len(members), at_once):
                    some = members[first : first + at_once]
                    windows = self._search([pyramids[k] for k in some], wide, high)
                    windows = windows._replace(picture=np.array(some, np.intp)[windows.picture])
                    found.append(windows.without_overlap(0.5))
        together = _Windows(*(np.concatenate(parts) for parts in zip(*found, strict=True)))
        return together.without_overlap(0.7)

    def _search(self, pyramids: Sequence[Pyramid], width: int, height: int) -> _Windows:
        """P-net on one scaled copy of pictures of one size."""
        canvas = np.full((len(pyramids), height + 2 * _MARGIN, width + 2 * _MARGIN, 3), GREY, np.uint8)
        for place, pyramid in zip(canvas, pyramids, strict=True):
            place[_MARGIN : _MARGIN + height, _MARGIN : _MARGIN + width] = pyramid.scaled(width, height)
        scores, offsets = self._pnet.run(["score", "box"], {"image": network_input(canvas)})
        picture, row, column = np.nonzero(scores[:, 0] > self.options.pnet_threshold)
        corner = np.stack([column, row], axis=1) * float(_STRIDE) - _MARGIN
        cells = np.concatenate([corner, corner + _WINDOW], axis=1)
        cells = bx.moved(cells, offsets[picture, :, row, column])
        ratio = np.array([pyramids[0].width / width, pyramids[0].height / height] * 2)
        return _Windows(cells * ratio, scores[picture, 0, row, column].astype(float), picture)

    def _refine(self, pyramids: Sequence[Pyramid], windows: _Windows) -> _Windows:
        """R-net."""
        squares = bx.squared(windows.boxes)
        scores, offsets = _run(self._rnet, ["score", "box"], pyramids, squares, windows.picture, 24)
        keep = np.nonzero(scores[:, 0] > self.options.rnet_threshold)[0]
        refined = _Windows(bx.moved(squares[keep], offsets[keep]), scores[keep, 0].astype(float), windows.picture[keep])
        return refined.without_overlap(0.7)

    def _finish(self, pyramids: Sequence[Pyramid], windows: _Windows) -> list[list[Face]]:
        """O-net."""
        squares = bx.squared(windows.boxes)
        outputs = ["score", "box", "points"]
        scores, offsets, points = _run(self._onet, outputs, pyramids, squares, windows.picture, 48)
        keep = np.nonzero(scores[:, 0] > self.options.onet_threshold)[0]
        squares, score, picture = squares[keep], scores[keep, 0].astype(float), windows.picture[keep]
        boxes = bx.moved(squares, offsets[keep])
        # The points come as five x, then five y, in fractions of the square.
        side = (squares[:, 2:] - squares[:, :2])[:, None, :]  # (N, 1, 2)
        places = squares[:, None, :2] + side * points[keep].reshape(-1, 2, 5).transpose(0, 2, 1) - _POINT_SHIFT
        found: list[list[Face]] = [[] for _ in pyramids]
        for k in bx.suppress(boxes, score, picture, 0.7, of_smaller=True):
            x0, y0, x1, y1 = boxes[k]
            if x1 > x0 and y1 > y0:
                face = Face((x0, y0, x1, y1), float(score[k]), places[k].astype(np.float32), self.scheme)
                found[picture[k]].append(face)
        return [in_order(faces) for faces in found]


def _parts(images: Sequence[Image]) -> Iterator[list[Image]]:
    """Pictures in order, in parts small enough to hold their pyramids at once."""
    part: list[Image] = []
    pixels = 0
    for image in images:
        size = image.shape[0] * image.shape[1]
        if part and (len(part) == _PICTURES or pixels + size > _PIXELS):
            yield part
            part, pixels = [], 0
        part.append(image)
        pixels += size
    if part:
        yield part


def _scales(width: int, height: int, options: MtcnnOptions) -> Iterator[tuple[int, int]]:
    """Sizes of the scaled copies to search, largest first; none for a picture much smaller than the smallest face."""
    scale = _WINDOW / options.smallest_face(width, height)
    while min(width, height) * scale >= _WINDOW - 2 * _MARGIN - 1e-6:
        yield max(1, round(width * scale)), max(1, round(height * scale))
        scale *= options.scale_factor


def _run(
    session: Any,
    outputs: list[str],
    pyramids: Sequence[Pyramid],
    squares: bx.Boxes,
    picture: npt.NDArray[np.intp],
    side: int,
) -> list[Floats]:
    """A network on square windows of several pictures; its outputs in the windows' order."""
    crops = np.empty((len(squares), side, side, 3), np.uint8)
    for k in np.unique(picture):
        mine = picture == k
        crops[mine] = pyramids[k].cut(squares[mine], side)
    step = _WINDOWS[side]
    # An empty batch runs too, so that the shapes of the answers need no special case.
    parts = [
        session.run(outputs, {"image": network_input(crops[first : first + step])})
        for first in range(0, max(len(crops), 1), step)
    ]
    return [np.concatenate(kind) for kind in zip(*parts, strict=True)]
