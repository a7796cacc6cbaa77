"""Extraction on real pictures: killed and gone on with, extended, and refused."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from media_files import write_video
from portraits import both, collins, hopper, varied, write

from faceset import features
from faceset.errors import EmbedderMismatchError, FeatureTableError, InputError, MediaError
from faceset.extraction import ExtractConfig, ExtractReport, central_face, extract, find_people
from faceset.extraction import found as notes
from faceset.extraction.found import Note
from faceset.extraction.joining import join
from faceset.feature_table import FeatureRow, FeatureTable, table_of
from faceset.pipeline import Pipeline
from faceset.recognizer import Recognizer
from faceset.types import Face

CONFIG = ExtractConfig(degrade=2, seed=3)
CHILD = """
import sys
from pathlib import Path
from faceset.extraction import ExtractConfig, extract, run
from faceset.recognizer import Recognizer
run.CHUNK = 1
extract(Path(sys.argv[1]), Path(sys.argv[2]), Recognizer().pipeline, ExtractConfig(degrade=2, seed=3))
"""


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    return Recognizer().pipeline


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two people, nine media: stills of two sizes, a folder of frames, a blank picture, a text, and hidden files."""
    root = tmp_path_factory.mktemp("root")
    for i in range(3):
        write(varied(collins(), i), root / "Collins" / f"{i}.png")
        write(varied(hopper(), i)[:500], root / "Hopper" / f"{i}.jpg")
    for i in range(3):
        write(varied(collins(), 10 + i)[:400, :400], root / "Collins" / "walk" / f"{i}.png")
    write(np.full((64, 64, 3), 128, np.uint8), root / "Collins" / "walk" / "3.png")
    write(np.full((64, 64, 3), 128, np.uint8), root / "Hopper" / "blank.png")
    (root / "Hopper" / "read me.txt").write_text("no picture")
    (root / "Hopper" / ".hidden").write_text("")
    (root / "Collins" / "walk" / ".hidden").write_text("")
    (root / ".cache").mkdir()
    (root / "stray.txt").write_text("")
    return root


@pytest.fixture(scope="module")
def whole(root: Path, pipeline: Pipeline, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ExtractReport]:
    """The table of a run that nothing interrupted."""
    output = tmp_path_factory.mktemp("whole") / "features.parquet"
    return output, extract(root, output, pipeline, CONFIG)[1]


def assert_same(a: FeatureTable, b: FeatureTable) -> None:
    """Every column and all metadata, bit for bit."""
    for field in fields(FeatureTable):
        one, two = getattr(a, field.name), getattr(b, field.name)
        if hasattr(one, "codes"):
            assert one.names == two.names, field.name
            one, two = one.codes, two.codes
        if isinstance(one, np.ndarray):
            np.testing.assert_array_equal(one, two, err_msg=field.name)
            assert one.dtype == two.dtype
        else:
            assert one == two, field.name


def test_what_is_in_the_table(root: Path, whole: tuple[Path, ExtractReport], pipeline: Pipeline) -> None:
    table, report = features.read(whole[0]), whole[1]
    assert report.to_dict() == {
        "media": 9,
        "done_before": 0,
        "added": 9,
        "people": 2,
        "faces": 9,
        "degraded": 18,
        "without_face": ["Collins/walk/3.png", "Hopper/blank.png"],
        "failed": [report.failed[0]],
        "fallback": [],
        "fallback_rule": "",
        "missing": [],
    }
    assert report.failed[0].startswith("Hopper/read me.txt: holds text")
    assert table.embedder == pipeline.embedder.model_id
    assert {k: v for k, v in table.settings.items() if k != "found"} == {"detector": "mtcnn", **CONFIG.to_dict()}
    assert len(table) == 27
    clean = table.take(~table.degraded)
    assert not clean.strength.any()
    assert set(table.kind.names) - {"clean"} <= set(CONFIG.kinds)
    assert (table.strength[table.degraded] > 0).all()
    walk = table.take(table.medium.is_in(["Collins/walk"]))
    assert walk.frame.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert walk.time.tolist() == walk.frame.tolist()
    units = clean.vectors / clean.norm[:, None]
    scores = units @ units.T
    same = clean.subject.codes[:, None] == clean.subject.codes
    assert scores[same].min() > scores[~same].max()
    # The clean features are those that recognition makes of the same picture.
    own = clean.take(clean.medium.is_in(["Hopper/1.jpg"]))
    (seen,) = Recognizer().face_sets(root / "Hopper" / "1.jpg")
    np.testing.assert_array_equal(own.vectors, seen.features)


