"""From a padded crop to what a network sees in training.

The order: whose face it is (``mix``, ``shape``), where the aligner puts the crop (turn, scale, shift), what the camera
does to it (degradation, whose lengths are in units of a face crop, then colour), the mirror, and last what nothing
explains (erasing). All that is drawn is in a :class:`View`, in units of the crop, so that one view can be made of two
crops of one face: of the student's geometry and of the teacher's.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from faceset.degradations import degrade, random_degradation
from faceset.errors import InputError
from faceset.training.faces.bending import bend, blend
from faceset.training.faces.config import AugmentConfig
from faceset.training.faces.padding import centre
from faceset.types import Floats, Image

_GREY = np.array([0.299, 0.587, 0.114], np.float32)  # luma of ITU-R BT.601
_NUMBERS = 24


class View(NamedTuple):
    """What was drawn for one picture.

    Attributes:
        flip: whether it is mirrored.
        turn: radians, by which the face is turned clockwise.
        scale: factor by which the face grows.
        shift: (x, y) of the face, in fractions of the crop's sides.
        gains: brightness, contrast, saturation, and three of the channels; all factors.
        erased: left, top, width, height in fractions of the sides, and the colour 0..255; None for none.
        damage: seed of the degradation; None for none.
        mixed, bent: seeds of a blend with another face, and of a change of shape; None for none.
    """

    flip: bool
    turn: float
    scale: float
    shift: tuple[float, float]
    gains: tuple[float, ...]
    erased: tuple[float, ...] | None
    damage: int | None
    mixed: int | None
    bent: int | None


def draw(config: AugmentConfig, rng: np.random.Generator) -> View:
    """Draw a view. How much is drawn from ``rng`` does not depend on the configuration."""
    u: list[float] = rng.random(_NUMBERS).tolist()
    seeds: list[int] = rng.integers(2**63, size=3).tolist()
    s = [2.0 * v - 1.0 for v in u]  # -1..1
    growth, tint = math.log1p(config.colour), math.log1p(config.colour / 4)
    gains = [math.exp(growth * s[k]) for k in (4, 5, 6)] + [math.exp(tint * s[k]) for k in (7, 8, 9)]
    if u[10] < config.grey:
        gains[2] = 0.0
    erased = None
    if u[11] < config.erase:
        width, height = (0.125 + 0.375 * u[k] for k in (12, 13))
        erased = (u[14] * (1 - width), u[15] * (1 - height), width, height, *(255 * u[k] for k in (16, 17, 18)))
    return View(
        flip=u[0] < config.flip,
        turn=config.rotation_rad * s[1],
        scale=math.exp(math.log1p(config.scale) * s[2]),
        shift=(config.shift * s[3], config.shift * s[19]),
        gains=tuple(gains),
        erased=erased,
        damage=seeds[0] if u[20] < config.degrade else None,
        mixed=seeds[1] if u[21] < config.mix else None,
        bent=seeds[2] if u[22] < config.shape else None,
    )


def render(
    padded: Image,
    size: tuple[int, int],
    view: View,
    config: AugmentConfig,
    *,
    other: Image | None = None,
    plain: bool = False,
) -> Image:
    """Make a view of a padded crop.

    Args:
        padded: RGB uint8 (H + 2p, W + 2p, 3).
        size: H, W.
        view: what was drawn.
        config: says what a degradation is drawn from.
        other: padded crop of another face, for a view that is mixed.
        plain: only whose face it is, and the mirror: the teacher's view of it.

    Returns:
        RGB uint8 (H, W, 3).
    """
    picture = padded
    if view.mixed is not None and other is not None:
        picture = blend(picture, other, view.mixed)
    if view.bent is not None:
        picture = bend(picture, size, view.bent)
    if plain:
        return _mirrored(centre(picture, size), view.flip)
    crop = _moved(picture, size, view) if config.moves else centre(picture, size)
    if view.damage is not None:
        rng = np.random.default_rng(view.damage)
        kind, strength = random_degradation(rng, config.kinds, low=config.low, high=config.high)
        crop = degrade(np.ascontiguousarray(crop), kind, strength, rng)
    crop = _coloured(crop, view.gains) if config.colour > 0 or view.gains[2] == 0 else crop
    crop = _mirrored(crop, view.flip)
    if view.erased is not None:
        left, top, width, height, *colour = view.erased
        x, y = round(left * size[1]), round(top * size[0])
        crop[y : y + max(1, round(height * size[0])), x : x + max(1, round(width * size[1]))] = np.array(colour)
    return crop


def augment(
    padded: Image, size: tuple[int, int], config: AugmentConfig, rng: np.random.Generator
) -> tuple[Image, bool]:
    """One random view of a padded crop.

    Args:
        padded: RGB uint8 (H + 2p, W + 2p, 3).
        size: H, W of the result.
        config: how it is varied; :meth:`AugmentConfig.none` gives the centre as it is.
        rng: the only source of chance.

    Returns:
        RGB uint8 (H, W, 3), and whether it is mirrored.

    Raises:
        InputError: the configuration asks for faces that are nobody's, which takes a teacher
            (:class:`~faceset.training.faces.FaceLoader`).
    """
    if config.needs_teacher:
        raise InputError("mix and shape change who is seen, so only a FaceLoader with a teacher can use them")
    view = draw(config, rng)
    return render(padded, size, view, config), view.flip


def _moved(picture: Image, size: tuple[int, int], view: View) -> Image:
    """The crop that a slightly wrong alignment would cut; beyond the padding the border is repeated."""
    height, width = size
    cos, sin = math.cos(view.turn) / view.scale, math.sin(view.turn) / view.scale
    x, y = (width - 1) / 2 + view.shift[0] * width, (height - 1) / 2 + view.shift[1] * height
    middle = (picture.shape[1] - 1) / 2, (picture.shape[0] - 1) / 2
    # From the crop to the padded picture: the inverse of what is done to the face.
    back = np.array([[cos, sin, middle[0] - cos * x - sin * y], [-sin, cos, middle[1] + sin * x - cos * y]])
    moved = cv2.warpAffine(
        picture,
        back,
        (width, height),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(moved, np.uint8)


def _coloured(crop: Image, gains: tuple[float, ...]) -> Image:
    """Brightness, contrast, saturation and tint are one affine map of RGB; what leaves 0..255 is clipped."""
    brightness, contrast, saturation, *tint = gains
    mean = float(np.dot(cv2.mean(crop)[:3], _GREY))
    mixing: Floats = saturation * np.eye(3, dtype=np.float32) + (1 - saturation) * _GREY
    channels = brightness * (np.array(tint, np.float32) if saturation > 0 else np.ones(3, np.float32))
    affine = np.column_stack([contrast * mixing, np.full(3, (1 - contrast) * mean, np.float32)])
    return np.asarray(cv2.transform(crop, channels[:, None] * affine), np.uint8)


def _mirrored(crop: npt.NDArray[np.uint8], flip: bool) -> Image:
    """The crop, mirrored or not; never a view of what it was cut from."""
    if flip:
        return np.asarray(cv2.flip(crop, 1), np.uint8)  # ten times as fast as a copy of crop[:, ::-1]
    return crop if crop.base is None else crop.copy()
