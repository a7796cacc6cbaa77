"""Damaged and foreign files: what decodes is used, the loss is counted, the rest is refused with a cure."""

from __future__ import annotations

import logging
import random
from pathlib import Path

import av
import av.stream
import pytest
from media_files import level_frame, noisy_frames, write_png, write_sound, write_video

from faceset.errors import MediaError
from faceset.media import open_media
from faceset.media.isoboxes import read_boxes

FASTSTART = {"movflags": "faststart"}


def cut(path: Path, keep: float) -> int:
    """Keep the first part of a file; returns how many bytes are gone."""
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])
    return len(data) - int(len(data) * keep)


def message(path: Path | str) -> str:
    with pytest.raises(MediaError) as caught:
        list(open_media(path).frames())
    return str(caught.value)


@pytest.mark.parametrize("codec", ["mpeg4", "libx264"])
def test_cut_short_with_the_index_in_front(tmp_path: Path, codec: str, caplog: pytest.LogCaptureFixture) -> None:
    path = write_video(tmp_path / "a.mp4", noisy_frames(60), codec=codec, container_options=FASTSTART)
    gone = cut(path, 0.6)
    medium = open_media(path)
    with caplog.at_level(logging.WARNING, "faceset.media"):
        frames = list(medium.frames())
    report = medium.report
    assert 10 < len(frames) < 50
    assert report.frames_lost == 60 - len(frames)
    assert report.notes == (
        f"{report.frames_lost} of about 60 frames are missing or damaged",
        f"the file is cut short: {gone:,} bytes are missing at its end",
    )
    [record] = caplog.records
    assert record.getMessage() == "a.mp4: " + "; ".join(report.notes)
    assert [f.time for f in frames] == sorted(f.time for f in frames)


