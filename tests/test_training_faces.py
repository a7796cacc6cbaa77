"""The face store: what is found and cut, said, gone on with and kept."""

from __future__ import annotations

import os
import pickle
import shutil
import signal
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from face_stores import GEOMETRIES, people
from portraits import both, write

from faceset import detection, media
from faceset.alignment import align_face
from faceset.detection.landmarks import Dlib5
from faceset.embedding import Embedder
from faceset.extraction import central_face
from faceset.training.faces import FaceStore, PrepareReport, prepare, search
from faceset.training.faces.growing import GrowingArray
from faceset.training.faces.padding import centre, pad_of, padded_crop, padded_size

CHILD = """
import os, signal, sys
from faceset.training.faces import prepare, search
search.CHUNK = 1
def kill(done, total, faces):
    if faces >= 3:
        os.kill(os.getpid(), signal.SIGKILL)
prepare(sys.argv[1], sys.argv[2], sys.argv[3:], leave_out=["Left"], fps=2, progress=kill)
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return people(tmp_path_factory.mktemp("people"))


@pytest.fixture(scope="module")
def whole(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store of a run that nothing interrupted."""
    folder = tmp_path_factory.mktemp("whole") / "store"
    prepare(root, folder, GEOMETRIES, leave_out=["Left"], fps=2)
    return folder


@pytest.fixture
def no_search(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detection, "get", lambda *_: pytest.fail("nothing is to be detected"))


def assert_same(a: FaceStore, b: FaceStore) -> None:
    """Every face, name and figure, and every crop, bit for bit."""
    assert (a.fingerprint, a.report, a.settings, a.files) == (b.fingerprint, b.report, b.settings, b.files)
    assert a.geometries == b.geometries
    for name in a.geometries:
        np.testing.assert_array_equal(a.padded(name), b.padded(name), err_msg=name)


