"""Similarity transforms, crop geometries and crops."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracles import bilinear
from oracles.umeyama import umeyama

from faceset.alignment import GEOMETRIES, Geometry, align, align_face, crop_to_image, geometry, similarity_transform
from faceset.errors import InputError
from faceset.packs.manifest import CROP_SIZES, crop_size
from faceset.types import Face

RNG = np.random.default_rng(3)
SIZED = ("arcface63", "dlib112")
EACH = pytest.mark.parametrize("geo", [geometry(name) for name in (*GEOMETRIES, *SIZED)], ids=[*GEOMETRIES, *SIZED])


def moved(points: np.ndarray, scale: float, angle_rad: float, x: float, y: float) -> np.ndarray:
    c, s = scale * np.cos(angle_rad), scale * np.sin(angle_rad)
    return points @ np.array([[c, s], [-s, c]]) + (x, y)


def apply(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    return points @ matrix[:, :2].T + matrix[:, 2]


def test_a_quarter_turn_by_hand() -> None:
    # (1,0) -> (5,7) and (0,1) -> (3,5): twice as large, a quarter turn from x to y, about the shift (5, 5).
    found = similarity_transform([[1, 0], [0, 1]], [[5, 7], [3, 5]])
    np.testing.assert_allclose(found, [[0, -2, 5], [2, 0, 5]], atol=1e-12)


@given(
    scale=st.floats(0.01, 100),
    angle_rad=st.floats(-3.2, 3.2),
    shift=st.tuples(st.floats(-1e4, 1e4), st.floats(-1e4, 1e4)),
    count=st.integers(2, 9),
    seed=st.integers(0, 99),
)
def test_an_exact_similarity_is_found(
    scale: float, angle_rad: float, shift: tuple[float, float], count: int, seed: int
) -> None:
    src = np.random.default_rng(seed).uniform(0, 100, (count, 2))
    dst = moved(src, scale, angle_rad, *shift)
    np.testing.assert_allclose(apply(similarity_transform(src, dst), src), dst, atol=1e-7 * (1 + np.abs(dst).max()))


@given(seed=st.integers(0, 999), count=st.integers(2, 9), mirrored=st.booleans())
def test_it_is_umeyamas(seed: int, count: int, mirrored: bool) -> None:
    rng = np.random.default_rng(seed)
    src = rng.uniform(0, 100, (count, 2))
    dst = moved(src, 1.5, 0.7, 20, -30) + rng.normal(0, 5, (count, 2))
    if mirrored and count > 2:  # the best reflection is not taken
        src[:, 0] *= -1
    np.testing.assert_allclose(similarity_transform(src, dst), umeyama(src, dst), atol=1e-8)


def test_no_other_similarity_is_closer() -> None:
    src, dst = RNG.uniform(0, 50, (2, 5, 2))
    best = similarity_transform(src, dst)
    error = ((apply(best, src) - dst) ** 2).sum()
    for _ in range(200):
        a, b, x, y = RNG.normal(0, 0.01, 4)
        other = best + np.array([[a, -b, x], [b, a, y]])
        assert ((apply(other, src) - dst) ** 2).sum() >= error


@pytest.mark.parametrize(
    ("src", "dst", "reason"),
    [
        (np.full((5, 2), 7.3), RNG.uniform(0, 9, (5, 2)), "points coincide"),
        (RNG.uniform(0, 9, (5, 2)), np.full((5, 2), 1e6), "points coincide"),
        (np.full((5, 2), np.nan), np.zeros((5, 2)), "must be finite"),
        (np.zeros((5, 3)), np.zeros((5, 3)), r"must both be \(P, 2\) with P >= 2, but are \(5, 3\)"),
        (np.zeros((1, 2)), np.zeros((1, 2)), "P >= 2"),
        (np.zeros((4, 2)), np.zeros((5, 2)), r"\(4, 2\) and \(5, 2\)"),
    ],
)
def test_degenerate_points_are_refused(src: np.ndarray, dst: np.ndarray, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        similarity_transform(src, dst)


def test_the_geometries() -> None:
    assert {g.name: g.size for g in GEOMETRIES.values()} == CROP_SIZES
    assert {g.name: g.scheme for g in GEOMETRIES.values()} == {
        "arcface112": "arcface5",
        "sphere112x96": "arcface5",
        "dlib150": "dlib5",
    }
    # The square crop is the narrow one with 8 more pixels on both sides.
    sphere, arc = (np.array(GEOMETRIES[n].points) for n in ("sphere112x96", "arcface112"))
    np.testing.assert_allclose(arc - sphere, np.broadcast_to([8, 0], (5, 2)), atol=1e-9)
    # (0.25 + 0.4901123135679) / 1.5 * 150
    assert GEOMETRIES["dlib150"].points[4][0] == pytest.approx(74.01123135679, abs=1e-9)
    assert geometry("arcface112") is geometry(GEOMETRIES["arcface112"])
    with pytest.raises(InputError, match=r"'square'; there are arcface112, sphere112x96, dlib150, arcface<N>, dlib<N>"):
        geometry("square")
    with pytest.raises(InputError, match="4 points do not go with scheme 'dlib5'"):
        Geometry("x", "dlib5", (10, 10), ((0, 0),) * 4)
    with pytest.raises(InputError, match="at least 2x2"):
        Geometry("x", "dlib5", (1, 10), ((0, 0),) * 5)


def test_sized_geometries_by_hand() -> None:
    # ArcFace's nose (56.0252, 71.7366) at twice the size, and dlib's: (0.25 + 0.4901123135679) / 1.5 * 96.
    assert geometry("arcface224").points[2] == pytest.approx((112.0504, 143.4732), abs=1e-9)
    assert geometry("dlib96").points[4][0] == pytest.approx(47.367188068, abs=1e-9)
    for name, scheme in (("arcface32", "arcface5"), ("arcface448", "arcface5"), ("dlib32", "dlib5")):
        geo, side = geometry(name), int(name.removeprefix(scheme[:-1]))
        assert (geo.name, geo.scheme, geo.size, crop_size(name)) == (name, scheme, (side, side), (side, side))
    assert geometry("dlib150") is GEOMETRIES["dlib150"]
    for name, size in CROP_SIZES.items():
        assert crop_size(name) == size


@pytest.mark.parametrize(
    "name",
    [
        "arcface31",
        "arcface449",
        "dlib0112",
        "arcface012",
        "dlib",
        "arcface112x96",
        "sphere96",
        "dlib-96",
        "",
        "arcface٦٤",
    ],
)
def test_a_size_that_there_is_not(name: str) -> None:
    for find in (geometry, crop_size):
        with pytest.raises(InputError, match=rf"'{name}'; there are arcface112, .*N from 32 to 448"):
            find(name)


@pytest.mark.parametrize("name", ["arcface112", "sphere112x96", "arcface63", "arcface224"])
def test_landmarks_in_place_give_the_picture_itself(name: str) -> None:
    geo = geometry(name)
    image = RNG.integers(0, 256, (300, 320, 3), dtype=np.uint8)
    crop = align(image, np.array(geo.points) + np.array([30, 40]), name, scheme=geo.scheme)
    height, width = geo.size
    # Landmarks are float32, so a point may be off by 1e-5 pixels, which can turn a rounding.
    assert np.abs(crop.astype(int) - image[40 : 40 + height, 30 : 30 + width]).max() <= 1


@EACH
def test_landmarks_land_on_the_points_of_the_crop(geo: Geometry) -> None:
    points = np.array(geo.points)
    landmarks = moved(points, 1.7, 0.4, 50, 60)
    there = apply(crop_to_image(landmarks, geo), points)
    # dlib's own rectangle is off by half a pixel of the crop by design.
    np.testing.assert_allclose(there, landmarks, atol=1.3 if geo.dlib else 1e-3)


def test_the_corners_of_a_dlib_crop_by_hand() -> None:
    # At scale 2 without a turn dlib's rectangle is 300 pixels wide around image(75, 75) = 150 + shift; its outermost
    # pixel centres lie 299/2 to both sides.
    geo = GEOMETRIES["dlib150"]
    matrix = crop_to_image(moved(np.array(geo.points), 2, 0, 10, 20), geo)
    corners = apply(matrix, np.array([[0.0, 0.0], [149, 149]]))
    np.testing.assert_allclose(corners, [[160 - 149.5, 170 - 149.5], [160 + 149.5, 170 + 149.5]], atol=1e-3)


@EACH
@pytest.mark.parametrize(
    ("scale", "angle_rad", "x", "y"), [(0.8, 0.3, 60, 50), (1.3, -2.0, 80, 200), (1.0, 0, -40, 90)]
)
def test_a_crop_is_bilinear_and_black_outside(
    geo: Geometry, scale: float, angle_rad: float, x: float, y: float
) -> None:
    image = cv2.GaussianBlur(RNG.integers(0, 256, (240, 260, 3), dtype=np.uint8), (0, 0), 2)
    landmarks = moved(np.array(geo.points), scale, angle_rad, x, y)
    crop = align(image, landmarks, geo, scheme=geo.scheme)
    expected = bilinear.crop(image, crop_to_image(landmarks, geo), geo.size)
    inside = expected.any(axis=2)
    difference = np.abs(crop - expected)
    assert difference[inside].max() <= 3  # OpenCV before version 5 places samples on a grid of 1/32 pixel
    assert difference[inside].mean() < 1
    if geo.dlib:
        assert not crop[~inside].any()
    else:  # OpenCV fades the last pixel into the black
        near = cv2.dilate(inside.astype(np.uint8), np.ones((5, 5))).astype(bool)
        assert not crop[~near].any()


@EACH
def test_a_face_outside_the_picture_is_black(geo: Geometry) -> None:
    image = np.full((50, 60, 3), 255, np.uint8)
    crop = align(image, np.array(geo.points) + 500, geo, scheme=geo.scheme)
    assert crop.shape == (*geo.size, 3)
    assert crop.dtype == np.uint8
    assert not crop.any()


@EACH
@pytest.mark.parametrize("scale", [2.5, 4.3, 9.0])
def test_a_large_face_does_not_alias(geo: Geometry, scale: float) -> None:
    # A checkerboard finer than the crop can show must turn grey; plain bilinear sampling keeps its full contrast.
    side = int(180 * scale)
    y, x = np.mgrid[:side, :side]
    image = np.repeat(((x + y) % 2 * 255).astype(np.uint8)[..., None], 3, axis=2)
    landmarks = moved(np.array(geo.points), scale, 0.1, 20 * scale, 5)
    crop = align(image, landmarks, geo, scheme=geo.scheme)[10:-10, 10:-10]
    assert np.abs(crop.astype(float) - 127.5).max() <= 4
    plain = bilinear.crop(image, crop_to_image(landmarks, geo), geo.size)[10:-10, 10:-10]
    assert np.abs(plain - 127.5).max() > 100


@EACH
@pytest.mark.parametrize("scale", [2.5, 4.3, 9.0])
def test_a_large_face_stays_in_its_place(geo: Geometry, scale: float) -> None:
    # A soft picture looks the same before and after the pyramid: no shift may creep in.
    base = cv2.GaussianBlur(RNG.integers(0, 256, (20, 20, 3), dtype=np.uint8), (0, 0), 1)
    image = cv2.resize(base, None, fx=12 * scale, fy=12 * scale, interpolation=cv2.INTER_CUBIC)
    landmarks = moved(np.array(geo.points), scale, 0.2, 60 * scale, 40 * scale)
    crop = align(image, landmarks, geo, scheme=geo.scheme)
    plain = bilinear.crop(image, crop_to_image(landmarks, geo), geo.size)
    assert np.abs(crop - plain).mean() < (1.8 if geo.dlib else 0.8)  # dlib shifts a quarter of a pixel a halving


@EACH
def test_the_picture_is_left_alone_and_may_be_a_view(geo: Geometry) -> None:
    image = RNG.integers(0, 256, (300, 300, 3), dtype=np.uint8)
    image.setflags(write=False)
    landmarks = moved(np.array(geo.points), 1.2, 0.1, 50, 60)
    whole = align(image, landmarks, geo, scheme=geo.scheme)
    flipped = align(image[:, ::-1][:, ::-1], landmarks, geo, scheme=geo.scheme)
    assert np.array_equal(whole, flipped)
    mirrored = align(image[:, ::-1], landmarks, geo, scheme=geo.scheme)
    assert np.array_equal(mirrored, align(image[:, ::-1].copy(), landmarks, geo, scheme=geo.scheme))


def test_the_wrong_scheme_is_refused() -> None:
    image = np.zeros((50, 60, 3), np.uint8)
    points = np.array(GEOMETRIES["dlib150"].points)
    with pytest.raises(InputError, match="'dlib150' takes landmarks of scheme 'dlib5', but these are 'arcface5'"):
        align(image, points, "dlib150", scheme="arcface5")
    with pytest.raises(InputError, match="points coincide"):
        align(image, np.zeros((5, 2)), "dlib150", scheme="dlib5")
    with pytest.raises(InputError, match="landmarks"):
        align(image, points[:4], "dlib150", scheme="dlib5")
    with pytest.raises(InputError, match="landmarks"):
        align(image, points * np.nan, "dlib150", scheme="dlib5")
    with pytest.raises(InputError, match="image must be RGB uint8"):
        align(image.astype(float), points, "dlib150", scheme="dlib5")  # type: ignore[arg-type]


@pytest.mark.data
@pytest.mark.parametrize("side", [150, 112])
@pytest.mark.parametrize(("enlarged", "allowed"), [(1, 0.2), (3, 1.0)])
def test_crops_are_dlibs(data_dir: Path, enlarged: int, allowed: float, side: int) -> None:
    import dlib

    from faceset.packs.installed import DLIB_POINTS, installed_file

    predictor = dlib.shape_predictor(str(installed_file(*DLIB_POINTS)))
    for path in sorted((data_dir / "lfw").glob("*/*_0001.jpg"))[:600:40]:
        image = np.ascontiguousarray(cv2.imread(str(path))[:, :, ::-1])
        image = cv2.resize(image, None, fx=enlarged, fy=enlarged, interpolation=cv2.INTER_CUBIC)
        # LFW is centred. The box is a little too large and off its place, so that some crops leave the picture.
        box = dlib.rectangle(*(v * enlarged for v in (60, 60, 200, 200)))
        shape = predictor(image, box)
        points = np.array([(p.x, p.y) for p in shape.parts()], np.float32)
        for picture, at in ((image, 0), (image[70 * enlarged :, 70 * enlarged :], 70 * enlarged)):
            parts = [dlib.point(int(x) - at, int(y) - at) for x, y in points]
            cut = np.ascontiguousarray(picture)
            expected = dlib.get_face_chip(cut, dlib.full_object_detection(box, parts), side)
            crop = align(cut, points - at, f"dlib{side}", scheme="dlib5")
            assert np.abs(crop.astype(int) - expected).mean() < allowed, (path, at)


def test_a_face_without_landmarks_is_not_cut_out() -> None:
    with pytest.raises(InputError, match="a face needs landmarks before it is cut out; pass it through a landmarker"):
        align_face(np.zeros((9, 9, 3), np.uint8), Face((0, 0, 5, 5), 1.0), "arcface112")
