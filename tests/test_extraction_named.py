"""Faces that a protocol names: matched with what is detected, placed, counted, and resumable."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

import cv2
import numpy as np
import pytest
from portraits import write

from faceset import features
from faceset.errors import FeatureTableError, InputError, MediaError
from faceset.extraction import (
    CENTRE_RULE,
    GIVEN_RULE,
    ExtractConfig,
    GivenFace,
    batches,
    extract,
    extract_faces,
    named,
)
from faceset.extraction.given import MATCH, locate
from faceset.extraction.placed import box_around
from faceset.feature_table import FeatureTable
from faceset.media import open_media
from faceset.pipeline import Pipeline
from faceset.recognizer import Recognizer
from faceset.types import Box, Face, Image

pytestmark = pytest.mark.data

PEOPLE = ("Abel_Pacheco", "Akhmed_Zakayev", "Amber_Tamblyn", "Anders_Fogh_Rasmussen")
BLANK = np.full((250, 250, 3), 128, np.uint8)
CONFIG = ExtractConfig(degrade=1, seed=2, flip=True)


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    return Recognizer().pipeline


@pytest.fixture(scope="module")
def pictures(data_dir: Path) -> dict[str, Image]:
    """One picture of each of four people."""
    return {p: cv2.imread(str(data_dir / "lfw" / p / f"{p}_0001.jpg"))[..., ::-1] for p in PEOPLE}


@pytest.fixture(scope="module")
def root(pictures: dict[str, Image], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As IJB-A: ``img/<n>.png`` and ``frame/<video>_<frame>.png``; two files show two people."""
    root = tmp_path_factory.mktemp("ijba")
    a, b, c, d = pictures.values()
    write(a, root / "img" / "1.png")
    write(np.concatenate([b, c], axis=1), root / "img" / "2.png")
    write(np.concatenate([d, a], axis=1), root / "frame" / "7_00001.png")
    write(BLANK, root / "img" / "3.png")
    (root / "img" / "4.png").write_text("no picture")
    return root


def picture(path: Path) -> Image:
    return next(iter(open_media(path).frames())).image


@pytest.fixture(scope="module")
def boxes(root: Path, pipeline: Pipeline) -> dict[str, Box]:
    """file#side -> the box of the most central detection of that half of the picture."""
    found = {}
    for file, sides in (("img/1.png", 1), ("img/2.png", 2), ("frame/7_00001.png", 2)):
        (faces,) = pipeline.detector.detect([picture(root / file)])
        for side in range(sides):
            middle = 125 + 250 * side
            own = min(faces, key=lambda f: abs((f.box[0] + f.box[2]) / 2 - middle))
            found[f"{file}#{side}"] = own.box
    return found


@pytest.fixture(scope="module")
def faces(boxes: dict[str, Box]) -> list[GivenFace]:
    """All five sightings, a box where nobody is, a blank picture, and a text."""
    people = dict(zip(boxes, ("Abel", "Akhmed", "Amber", "Anders", "Abel"), strict=True))
    there = [GivenFace(n, people[n], n.split("#")[0], box=box) for n, box in boxes.items()]
    return [
        *there,
        GivenFace("img/1.png#9", "Nobody", "img/1.png", box=(0, 0, 40, 40)),
        GivenFace("img/3.png#0", "Blank", "img/3.png", box=(70, 70, 180, 180)),
        GivenFace("img/4.png#0", "Text", "img/4.png", box=(0, 0, 40, 40)),
    ]