def test_degraded_copies_keep_the_landmarks_of_the_clean_picture(whole: tuple[Path, ExtractReport]) -> None:
    table = features.read(whole[0])
    for medium in table.medium.names:
        rows = table.take(table.medium.is_in([medium]))
        for frame in np.unique(rows.frame):
            points = rows.landmarks[rows.frame == frame]
            assert (points == points[0]).all()
            assert len(np.unique(rows.vectors[rows.frame == frame], axis=0)) == 3


def test_killed_and_run_again_gives_the_same_table(
    root: Path, whole: tuple[Path, ExtractReport], pipeline: Pipeline, tmp_path: Path
) -> None:
    output = tmp_path / "features.parquet"
    parts = output.with_name("features.parquet.parts")
    for wanted in (2, 5):  # killed twice, after some more parts each time
        process = subprocess.Popen([sys.executable, "-c", CHILD, str(root), str(output)])
        try:
            while len(list(parts.glob("*.parquet"))) < wanted:
                assert process.poll() is None, "it ended before it could be killed"
                time.sleep(0.002)
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
        assert not output.exists()
    left = {path.name: path.stat().st_mtime_ns for path in parts.glob("*.parquet")}
    assert 5 <= len(left) < 9
    (parts / ".half.tmp").write_bytes(b"half a part")
    steps: list[tuple[int, int, int]] = []
    table, report = extract(root, output, pipeline, CONFIG, progress=lambda *s: steps.append(s))
    assert_same(table, features.read(whole[0]))
    assert_same(features.read(output), features.read(whole[0]))
    assert report.done_before == len(left)
    assert report.added == 9 - len(left)
    assert (report.without_face, report.failed) == (whole[1].without_face, whole[1].failed)
    assert steps[-1][:2] == (9, 9)
    assert os.listdir(tmp_path) == ["features.parquet"]


