"""The worker process: what it answers, what it may not say, and its death."""

from __future__ import annotations

import io
import json
import os
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("prometheus_client", reason="the extra `service` is not installed")

import service_media

import faceset
from faceset.errors import FacesetError, InputError, MediaError, MediaLimitError, NoFaceError
from faceset.media import Limits, MediaReport
from faceset.service import wire
from faceset.service.child import environment
from faceset.service.host import Host
from faceset.service.meters import Meters
from faceset.service.packing import (
    ERRORS,
    pack_error,
    pack_sets,
    unpack_error,
    unpack_progress,
    unpack_report,
    unpack_sets,
)
from faceset.service.remote import About, WorkerPipeline
from faceset.service.thumbnails import FEW, MOST, SIDE, allowed, thinned
from faceset.service.uploads import RemoteMedia, Upload, Uploads, as_source
from faceset.service.wire import WireError
from faceset.types import Face, FaceSet

UPLOAD = Upload(Path("/nowhere/u1"), "clip.mp4")
MEDIUM = RemoteMedia(UPLOAD, "video", 2.0, Limits())


class Running:
    """A worker with real models, and recognisers over it."""

    def __init__(self, folder: Path, **changes: object) -> None:
        self.config = service_media.config(folder, **changes)
        self.meters = Meters()
        self.host = Host(self.config, self.meters)
        self.about = About.read(self.host.start())

    def recognizer(self, **options: object) -> faceset.Recognizer:
        pipeline = WorkerPipeline(self.host, self.about, self.config, self.meters, **options)  # type: ignore[arg-type]
        return faceset.Recognizer(reader=pipeline)

    def restarts(self) -> float:
        return self.meters.worker_restarts._value.get()

    def kill(self) -> None:
        assert self.host.pid is not None
        os.kill(self.host.pid, signal.SIGKILL)

    def wait_until_dead(self) -> None:
        deadline = time.monotonic() + 30
        before = self.host._run
        while self.host._run == before and time.monotonic() < deadline:
            time.sleep(0.02)
        assert self.host._run > before


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    made = Running(tmp_path_factory.mktemp("service"))
    yield made
    made.host.close()


@pytest.fixture(scope="module")
def local() -> faceset.Recognizer:
    return faceset.Recognizer(keep_crops=True)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return service_media.clip(tmp_path_factory.mktemp("clip") / "clip.mp4")


