"""Degradations: identity at 0, growing harm, the same for the same seed, and the physics each one claims."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faceset import degradations
from faceset.degradations import KINDS, degrade, random_degradation
from faceset.degradations._common import from_linear, to_linear
from faceset.degradations.blur import disc_kernel, line_kernel
from faceset.errors import InputError
from faceset.types import Image

ALL = sorted(KINDS)
STRENGTHS = (0.0, 0.1, 0.3, 0.5, 0.75, 1.0)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def picture(height: int = 120, width: int = 100, seed: int = 3) -> Image:
    """A picture with detail at every scale, as natural ones have: an octave of noise for each."""
    import cv2

    draw, total = rng(seed), np.zeros((height, width, 3), np.float32)
    for octave in range(1, 7):
        field = draw.standard_normal((2**octave, 2**octave, 3)).astype(np.float32)
        total += cv2.resize(field, (width, height), interpolation=cv2.INTER_CUBIC) / octave
    return np.clip(110 + 35 * total, 0, 255).astype(np.uint8)


def harm(a: Image, b: Image) -> float:
    return float(np.abs(a.astype(float) - b.astype(float)).mean())


def detail(image: Image) -> float:
    """Mean square difference of neighbours: how much of the high frequencies is left."""
    values = image.astype(float)
    return float(np.mean(np.diff(values, axis=0) ** 2) + np.mean(np.diff(values, axis=1) ** 2))


@pytest.mark.parametrize("kind", ALL)
def test_strength_zero_is_an_equal_copy(kind: str) -> None:
    image = picture()
    result = degrade(image, kind, 0, rng())
    np.testing.assert_array_equal(result, image)
    assert not np.shares_memory(result, image)


@pytest.mark.parametrize("size", [(112, 112), (300, 300), (112, 96)])
@pytest.mark.parametrize("kind", ALL)
def test_harm_grows_with_the_strength(kind: str, size: tuple[int, int]) -> None:
    image = picture(*size)
    for seed in range(4):
        harms = [harm(image, degrade(image, kind, s, rng(seed))) for s in STRENGTHS]
        assert harms[0] == 0
        assert all(a < b for a, b in pairwise(harms)), (seed, harms)


@pytest.mark.parametrize("kind", ["motion_blur", "defocus_blur", "low_resolution"])
def test_blur_takes_high_frequencies_away(kind: str) -> None:
    image = picture()
    left = [detail(degrade(image, kind, s, rng(1))) for s in STRENGTHS]
    assert all(a > b for a, b in pairwise(left)), left


@pytest.mark.parametrize("kind", ALL)
def test_equal_seeds_give_equal_pictures_and_the_input_is_left_alone(kind: str) -> None:
    image = picture()
    before = image.copy()
    first = degrade(image, kind, 0.6, rng(5))
    np.testing.assert_array_equal(first, degrade(image, kind, 0.6, rng(5)))
    np.testing.assert_array_equal(image, before)
    image.setflags(write=False)
    np.testing.assert_array_equal(first, degrade(image, kind, 0.6, rng(5)))


@pytest.mark.parametrize("kind", ["motion_blur", "occlusion", "noise"])
def test_another_seed_gives_another_picture(kind: str) -> None:
    assert harm(degrade(picture(), kind, 0.6, rng(1)), degrade(picture(), kind, 0.6, rng(2))) > 1


@pytest.mark.parametrize("kind", ALL)
def test_the_strength_does_not_change_how_much_is_drawn(kind: str) -> None:
    after = []
    for strength in (0.0, 0.2, 1.0):
        generator = rng(9)
        degrade(picture(), kind, strength, generator)
        after.append(generator.integers(1 << 60))
    assert len(set(after)) == 1


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (1, 9), (9, 1), (40, 7)])
@pytest.mark.parametrize("kind", ALL)
def test_tiny_pictures(kind: str, size: tuple[int, int]) -> None:
    image = picture(*size)
    for strength in (0.0, 0.01, 0.5, 1.0):
        result = degrade(image, kind, strength, rng(2))
        assert result.shape == image.shape
        assert result.dtype == np.uint8


@settings(max_examples=60, deadline=None)
@given(
    kind=st.sampled_from(ALL),
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    strength=st.floats(0, 1),
    seed=st.integers(0, 99),
)
def test_any_size_and_strength(kind: str, height: int, width: int, strength: float, seed: int) -> None:
    image = rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    result = degrade(image, kind, strength, rng(seed))
    assert result.shape == image.shape
    assert result.dtype == np.uint8


@pytest.mark.parametrize("kind", ALL)
def test_the_same_strength_does_like_harm_to_a_larger_crop(kind: str) -> None:
    import cv2

    large = picture(288, 288)
    small = cv2.resize(large, (112, 112), interpolation=cv2.INTER_AREA)
    for strength in (0.6, 1.0):
        shrunk = cv2.resize(degrade(large, kind, strength, rng(4)), (112, 112), interpolation=cv2.INTER_AREA)
        ratio = harm(small, shrunk) / harm(small, degrade(small, kind, strength, rng(4)))
        assert 0.6 < ratio < 1.5


# ---- physics ---------------------------------------------------------------------------------------------------------


def test_linear_light_is_the_srgb_standard() -> None:
    # IEC 61966-2-1: byte 188 is half the light of white to 0.3 %; 10 lies on the straight part.
    ramp = np.arange(256, dtype=np.uint8).reshape(1, 256, 1).repeat(3, axis=2)
    light = to_linear(ramp)[0, :, 0]
    assert light[[0, 255]].tolist() == [0, 1]
    assert light[188] == pytest.approx(0.5029, abs=1e-4)
    assert light[10] == pytest.approx(10 / 255 / 12.92, rel=1e-6)
    np.testing.assert_array_equal(from_linear(to_linear(ramp)), ramp)
    np.testing.assert_array_equal(from_linear(np.array([-1.0, 7.0], np.float32)), [0, 255])


def test_exposure_halves_and_doubles_light() -> None:
    image = np.full((4, 4, 3), 128, np.uint8)
    down = degrade(image, "under_exposure", 1 / 6, rng())
    up = degrade(image, "over_exposure", 1 / 4, rng())
    assert to_linear(down).mean() == pytest.approx(to_linear(image).mean() / 2, rel=0.01)
    assert to_linear(up).mean() == pytest.approx(to_linear(image).mean() * 2, rel=0.01)
    assert degrade(image, "over_exposure", 1, rng()).min() == 255


def test_noise_has_the_variance_it_claims_and_is_worst_in_the_dark() -> None:
    dark, light = np.full((100, 100, 3), 60, np.uint8), np.full((100, 100, 3), 150, np.uint8)
    ratios = []
    for image in (dark, light):
        x = float(to_linear(image)[0, 0, 0])
        noisy = to_linear(degrade(image, "noise", 0.1, rng()))
        assert noisy.mean() == pytest.approx(x, rel=0.02)
        assert noisy.std() == pytest.approx(0.1 * np.sqrt(0.45 * x + 0.10**2), rel=0.05)
        ratios.append(x / noisy.std())
    assert ratios[0] < ratios[1]


def test_noise_is_as_strong_on_a_large_crop() -> None:
    image = np.full((280, 280, 3), 150, np.uint8)
    spread = degrade(image, "noise", 0.1, rng()).std()
    assert spread == pytest.approx(degrade(image[:112, :112], "noise", 0.1, rng()).std(), rel=0.05)


def test_kernels_by_hand() -> None:
    # A line of 2 pixels to the right has its whole middle pixel and half of each neighbour; sub-pixel sharing blurs it
    # by the triangle (-1, 1), which moves an eighth of a pixel's share outwards on each side.
    line = line_kernel(2.0, 0.0)
    assert line.shape == (5, 5)
    np.testing.assert_allclose(line[2], [0, 0.25, 0.5, 0.25, 0], atol=2e-3)
    assert line.sum() == pytest.approx(1, abs=1e-6)
    np.testing.assert_allclose(line_kernel(7.3, np.pi / 2), line_kernel(7.3, 0).T, atol=1e-6)
    disc = disc_kernel(6.0)
    assert disc[7, 7] == pytest.approx(1 / (np.pi * 36), rel=0.01)
    assert disc.sum() == pytest.approx(1, abs=1e-6)
    assert disc_kernel(0.01).max() == 1


def test_blur_adds_up_light_not_bytes() -> None:
    # Stripes of black and white seen out of focus are grey of half the light: byte 188, not 128.
    image = np.zeros((100, 100, 3), np.uint8)
    image[:, ::2] = 255
    assert degrade(image, "defocus_blur", 1, rng())[40:60, 40:60].mean() == pytest.approx(188, abs=2)


def test_motion_blur_smears_along_one_line() -> None:
    image = np.zeros((101, 101, 3), np.uint8)
    image[50, 50] = 255
    y, x = np.nonzero(degrade(image, "motion_blur", 0.8, rng(3))[..., 0])
    points = np.stack([x, y]).astype(float)
    along, across = sorted(np.linalg.eigvalsh(np.cov(points)), reverse=True)
    assert along > 50 * across
    assert np.hypot(np.ptp(x), np.ptp(y)) == pytest.approx(0.8 * 0.30 * 101, abs=3)


@pytest.mark.parametrize("strength", [0.2, 0.5, 1.0])
def test_occlusion_covers_the_area_it_claims_near_the_middle(strength: float) -> None:
    image = np.zeros((200, 200, 3), np.uint8)
    shares = []
    for seed in range(40):
        covered = degrade(image, "occlusion", strength, rng(seed)).max(axis=2) > 0
        shares.append(covered.mean())
        assert covered.mean() < 0.6 * strength + 0.05
        if strength >= 0.5:
            assert covered[60:160, 60:140].mean() > 0.15
    assert np.median(shares) > 0.85 * 0.6 * strength


@pytest.mark.parametrize("kind", ["motion_blur", "defocus_blur", "low_resolution"])
def test_blur_leaves_a_flat_picture_alone(kind: str) -> None:
    image = np.full((50, 40, 3), (200, 90, 30), np.uint8)
    np.testing.assert_array_equal(degrade(image, kind, 0.7, rng()), image)


def test_low_resolution_averages_what_it_drops() -> None:
    image = np.zeros((100, 100, 3), np.uint8)
    image[::2] = 254
    coarse = degrade(image, "low_resolution", 1, rng()).astype(int)
    assert np.abs(coarse - 127).max() < 20


def test_low_resolution_leaves_the_lines_it_claims() -> None:
    # 8 lines hold at most 4 periods over the height; cubic enlargement adds little above that.
    image = rng(1).integers(0, 256, (100, 100, 3), dtype=np.uint8)
    coarse = degrade(image, "low_resolution", 1, rng()).astype(float)
    power = np.abs(np.fft.rfft(coarse.mean(axis=2) - coarse.mean(), axis=0)) ** 2
    assert power[8:].sum() < 0.05 * power.sum()


def test_jpeg_blocks_grow_with_the_picture() -> None:
    # 336 lines are compressed at 112: blocks of 8 become blocks of 24, with steps at their borders and none between.
    coded = degrade(picture(336, 336), "jpeg", 1, rng()).astype(float)
    step = np.abs(np.diff(coded, axis=0)).mean(axis=(1, 2))
    borders = np.mean([step[k - 2 : k + 1].sum() for k in range(24, 336, 24)])
    inside = np.mean([step[k + 6 : k + 9].sum() for k in range(24, 312, 24)])
    assert borders > 5 * inside


# ---- names, draws and errors -----------------------------------------------------------------------------------------


def test_functions_and_names_agree() -> None:
    for name, function in KINDS.items():
        assert function is getattr(degradations, name)
        assert function.__name__ == name
        assert f"``{name}``" in (degradations.__doc__ or "")


def test_random_degradation_draws_all_kinds_and_keeps_to_its_bounds() -> None:
    draw = rng(0)
    drawn = [random_degradation(draw, low=0.2, high=0.7) for _ in range(300)]
    assert {kind for kind, _ in drawn} == set(KINDS)
    assert all(0.2 <= strength <= 0.7 for _, strength in drawn)
    assert random_degradation(rng(1)) == random_degradation(rng(1))
    assert {random_degradation(draw, ["noise", "jpeg"])[0] for _ in range(30)} == {"noise", "jpeg"}


@pytest.mark.parametrize("bad", [-0.1, 1.01, float("nan"), float("inf"), "half", None, True])
@pytest.mark.parametrize("kind", ALL)
def test_a_bad_strength_is_named(kind: str, bad: object) -> None:
    with pytest.raises(InputError, match=r"strength must .* but got") as caught:
        degrade(picture(8, 8), kind, bad, rng())  # type: ignore[arg-type]
    assert repr(bad) in str(caught.value)


def test_bad_pictures_kinds_and_generators() -> None:
    with pytest.raises(InputError, match=r"float64 \(4, 4, 3\)"):
        degrade(np.zeros((4, 4, 3)), "noise", 0.5, rng())  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"uint8 \(4, 4\)"):
        degrade(np.zeros((4, 4), np.uint8), "noise", 0.5, rng())
    with pytest.raises(InputError, match="unknown degradation 'fog'") as caught:
        degrade(picture(8, 8), "fog", 0.5, rng())
    assert all(name in str(caught.value) for name in KINDS)
    with pytest.raises(InputError, match=r"rng must be a numpy\.random\.Generator, but got int"):
        degrade(picture(8, 8), "noise", 0.5, 7)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="unknown degradation 'fog'"):
        random_degradation(rng(), ["noise", "fog"])
    with pytest.raises(InputError, match="no kind to draw"):
        random_degradation(rng(), [])
    with pytest.raises(InputError, match=r"low=0\.7, high=0\.2"):
        random_degradation(rng(), low=0.7, high=0.2)
