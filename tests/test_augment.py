"""Augmentation against arithmetic: what is moved, coloured, erased and damaged, and what stays."""

from __future__ import annotations

import dataclasses
import math
import subprocess
import sys

import cv2
import numpy as np
import pytest

from faceset.degradations import KINDS, degrade, random_degradation
from faceset.errors import InputError
from faceset.training.faces import AugmentConfig, augment
from faceset.training.faces.augmentation import View, draw, render
from faceset.training.faces.bending import BEND, bend, blend
from faceset.training.faces.padding import centre

SIZE, PAD = (40, 32), 6
NONE = AugmentConfig.none()
MOVING = dataclasses.replace(NONE, rotation_rad=1.0)
STILL = View(False, 0.0, 1.0, (0.0, 0.0), (1.0,) * 6, None, None, None, None)


def picture(seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (7, 6, 3), dtype=np.uint8)
    return cv2.resize(coarse, (SIZE[1] + 2 * PAD, SIZE[0] + 2 * PAD), interpolation=cv2.INTER_CUBIC)


def test_no_augmentation_is_the_crop() -> None:
    padded = picture()
    before = padded.copy()
    for seed in range(5):
        crop, flipped = augment(padded, SIZE, NONE, np.random.default_rng(seed))
        np.testing.assert_array_equal(crop, padded[PAD:-PAD, PAD:-PAD])
        assert not flipped
        assert not np.shares_memory(crop, padded)
    crop, flipped = augment(padded, SIZE, dataclasses.replace(NONE, flip=1.0), np.random.default_rng(0))
    np.testing.assert_array_equal(crop, padded[PAD:-PAD, PAD:-PAD][:, ::-1])
    assert flipped
    augment(padded, SIZE, AugmentConfig(erase=1, degrade=1), np.random.default_rng(0))
    np.testing.assert_array_equal(padded, before)


def test_a_view_that_moves_nothing_is_the_crop() -> None:
    np.testing.assert_array_equal(render(picture(), SIZE, STILL, MOVING), centre(picture(), SIZE))


def test_whole_pixels_are_shifted_exactly() -> None:
    padded = picture()
    for dx, dy in ((3, -2), (-6, 6), (0, 5)):
        view = STILL._replace(shift=(dx / SIZE[1], dy / SIZE[0]))
        expected = padded[PAD - dy : PAD - dy + SIZE[0], PAD - dx : PAD - dx + SIZE[1]]
        np.testing.assert_array_equal(render(padded, SIZE, view, MOVING), expected)


def test_a_turn_is_clockwise_and_about_the_middle() -> None:
    padded = picture()[:44, :44]
    size = (32, 32)
    for quarter, turns in ((math.pi / 2, -1), (-math.pi / 2, 1), (math.pi, 2)):
        found = render(padded, size, STILL._replace(turn=quarter), MOVING).astype(int)
        assert np.abs(found - np.rot90(centre(padded, size), turns)).max() <= 1


def test_a_face_grows_by_the_scale() -> None:
    x = np.tile(np.arange(44, dtype=np.uint8)[:, None] * 4, (52, 1, 3))  # a ramp of 4 a pixel, middle at 21.5
    for scale in (0.8, 1.25):
        found = render(x, SIZE, STILL._replace(scale=scale), MOVING)[20, :, 0].astype(float)
        expected = 4 * (21.5 + (np.arange(32) - 15.5) / scale)
        assert np.abs(found - expected).max() <= 1


def test_beyond_the_padding_the_border_is_repeated() -> None:
    padded = picture()
    found = render(padded, SIZE, STILL._replace(shift=(0.5, 0.0)), MOVING)
    np.testing.assert_array_equal(found[:, : 16 - PAD], np.repeat(padded[PAD:-PAD, :1], 16 - PAD, axis=1))


def coloured(**gains: float) -> np.ndarray:
    order = ("brightness", "contrast", "saturation", "red", "green", "blue")
    view = STILL._replace(gains=tuple(gains.get(name, 1.0) for name in order))
    return render(picture(), SIZE, view, dataclasses.replace(NONE, colour=0.5)).astype(float)