def test_cut_short_within_the_index_in_front(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", noisy_frames(60), container_options=FASTSTART)
    path.write_bytes(path.read_bytes()[:300])
    assert message(path).startswith("a.mp4: the file is cut short: the index (moov) in front is incomplete, so nothing")


def test_cut_short_with_the_index_at_the_end(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", noisy_frames(30))
    cut(path, 0.7)
    assert message(path) == (
        "a.mp4: the file is cut short: the index (moov) at its end is missing, so nothing in it can be decoded; "
        "copy or download it again, or rebuild the index with a repair tool such as untrunc"
    )


def test_a_real_clip_cut_short(data_dir: Path, tmp_path: Path) -> None:
    path = tmp_path / "people.mp4"
    path.write_bytes((data_dir / "clips" / "people_walking.mp4").read_bytes()[:500_000])
    assert "the index (moov) at its end is missing" in message(path)


@pytest.mark.parametrize("codec", ["mpeg4", "libx264"])
def test_damage_in_the_middle_is_skipped_and_counted(tmp_path: Path, codec: str) -> None:
    path = write_video(
        tmp_path / "a.mp4", noisy_frames(60), codec=codec, codec_options={"g": "10"}, container_options=FASTSTART
    )
    data = bytearray(path.read_bytes())
    noise = random.Random(5)
    middle = len(data) // 2
    data[middle : middle + 4000] = noise.randbytes(4000)
    path.write_bytes(data)
    medium = open_media(path)
    frames = list(medium.frames())
    assert 0 < medium.report.frames_lost < 30
    assert len(frames) == medium.report.frames_decoded == 60 - medium.report.frames_lost
    assert frames[-1].time == pytest.approx(59 / 25)


def test_a_matroska_file_cut_short(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mkv", noisy_frames(100), codec="libx264")
    cut(path, 0.5)
    medium = open_media(path)
    decoded = len(list(medium.frames()))
    assert medium.report.frames_lost == pytest.approx(100 - decoded, abs=3)


def test_an_avi_file_cut_short(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.avi", noisy_frames(60))
    cut(path, 0.5)
    medium = open_media(path)
    decoded = len(list(medium.frames()))
    assert medium.report.frames_lost == 60 - decoded > 10


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "avi", "ts", "webm", "mov"])
def test_whole_files_lose_nothing(tmp_path: Path, suffix: str) -> None:
    codec = {"webm": "libvpx", "mp4": "libx264", "ts": "libx264"}.get(suffix, "mpeg4")
    fast = {"deadline": "realtime", "cpu-used": "8"} if suffix == "webm" else {}
    path = write_video(tmp_path / f"a.{suffix}", noisy_frames(40), codec=codec, codec_options=fast)
    medium = open_media(path)
    assert len(list(medium.frames())) == 40
    assert (medium.report.frames_lost, medium.report.notes) == (0, ())


def test_whole_real_clips_lose_nothing(data_dir: Path) -> None:
    for name, count in (("short_hamilton_clip.mp4", 275), ("probe.mp4", 783)):
        medium = open_media(data_dir / "clips" / name)
        assert sum(1 for _ in medium.frames(1)) > 5
        assert (medium.report.frames_decoded, medium.report.frames_lost) == (count, 0)


def test_missing_and_empty_files(tmp_path: Path) -> None:
    missing = tmp_path / "no" / "a.mp4"
    assert message(missing) == f"{missing}: no such file or folder; check the path"
    assert message(missing.as_uri()) == f"{missing.as_uri()}: no such file or folder; check the path"
    (tmp_path / "b.mp4").touch()
    assert message(tmp_path / "b.mp4") == "b.mp4: the file is empty (0 bytes); copy or export it again"


@pytest.mark.parametrize("name", ["a.jpg", "a.mp4", "a.png"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_text_renamed(tmp_path: Path, name: str, encoding: str) -> None:
    (tmp_path / name).write_text("Grüße, this is no video.\n" * 400, encoding=encoding)
    assert message(tmp_path / name) == (
        f"{name}: holds text, not a picture or a video, whatever its name says; give the media file itself"
    )


@pytest.mark.parametrize("name", ["a.jpg", "a.mp4", "a"])
def test_bytes_of_no_known_format(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(random.Random(1).randbytes(20_000))
    assert message(tmp_path / name).startswith(f"{name}: neither a picture nor a video in a format that is read here")


def test_a_playlist_in_disguise_opens_nothing(tmp_path: Path) -> None:
    target = write_video(tmp_path / "t.ts", noisy_frames(5), codec="libx264")
    path = tmp_path / "a.mp4"
    text = f"#EXTM3U\n#\x01\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\n{target.name}\n#EXT-X-ENDLIST\n"
    path.write_bytes(text.encode())  # the control character keeps it from being refused as a text
    assert message(path).startswith("a.mp4: neither a picture nor a video")


def test_sound_only(tmp_path: Path) -> None:
    for name in ("a.mp4", "a.mkv"):
        path = write_sound(tmp_path / name)
        assert message(path) == f"{name}: holds sound but no video; give the file that has the pictures"


def test_a_video_of_no_frames(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", [level_frame(0)] * 3, container_options=FASTSTART)
    data = path.read_bytes()
    path.write_bytes(data[: data.index(b"mdat") + 4])  # the index is whole, and not one picture came
    assert message(path) == "a.mp4: no frame in it could be decoded; copy or export it again"


def test_a_video_of_zero_length(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        container.start_encoding()
        container.mux(stream.encode(None))
    assert message(path).startswith("a.mp4: ")


def test_outer_boxes_by_hand(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"\0\0\0\x0cftypisom" + b"\0\0\0\x01mdat" + (40).to_bytes(8, "big") + bytes(10))
    boxes = read_boxes(path)
    assert (boxes.types, boxes.missing_bytes, boxes.is_movie, boxes.has_index) == (("ftyp", "mdat"), 14, True, False)
    path.write_bytes(b"no movie at all")
    assert not read_boxes(path).is_movie


def test_the_cover_of_a_song_is_no_video(tmp_path: Path) -> None:
    if not hasattr(av.stream.Stream, "disposition"):
        pytest.skip("this PyAV does not tell covers from videos")
    cover = write_png(tmp_path / "cover.png", level_frame(3)).read_bytes()
    picture = b"\0image/png\0\x03\0" + cover
    frame = b"APIC" + len(picture).to_bytes(4, "big") + b"\0\0" + picture
    size = bytes(len(frame) >> shift & 0x7F for shift in (21, 14, 7, 0))
    song = write_sound(tmp_path / "bare.mp3", codec="mp3")
    (tmp_path / "a.mp3").write_bytes(b"ID3\x03\0\0" + size + frame + song.read_bytes())
    assert message(tmp_path / "a.mp3") == "a.mp3: holds sound but no video; give the file that has the pictures"
