"""Camera cuts: the real clips at many rates, and what must not be taken for a cut."""

from __future__ import annotations

import av
import numpy as np
import pytest

from faceset.errors import InputError
from faceset.tracking import CutDetector

HAMILTON_CUTS = [20, 82, 211]  # first frames of the shots, found by eye


def scene(seed, H=180, W=320):
    """A picture with structure at several scales and colours of its own."""
    rng = np.random.default_rng(seed)
    picture = np.zeros((H, W, 3))
    tint = rng.uniform(0.3, 1, 3)
    for cells in (3, 6, 12, 24):
        coarse = rng.uniform(0, 1, (cells, cells * 2, 1)) * tint + 0.15 * rng.uniform(0, 1, (cells, cells * 2, 3))
        picture += np.kron(coarse, np.ones((-(-H // cells), -(-W // (cells * 2)), 1)))[:H, :W]
    picture = (picture - picture.min()) / (picture.max() - picture.min())
    return (20 + 180 * picture).astype(np.uint8)


def cuts(frames):
    detector = CutDetector()
    return [i for i, frame in enumerate(frames) if detector.is_cut(frame)]


def light(picture, gain=1.0, offset=0.0):
    return np.clip(picture.astype(float) * gain + offset, 0, 255).astype(np.uint8)


def noisy(picture, seed):
    return light(picture + np.random.default_rng(seed).normal(0, 4, picture.shape))


def decode(path):
    with av.open(str(path)) as container:
        return [f.reformat(640, 360, "rgb24").to_ndarray() for f in container.decode(video=0)]


@pytest.fixture(scope="module")
def hamilton(data_dir):
    return decode(data_dir / "clips" / "short_hamilton_clip.mp4")


@pytest.mark.data
@pytest.mark.parametrize(("step", "offset"), [(1, 0), (2, 1), (3, 0), (3, 2), *((6, o) for o in range(6)), (15, 0)])
def test_exactly_the_three_cuts_at_any_rate(hamilton, step, offset):
    sampled = list(range(offset, len(hamilton), step))
    found = [sampled[i] for i in cuts(hamilton[i] for i in sampled)]
    assert found == [min(i for i in sampled if i >= cut) for cut in HAMILTON_CUTS]


@pytest.mark.data
def test_none_where_people_walk_and_one_at_the_seam_of_a_loop(data_dir):
    frames = decode(data_dir / "clips" / "people_walking.mp4")
    for step in (1, 3, 5, 12, 25):
        assert cuts(frames[::step]) == []
    assert cuts([*frames, *frames[:10]]) == [len(frames)]


def test_a_cut_and_back():
    a, b = scene(1), scene(2)
    assert cuts([a, a, noisy(a, 1), b, b, noisy(b, 2), a]) == [3, 6]
    assert cuts([a, b, a, a]) == [1, 2]
    assert cuts([a]) == []


@pytest.mark.parametrize("seed", range(8))
def test_other_scenes(seed):
    assert cuts([scene(10 + seed), scene(50 + seed)]) == [1]


def test_noise_and_stillness():
    assert cuts([noisy(scene(3), i) for i in range(20)]) == []
    assert cuts([scene(3)] * 20) == []


@pytest.mark.parametrize("rate", [1.06, 1 / 1.06, 1.6, 1 / 1.6])
def test_brightness_ramp(rate):
    a = scene(4)
    gains = 0.5 * rate ** np.arange(12) if rate > 1 else 1.2 * rate ** np.arange(12)
    assert cuts([light(a, min(g, 2)) for g in gains]) == []


@pytest.mark.parametrize(
    "flash",
    [
        lambda a: light(a, 1, 300),  # all white
        lambda a: light(a, 4, 60),  # mostly burnt out
        lambda a: light(a, 2, 40),
        lambda a: light(a, 1, 90),
        lambda a: light(light(a, 0.15), 20),  # a burst over a dark stage
        lambda a: light(a, 0, 0),  # all black
        lambda a: light(a, 0.2, 0),
    ],
)
@pytest.mark.parametrize("length", [1, 3])
def test_flash_and_blackout(flash, length):
    a = scene(5)
    frames = [noisy(a, i) for i in range(6)] + [flash(a)] * length + [noisy(a, i) for i in range(6, 12)]
    assert cuts(frames) == []


def test_a_lamp_is_switched_on_in_a_still_scene():
    a = scene(5)
    for gain, offset in ((1.5, 0), (1.9, 30), (2, 40), (2.2, 50), (2.5, 30)):
        assert cuts([a] * 6 + [light(a, gain, offset)] * 6) == []
    assert cuts([light(a, 0.3)] * 6 + [light(a, 1, 60)] * 6) == []
    dim = light(
        scene(4), 0.2
    )  # the colours change wholly, and nothing but the structure says that it is the same scene
    assert cuts([dim, light(dim, 2.5, -60)]) == []


@pytest.mark.data
@pytest.mark.parametrize("gain", [2, 4, 10, 20])
@pytest.mark.parametrize("at", [45, 150, 250])
def test_flash_over_a_real_stage(hamilton, at, gain):
    still = [noisy(hamilton[at], i) for i in range(6)]
    assert cuts([*still, light(hamilton[at], gain), *still]) == []


def test_strobe():
    a = scene(6)
    assert cuts([light(a, 1.4 if i % 2 else 0.3) for i in range(16)]) == []


@pytest.mark.parametrize("speed", [2, 8, 20])
def test_pan(speed):
    wide = scene(7, 180, 960)
    assert cuts([wide[:, x : x + 320] for x in range(0, 640, speed)[:60]]) == []


def test_something_large_passes():
    a = scene(8)
    frames = []
    for x in range(-150, 330, 30):
        frame = a.copy()
        frame[30:, max(0, x) : max(0, x + 150)] = (90, 20, 30)
        frames.append(frame)
    assert cuts(frames) == []


def test_a_cut_through_black_is_found_when_the_picture_comes_back():
    black = np.zeros((180, 320, 3), np.uint8)
    assert cuts([scene(1), scene(1), black, black, scene(2)]) == [4]
    assert cuts([scene(1), scene(1), black, black, scene(1)]) == []
    assert cuts([black, black, scene(1), scene(1)]) == []


def test_a_cut_to_a_bright_scene_is_late_at_most():
    bright = light(scene(2), 1.2, 60)
    bright[:100] = 255  # half the picture is sky
    found = cuts([scene(1)] * 4 + [bright] * 10)
    assert len(found) == 1
    assert 4 <= found[0] <= 9


def test_sizes_may_differ():
    assert cuts([scene(1), scene(1)[::2, ::2], scene(1)[::3, ::3]]) == []
    assert cuts([np.zeros((1, 1, 3), np.uint8)] * 3) == []


def test_two_detectors_do_not_share():
    a, b = CutDetector(), CutDetector()
    assert not a.is_cut(scene(1))
    assert not b.is_cut(scene(2))
    assert not a.is_cut(scene(1))
    assert not b.is_cut(scene(2))


def test_other_arrays_are_refused():
    with pytest.raises(InputError, match="RGB uint8"):
        CutDetector().is_cut(np.zeros((4, 4), np.uint8))