def test_colour_by_hand() -> None:
    plain = centre(picture(), SIZE).astype(float)
    luma = plain @ (0.299, 0.587, 0.114)
    assert np.abs(coloured() - plain).max() == 0
    cases = [
        (coloured(brightness=0.5), plain * 0.5),
        (coloured(brightness=3.0), np.minimum(plain * 3, 255)),
        (coloured(contrast=0.5), luma.mean() + 0.5 * (plain - luma.mean())),
        (coloured(saturation=0.0), np.repeat(luma[..., None], 3, axis=-1)),
        (coloured(saturation=0.5), 0.5 * plain + 0.5 * luma[..., None]),
        (coloured(red=0.5, blue=0.25), plain * (0.5, 1.0, 0.25)),
        (coloured(saturation=0.0, red=0.5), np.repeat(luma[..., None], 3, axis=-1)),  # grey has no tint
    ]
    for k, (found, expected) in enumerate(cases):
        assert np.abs(found - expected).max() <= 0.6, k  # OpenCV rounds its factors a little


def test_a_rectangle_is_erased() -> None:
    view = STILL._replace(erased=(0.25, 0.5, 0.5, 0.25, 10.0, 20.0, 30.0))
    crop = render(picture(), SIZE, view, NONE)
    changed = (crop != centre(picture(), SIZE)).any(axis=-1)
    assert (crop[20:30, 8:24] == (10, 20, 30)).all()
    changed[20:30, 8:24] = False
    assert not changed.any()
    for seed in range(50):
        erased = draw(AugmentConfig(erase=1), np.random.default_rng(seed)).erased
        assert erased is not None
        left, top, width, height, *colour = erased
        assert 0.125 <= min(width, height) <= max(width, height) <= 0.5
        assert min(left, top) >= 0
        assert max(left + width, top + height) <= 1
        assert 0 <= min(colour) <= max(colour) <= 255


def test_damage_is_that_of_the_degradations() -> None:
    config = dataclasses.replace(NONE, degrade=1.0, kinds=("jpeg", "noise"), low=0.4, high=0.5)
    for seed in range(4):
        crop, _ = augment(picture(), SIZE, config, np.random.default_rng(seed))
        damage = draw(config, np.random.default_rng(seed)).damage
        assert damage is not None
        rng = np.random.default_rng(damage)
        kind, strength = random_degradation(rng, config.kinds, low=0.4, high=0.5)
        np.testing.assert_array_equal(crop, degrade(centre(picture(), SIZE).copy(), kind, strength, rng))


def test_what_is_drawn_lies_within_the_bounds_and_has_the_shares() -> None:
    config = AugmentConfig(rotation_rad=0.2, scale=0.1, shift=0.05, colour=0.5, mix=0.3, shape=0.2)
    rng = np.random.default_rng(0)
    views = [draw(config, rng) for _ in range(4000)]
    for name, values, bound in (
        ("turn", [v.turn for v in views], 0.2),
        ("scale", [math.log(v.scale) for v in views], math.log(1.1)),
        ("shift", [s for v in views for s in v.shift], 0.05),
        ("gains", [math.log(g) for v in views for g in v.gains[:2]], math.log(1.5)),
        ("tint", [math.log(g) for v in views for g in v.gains[3:]], math.log(1.125)),
    ):
        assert max(map(abs, values)) <= bound, name
        assert np.std(values) == pytest.approx(bound / math.sqrt(3), rel=0.03), name
    shares = {
        "flip": [v.flip for v in views],
        "degrade": [v.damage is not None for v in views],
        "erase": [v.erased is not None for v in views],
        "grey": [v.gains[2] == 0 for v in views],
        "mix": [v.mixed is not None for v in views],
        "shape": [v.bent is not None for v in views],
    }
    for name, seen in shares.items():
        assert np.mean(seen) == pytest.approx(getattr(config, name), abs=0.03), name
    assert abs(np.corrcoef(shares["flip"], shares["degrade"])[0, 1]) < 0.05


def test_one_setting_does_not_change_the_draw_of_another() -> None:
    a, b = np.random.default_rng(5), np.random.default_rng(5)
    draw(NONE, a)
    draw(AugmentConfig(mix=1, shape=1), b)
    assert a.random() == b.random()
    one = draw(AugmentConfig(), np.random.default_rng(5))
    other = draw(AugmentConfig(degrade=0, erase=0, colour=0), np.random.default_rng(5))
    assert (one.flip, one.turn, one.scale, one.shift) == (other.flip, other.turn, other.scale, other.shift)