@pytest.fixture(scope="module")
def couple(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return service_media.clip(tmp_path_factory.mktemp("couple") / "couple.mp4", people=True)


def uploaded(*paths: Path) -> Uploads:
    return Uploads(Upload(path, path.name) for path in paths)


# ------------------------------------------------------------------------------------------------------------- parity


def test_templates_are_those_of_the_library_to_the_bit(
    running: Running, local: faceset.Recognizer, clip: Path, tmp_path: Path
) -> None:
    pictures = service_media.stills(tmp_path)
    remote = running.recognizer()
    for path in (clip, *pictures):
        ours, theirs = remote.template(as_source(uploaded(path))), local.template(path)
        np.testing.assert_array_equal(ours.vector, theirs.vector)
        np.testing.assert_array_equal(ours.weights, theirs.weights)
        assert [f.to_dict() for f in ours.faces] == [f.to_dict() for f in theirs.faces]
        assert ours.to_dict() == theirs.to_dict()
    assert remote.compare(as_source(uploaded(clip)), as_source(uploaded(pictures[0]))).to_dict() == (
        local.compare(clip, pictures[0]).to_dict()
    )


def test_face_sets_progress_and_report_are_those_of_the_library(
    running: Running, local: faceset.Recognizer, couple: Path
) -> None:
    seen: list[list[faceset.types.Progress]] = [[], []]
    ours = list(running.recognizer().face_sets(as_source(uploaded(couple)), progress=seen[0].append))
    theirs = list(local.face_sets(couple, progress=seen[1].append))
    assert [s.to_dict() for s in ours] == [s.to_dict() for s in theirs]
    assert len(ours) == 2
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(one.features, other.features)
        assert (one.digest, one.kind, one.model_id) == (other.digest, other.kind, other.model_id)
    assert seen[0][-1] == seen[1][-1]
    assert len(seen[0]) == 6  # 24 frames, 4 a batch
    (medium,) = running.recognizer().reader.find(as_source(uploaded(couple))).media
    list(running.recognizer().reader.face_sets(medium, fps=5.0))
    assert medium.report == MediaReport(24, 24, 0)


def test_enrolling_and_identifying_gives_what_the_library_gives(
    running: Running, local: faceset.Recognizer, clip: Path, couple: Path, tmp_path: Path
) -> None:
    pictures = service_media.stills(tmp_path / "stills")
    answers = []
    for recognizer, source, probe in (
        (running.recognizer(), as_source(uploaded(*pictures[:3])), as_source(uploaded(couple))),
        (local, tmp_path / "only-collins", couple),
    ):
        (tmp_path / "only-collins").mkdir(exist_ok=True)
        for path in pictures[:3]:
            (tmp_path / "only-collins" / path.name).write_bytes(path.read_bytes())
        with faceset.Gallery(tmp_path / f"{len(answers)}.db") as gallery:
            report = recognizer.enroll(gallery, "Collins", source)
            answers.append((report.to_dict(), [m.to_dict() for m in recognizer.identify(gallery, probe)]))
    assert answers[0] == answers[1]
    assert [m["name"] for m in answers[0][1]].count("Collins") == 1


def test_faces_carry_small_pictures(running: Running, local: faceset.Recognizer, clip: Path) -> None:
    (ours,) = running.recognizer().face_sets(as_source(uploaded(clip)))
    (theirs,) = local.face_sets(clip)
    for one, other in zip(ours.faces, theirs.faces, strict=True):
        assert one.crop is not None
        assert other.crop is not None
        assert one.crop.shape == (SIDE, SIDE, 3)
        assert abs(one.crop.mean(axis=(0, 1)) - other.crop.mean(axis=(0, 1))).max() < 2


def test_nothing_that_decodes_is_loaded_in_the_server(clip: Path, tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
import faceset
from faceset.service.config import ServiceConfig
from faceset.service.host import Host
from faceset.service.meters import Meters
from faceset.service.remote import About, WorkerPipeline
from faceset.service.uploads import Upload, as_source
config = ServiceConfig(data=Path(sys.argv[2])); config.temporary.mkdir(); meters = Meters()
host = Host(config, meters)
pipeline = WorkerPipeline(host, About.read(host.start()), config, meters)
template = faceset.Recognizer(reader=pipeline).template(as_source(Upload(Path(sys.argv[1]), "clip.mp4")))
host.close()
decoders = {"av", "PIL", "cv2", "dlib", "mtcnn", "faceset.embedding", "faceset.alignment", "faceset.packs.image_model"}
print(len(template), sorted(decoders & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, str(clip), str(tmp_path)], capture_output=True, text=True
    )
    assert (done.stdout, done.returncode) == ("24 []\n", 0), done.stderr


# ------------------------------------------------------------------------------------------------------------ refusals


def test_what_the_worker_cannot_read_is_the_same_error_here(running: Running, tmp_path: Path) -> None:
    text, grey = tmp_path / "notes.mp4", tmp_path / "grey.png"
    text.write_text("no film\n")
    service_media.write(np.full((64, 64, 3), 128, np.uint8), grey)
    remote = running.recognizer()
    with pytest.raises(MediaError, match=r"^notes\.mp4: holds text, not a picture or a video"):
        remote.template(as_source(uploaded(text)))
    with pytest.raises(NoFaceError, match=r"^grey\.png: no face found in 1 picture"):
        remote.template(as_source(uploaded(grey)))
    found = remote.reader.find(as_source(uploaded(text, grey)))
    assert ([m.name for m in found.media], len(found.skipped)) == (["grey.png"], 1)
    assert running.restarts() == 0


def test_paths_addresses_and_arrays_are_no_uploads(running: Running, clip: Path) -> None:
    remote = running.recognizer()
    for source in (clip, str(clip), "rtsp://camera", np.zeros((9, 9, 3), np.uint8), [clip], []):
        with pytest.raises(InputError, match="uploads only|no file was sent"):
            list(remote.face_sets(source))
    with pytest.raises(InputError, match="run in another process"):
        _ = remote.pipeline


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\x\\y.mp4", "y.mp4"),
        ("", "unnamed"),
        ("a\n\x1b[2Jb", "a[2Jb"),
        ("/", "unnamed"),
    ],
)
def test_names_are_for_people(name: str, shown: str) -> None:
    assert Upload(Path("/tmp/1"), name).name == shown  # noqa: S108


def test_a_video_longer_than_allowed_is_refused_by_the_worker(clip: Path, tmp_path: Path) -> None:
    short = Running(tmp_path, max_seconds=2.0)
    try:
        with pytest.raises(MediaLimitError, match=r"4\.8 s is longer than the limit of 2 s"):
            short.recognizer().template(as_source(uploaded(clip)))
    finally:
        short.host.close()