@pytest.fixture(scope="module")
def whole(root: Path, pipeline: Pipeline, faces: list[GivenFace], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The table of a run that nothing interrupted."""
    output = tmp_path_factory.mktemp("whole") / "f.parquet"
    extract_faces(root, output, pipeline, faces, CONFIG)
    return output


def clean(table: FeatureTable, medium: str) -> FeatureTable:
    return table.take(table.medium.is_in([medium]) & ~table.degraded)


def assert_same(a: FeatureTable, b: FeatureTable) -> None:
    for field in fields(FeatureTable):
        one, two = getattr(a, field.name), getattr(b, field.name)
        if hasattr(one, "codes"):
            assert one.names == two.names, field.name
            one, two = one.codes, two.codes
        if isinstance(one, np.ndarray):
            np.testing.assert_array_equal(one, two, err_msg=field.name)
        else:
            assert one == two, field.name


def test_each_name_gets_the_face_in_its_box(
    root: Path, pipeline: Pipeline, pictures: dict[str, Image], boxes: dict[str, Box], whole: Path, tmp_path: Path
) -> None:
    for person, image in pictures.items():
        write(image, tmp_path / "lfw" / person / "1.png")
    alone, _ = extract(tmp_path / "lfw", tmp_path / "f.parquet", pipeline, CONFIG)
    table = features.read(whole)
    for name, person in zip(boxes, (*PEOPLE, PEOPLE[0]), strict=True):
        own = clean(table, name)
        np.testing.assert_allclose(own.box[0], boxes[name], rtol=1e-5)
        # The neighbour in the picture changes the search a little, so the face is the same and the box nearly so.
        want = {p: clean(alone, f"{p}/1.png").vectors[0] for p in PEOPLE}
        x = own.vectors[0] / own.norm[0]
        cosine = {p: float(x @ v / np.linalg.norm(v)) for p, v in want.items()}
        assert max(cosine, key=lambda p: cosine[p]) == person
        assert cosine[person] > 0.98
    np.testing.assert_array_equal(clean(table, "img/1.png#0").vectors, clean(alone, f"{PEOPLE[0]}/1.png").vectors)
    assert clean(table, "img/2.png#0").subject.names == ("Akhmed",)


def test_what_was_not_detected_is_placed_and_counted(
    root: Path, pipeline: Pipeline, faces: list[GivenFace], whole: Path
) -> None:
    table, report = extract_faces(root, whole, pipeline, faces, CONFIG)
    assert report.to_dict() == {
        "media": 8,
        "done_before": 8,
        "added": 0,
        "people": 6,
        "faces": 7,
        "degraded": 7,
        "without_face": [],
        "failed": report.failed,
        "fallback": ["img/1.png#9", "img/3.png#0"],
        "fallback_rule": GIVEN_RULE,
        "missing": [],
    }
    (failed,) = report.failed
    assert failed.startswith("img/4.png#0: img/4.png: holds text")
    for name, box in (("img/1.png#9", (0, 0, 40, 40)), ("img/3.png#0", (70, 70, 180, 180))):
        row = clean(table, name)
        assert row.score.tolist() == [0]
        assert row.box.tolist() == [list(box)]
        assert np.isfinite(row.landmarks).all()
    assert (table.score[~table.medium.is_in(report.fallback)] > 0.9).all()
    assert table.settings["faces"] == "named"
    assert table.settings["match"] == MATCH


@pytest.mark.parametrize(("shift", "grow"), [(0.2, 1.0), (-0.25, 1.1), (0.0, 1.6)])
def test_boxes_of_another_style_find_the_same_face(
    root: Path, pipeline: Pipeline, boxes: dict[str, Box], whole: Path, tmp_path: Path, shift: float, grow: float
) -> None:
    moved = []
    for name in ("img/2.png#0", "img/2.png#1"):
        x0, y0, x1, y1 = boxes[name]
        x, y, w, h = (x0 + x1) / 2 + shift * (x1 - x0), (y0 + y1) / 2, grow * (x1 - x0) / 2, grow * (y1 - y0) / 2
        moved.append(GivenFace(name, name, "img/2.png", box=(x - w, y - h, x + w, y + h)))
    table, report = extract_faces(root, tmp_path / "f.parquet", pipeline, moved, ExtractConfig(flip=True))
    assert report.fallback == []
    for given in moved:
        want = clean(features.read(whole), given.name)
        np.testing.assert_array_equal(clean(table, given.name).vectors, want.vectors)
        np.testing.assert_array_equal(clean(table, given.name).box, want.box)


def counted(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Sizes of the batches that go through the real detector from now on."""
    sizes: list[int] = []
    detect = type(pipeline.detector).detect

    def noted(self: object, images: Sequence[Image]) -> list[list[Face]]:
        sizes.append(len(images))
        return detect(self, images)  # type: ignore[arg-type]

    monkeypatch.setattr(type(pipeline.detector), "detect", noted)
    return sizes


def test_interrupted_and_run_again_gives_the_same_table(
    root: Path, pipeline: Pipeline, faces: list[GivenFace], whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = counted(pipeline, monkeypatch)
    output = tmp_path / "f.parquet"
    monkeypatch.setattr(named, "CHUNK", 1)
    seen: list[tuple[int, int, int]] = []

    def stop(done: int, total: int, found: int) -> None:
        seen.append((done, total, found))
        if len(seen) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        extract_faces(root, output, pipeline, faces, CONFIG, progress=stop)
    assert seen == [(2, 8, 2), (4, 8, 4)]  # by file: frame/7 has two faces, img/1 two
    assert not output.exists()
    extract_faces(root, output, pipeline, list(reversed(faces)), CONFIG)
    assert sizes == [1, 1, 1, 1]  # four readable files, each searched once, however many are named in it
    assert_same(features.read(output), features.read(whole))


def test_faces_added_later_give_the_table_of_one_run(
    root: Path, pipeline: Pipeline, faces: list[GivenFace], whole: Path, tmp_path: Path
) -> None:
    output = tmp_path / "f.parquet"
    extract_faces(root, output, pipeline, faces[::2], CONFIG)
    steps: list[tuple[int, int, int]] = []
    twice = [*faces, *faces]
    table, report = extract_faces(root, output, pipeline, twice, CONFIG, progress=lambda *step: steps.append(step))
    assert (report.done_before, report.added) == (4, 4)
    assert steps[-1] == (8, 8, 3)  # of the four, one is in a text; the faces that were there are not embedded again
    assert_same(table, features.read(whole))
    few, report = extract_faces(root, output, pipeline, faces[:1], CONFIG)  # nothing to do, nothing lost
    assert report.added == 0
    assert_same(few, table)


def test_large_pictures_may_end_a_batch_before_their_end(
    root: Path, pipeline: Pipeline, faces: list[GivenFace], whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "PIXELS_PER_BATCH", 1000)  # every picture is a batch of its own, its end another
    table, _ = extract_faces(root, tmp_path / "f.parquet", pipeline, faces, CONFIG)
    assert_same(table, features.read(whole))


def test_missing_files_are_listed_and_looked_for_again(
    root: Path, pipeline: Pipeline, faces: list[GivenFace], whole: Path, tmp_path: Path
) -> None:
    shutil.copytree(root, tmp_path / "ijba")
    (tmp_path / "ijba" / "img" / "2.png").unlink()
    output = tmp_path / "f.parquet"
    for added in (6, 0):
        table, report = extract_faces(tmp_path / "ijba", output, pipeline, faces, CONFIG)
        assert report.missing == ["img/2.png#0", "img/2.png#1"]
        assert (report.added, report.media) == (added, 6)
        assert not set(report.missing) & set(table.medium.names)
    shutil.copy(root / "img" / "2.png", tmp_path / "ijba" / "img")
    table, report = extract_faces(tmp_path / "ijba", output, pipeline, faces, CONFIG)
    assert (report.done_before, report.added, report.missing) == (6, 2, [])
    assert_same(table, features.read(whole))
    shutil.rmtree(tmp_path / "ijba" / "img")  # what is in the table needs no picture
    assert extract_faces(tmp_path / "ijba", output, pipeline, faces, CONFIG)[1].missing == []
    more = [*faces, GivenFace("img/9.png#0", "New", "img/9.png", box=(0, 0, 9, 9))]
    assert extract_faces(tmp_path / "ijba", output, pipeline, more, CONFIG)[1].missing == ["img/9.png#0"]
    with pytest.raises(MediaError, match=r"holds none of the 1 named pictures, such as img/1.png; give their folder"):
        extract_faces(tmp_path, tmp_path / "g.parquet", pipeline, faces[:1])


def test_points_of_the_protocol_are_taken_without_detection(
    root: Path, pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (found,) = pipeline.detector.detect([picture(root / "img" / "1.png")])
    assert found[0].landmarks is not None
    want, _ = extract_faces(root, tmp_path / "w.parquet", pipeline, [GivenFace("1", "A", "img/1.png", found[0].box)])
    monkeypatch.setattr(type(pipeline.detector), "detect", lambda *_: pytest.fail("nothing is to be detected"))
    given = [
        GivenFace("1", "A", "img/1.png", landmarks=found[0].landmarks, score=0.75),
        GivenFace("2", "A", "img/1.png", landmarks=np.full((5, 2), 60.0, np.float32)),
    ]
    table, report = extract_faces(root, tmp_path / "f.parquet", pipeline, given)
    np.testing.assert_array_equal(table.vectors, want.vectors)
    np.testing.assert_array_equal(table.landmarks, want.landmarks)
    assert table.score.tolist() == [0.75]
    np.testing.assert_allclose(table.box[0], box_around(found[0].landmarks), rtol=1e-5)
    assert np.abs(table.box[0] - found[0].box).max() < 25  # pixels; the face is about 100 wide
    assert report.failed == ["2: the protocol's landmarks coincide, so that they fix no face"]
    assert report.fallback == []


def test_a_name_without_place_is_the_central_face(root: Path, pipeline: Pipeline, whole: Path, tmp_path: Path) -> None:
    given = [GivenFace("a", "Abel", "img/1.png"), GivenFace("b", "Blank", "img/3.png")]
    table, report = extract_faces(root, tmp_path / "s.parquet", pipeline, given, ExtractConfig(flip=True))
    np.testing.assert_array_equal(table.vectors, clean(features.read(whole), "img/1.png#0").vectors)
    assert (report.without_face, report.fallback) == (["b"], [])
    table, report = extract_faces(root, tmp_path / "c.parquet", pipeline, given, ExtractConfig(undetected="centre"))
    assert (report.without_face, report.fallback) == ([], ["b"])
    assert CENTRE_RULE in report.fallback_rule
    # 250 x 250: 0.37 and 0.50 of 250 are 92.5 and 125, around 125.
    np.testing.assert_allclose(clean(table, "b").box, [[78.75, 62.5, 171.25, 187.5]], rtol=1e-6)


def face(x0: float, x1: float, score: float = 0.9) -> Face:
    return Face((x0, 0, x1, 10), score)


def given(name: str, x0: float, x1: float, subject: str = "") -> GivenFace:
    return GivenFace(name, subject or name, "1.png", box=(x0, 0, x1, 10))


def test_matching_by_hand() -> None:
    """Boxes are 10 high, so widths say all: the IoU of [0, 10] and [5, 15] is 5 / 15, of [0, 10] and [6, 16] 4 / 16."""
    config, image = ExtractConfig(), BLANK
    (one,) = locate([given("a", 0, 10)], [face(5, 15), face(6, 16)], image, config)
    assert one.face is not None
    assert one.face.box == (5, 0, 15, 10)
    (one,) = locate([given("a", 0, 10)], [face(6, 16)], image, config)  # 1/4 is less than 0.3
    assert one.by_rule
    assert one.face is not None
    assert (one.face.box, one.face.score) == ((0, 0, 10, 10), 0)
    # The surer detection does not win over the closer one.
    (one,) = locate([given("a", 0, 10)], [face(2, 12, 0.99), face(1, 11, 0.5)], image, config)
    assert one.face is not None
    assert one.face.score == 0.5
    # One detection, at [4, 14]: Bob's box [5, 15] fits it better (9/11) than Ann's [0, 10] (6/14), so Ann was not seen.
    ann, bob = locate([given("Ann", 0, 10), given("Bob", 5, 15)], [face(4, 14)], image, config)
    assert (ann.by_rule, bob.by_rule) == (True, False)
    # Two names of one person in one place share it.
    both = locate([given("1", 0, 10, "Ann"), given("2", 5, 15, "Ann")], [face(4, 14)], image, config)
    assert not any(place.by_rule for place in both)
    (one,) = locate([given("a", 250, 260)], [], image, config)
    assert one.face is None
    assert one.failure == "a: its box (250, 0, 260, 10) lies outside the picture, which is 250 x 250"
    points = np.arange(10, dtype=np.float32).reshape(5, 2) ** 2
    (one,) = locate([GivenFace("a", "A", "1.png", (0, 0, 90, 90), points)], [], image, config)
    assert one.face is not None
    assert one.by_rule
    np.testing.assert_array_equal(one.face.landmarks, points)
    assert locate([], [face(0, 10)], image, config) == []


def test_wrong_names_are_refused(root: Path, pipeline: Pipeline, whole: Path, tmp_path: Path) -> None:
    for wrong, words in (
        ({"name": ""}, "needs a name, a subject and a file"),
        ({"file": "/etc/1.png"}, r"must lie below the folder of the pictures"),
        ({"file": "img/../../1.png"}, r"must lie below the folder of the pictures"),
        ({"box": (0, 0, 0, 5)}, r"face 'n': box must have x1 > x0"),
        ({"box": (0, 0, float("nan"), 5)}, r"face 'n': box must be four finite numbers"),
        ({"landmarks": np.zeros((4, 2), np.float32)}, r"face 'n': landmarks"),
        ({"score": -1.0}, r"face 'n': score must be finite and >= 0"),
    ):
        with pytest.raises(InputError, match=words):
            GivenFace(**{"name": "n", "subject": "s", "file": "1.png", **wrong})
    two = [GivenFace("n", "s", "img/1.png"), GivenFace("n", "s", "img/2.png")]
    with pytest.raises(InputError, match=r"the name 'n' stands for two faces"):
        extract_faces(root, tmp_path / "f.parquet", pipeline, two)
    with pytest.raises(InputError, match=r"no face is named"):
        extract_faces(root, tmp_path / "f.parquet", pipeline, [])
    (tmp_path / "p").mkdir()
    shutil.copytree(root / "img", tmp_path / "p" / "img")
    with pytest.raises(FeatureTableError, match=r"faces was 'named' and is now None; match was 0.3 and is now None"):
        extract(tmp_path / "p", whole, pipeline, CONFIG)