def test_crops_are_those_of_alignment(data_dir: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    for person in ("Aaron_Peirsol", "Aaron_Guiel"):
        shutil.copytree(data_dir / "lfw" / person, root / person)
    names = ("arcface112", "arcface96", "dlib150", "dlib112", "sphere112x96")
    store, report = prepare(root, tmp_path / "store", names)
    assert report.faces == len(store) == len(list(root.rglob("*.jpg"))) == 5
    detector, dlib5 = detection.get("mtcnn"), Dlib5()
    for row, file in enumerate(store.files):
        (frame,) = media.open_media(root / file).frames()
        face = central_face(detector.detect([frame.image])[0], frame.image)
        assert face is not None
        np.testing.assert_array_equal(store.box[row], np.float32(face.box))
        np.testing.assert_array_equal(store.landmarks("arcface5")[row], face.landmarks)
        for name in names:
            marked = dlib5.landmark(frame.image, [face])[0] if name.startswith("dlib") else face
            np.testing.assert_array_equal(store.crop(name, [row])[0], align_face(frame.image, marked, name))
            # The padding goes on where the crop ends: it is that of a crop cut larger at once.
            whole = store.padded(name)[row]
            assert whole.shape == (*padded_size(name), 3)
            np.testing.assert_array_equal(whole, padded_crop(frame.image, marked.landmarks, name))
            p = pad_of(name)
            edge = (
                np.abs(whole[p - 1].astype(int) - whole[p]).mean(),
                np.abs(whole[p].astype(int) - whole[p + 1]).mean(),
            )
            assert edge[0] < 2 * edge[1] + 4


def test_padding_is_the_picture_around_the_crop() -> None:
    y, x = np.mgrid[:400, :400].astype(np.float64)
    ramp = np.stack([x / 2, y / 2, (x + y) / 4], axis=-1).astype(np.uint8)
    points = np.array([[180, 180], [220, 182], [200, 205], [184, 225], [216, 226]], np.float32)
    padded = padded_crop(ramp, points, "arcface112").astype(float)
    steps = np.diff(padded, axis=1)[..., 0]  # a ramp stays a ramp, across the seam too
    assert np.abs(steps - steps.mean()).max() <= 1.01


def test_what_is_found_is_counted_and_listed(root: Path, whole: Path) -> None:
    store = FaceStore.open(whole)
    report = store.report
    assert (report.people, report.media, report.faces) == (3, 9, 8)
    assert report.pictures == 2 + 3 + 3 + 1 + 1  # stills, frames of the folder and of the video, Single, blank
    assert report.one_picture == ["Single"]
    assert report.no_picture == ["Empty", "Nobody"]
    assert report.left_out == ["Left"]
    assert report.without_face == ["Collins/walk/2.png", "Nobody/blank.png"]
    assert [sentence.partition(":")[0] for sentence in report.corrupt] == [
        "Nobody/cut.jpg",
        "Nobody/empty.jpg",
        "Nobody/read me.txt",
    ]
    assert report.stray == ["stray.txt"]
    plain = report.to_dict()
    assert plain["people"] == 3
    assert plain["corrupt"] == {"count": 3, "names": report.corrupt}
    assert set(plain) == {f.name for f in fields(PrepareReport)}
    assert PrepareReport.from_dict(plain) == report
    assert store.subject.names == ("Collins", "Hopper", "Single")
    assert store.medium.names == ("Collins/0.png", "Collins/1.png", "Collins/walk", "Hopper/0.mp4", "Single/0.jpg")
    assert store.files == (
        *("Collins/0.png", "Collins/1.png", "Collins/walk/0.png", "Collins/walk/1.png"),
        *["Hopper/0.mp4"] * 3,
        "Single/0.jpg",
    )
    assert store.frame.tolist() == [0, 0, 0, 1, 0, 5, 10, 0]
    assert store.geometries == GEOMETRIES
    assert sorted(os.listdir(whole)) == [".lock", "crops-arcface96.npy", "crops-dlib150.npy", "faces.npz"]
    assert_same(pickle.loads(pickle.dumps(store)), store)  # noqa: S301 - our own


@pytest.mark.usefixtures("no_search")
def test_a_second_call_only_reads(root: Path, whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {path.name: path.stat().st_mtime_ns for path in whole.glob("[!.]*")}
    monkeypatch.setattr(media, "open_media", lambda *_, **__: pytest.fail("nothing is to be opened"))
    store, report = prepare(root, whole, GEOMETRIES[:1], leave_out=["Left"], fps=2)
    assert report == store.report
    assert {path.name: path.stat().st_mtime_ns for path in whole.glob("[!.]*")} == before


@pytest.mark.usefixtures("no_search")
def test_a_new_geometry_needs_no_search_and_survives_a_kill(root: Path, whole: Path, tmp_path: Path) -> None:
    folder = tmp_path / "store"
    shutil.copytree(whole, folder)
    expected = np.load(folder / "crops-dlib150.npy")
    (folder / "crops-dlib150.npy").unlink()
    with GrowingArray(folder / "crops-dlib150.npy", expected.shape[1:], np.uint8) as left:
        left.append(np.full_like(expected[:6], 7))  # six rows of a killed run: two media and a part of the third
    steps: list[tuple[int, int, int]] = []
    store, _ = prepare(root, folder, GEOMETRIES, leave_out=["Left"], fps=2, progress=lambda *s: steps.append(s))
    np.testing.assert_array_equal(store.padded("dlib150")[:4], 7)  # what was done is not done again
    np.testing.assert_array_equal(store.padded("dlib150")[4:], expected[4:])
    assert steps[-1] == (8, 8, 8)
    (folder / "crops-dlib150.npy").unlink()
    store, _ = prepare(root, folder, GEOMETRIES, leave_out=["Left"], fps=2)
    assert_same(store, FaceStore.open(whole))


def test_killed_and_run_again_gives_the_same_store(root: Path, whole: Path, tmp_path: Path) -> None:
    folder = tmp_path / "store"
    done = subprocess.run([sys.executable, "-c", CHILD, str(root), str(folder), *GEOMETRIES], check=False)
    assert done.returncode == -signal.SIGKILL
    assert not (folder / "faces.npz").exists()
    journal = folder / "journal.jsonl"
    assert len(journal.read_text().splitlines()) - 1 == 2  # the settings, two pictures; a face of the third medium
    with journal.open("a") as file, (folder / ".crops-dlib150.npy.part").open("ab") as crops:
        file.write('{"person": "Coll')  # what a kill cuts off
        crops.write(b"half a face")
    steps: list[tuple[int, int, int]] = []
    store, _ = prepare(
        root, folder, GEOMETRIES[:1], leave_out=["Left"], fps=2, progress=lambda *s: steps.append(s)
    )  # what it was begun with is finished too
    assert steps[-1] == (9, 9, 8)
    assert_same(store, FaceStore.open(whole))
    assert sorted(os.listdir(folder)) == sorted(os.listdir(whole))


@pytest.mark.usefixtures("no_search")
def test_a_kill_at_the_very_end(root: Path, whole: Path, tmp_path: Path) -> None:
    folder = tmp_path / "store"
    shutil.copytree(whole, folder)
    (folder / "crops-dlib150.npy").rename(folder / ".crops-dlib150.npy.part")
    (folder / "journal.jsonl").write_text("")
    store, _ = prepare(root, folder, GEOMETRIES, leave_out=["Left"], fps=2)
    assert_same(store, FaceStore.open(whole))
    assert not (folder / "journal.jsonl").exists()


def test_any_pictures_without_labels(tmp_path: Path) -> None:
    write(both(), tmp_path / "root" / "a" / "b" / "two.jpg")
    (tmp_path / "root" / "out").mkdir()
    (tmp_path / "root" / "out" / "0.jpg").write_bytes(b"never opened")
    (tmp_path / "root" / "note.txt").write_text("no picture")
    store, report = prepare(tmp_path / "root", tmp_path / "store", ["dlib112"], labelled=False, leave_out=["out"])
    assert (len(store), report.people, report.faces, report.pictures) == (2, 0, 2, 1)
    assert store.subject.names == ("",)
    assert store.files == ("a/b/two.jpg", "a/b/two.jpg")
    assert [sentence.partition(":")[0] for sentence in report.corrupt] == ["note.txt"]
    assert report.left_out == ["out"]
    assert store.box[:, 0].min() < 400 < store.box[:, 0].max()


def test_features_of_a_teacher(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "store"
    shutil.copytree(whole, folder)
    store, embedder = FaceStore.open(folder), Embedder.load()
    crops = store.crop("dlib150", slice(None))
    plain = store.teacher(embedder, flip=False)
    np.testing.assert_array_equal(plain[:, 0], embedder.embed(crops))
    seen: list[tuple[int, int, int]] = []
    found = store.teacher(embedder, progress=lambda *s: seen.append(s))
    assert found.shape == (8, 2, 128)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found[:, 0], plain[:, 0])
    np.testing.assert_array_equal(found[:, 1], embedder.embed([np.fliplr(crop) for crop in crops]))
    assert seen == [(8, 8, 8)]
    monkeypatch.setattr(embedder, "embed", lambda _: pytest.fail("they are known"))
    np.testing.assert_array_equal(store.teacher(embedder), found)
    next(folder.glob("features-*[0-9a-f].npy")).unlink()
    np.testing.assert_array_equal(store.teacher(embedder, flip=False), plain)


def test_features_of_a_teacher_go_on_after_a_kill(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from faceset.training.faces import teacher

    monkeypatch.setattr(teacher, "CHUNK", 3)
    shutil.copytree(whole, tmp_path / "store")
    store, embedder = FaceStore.open(tmp_path / "store"), Embedder.load()

    def stop(done: int, total: int, faces: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.teacher(embedder, progress=stop)
    seen: list[tuple[int, int, int]] = []
    found = store.teacher(embedder, progress=lambda *s: seen.append(s))
    assert seen == [(6, 8, 6), (8, 8, 8)]
    np.testing.assert_array_equal(found[:, 0], embedder.embed(store.crop("dlib150", slice(None))))


def test_a_growing_array_is_a_plain_file_in_the_end(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    values = np.arange(30, dtype=np.float32).reshape(5, 2, 3)
    with GrowingArray(path, (2, 3), np.float32) as rows:
        rows.append(values[:2])
        rows.append(values[2:4])
    with (tmp_path / ".a.npy.part").open("ab") as file:
        file.write(b"torn")
    with GrowingArray(path, (2, 3), np.float32) as rows:
        assert rows.rows == 4
        rows.truncate(3)
        rows.append(values[3:])
        rows.publish()
    np.testing.assert_array_equal(np.load(path), values)
    np.testing.assert_array_equal(np.load(path, mmap_mode="r"), values)
    assert os.listdir(tmp_path) == ["a.npy"]
    for other in ((3, 2), (2, 3, 1)):
        (tmp_path / ".b.npy.part").write_bytes(path.read_bytes())
        with GrowingArray(tmp_path / "b.npy", other, np.float32) as rows:
            assert rows.rows == 0, "rows of another shape are not gone on with"
    with GrowingArray(tmp_path / "b.npy", (2, 3), np.int32) as rows:
        assert rows.rows == 0


def test_centre_is_a_view() -> None:
    padded = np.arange(3 * 8 * 6 * 3, dtype=np.uint8).reshape(3, 8, 6, 3)
    found = centre(padded, (4, 2))
    np.testing.assert_array_equal(found, padded[:, 2:6, 2:4])
    assert np.shares_memory(found, padded)


def test_memory_of_the_search_does_not_hold_crops(whole: Path) -> None:
    assert search.CHUNK <= 64
    assert isinstance(FaceStore.open(whole).padded("dlib150").base, np.memmap)