def test_a_model_that_is_not_there_stops_the_start(tmp_path: Path) -> None:
    host = Host(service_media.config(tmp_path, embedder="nothing-of-that-name"), Meters())
    with pytest.raises(FacesetError, match="nothing-of-that-name"):
        host.start()
    host.close()


def test_work_beyond_its_seconds_is_left(running: Running, clip: Path) -> None:
    with pytest.raises(MediaLimitError, match=r"clip\.mp4: reading it took too long \(more than 1e-06 s\)"):
        running.recognizer(seconds=1e-6).template(as_source(uploaded(clip)))
    assert running.restarts() == 0
    assert running.host.streams == 0


def test_the_worker_knows_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FACESET_KEY", "FACESET_KEY_FILE"):
        monkeypatch.setenv(name, "k")
    monkeypatch.setenv("AWS_SECRET", "s")
    monkeypatch.setenv("FACESET_THREADS", "2")
    known = environment()
    assert known["FACESET_THREADS"] == "2"
    assert not {"FACESET_KEY", "FACESET_KEY_FILE", "AWS_SECRET"} & set(known)
    assert "k" not in known.values()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_the_worker_has_given_up_what_it_does_not_need(running: Running) -> None:
    limits = Path(f"/proc/{running.host.pid}/limits").read_text().splitlines()
    said = {line[:25].strip(): line[25:46].strip() for line in limits}
    assert said["Max core file size"] == "0"
    assert said["Max file size"] == "0"
    assert said["Max open files"] == "64"
    assert 4 << 30 < int(said["Max data size"]) < 8 << 30
    assert Path(f"/proc/{running.host.pid}/cwd").resolve() == running.config.temporary.resolve()


# --------------------------------------------------------------------------------------------------------------- death


def test_a_worker_that_dies_is_an_error_of_that_medium_and_the_next_is_served(running: Running, clip: Path) -> None:
    before = running.restarts()
    with pytest.raises(MediaError, match=r"^clip\.mp4: the decoder died on it \(SIGKILL\)"):
        running.recognizer().template(as_source(uploaded(clip)), progress=lambda _: running.kill())
    assert len(running.recognizer().template(as_source(uploaded(clip)))) == 24
    assert running.restarts() == before + 1
    assert running.host.streams == 0


def test_a_worker_killed_while_it_rests_is_replaced_unseen(running: Running, clip: Path) -> None:
    running.kill()
    running.wait_until_dead()
    assert len(running.recognizer().template(as_source(uploaded(clip)))) == 24


def test_a_medium_read_by_turns_with_a_deadly_one_goes_on(running: Running, clip: Path, couple: Path) -> None:
    alone = [s.to_dict() for s in running.recognizer().face_sets(as_source(uploaded(couple)))]
    job = running.recognizer(job=True)
    seen: list[float] = []
    killed: list[str] = []

    def progress(now: faceset.types.Progress) -> None:
        seen.append(now.done)
        if not killed:
            # Two deaths in a row belong to the one who asked; its neighbour begins anew.
            with pytest.raises(MediaError, match="the decoder died on it") as raised:
                running.recognizer().template(as_source(uploaded(clip)), progress=lambda _: running.kill())
            killed.append(str(raised.value))

    found = list(job.face_sets(as_source(uploaded(couple)), progress=progress))
    assert [s.to_dict() for s in found] == alone
    assert len(killed) == 1
    assert seen[1] == seen[0]  # from the start again


def test_what_came_before_the_death_of_another_is_not_given_twice(running: Running, tmp_path: Path) -> None:
    cut = as_source(uploaded(service_media.clip_with_cut(tmp_path / "cut.mp4")))
    alone = [s.to_dict() for s in running.recognizer().face_sets(cut)]
    assert len(alone) == 2
    reading = running.recognizer(job=True).face_sets(cut)
    found = [next(reading).to_dict()]
    running.kill()
    running.wait_until_dead()
    found += [s.to_dict() for s in reading]
    assert found == alone


def test_a_worker_that_hangs_is_ended(clip: Path, tmp_path: Path) -> None:
    slow = Running(tmp_path, work_seconds=3.0)
    try:
        pid = slow.host.pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        with pytest.raises(MediaLimitError, match=r"clip\.mp4: reading it took too long \(no answer within 3 s\)"):
            slow.recognizer().template(as_source(uploaded(clip)))
        assert slow.recognizer().reader.find(as_source(uploaded(clip))).media[0].duration == pytest.approx(4.8)
        assert slow.host.pid != pid
    finally:
        slow.host.close()


