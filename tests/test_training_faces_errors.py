"""Face stores and folders that are refused, with the reason and the cure."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from face_stores import GEOMETRIES, people
from portraits import write

from faceset import detection
from faceset.embedding import Embedder
from faceset.errors import FaceStoreError, InputError, MediaError, NoFaceError
from faceset.training.faces import FaceStore, prepare
from faceset.training.faces.preparing import _alone


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = people(tmp_path_factory.mktemp("people"))
    for name in ("Collins/walk", "Hopper", "Nobody", "Left", "Empty"):
        shutil.rmtree(root / name)
    return root


@pytest.fixture(scope="module")
def made(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "store"
    prepare(root, folder, GEOMETRIES)
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made, tmp_path / "store")
    return tmp_path / "store"


def test_damaged_foreign_and_newer_stores(root: Path, folder: Path) -> None:
    path = folder / "faces.npz"
    good = path.read_bytes()
    for bad in (good[: len(good) // 2], b"", b"no archive", good[:300] + bytes(40) + good[340:]):
        path.write_bytes(bad)
        with pytest.raises(FaceStoreError, match=r"faces.npz is damaged, or no file of a face store .*delete .*again"):
            FaceStore.open(folder)
        with pytest.raises(FaceStoreError, match=r"damaged"):
            prepare(root, folder, GEOMETRIES)
    np.savez(path, header=np.frombuffer(b"[]", np.uint8))
    with pytest.raises(FaceStoreError, match=r"no file of a face store"):
        FaceStore.open(folder)
    np.savez(path, header=np.array([{"a": 1}], dtype=object))  # pickled
    with pytest.raises(FaceStoreError, match=r"damaged.*allow_pickle"):
        FaceStore.open(folder)
    path.write_bytes(good)
    with np.load(path) as found:
        arrays = dict(found)
    header = json.loads(bytes(arrays["header"]))
    np.savez(
        path, **{**arrays, "header": np.frombuffer(json.dumps({**header, "faceset face store": 2}).encode(), "u1")}
    )
    with pytest.raises(FaceStoreError, match=r"has version 2 of the format, newer than 1; upgrade faceset"):
        FaceStore.open(folder)
    for name, value in (("subject_codes", arrays["subject_codes"] + 9), ("box", arrays["box"] * np.nan)):
        np.savez(path, **{**arrays, name: value})
        with pytest.raises(FaceStoreError, match=r"without a name|not finite"):
            FaceStore.open(folder)
    path.unlink()
    with pytest.raises(FaceStoreError, match=r"holds no prepared faces \(no faces.npz\); prepare them first"):
        FaceStore.open(folder)


def test_damaged_crops(folder: Path) -> None:
    path = folder / "crops-dlib150.npy"
    data = path.read_bytes()
    path.write_bytes(data[:-10])
    with pytest.raises(FaceStoreError, match=r"crops-dlib150.npy is damaged .*delete it and prepare it again"):
        FaceStore.open(folder)
    np.save(path, np.zeros((2, 4, 4, 3), np.uint8))
    with pytest.raises(FaceStoreError, match=r"is uint8 \(2, 4, 4, 3\), but must be uint8 \(3, 186, 186, 3\)"):
        FaceStore.open(folder)
    path.unlink()
    store = FaceStore.open(folder)
    for ask in (lambda: store.padded("dlib150"), lambda: store.teacher(Embedder.load())):
        with pytest.raises(FaceStoreError, match=r"has no crops dlib150 \(it has arcface96\); prepare it again with"):
            ask()
    with pytest.raises(InputError, match=r"nonsense"):
        store.padded("nonsense")
    with pytest.raises(InputError, match=r"but not 'dlib68'"):
        store.landmarks("dlib68")


def test_other_settings_and_pictures(root: Path, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(FaceStoreError, match=r"other settings: fps was 5.0 and is now 2.0; prepare into another"):
        prepare(root, folder, GEOMETRIES, fps=2)
    with pytest.raises(FaceStoreError, match=r"left_out was \[\] and is now \['Single'\]"):
        prepare(root, folder, GEOMETRIES, leave_out=["Single", "Somebody else"])
    larger = tmp_path / "larger"
    shutil.copytree(root, larger)
    shutil.copy(root / "Collins" / "0.png", larger / "Collins" / "9.png")
    with pytest.raises(FaceStoreError, match=r"holds 1 media that .* was made without, such as Collins/9.png"):
        prepare(larger, folder, GEOMETRIES)
    (larger / "Collins" / "9.png").unlink()
    (larger / "Collins" / "1.png").write_bytes(b"")
    with pytest.raises(FaceStoreError, match=r"Collins/1.png has changed since .*is empty.*dlib96 cannot be cut"):
        prepare(larger, folder, ["dlib96"])
    (larger / "Collins" / "1.png").unlink()
    with pytest.raises(FaceStoreError, match=r"Collins/1.png is no longer there, so dlib96 cannot be cut"):
        prepare(larger, folder, ["dlib96"])
    prepare(root, folder, ["dlib96"])  # and nothing is lost by it


def test_a_damaged_journal(root: Path, tmp_path: Path) -> None:
    folder = tmp_path / "store"
    folder.mkdir()
    (folder / "journal.jsonl").write_text("nonsense\n")
    with pytest.raises(FaceStoreError, match=r"journal.jsonl is damaged .*delete"):
        prepare(root, folder, GEOMETRIES)
    settings = {"detector": "mtcnn", "labelled": True, "left_out": [f"p{k}" for k in range(9)], "fps": 5.0}
    (folder / "journal.jsonl").write_text(json.dumps({"settings": settings, "geometries": ["dlib150"]}) + "\n")
    with pytest.raises(FaceStoreError, match=r"left_out was \['p0', 'p1', 'p2' and 6 more\] and is now \[\]"):
        prepare(root, folder, GEOMETRIES)


def test_folders_that_are_not_stores(root: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FaceStoreError, match=r"cannot be made .*choose a place with room and rights"):
        prepare(root, tmp_path / "file", GEOMETRIES)
    with pytest.raises(FaceStoreError, match=r"holds other files and no prepared faces; name an empty"):
        prepare(root, tmp_path, GEOMETRIES)
    with (
        _alone(tmp_path / "store"),
        pytest.raises(FaceStoreError, match=r"is being prepared by another process; wait"),
    ):
        prepare(root, tmp_path / "store", GEOMETRIES)


def test_folders_without_faces(root: Path, tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"is no folder"):
        prepare(tmp_path / "none", tmp_path / "store", GEOMETRIES)
    with pytest.raises(MediaError, match=r"is no folder"):
        prepare(tmp_path / "none", tmp_path / "store", GEOMETRIES, labelled=False)
    (tmp_path / "empty").mkdir()
    with pytest.raises(MediaError, match=r"no person folders"):
        prepare(tmp_path / "empty", tmp_path / "store", GEOMETRIES)
    with pytest.raises(MediaError, match=r"holds no file"):
        prepare(tmp_path / "empty", tmp_path / "store", GEOMETRIES, labelled=False)
    with pytest.raises(MediaError, match=r"nobody|anybody who is not left out"):
        prepare(root, tmp_path / "store", GEOMETRIES, leave_out=["Collins", "Single"])
    write(np.full((64, 64, 3), 128, np.uint8), tmp_path / "blank" / "Ann" / "0.png")
    (tmp_path / "blank" / "Ann" / "1.png").write_bytes(b"")
    with pytest.raises(NoFaceError, match=r"in any of 1 pictures; 1 files could not be read \(such as Ann/1.png"):
        prepare(tmp_path / "blank", tmp_path / "store", GEOMETRIES)


def test_geometries_and_detectors(root: Path, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no crop geometry is named"):
        prepare(root, folder, [])
    with pytest.raises(InputError, match=r"nonsense"):
        prepare(root, folder, ["nonsense"])
    with pytest.raises(InputError, match=r"there is no detector 'nonsense'"):
        prepare(root, tmp_path / "other", GEOMETRIES, detector="nonsense")
    with pytest.raises(
        InputError, match=r"'arcface96' takes landmarks of scheme 'arcface5', which detector 'hog' does"
    ):
        prepare(root, tmp_path / "other", GEOMETRIES, detector="hog")
    store, _ = prepare(root, tmp_path / "hog", ["dlib112"], detector=detection.get("hog"))
    assert store.settings["detector"] == "hog"
    with pytest.raises(InputError, match=r"choose the detector mtcnn or yunet"):
        prepare(root, tmp_path / "hog", ["arcface96"], detector="hog")
