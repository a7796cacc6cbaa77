"""The demo's portraits, cameras, damage and clips: what is written can be read, repeated and told apart."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from functools import cache
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest

from faceset.demo.camera import Camera
from faceset.demo.clips import Clip, Shown, render, render_meeting
from faceset.demo.damage import LONGEST, STRENGTHS, Damage, schedule, spoil
from faceset.demo.footage import load_truth, save_truth, shoot
from faceset.demo.portraits import Portrait, portraits
from faceset.demo.writer import write_video
from faceset.errors import InputError, MediaError, MissingExtraError
from faceset.types import Image


def decode(path: Path) -> list[Image]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


@cache
def hog() -> Any:
    import dlib

    return dlib.get_frontal_face_detector()


def hog_faces(image: Image) -> list[tuple[float, float, float, float]]:
    boxes = hog()(np.ascontiguousarray(image), 0)  # dlib misreads other arrays now and then, without a word
    return [(b.left(), b.top(), b.right(), b.bottom()) for b in boxes]


@pytest.fixture(scope="module")
def pair() -> tuple[Portrait, Portrait]:
    return portraits()


@pytest.fixture(scope="module")
def clips(pair: tuple[Portrait, Portrait], tmp_path_factory: pytest.TempPathFactory) -> tuple[Clip, ...]:
    folder = tmp_path_factory.mktemp("clips")
    return (
        render(pair[0], folder / "a.mp4", 1, seconds=3),
        render(pair[1], folder / "b.mp4", 2, seconds=3),
        render_meeting(*pair, folder / "meeting.mp4", 3),
    )


# ---- portraits -------------------------------------------------------------------------------------------------------


def test_portraits_show_one_face_where_they_say(pair: tuple[Portrait, Portrait]) -> None:
    assert [p.name for p in pair] == ["Eileen Collins", "Grace Hopper"]
    for portrait in pair:
        assert "public domain" in portrait.source
        (found,) = hog_faces(portrait.image)
        x0, y0, x1, y1 = portrait.face
        assert x0 < (found[0] + found[2]) / 2 < x1
        assert y0 < (found[1] + found[3]) / 2 < y1
        assert 0.6 < (found[3] - found[1]) / (y1 - y0) < 1.2


@pytest.mark.parametrize("package", ["skimage", "matplotlib"])
def test_a_missing_package_names_the_extra(package: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    real = importlib.util.find_spec
    answers = {"spec": None}
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: answers["spec"] if name == package else real(name))
    with pytest.raises(MissingExtraError, match=r"not installed; .* pip install 'faceset\[demo\]'"):
        portraits()
    answers["spec"] = SimpleNamespace(submodule_search_locations=[str(tmp_path)])  # type: ignore[assignment]
    with pytest.raises(MissingExtraError, match=r"has no .*(astronaut|hopper)"):
        portraits()


def test_a_face_outside_its_portrait_is_refused() -> None:
    with pytest.raises(InputError, match="must lie in its picture of 20 x 10"):
        Portrait("x", np.zeros((10, 20, 3), np.uint8), (0, 0, 21, 5))


# ---- camera and damage -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(360, 480), (480, 360), (240, 360)])
def test_the_camera_never_looks_past_the_border_and_keeps_the_face_in_view(
    pair: tuple[Portrait, Portrait], size: tuple[int, int]
) -> None:
    corners = np.array([[0, 0], [size[0], 0], [size[0], size[1]], [0, size[1]]], float)
    for portrait in pair:
        rows, columns = portrait.image.shape[:2]
        for seed in range(10):
            camera = Camera(portrait, size, np.random.default_rng(seed))
            for time in np.arange(0, 5, 0.2):
                matrix = camera.matrix(time)
                seen = np.linalg.solve(matrix[:, :2], (corners - matrix[:, 2]).T).T
                assert seen.min() >= -1e-6
                assert (seen <= np.array([columns, rows]) - 1 + 1e-6).all()
                x0, y0, x1, y1 = camera.face(time)
                assert 0 <= (x0 + x1) / 2 <= size[0]
                assert 0 <= (y0 + y1) / 2 <= size[1]
                assert 0.2 < (y1 - y0) / size[1] < 1


def test_the_camera_moves_smoothly_and_every_seed_differently(pair: tuple[Portrait, Portrait]) -> None:
    paths = []
    for seed in range(3):
        camera = Camera(pair[0], (360, 480), np.random.default_rng(seed))
        path = np.array([camera.face(i / 25) for i in range(100)])
        assert np.abs(np.diff(path, axis=0)).max() < 6  # pixels from frame to frame
        assert np.ptp(path, axis=0).max() > 20
        paths.append(path)
    assert np.abs(paths[0] - paths[1]).max() > 10
    assert np.abs(paths[1] - paths[2]).max() > 10


def test_a_camera_at_rest_shows_the_portrait_scaled() -> None:
    # 90 x 120 view of a 100 x 200 portrait: the face of 40 pixels is to be .28-.45 of 120 lines, so the scale lies in
    # .84-1.35, and must be at least 90/99. With roll and pan of 0 the middle of the view is the face, slightly raised.
    image = np.zeros((200, 100, 3), np.uint8)
    camera = Camera(Portrait("x", image, (30, 80, 70, 120)), (90, 120), np.random.default_rng(0))
    for wave in (camera._roll, camera._pan_x, camera._pan_y, camera._zoom):
        wave.reach = 0.0
    far, near = 90 / 99, max(0.45 * 120 / 40, 1.25 * 90 / 99)
    scale = np.sqrt(far * near)
    np.testing.assert_allclose(camera.matrix(0)[:, :2], np.eye(2) * scale)
    x0, y0, x1, y1 = camera.face(0)
    assert (x1 - x0, y1 - y0) == pytest.approx((40 * scale, 40 * scale))
    assert ((x0 + x1) / 2, (y0 + y1) / 2) == pytest.approx((45, 54))


def test_schedule_spoils_the_share_asked_for_in_runs() -> None:
    for seed in range(20):
        plan = schedule(110, 0.4, np.random.default_rng(seed))
        assert len(plan) == 110
        assert sum(d is not None for d in plan) == 44
        assert len({d.kind for d in plan if d}) >= 3
        for one in {d.seed for d in plan if d}:
            places = [i for i, d in enumerate(plan) if d and d.seed == one]
            assert places == list(range(places[0], places[-1] + 1))
            assert len(places) <= LONGEST
            strengths = [d.strength for d in plan if d and d.seed == one]
            assert strengths == strengths[::-1]  # swells and fades alike
            if len(places) >= 6:
                assert strengths[:3] == pytest.approx([max(strengths) * k / 3 for k in (1, 2, 3)])
    assert schedule(10, 0, np.random.default_rng(0)) == [None] * 10
    assert None not in schedule(50, 1, np.random.default_rng(0))


@pytest.mark.parametrize("kind", sorted(STRENGTHS))
def test_every_kind_of_damage_reaches_the_face(kind: str) -> None:
    view = np.random.default_rng(0).integers(60, 200, (96, 64, 3), dtype=np.uint8)
    spoilt = spoil(view, (16, 24, 48, 64), Damage(kind, 0.8, 5), 3)
    assert spoilt.shape == view.shape
    assert np.abs(spoilt[24:64, 16:48].astype(int) - view[24:64, 16:48]).mean() > 5
    if kind == "occlusion":
        np.testing.assert_array_equal(spoilt[:18], view[:18])
        np.testing.assert_array_equal(spoilt[72:], view[72:])
        np.testing.assert_array_equal(spoil(view, (-50, -50, -9, -9), Damage(kind, 0.8, 5), 3), view)
    assert (kind == "noise") == bool((spoil(view, (16, 24, 48, 64), Damage(kind, 0.8, 5), 4) != spoilt).any())


# ---- clips -----------------------------------------------------------------------------------------------------------


def test_clips_have_the_size_length_and_rate_they_should(clips: tuple[Clip, ...]) -> None:
    for clip, size in zip(clips, [(360, 480), (360, 480), (480, 360)], strict=True):
        with av.open(str(clip.path)) as container:
            stream = container.streams.video[0]
            assert (stream.width, stream.height) == size
            assert stream.average_rate == clip.fps == 25
            assert stream.codec_context.pix_fmt == "yuv420p"
        assert len(decode(clip.path)) == len(clip.frames)
    assert [len(c.frames) for c in clips] == [75, 75, 140]


def test_the_share_of_spoilt_frames(clips: tuple[Clip, ...]) -> None:
    assert clips[0].spoilt == pytest.approx(0.4, abs=0.01)
    assert 0.2 < clips[2].spoilt < 0.5


def test_sound_frames_show_a_face_where_the_truth_says(clips: tuple[Clip, ...]) -> None:
    sound = found = 0
    for clip in clips:
        frames = decode(clip.path)
        for i in range(0, len(frames), 10):
            names = [clip.who(i / clip.fps, box) for box in hog_faces(frames[i])]
            for shown in clip.frames[i]:
                assert 60 < shown.box[3] - shown.box[1] < 320
                if shown.damage is None:
                    sound += 1
                    found += shown.name in names
    assert sound > 20
    assert found >= 0.95 * sound


def test_equal_seeds_give_equal_files_and_others_do_not(pair: tuple[Portrait, Portrait], tmp_path: Path) -> None:
    clips = [render(pair[0], tmp_path / f"{i}.mp4", seed, seconds=0.6) for i, seed in enumerate([4, 4, 5])]
    hashes = [hashlib.sha256(c.path.read_bytes()).hexdigest() for c in clips]
    assert hashes[0] == hashes[1] != hashes[2]
    assert clips[0].frames == clips[1].frames != clips[2].frames


def test_the_meeting_cuts_and_then_shows_both(pair: tuple[Portrait, Portrait], clips: tuple[Clip, ...]) -> None:
    names = [tuple(s.name for s in frame) for frame in clips[2].frames]
    a, b = pair[0].name, pair[1].name
    assert names == [(a,)] * 40 + [(b,)] * 40 + [(a, b)] * 60
    assert clips[2].people == (a, b)
    left, right = clips[2].frames[100]
    assert (left.box[0] + left.box[2]) / 2 < 240 < (right.box[0] + right.box[2]) / 2
    frames = [frame.astype(int) for frame in decode(clips[2].path)]
    steps = [np.abs(q - p).mean() for p, q in pairwise(frames)]
    assert sorted(np.argsort(steps)[-2:]) == [39, 79]


def test_who_tells_people_apart_by_place_and_time() -> None:
    clip = Clip(
        Path("x.mp4"), 10, ((Shown("A", (0, 0, 10, 10)),), (Shown("A", (0, 0, 10, 10)), Shown("B", (20, 0, 30, 10))))
    )
    assert clip.who(0.1, (22, 2, 26, 6)) == "B"
    assert clip.who(0.1, (2, 2, 6, 6)) == "A"
    assert clip.who(0.0, (22, 2, 26, 6)) is None
    assert clip.who(9.0, (22, 2, 26, 6)) == "B"  # after the end: the last frame


def test_bad_requests(pair: tuple[Portrait, Portrait], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"at least 64 x 64, but got \(361, 480\)"):
        render(pair[0], tmp_path / "x.mp4", 0, size=(361, 480))
    with pytest.raises(InputError, match=r"spoilt must lie in 0 to 1, but got 1\.5"):
        render(pair[0], tmp_path / "x.mp4", 0, spoilt=1.5)
    with pytest.raises(InputError, match="at least one frame"):
        render(pair[0], tmp_path / "x.mp4", 0, seconds=0)
    with pytest.raises(InputError, match="needs two people, but got 1"):
        shoot(tmp_path, pair[:1])
    assert not list(tmp_path.iterdir())


def test_a_path_that_cannot_be_written_is_named(pair: tuple[Portrait, Portrait], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(MediaError, match=r"file/x\.mp4 cannot be written"):
        render(pair[0], tmp_path / "file" / "x.mp4", 0, seconds=0.2)
    (tmp_path / "folder.mp4").mkdir()
    with pytest.raises(MediaError, match=r"folder\.mp4 cannot be written"):
        render(pair[0], tmp_path / "folder.mp4", 0, seconds=0.2)


def test_mpeg4_serves_where_x264_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("faceset.demo.writer.CODECS", {"no-such-codec": {}, "mpeg4": {"qscale": "3"}})
    grey = np.full((64, 64, 3), 120, np.uint8)
    write_video(tmp_path / "x.mp4", [grey] * 3, (64, 64), 25)
    frames = decode(tmp_path / "x.mp4")
    assert len(frames) == 3
    assert np.abs(frames[1].astype(int) - 120).max() < 6
    monkeypatch.setattr("faceset.demo.writer.CODECS", {"no-such-codec": {}})
    with pytest.raises(MediaError, match="none of the encoders no-such-codec"):
        write_video(tmp_path / "y.mp4", [grey], (64, 64), 25)


# ---- the truth on disk -----------------------------------------------------------------------------------------------


def test_the_truth_is_read_back(clips: tuple[Clip, ...]) -> None:
    folder = clips[0].path.parent
    save_truth(folder, clips)
    again = load_truth(folder)
    assert [(c.path, c.fps, c.people, c.spoilt) for c in again] == [(c.path, c.fps, c.people, c.spoilt) for c in clips]
    assert again[2].frames[100][1].box == pytest.approx(clips[2].frames[100][1].box, abs=0.06)


def test_a_truth_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"truth\.json is missing: .* render the clips anew"):
        load_truth(tmp_path)
    truth = tmp_path / "truth.json"
    for text, message in [
        ("{", "is damaged"),
        ("[]", "is damaged"),
        ('{"version": 1}', "is damaged .*clips"),
        ('{"version": 2}', "is of version 2, and this faceset reads version 1"),
        (json.dumps({"version": 1, "clips": [{"file": "gone.mp4", "fps": 25, "frames": []}]}), r"gone\.mp4 is missing"),
    ]:
        truth.write_text(text)
        with pytest.raises(MediaError, match=message):
            load_truth(tmp_path)