def test_one_view_of_two_crops_shows_the_same() -> None:
    """The geometries of a family differ in size alone, and so do the views of them."""
    rng = np.random.default_rng(1)
    coarse = rng.integers(0, 256, (9, 9, 3), dtype=np.uint8)
    large = cv2.resize(coarse, (186, 186), interpolation=cv2.INTER_CUBIC)
    small = cv2.resize(large, (140, 140), interpolation=cv2.INTER_AREA)
    config = AugmentConfig(erase=1, kinds=("motion_blur", "defocus_blur", "over_exposure"), degrade=1, shape=1)
    for seed in range(8):
        view = draw(config, np.random.default_rng(seed))
        wide = render(large, (150, 150), view, config)
        found = render(small, (112, 112), view, config)
        difference = np.abs(found.astype(float) - cv2.resize(wide, (112, 112), interpolation=cv2.INTER_AREA))
        assert difference.mean() < 3.5, seed
        plain = render(small, (112, 112), view, config, plain=True)
        straight = bend(small, (112, 112), view.bent or 0)[14:-14, 14:-14]
        np.testing.assert_array_equal(plain, straight[:, ::-1] if view.flip else straight)


def test_a_blend_holds_both_faces() -> None:
    a, b = np.full((40, 40, 3), 200, np.uint8), np.full((40, 40, 3), 100, np.uint8)
    even, halves = 0, 0
    for seed in range(60):
        found = blend(a, b, seed)
        assert 100 <= found.min() <= found.max() <= 200
        if found.min() == found.max():
            even += 1
            assert 129 <= found.min() <= 171
        else:
            halves += 1
            assert found.min() < 110
            assert found.max() > 190
    assert 25 <= even <= 47
    np.testing.assert_array_equal(blend(a, a, 0), a)


def test_a_bent_face_is_near_what_it_was() -> None:
    x = np.tile(np.arange(120, dtype=np.uint8)[None, :, None] * 2, (120, 1, 3))
    moved = np.concatenate(
        [(bend(x, (100, 100), s)[30:90, 30:90].astype(float) - x[30:90, 30:90]) / 2 for s in range(40)]
    )
    assert 0.5 * BEND * 100 < moved.std() < 1.5 * BEND * 100
    assert np.abs(moved).max() < 0.25 * 100


def test_a_configuration_is_checked() -> None:
    config = AugmentConfig(kinds=["jpeg"], high=0.9)  # type: ignore[arg-type]
    assert AugmentConfig.from_dict(config.to_dict()) == config
    assert AugmentConfig().kinds == tuple(KINDS)
    assert not NONE.moves
    assert not NONE.needs_teacher
    with pytest.raises(InputError, match=r"no setting blur, flop; it has flip, rotation_rad"):
        AugmentConfig.from_dict({"flop": 1, "blur": 2})
    for name, value in (
        ("flip", 1.1),
        ("scale", -0.1),
        ("erase", math.nan),
        ("colour", "much"),
        ("grey", True),
        ("low", "little"),
    ):
        with pytest.raises(InputError, match=rf"{name} must be in 0\.\.\d"):
            AugmentConfig(**{name: value})
    with pytest.raises(InputError, match=r"0 <= low <= high <= 1"):
        AugmentConfig(low=0.7)
    with pytest.raises(InputError, match=r"unknown degradation 'rain'"):
        AugmentConfig(kinds=("rain",))
    with pytest.raises(InputError, match=r"only a FaceLoader with a teacher"):
        augment(picture(), SIZE, AugmentConfig(mix=0.1), np.random.default_rng(0))


def test_the_configuration_loads_nothing_heavy() -> None:
    code = "import sys; from faceset.training.faces import AugmentConfig as A; A(); "
    code += "print(sorted({'numpy', 'torch', 'cv2'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_without_torch_the_extra_is_named() -> None:
    code = (
        "import sys; sys.modules['torch'] = None; from faceset.training import faces; faces.prepare; faces.FaceLoader"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "MissingExtraError: loading faces for training needs torch" in done.stderr
