"""Landmarks -> similarity transform -> crop, and the crop geometries by name.

A transform is a matrix (2, 3) in pixels: ``(x', y') = A (x, y) + t`` with pixel centres at whole numbers.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from faceset.errors import InputError
from faceset.packs.manifest import CROP_SIZES, SIZED_CROPS, crop_size, sized_crop
from faceset.types import LANDMARK_SCHEMES, Face, Image, check_image, finite_array

Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Geometry:
    """Where the landmarks of a face lie in its crop.

    Attributes:
        name: see :func:`geometry`.
        scheme: landmark scheme it takes.
        size: height and width of the crop in pixels.
        points: (P, 2) destination of the landmarks, x and y in pixels of the crop.
        dlib: whether the crop is cut as dlib does (see :func:`crop_to_image`), which its network was trained on.
    """

    name: str
    scheme: str
    size: tuple[int, int]
    points: tuple[tuple[float, float], ...]
    dlib: bool = False

    def __post_init__(self) -> None:
        if self.scheme not in LANDMARK_SCHEMES or len(self.points) != LANDMARK_SCHEMES[self.scheme]:
            raise InputError(
                f"geometry {self.name!r}: {len(self.points)} points do not go with scheme {self.scheme!r}; "
                f"schemes and their number of points are {LANDMARK_SCHEMES}"
            )
        if min(self.size) < 2:
            raise InputError(f"geometry {self.name!r}: a crop has at least 2x2 pixels, but size is {self.size}")


_DLIB_PADDING = 0.25
# The mean face of dlib's get_face_chip_details, in units of the face rectangle.
_DLIB_MEAN_FACE = (
    (0.8595674595992, 0.2134981538014),
    (0.6460604764104, 0.2289674387677),
    (0.1205750620789, 0.2137274526848),
    (0.3340850613712, 0.2290642403242),
    (0.4901123135679, 0.6277975316475),
)
# Where dlib's pyramid believes a pixel to be, less where its filter puts it (pyramid_down<2>: 1.25 and 0.75 against 1).
_DLIB_HALVING_SHIFT = np.array([[0, 0, -0.25], [0, 0, 0.25]])
_EPSILON = 1e-3  # float32 noise must not push a whole number below itself before it is cut off
# The five points published with SphereFace for a crop 96 wide and 112 high; ArcFace moved them 8 pixels to the right
# for its square crop.
_SPHERE = (
    (30.2946, 51.6963),
    (65.5318, 51.5014),
    (48.0252, 71.7366),
    (33.5493, 92.3655),
    (62.7299, 92.2041),
)

_ARCFACE = (
    (38.2946, 51.6963),
    (73.5318, 51.5014),
    (56.0252, 71.7366),
    (41.5493, 92.3655),
    (70.7299, 92.2041),
)


def _arcface(side: int) -> Geometry:
    """ArcFace's crop scaled from its 112 pixels, as InsightFace does for multiples of them."""
    ratio = side / SIZED_CROPS["arcface"]
    points = tuple((x * ratio, y * ratio) for x, y in _ARCFACE)
    return Geometry(f"arcface{side}", "arcface5", (side, side), points)


def _dlib(side: int) -> Geometry:
    """The crop of dlib's ``get_face_chip(size=side, padding=0.25)``."""
    whole = 2 * _DLIB_PADDING + 1
    points = tuple(((_DLIB_PADDING + x) / whole * side, (_DLIB_PADDING + y) / whole * side) for x, y in _DLIB_MEAN_FACE)
    return Geometry(f"dlib{side}", "dlib5", (side, side), points, dlib=True)


GEOMETRIES = {
    "arcface112": _arcface(112),
    "sphere112x96": Geometry("sphere112x96", "arcface5", CROP_SIZES["sphere112x96"], _SPHERE),
    "dlib150": _dlib(150),
}
"""The crop geometries that networks were published for, by name; :func:`geometry` knows them in other sizes too."""


def geometry(name: str | Geometry) -> Geometry:
    """The geometry of that name: of :data:`GEOMETRIES`, or ``arcface<N>`` or ``dlib<N>`` of N x N pixels.

    >>> geometry("arcface224").points[0]
    (76.5892, 103.3926)

    Raises:
        InputError: there is none.
    """
    return name if isinstance(name, Geometry) else _named(name)


