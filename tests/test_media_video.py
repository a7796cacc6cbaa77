"""Video files: times, sampling, rotation, and threads that end."""

from __future__ import annotations

import gc
import hashlib
import logging
import math
import threading
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from media_files import level_frame, level_of, noisy_frames, set_display_matrix, write_video

from faceset.errors import InputError, MediaError, MediaLimitError
from faceset.media import Limits, open_media
from faceset.media.background import BoundedQueue, ahead


def decoders() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith("faceset-decode")]


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """50 frames at 25 a second, each telling its number by its brightness."""
    return write_video(tmp_path / "clip.mp4", [level_frame(i) for i in range(50)])


def test_every_frame_with_its_number_and_time(clip: Path) -> None:
    medium = open_media(clip)
    assert (medium.name, medium.kind, medium.path, medium.duration) == ("clip.mp4", "video", clip, 2.0)
    assert medium.digest == hashlib.sha256(clip.read_bytes()).hexdigest()
    frames = list(medium.frames())
    assert [f.index for f in frames] == list(range(50))
    assert [level_of(f.image) for f in frames] == list(range(50))
    assert [f.time for f in frames] == pytest.approx([i / 25 for i in range(50)])
    assert {f.media for f in frames} == {"clip.mp4"}
    assert all(f.image.flags.c_contiguous and f.image.flags.writeable for f in frames)
    assert medium.report.to_dict() == {"frames_decoded": 50, "frames_sampled": 50, "frames_lost": 0, "notes": []}


def test_sampling_by_time(clip: Path) -> None:
    medium = open_media(clip)
    frames = list(medium.frames(4))  # ticks every 0.25 s = 6.25 frames
    assert [f.index for f in frames] == [0, 7, 13, 19, 25, 32, 38, 44]
    assert [level_of(f.image) for f in frames] == [0, 7, 13, 19, 25, 32, 38, 44]
    assert (medium.report.frames_decoded, medium.report.frames_sampled) == (50, 8)
    assert len(list(medium.frames(1000))) == 50  # never twice


@pytest.mark.parametrize("fps", [0, -1, math.nan, math.inf])
def test_bad_fps(clip: Path, fps: float) -> None:
    with pytest.raises(InputError, match=f"fps must be a number greater than 0, .* but got {fps}"):
        open_media(clip).frames(fps)


def test_variable_frame_rate(tmp_path: Path) -> None:
    stamps = [0, 40, 80, 500, 510, 520, 1900, 2000]  # milliseconds
    path = write_video(
        tmp_path / "v.mkv", [level_frame(i) for i in range(8)], stamps=stamps, unit=Fraction(1, 1000), codec="libx264"
    )
    medium = open_media(path)
    assert [f.time for f in medium.frames()] == pytest.approx([s / 1000 for s in stamps])
    assert [f.index for f in medium.frames(2)] == [0, 3, 6, 7]  # ticks 0, 0.5, (1.0, 1.5 ->) 1.9, 2.0


def test_times_start_at_zero_whatever_the_file_starts_with(data_dir: Path) -> None:
    frames = list(open_media(data_dir / "clips" / "short_hamilton_clip.mp4").frames(2))
    assert frames[0].time == 0.0  # its time stamps start at 0.852 s
    assert [round(f.time * 29.97) for f in frames] == [f.index for f in frames]
    assert frames[-1].index < 275


def test_frames_without_time_stamps(tmp_path: Path) -> None:
    path = write_video(tmp_path / "raw.h264", noisy_frames(10), codec="libx264", format_="h264")
    medium = open_media(path)
    assert [f.time for f in medium.frames()] == pytest.approx([i / 25 for i in range(10)])
    assert medium.report.notes == ("frames without a time stamp: times derived from the average rate of 25 a second",)


@pytest.mark.parametrize(
    ("matrix", "turn"),
    [
        ((1, 0, 0, 1), lambda a: a),
        ((0, 1, -1, 0), lambda a: np.rot90(a, -1)),  # a quarter clockwise: a phone held upright
        ((-1, 0, 0, -1), lambda a: np.rot90(a, 2)),
        ((0, -1, 1, 0), lambda a: np.rot90(a, 1)),
        ((-1, 0, 0, 1), lambda a: a[:, ::-1]),
        ((0, 1, 1, 0), lambda a: a.transpose(1, 0, 2)),
    ],
)
def test_rotation_is_applied(tmp_path: Path, matrix: tuple[int, int, int, int], turn: object) -> None:
    picture = np.full((48, 64, 3), 128, np.uint8)
    picture[:24, :32] = (220, 20, 20)  # top left red
    picture[24:, :32] = (20, 20, 220)  # bottom left blue
    path = write_video(tmp_path / "r.mp4", [picture] * 3)
    set_display_matrix(path, *matrix)
    frames = list(open_media(path).frames())
    expected = turn(picture)  # type: ignore[operator]
    assert len(frames) == 3
    for frame in frames:
        assert frame.image.shape == expected.shape
        assert np.abs(frame.image.astype(int) - expected).mean() < 6


