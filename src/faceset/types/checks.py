"""Array types and the checks of arrays that enter the package."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from faceset.errors import InputError

Image = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
Box = tuple[float, float, float, float]


def check_image(image: object, name: str = "image") -> Image:
    """Return ``image`` when it is RGB uint8 (H, W, 3).

    Raises:
        InputError: it is anything else.
    """
    if not isinstance(image, np.ndarray):
        raise InputError(f"{name} must be a NumPy array (H, W, 3) of uint8, but got {type(image).__name__}")
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise InputError(f"{name} must be RGB uint8 (H, W, 3), but got {image.dtype} {image.shape}")
    return image


def finite_array(values: npt.ArrayLike, name: str, shape: Sequence[int | None]) -> Floats:
    """``values`` as a read-only float32 array of the given shape (None = any length), all of it finite.

    Raises:
        InputError: another shape, or NaN or infinity in it.
    """
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinity, which is refused below
        array = np.array(values, dtype=np.float32)
    wanted = "(" + ", ".join("_" if s is None else str(s) for s in shape) + ")"
    if array.ndim != len(shape) or any(s is not None and s != n for s, n in zip(shape, array.shape, strict=True)):
        raise InputError(f"{name} must have shape {wanted}, but got {array.shape}")
    if not np.isfinite(array).all():
        raise InputError(f"{name} holds NaN or infinity; leave such values out before they get here")
    array.setflags(write=False)
    return array