@functools.lru_cache(maxsize=64)
def _named(name: str) -> Geometry:
    if name in GEOMETRIES:
        return GEOMETRIES[name]
    crop_size(name)  # says which names there are
    family, side = sized_crop(name) or ("", 0)
    return _arcface(side) if family == "arcface" else _dlib(side)


def similarity_transform(src: npt.ArrayLike, dst: npt.ArrayLike) -> Matrix:
    """The rotation, uniform scale and shift that takes ``src`` closest to ``dst`` in the sum of squared distances.

    Never a reflection. This is Umeyama's solution (IEEE TPAMI 13(4), 1991), which in the plane is a ratio of complex
    numbers: with p, q the centred points, ``scale * exp(i angle) = sum(conj(p) q) / sum(|p|^2)``.

    Args:
        src: (P, 2), P >= 2.
        dst: (P, 2).

    Returns:
        (2, 3).

    Raises:
        InputError: shapes differ, values are not finite, or the points of either side coincide.
    """
    a, b = np.asarray(src, np.float64), np.asarray(dst, np.float64)
    if a.shape != b.shape or a.ndim != 2 or a.shape[1] != 2 or a.shape[0] < 2:
        raise InputError(f"src and dst must both be (P, 2) with P >= 2, but are {a.shape} and {b.shape}")
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise InputError("src and dst must be finite")
    p, q = (points @ np.array([1, 1j]) for points in (a, b))
    p0, q0 = p.mean(), q.mean()
    p, q = p - p0, q - q0
    spread = float(np.vdot(p, p).real)
    turn = complex(np.vdot(p, q)) / spread if spread > 1e-12 * (1 + abs(p0) ** 2) else 0j
    if abs(turn) ** 2 * spread <= 1e-12 * (1 + abs(q0) ** 2):
        raise InputError("points coincide, so that they fix no scale and angle; the landmarks are degenerate")
    shift = q0 - turn * p0
    return np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])


def crop_to_image(landmarks: npt.ArrayLike, name: str | Geometry) -> Matrix:
    """The transform (2, 3) from pixels of the crop to pixels of the picture.

    For most geometries it is the inverse of ``similarity_transform(landmarks, points)``. dlib fits in the other
    direction, keeps the crop as a rectangle of ``size * scale`` pixels around the image of the crop's middle, and
    maps the outermost pixel centres of the crop to the outermost pixel centres of that rectangle.

    Raises:
        InputError: the landmarks are degenerate or of the wrong shape.
    """
    geo = geometry(name)
    points = finite_array(landmarks, "landmarks", (len(geo.points), 2)).astype(np.float64)
    if not geo.dlib:
        forward = similarity_transform(points, geo.points)
        inverse = np.linalg.inv(forward[:, :2])
        return np.column_stack([inverse, -inverse @ forward[:, 2]])
    fitted = similarity_transform(geo.points, points)
    height, width = geo.size
    scale = float(np.hypot(fitted[0, 0], fitted[1, 0]))
    middle = fitted @ np.array([width / 2, height / 2, 1.0])
    stretch = np.diag([(width * scale - 1) / (width - 1), (height * scale - 1) / (height - 1)]) / scale
    turned = fitted[:, :2] @ stretch
    return np.column_stack([turned, middle - turned @ np.array([(width - 1) / 2, (height - 1) / 2])])


def align_face(image: Image, face: Face, name: str | Geometry) -> Image:
    """The aligned crop of one face; see :func:`align`.

    Raises:
        InputError: the face has no landmarks, or not those that the crop takes.
    """
    if face.landmarks is None or face.scheme is None:
        raise InputError("a face needs landmarks before it is cut out; pass it through a landmarker first")
    return align(image, face.landmarks, name, scheme=face.scheme)