# ---------------------------------------------------------------------------------------------------- what may be said


def frame(header: bytes, raw: bytes = b"", *, lengths: tuple[int, int] | None = None) -> io.BytesIO:
    return io.BytesIO(struct.pack(">II", *(lengths or (len(header), len(raw)))) + header + raw)


def test_a_frame_comes_back_as_it_was_sent() -> None:
    file = io.BytesIO()
    wire.send(file, {"a": [1, None, "ä"]}, b"\0\1")
    wire.send(file, {})
    file.seek(0)
    assert wire.receive(file) == ({"a": [1, None, "ä"]}, b"\0\1")
    assert wire.receive(file) == ({}, b"")
    assert wire.receive(file) is None


@pytest.mark.parametrize(
    ("file", "message"),
    [
        (io.BytesIO(b"\0\0"), "cut off in its lengths"),
        (frame(b"{}", lengths=(5, 0)), "2 of 5 bytes"),
        (frame(b"{}", b"ab", lengths=(2, 3)), "2 of 3 bytes"),
        (frame(b"{}", lengths=(0xFFFFFFFF, 0)), "too long"),
        (frame(b"{}", lengths=(2, 0xFFFFFFFF)), "too long"),
        (frame(b"[1]"), "must be an object"),
        (frame(b'{"a": NaN}'), "no JSON"),
        (frame(b"\xff\xfe"), "no JSON"),
        (frame(b'{"a":' + b"[" * 100_000), "no JSON"),
        (frame(b'{"a": ' + b"9" * 10_000 + b"}"), "no JSON"),
    ],
    ids=range(10),
)
def test_hostile_frames_are_refused(file: io.BytesIO, message: str) -> None:
    with pytest.raises(WireError, match=message):
        wire.receive(file)


def face(seed: int, *, crop: bool = True) -> Face:
    rng = np.random.default_rng(seed)
    return Face(
        (1.5, 2.25, 40.125 + seed, 50.0),
        float(rng.uniform()),
        landmarks=rng.uniform(0, 50, (5, 2)).astype(np.float32),
        scheme="dlib5",
        frame=seed,
        time=seed / 3,
        media="clip.mp4",
        feature=rng.normal(size=8).astype(np.float32),
        crop=rng.integers(0, 256, (6, 5, 3), dtype=np.uint8) if crop else None,
    )


def packed() -> tuple[list[dict[str, object]], bytes]:
    sets = [
        FaceSet((face(0), face(1, crop=False), face(2)), "m:1", "clip.mp4", 3, 1),
        FaceSet((face(3, crop=False),), "m:1", "clip.mp4", 4, 1),
    ]
    heads, raw = pack_sets(sets)
    return json.loads(json.dumps(heads)), bytes(raw)


def unpack(heads: object, raw: bytes) -> list[FaceSet]:
    medium = RemoteMedia(UPLOAD, "video", 2.0, Limits())
    medium.__dict__["digest"] = "d" * 64
    return unpack_sets(heads, raw, medium, model_id="m:1", width=8)


def test_face_sets_come_back_to_the_bit() -> None:
    heads, raw = packed()
    first, second = unpack(heads, raw)
    assert ([len(first), len(second)], first.track, first.shot, first.digest) == ([3, 1], 3, 1, "d" * 64)
    for one, other in zip((*first.faces, *second.faces), map(face, range(4)), strict=True):
        assert (one.box, one.score, one.time, one.frame, one.media) == (
            other.box, other.score, other.time, other.frame, other.media
        )  # fmt: skip
        np.testing.assert_array_equal(one.feature, other.feature)
        np.testing.assert_array_equal(one.landmarks, other.landmarks)
    assert [f.crop is None for f in (*first.faces, *second.faces)] == [False, True, False, True]
    np.testing.assert_array_equal(first.faces[2].crop, face(2).crop)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"faces": 0}, "whole number in 1"),
        ({"faces": 10**9}, "whole number in 1"),
        ({"faces": True}, "whole number"),
        ({"faces": 4}, ""),
        ({"faces": 2}, ""),
        ({"track": -1}, "whole number"),
        ({"track": "x"}, "whole number"),
        ({"scheme": "dlib68"}, "unknown landmark scheme"),
        ({"scheme": ["dlib5"]}, "unknown landmark scheme"),
        ({"scheme": None}, ""),
        ({"crop": [2, 100_000, 100_000]}, "whole number in 1..512"),
        ({"crop": [9, 6, 5]}, "whole number in 0..3"),
        ({"crop": [1, 6]}, "three numbers"),
        ({"more": 1}, "expected an object"),
    ],
)
def test_hostile_face_sets_are_refused(change: dict[str, object], message: str) -> None:
    heads, raw = packed()
    with pytest.raises(WireError, match=message or None):
        unpack([{**heads[0], **change}, heads[1]], raw)