def test_pixels_that_are_not_square_are_made_so(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", [level_frame(0)] * 2, aspect=Fraction(3, 2))
    assert [f.image.shape for f in open_media(path).frames()] == [(48, 96, 3)] * 2


@pytest.mark.parametrize("width", [64, 62, 50])
def test_pixels_are_those_of_pyav(tmp_path: Path, width: int) -> None:
    path = write_video(tmp_path / "a.mp4", noisy_frames(3, 48, width))
    with av.open(str(path)) as container:
        expected = [f.to_ndarray(format="rgb24") for f in container.decode(video=0)]
    for ours, theirs in zip(open_media(path).frames(), expected, strict=True):
        assert np.array_equal(ours.image, theirs)


def test_frames_above_the_limit_are_refused(clip: Path) -> None:
    with pytest.raises(MediaLimitError) as caught:
        open_media(clip, limits=Limits(max_pixels=64 * 48 - 1))
    assert str(caught.value) == (
        "clip.mp4: 64 x 48 = 3,072 pixels is more than the limit of 3,071; scale it down, or raise FACESET_MAX_PIXELS"
    )
    with pytest.raises(MediaLimitError, match=r"clip\.mp4: 2\.0 s is longer than the limit of 1\.5 s; cut it"):
        open_media(clip, limits=Limits(max_seconds=1.5))


def test_limits_are_checked() -> None:
    with pytest.raises(InputError, match="limit max_seconds must be greater than 0, but got -1"):
        Limits(max_seconds=-1)


def test_stopping_early_ends_the_thread(tmp_path: Path) -> None:
    path = write_video(tmp_path / "long.mp4", [level_frame(i) for i in range(400)])
    medium = open_media(path)
    for frame in medium.frames():
        assert decoders()
        if frame.index == 3:
            break
    gc.collect()
    assert decoders() == []
    assert medium.report.frames_sampled == 4

    frames = medium.frames()
    next(frames)
    frames.close()  # type: ignore[attr-defined]
    assert decoders() == []

    for error in (RuntimeError("stop"), KeyboardInterrupt()):
        with pytest.raises(type(error)):
            consume_and_raise(medium, error)
        gc.collect()
        assert decoders() == []


def test_stopping_does_not_wait_for_the_next_sampled_frame(tmp_path: Path) -> None:
    path = write_video(tmp_path / "long.mp4", noisy_frames(30) * 40)
    medium = open_media(path)
    frames = medium.frames(0.001)  # the first frame, and no other
    assert next(frames).index == 0
    frames.close()  # type: ignore[attr-defined]
    assert decoders() == []
    assert medium.report.frames_decoded < 1200


def consume_and_raise(medium: object, error: BaseException) -> None:
    for frame in medium.frames():  # type: ignore[attr-defined]
        if frame.index == 2:
            raise error


def test_the_decoder_waits_for_the_consumer(tmp_path: Path) -> None:
    path = write_video(tmp_path / "long.mp4", [level_frame(i) for i in range(200)])
    medium = open_media(path)
    frames = medium.frames()
    next(frames)
    for _ in range(50):  # long enough to decode everything, if nothing held it back
        time.sleep(0.01)
    assert medium.report.frames_decoded <= 1 + 8 + 1  # taken, waiting, in hand
    assert len(list(frames)) == 199


def test_two_readings_at_once(clip: Path) -> None:
    medium = open_media(clip)
    pairs = list(zip(medium.frames(), medium.frames(), strict=True))
    assert [(a.index, b.index) for a, b in pairs] == [(i, i) for i in range(50)]


def test_opening_many_times_leaks_nothing(clip: Path) -> None:
    statm = Path("/proc/self/statm")
    if not statm.exists():
        pytest.skip("needs /proc to read the memory of the process")

    def resident_mb() -> float:
        gc.collect()
        return int(statm.read_text().split()[1]) * 4096 / 2**20

    def open_and_leave(times: int) -> None:
        for _ in range(times):
            frames = open_media(clip).frames()
            next(frames)
            frames.close()  # type: ignore[attr-defined]

    open_and_leave(30)
    files, before = len(list(Path("/proc/self/fd").iterdir())), resident_mb()
    open_and_leave(200)
    assert decoders() == []
    assert len(list(Path("/proc/self/fd").iterdir())) == files
    assert resident_mb() - before < 20


def test_memory_does_not_wait_for_the_garbage_collector(tmp_path: Path) -> None:
    """PyAV's side data and its frame hold each other; asking every frame for it kept hundreds of them alive."""
    path = write_video(tmp_path / "a.mp4", noisy_frames(60))
    gc.collect()
    gc.disable()
    try:
        for _ in open_media(path).frames():
            pass
        kept = [o for o in gc.get_objects() if type(o).__name__ == "SideDataContainer"]
    finally:
        gc.enable()
    assert len(kept) <= 1


def test_an_error_in_the_thread_reaches_the_consumer(clip: Path) -> None:
    medium = open_media(clip)
    clip.unlink()
    with pytest.raises(MediaError, match=r"clip\.mp4: cannot be read: No such file or directory"):
        list(medium.frames())
    assert decoders() == []


def test_ahead_gives_everything_in_order_and_closes_what_it_made() -> None:
    closed = threading.Event()

    def produce(queue: BoundedQueue[int]) -> Iterator[int]:
        queue.limit_to(3)
        try:
            yield from range(1000)
            raise ValueError("at the end")
        finally:
            closed.set()

    taken: list[int] = []
    with pytest.raises(ValueError, match="at the end"):
        taken.extend(ahead(produce, items=1, name="test-ahead"))
    assert taken == list(range(1000))

    closed.clear()
    some = ahead(produce, items=1, name="test-ahead")
    next(some)
    some.close()
    assert closed.is_set()
    assert not [t for t in threading.enumerate() if t.name == "test-ahead"]


def test_ffmpeg_is_silent(tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> None:
    path = write_video(tmp_path / "a.mp4", noisy_frames(30), codec="libx264")
    capfd.readouterr()  # the encoder may have printed
    level = av.logging.get_level()
    data = bytearray(path.read_bytes())
    data[len(data) // 3 : len(data) // 3 + 500] = bytes(500)
    path.write_bytes(data)
    with caplog.at_level(logging.DEBUG):
        list(open_media(path).frames())
    assert capfd.readouterr() == ("", "")
    assert {r.name for r in caplog.records} <= {"faceset.media"}
    assert av.logging.get_level() == level