def align(image: Image, landmarks: npt.ArrayLike, name: str | Geometry, *, scheme: str) -> Image:
    """The aligned crop of one face.

    Bilinear interpolation; a face that is more than twice as large as the crop is first halved by a Gaussian
    pyramid as often as needed, so that no fine pattern turns into a false one. Outside the picture it is black.

    Args:
        image: RGB uint8 (H, W, 3).
        landmarks: (P, 2) pixels of ``image``.
        name: of the geometry, or a :class:`Geometry`.
        scheme: landmark scheme of ``landmarks``.

    Returns:
        RGB uint8 (height, width, 3) of the geometry.

    Raises:
        InputError: the scheme is not the geometry's, or the landmarks are degenerate.
    """
    geo = geometry(name)
    if scheme != geo.scheme:
        raise InputError(
            f"geometry {geo.name!r} takes landmarks of scheme {geo.scheme!r}, but these are {scheme!r}; "
            "use a landmarker of that scheme"
        )
    picture = check_image(image)
    matrix = crop_to_image(landmarks, geo)
    halvings = _halvings(float(np.sqrt(abs(np.linalg.det(matrix[:, :2])))), geo.size)
    region, matrix = _region(picture, matrix, geo.size, margin=4 << halvings)
    height, width = geo.size
    if region is None:
        return np.zeros((height, width, 3), np.uint8)
    # dlib in float32: OpenCV's uint8 path rounds, and dlib cuts off, which alone moves its features by 0.008.
    pixels: npt.NDArray[Any] = region.astype(np.float32) if geo.dlib else region
    for _ in range(halvings):
        pixels, matrix = cv2.pyrDown(pixels), matrix / 2  # pyrDown keeps pixel 0 in its place
        if geo.dlib:
            pixels = np.floor(pixels + _EPSILON)
            matrix = matrix + _DLIB_HALVING_SHIFT
    values: npt.NDArray[Any] = cv2.warpAffine(
        pixels,
        matrix,
        (width, height),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=0,
    )
    if not geo.dlib:
        crop: Image = values
        return crop
    _blacken_outside(values, matrix, pixels.shape[:2])
    return (values + _EPSILON).astype(np.uint8)


def _halvings(scale: float, size: tuple[int, int]) -> int:
    """How often to halve the picture: while the crop's rectangle stays larger than the crop, as dlib counts it."""
    height, width = size[0] * scale, size[1] * scale
    count = 0
    while ((height - 1) / 2 + 1) * ((width - 1) / 2 + 1) > size[0] * size[1]:
        height, width = (height - 1) / 2 + 1, (width - 1) / 2 + 1
        count += 1
    return count


def _region(
    image: Image, matrix: Matrix, size: tuple[int, int], margin: int
) -> tuple[npt.NDArray[np.uint8] | None, Matrix]:
    """The part of the picture a crop needs, and the transform into it; None when the crop lies wholly outside."""
    corners = _corners(matrix, size)
    limits = np.array([image.shape[1], image.shape[0]], float)
    low = np.clip(np.floor(corners.min(axis=1)) - margin, 0, limits).astype(int)
    high = np.clip(np.ceil(corners.max(axis=1)) + margin + 1, 0, limits).astype(int)
    if (low >= high).any():
        return None, matrix
    moved = matrix.copy()
    moved[:, 2] -= low
    return image[low[1] : high[1], low[0] : high[0]], moved


def _corners(matrix: Matrix, size: tuple[int, int]) -> Matrix:
    """(2, 4): where the four outermost pixel centres of a crop lie."""
    right, low = size[1] - 1, size[0] - 1
    found: Matrix = matrix @ np.array([[0, right, 0, right], [0, 0, low, low], [1, 1, 1, 1]], np.float64)
    return found


def _blacken_outside(crop: npt.NDArray[np.float32], matrix: Matrix, shape: tuple[int, ...]) -> None:
    """Black where a crop pixel lacks one of its four neighbours in the picture, as dlib leaves it (in place)."""
    height, width = crop.shape[:2]
    corners = _corners(matrix, (height, width))
    if corners.min() >= 0 and corners[0].max() < shape[1] - 1 and corners[1].max() < shape[0] - 1:
        return
    columns, rows = np.arange(width), np.arange(height)[:, None]
    x = matrix[0, 0] * columns + matrix[0, 1] * rows + matrix[0, 2]
    y = matrix[1, 0] * columns + matrix[1, 1] * rows + matrix[1, 2]
    inside = (x >= 0) & (y >= 0) & (np.floor(x) + 1 < shape[1]) & (np.floor(y) + 1 < shape[0])
    crop[~inside] = 0