@pytest.mark.parametrize("where", range(0, 18 * 8, 8))
def test_numbers_that_cannot_be_are_refused(where: int) -> None:
    heads, raw = packed()
    with pytest.raises(WireError):
        unpack(heads, raw[:where] + struct.pack("<d", np.nan) + raw[where + 8 :])


def test_every_single_cut_is_refused() -> None:
    heads, raw = packed()
    for length in range(0, len(raw), 7):
        with pytest.raises(WireError):
            unpack(heads, raw[:length])
    with pytest.raises(WireError, match="1 bytes belong to nothing"):
        unpack(heads, raw + b"\0")


@pytest.mark.parametrize("heads", [None, 3, "x", {}, [None], [3], [[]], [{}], [{}] * 5000])
def test_heads_of_another_form_are_refused(heads: object) -> None:
    with pytest.raises(WireError):
        unpack(heads, packed()[1])


@pytest.mark.parametrize("name", sorted(ERRORS))
def test_errors_keep_their_class_and_words(name: str) -> None:
    back = unpack_error(json.loads(json.dumps(pack_error(ERRORS[name]("a thing, a reason, a cure")))))
    assert (type(back), str(back)) == (ERRORS[name], "a thing, a reason, a cure")


@pytest.mark.parametrize(
    "value",
    [
        None,
        {"kind": "SystemExit", "text": "x"},
        {"kind": "GalleryError", "text": "x"},  # nothing a worker knows of
        {"kind": ["MediaError"], "text": "x"},
        {"kind": "MediaError", "text": 3},
        {"kind": "MediaError", "text": "x" * 5000},
        {"kind": "MediaError"},
    ],
)
def test_hostile_errors_are_refused(value: object) -> None:
    with pytest.raises(WireError):
        unpack_error(value)


def test_texts_of_a_worker_do_no_harm_to_terminals_and_outputs() -> None:
    said = str(unpack_error({"kind": "MediaError", "text": "a\x1b[2J\nb\ud800c"}))
    assert said == "a [2J b c"
    said.encode()


@pytest.mark.parametrize(
    "value", [3, {}, {"done": "x", "total": 1, "faces": 1}, {"done": 10**400, "total": 1, "faces": 1}]
)
def test_hostile_progress_and_reports_are_refused(value: object) -> None:
    with pytest.raises(WireError):
        unpack_progress(value, MEDIUM)
    with pytest.raises(WireError):
        unpack_report(value)


def test_a_worker_that_talks_nonsense_is_ended(
    running: Running, clip: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    before = running.restarts()
    with monkeypatch.context() as patch:
        patch.setattr("faceset.service.remote.unpack_report", unpack_error)  # no worker can answer that
        with pytest.raises(MediaError, match=r"the decoder died on it \(expected an object"):
            running.recognizer().template(as_source(uploaded(clip)))
    assert "the worker process died (expected an object" in caplog.text
    assert clip.name not in caplog.text  # what an upload is called may be a name of a person
    assert running.restarts() == before + 1
    assert len(running.recognizer().template(as_source(uploaded(clip)))) == 24


def test_a_long_track_carries_a_bounded_number_of_pictures() -> None:
    long = FaceSet(tuple(face(i) for i in range(1000)), "m:1")
    kept = [i for i, f in enumerate(thinned(long, MOST).faces) if f.crop is not None]
    assert len(kept) == MOST
    assert set(np.diff(kept)) <= {7, 8}
    assert thinned(FaceSet(long.faces[:MOST], "m:1"), MOST).faces == long.faces[:MOST]


def test_a_medium_carries_a_bounded_number_of_pictures() -> None:
    given = 0
    for _ in range(1000):
        assert FEW <= allowed(given) <= MOST
        given += allowed(given)
    assert given <= 4096 + 1000 * FEW
    assert allowed(0) == MOST
    assert allowed(given) == FEW