def test_finished_table_is_only_read(
    root: Path, whole: tuple[Path, ExtractReport], pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "features.parquet"
    shutil.copy(whole[0], output)
    before = output.stat().st_mtime_ns
    # A kill between the table and the end of its parts leaves parts; they go.
    features.TableWriter(tmp_path / "features.parquet.parts", table_embedder(output), width=128, scheme="dlib5")
    monkeypatch.setattr(type(pipeline.detector), "detect", lambda *_: pytest.fail("nothing is to be detected"))
    table, report = extract(root, output, pipeline, CONFIG)
    assert_same(table, features.read(whole[0]))
    assert report.to_dict() == {**whole[1].to_dict(), "done_before": 9, "added": 0}
    assert output.stat().st_mtime_ns == before
    assert os.listdir(tmp_path) == ["features.parquet"]


def table_embedder(path: Path) -> str:
    return features.read(path).embedder


def test_new_media_are_added_as_if_they_had_been_there(
    root: Path, whole: tuple[Path, ExtractReport], pipeline: Pipeline, tmp_path: Path
) -> None:
    some = tmp_path / "some"
    for name in ("Collins/0.png", "Hopper/blank.png", "Hopper/read me.txt", "Hopper/2.jpg"):
        (some / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(root / name, some / name)
    output = tmp_path / "features.parquet"
    extract(some, output, pipeline, CONFIG)
    table, report = extract(root, output, pipeline, CONFIG)
    assert (report.media, report.done_before, report.added) == (9, 4, 5)
    assert_same(table, features.read(whole[0]))
    assert_same(features.read(output), table)
    shutil.rmtree(some / "Hopper")  # what is gone from the folder stays in the table
    assert extract(some, output, pipeline, CONFIG)[1].media == 9


def test_other_settings_and_embedders_are_refused(
    root: Path, whole: tuple[Path, ExtractReport], pipeline: Pipeline, tmp_path: Path
) -> None:
    output = tmp_path / "features.parquet"
    shutil.copy(whole[0], output)
    with pytest.raises(FeatureTableError, match=r"other settings: degrade was 2 and is now 1; write to another file"):
        extract(root, output, pipeline, ExtractConfig(degrade=1, seed=3))
    old = features.read(output)
    features.write(output, table_of([], "another:1", width=128, scheme="dlib5", settings=old.settings))
    with pytest.raises(EmbedderMismatchError, match=r"of embedder 'another:1', but these would be of 'dlib-resnet:"):
        extract(root, output, pipeline, CONFIG)
    output.write_bytes(b"no table")
    with pytest.raises(FeatureTableError, match=r"cannot be added to: .*damaged.*write to another file, or delete"):
        extract(root, output, pipeline, CONFIG)
    output.unlink()
    output.mkdir()
    with pytest.raises(FeatureTableError, match=r"is a folder; name a file"):
        extract(root, output, pipeline, CONFIG)
    assert not output.with_name("features.parquet.parts").exists()


def test_parts_of_other_settings_are_refused(root: Path, pipeline: Pipeline, tmp_path: Path) -> None:
    writer = features.TableWriter(
        tmp_path / "f.parquet.parts", pipeline.embedder.model_id, width=128, scheme="dlib5", settings={"degrade": 9}
    )
    writer.add("Ann/1.jpg", [])
    with pytest.raises(FeatureTableError, match=r"f.parquet.parts was begun with other settings"):
        extract(root, tmp_path / "f.parquet", pipeline, CONFIG)


def test_place_that_cannot_be_written(root: Path, pipeline: Pipeline, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FeatureTableError, match=r"f.parquet.parts cannot be made .*choose a place"):
        extract(root, tmp_path / "file" / "f.parquet", pipeline, CONFIG)


def test_layout(root: Path, tmp_path: Path) -> None:
    assert [m.key for m in find_people(root)] == [
        "Collins/0.png",
        "Collins/1.png",
        "Collins/2.png",
        "Collins/walk",
        "Hopper/0.jpg",
        "Hopper/1.jpg",
        "Hopper/2.jpg",
        "Hopper/blank.png",
        "Hopper/read me.txt",
    ]
    assert [f.name for f in find_people(root)[3].files] == ["0.png", "1.png", "2.png", "3.png"]
    with pytest.raises(MediaError, match=r"none is no folder; give a folder laid out as <person>/<medium>"):
        find_people(tmp_path / "none")
    (tmp_path / "Ann").mkdir()
    with pytest.raises(MediaError, match=r"holds no person folders with media in them; lay it out as"):
        find_people(tmp_path)
    (tmp_path / "Ann" / os.fsdecode(b"\xff.jpg")).write_bytes(b"")
    with pytest.raises(MediaError, match=r"no valid Unicode; rename it"):
        find_people(tmp_path)


def test_config_is_checked() -> None:
    assert ExtractConfig(kinds=("jpeg", "noise", "jpeg")).kinds == ("noise", "jpeg")
    for wrong in ({"degrade": -1}, {"kinds": ("snow",)}, {"kinds": ()}, {"low": 0.8, "high": 0.2}, {"fps": -1.0}):
        with pytest.raises(InputError):
            ExtractConfig(**wrong)


def test_central_face_weighs_size_against_place() -> None:
    picture = np.zeros((100, 100, 3), np.uint8)
    large = Face((0, 0, 30, 30), 0.9)  # 900 - 2 (35^2 + 35^2) = -4000
    central = Face((40, 40, 60, 60), 0.5)  # 400
    huge = Face((0, 0, 90, 90), 0.5)  # 8100 - 2 (5^2 + 5^2) = 8000
    assert central_face([large, central], picture) is central
    assert central_face([large, central, huge], picture) is huge
    assert central_face([], picture) is None


def test_two_faces_in_a_picture_give_the_central_one(pipeline: Pipeline, tmp_path: Path) -> None:
    write(both(), tmp_path / "root" / "Both" / "1.png")
    table, _ = extract(tmp_path / "root", tmp_path / "f.parquet", pipeline)
    assert len(table) == 1


def test_videos_are_sampled_and_named_once(pipeline: Pipeline, tmp_path: Path) -> None:
    blank = np.zeros((512, 512, 3), np.uint8)
    frames = [blank if i % 5 == 0 else varied(collins(), i) for i in range(10)]
    (tmp_path / "root" / "Collins" / "takes").mkdir(parents=True)
    write_video(tmp_path / "root" / "Collins" / "walk.mp4", frames, rate=5)
    write_video(tmp_path / "root" / "Collins" / "takes" / "1.mp4", frames[4:7], rate=5)
    write_video(tmp_path / "root" / "Collins" / "takes" / "2.mp4", frames[:1] * 3, rate=5)
    table, report = extract(tmp_path / "root", tmp_path / "all.parquet", pipeline, ExtractConfig(fps=0))
    walk = table.take(table.medium.is_in(["Collins/walk.mp4"]))
    assert walk.frame.tolist() == [1, 2, 3, 4, 6, 7, 8, 9]
    np.testing.assert_allclose(walk.time, walk.frame / 5, atol=1e-3)
    assert table.frame[table.medium.is_in(["Collins/takes"])].tolist() == [0, 2]  # every frame has a number of its own
    assert report.without_face == ["Collins/takes/2.mp4"]
    shutil.rmtree(tmp_path / "root" / "Collins" / "takes")
    table, _ = extract(tmp_path / "root", tmp_path / "some.parquet", pipeline, ExtractConfig(fps=2.5))
    assert table.frame.tolist() == [2, 4, 6, 8]


def test_joined_tables_are_in_the_order_of_parts(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = [
        FeatureRow(s, f"{s}/{m}", rng.normal(size=4).astype(np.float32), (0, 0, 1, 1), 1.0, frame=f, kind=k)
        for s in ("Ann", "Bob", "Cid")
        for m in range(3)
        for f, k in ((0, "clean"), (0, "noise"), (1, "clean"))
    ]
    media = sorted({row.medium for row in rows})
    writer = features.TableWriter(tmp_path / "parts", "e", width=4)
    for medium in media:
        writer.add(medium, [row for row in rows if row.medium == medium])
    want = features.read(tmp_path / "parts")
    for cut in (0, 4, 9):
        old = table_of([r for r in rows if r.medium in media[:cut]], "e", width=4)
        new = table_of([r for r in rows if r.medium in media[max(0, cut - 1) :]], "e", width=4)  # one is in both
        assert_same(join(old, new), want)


def test_note_cut_off_by_a_kill_harms_no_other(tmp_path: Path) -> None:
    notes.append(tmp_path, "Ann/1", Note(True, ["Ann/1"], []))
    with (tmp_path / notes.NOTES).open("a") as file:
        file.write("\n" + json.dumps(["Bob/1", {"empty": True}])[:-9])
    notes.append(tmp_path, "Cid/1", Note(False, [], ["damaged"]))
    notes.append(tmp_path, "Ann/1", Note(False, ["Ann/2"], []))
    assert notes.read(tmp_path) == {"Ann/1": Note(False, ["Ann/2"], []), "Cid/1": Note(False, [], ["damaged"])}
    assert notes.read(tmp_path / "none") == {}
