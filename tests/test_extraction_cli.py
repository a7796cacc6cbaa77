"""``faceset extract --protocol``: official files and pictures to a table, by the command line."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from portraits import collins, hopper, varied, write
from typer.testing import CliRunner

from faceset import detection, features
from faceset.cli.app import app
from faceset.cli.protocol_faces import faces_of, media_of
from faceset.evaluation import protocols
from faceset.evaluation.trials import FaceList, TemplateList, Verification
from faceset.extraction import CENTRE_RULE
from faceset.media import open_media

GREY = np.full((64, 64, 3), 128, np.uint8)
HEADER = (
    "TEMPLATE_ID,SUBJECT_ID,FILE,MEDIA_ID,SIGHTING_ID,FRAME,FACE_X,FACE_Y,FACE_WIDTH,FACE_HEIGHT,RIGHT_EYE_X,"
    "RIGHT_EYE_Y,LEFT_EYE_X,LEFT_EYE_Y,NOSE_BASE_X,NOSE_BASE_Y,FACE_YAW,FOREHEAD_VISIBLE,EYES_VISIBLE,"
    "NOSE_MOUTH_VISIBLE,INDOOR,GENDER,SKIN_TONE,AGE,FACIAL_HAIR\n"
)


def run(*words: object, code: int = 0) -> Any:
    result = CliRunner().invoke(app, ["extract", *map(str, words)])
    assert result.exit_code == code, result.output
    return result


def row(template: int, subject: int, file: str, medium: int, sighting: int, box: tuple[int, ...]) -> str:
    x, y, w, h = box
    return f"{template},{subject},{file},{medium},{sighting},,{x},{y},{w},{h},,,,,,,,,,,,0,2,,\n"


@pytest.fixture
def lfw(tmp_path: Path) -> Path:
    """A list of 2 folds of 1 + 1 pairs, its pictures but one, and pictures it does not name."""
    root = tmp_path / "lfw"
    for name, portrait in (("Ann", collins()), ("Bob", hopper())):
        for k in range(1, 5):
            write(varied(portrait, k)[:400, :400], root / name / f"{name}_{k:04d}.jpg")
    write(GREY, root / "Bob" / "Bob_0003.jpg")
    (root / "Bob" / "Bob_0002.jpg").unlink()
    (root / "pairs.txt").write_text("2\t1\nAnn\t1\t2\nAnn\t1\tBob\t3\nBob\t1\t2\nAnn\t2\tBob\t1\n")
    return root


def test_media_of_a_protocol(lfw: Path, tmp_path: Path) -> None:
    output = tmp_path / "f.parquet"
    told = run(lfw, "-o", output, "--protocol", "lfw", "--json")
    said = json.loads(told.stdout)
    assert (said["media"], said["faces"], said["people"]) == (4, 4, 2)
    assert said["fallback"] == ["Bob/Bob_0003.jpg"]
    assert said["fallback_rule"] == CENTRE_RULE
    assert said["missing"] == ["Bob/Bob_0002.jpg"]
    assert "protocol lfw: feature the mean over crop and mirror image; pictures without a detected face: a central" in (
        told.stderr
    )
    table = features.read(output)
    assert table.medium.names == ("Ann/Ann_0001.jpg", "Ann/Ann_0002.jpg", "Bob/Bob_0001.jpg", "Bob/Bob_0003.jpg")
    assert (table.settings["flip"], table.settings["undetected"]) == (True, "centre")
    again = run(lfw, "-o", output, "--protocol", "lfw", "--csv")
    (record,) = csv.DictReader(io.StringIO(again.stdout))
    assert (record["media"], record["fallback"], record["missing"]) == ("4", "1", "1")
    assert "nothing to do" in again.stderr
    assert f"faces not detected, and placed by a rule ({CENTRE_RULE}): 1; --json lists them" in again.stderr
    assert "named, but not there: 1; --json lists them" in again.stderr


def test_defaults_can_be_undone(lfw: Path, tmp_path: Path) -> None:
    output = tmp_path / "f.parquet"
    words = ["--protocol", "lfw", "--no-flip", "--undetected", "skip"]
    said = json.loads(run(lfw, "-o", output, *words, "--json").stdout)
    assert (said["fallback"], said["without_face"]) == ([], ["Bob/Bob_0003.jpg"])
    assert not {"flip", "undetected"} & set(features.read(output).settings)
    whole = json.loads(run(lfw, "-o", output, "--json").stdout)  # the same settings: the others are added
    assert (whole["done_before"], whole["added"]) == (4, 3)
    assert features.read(output).medium.is_in(["Bob/Bob_0004.jpg"]).any()


def test_faces_by_their_boxes(tmp_path: Path) -> None:
    """Protocol and pictures in different folders, one training and two test subjects."""
    pictures, files = tmp_path / "pictures", tmp_path / "ijba" / "IJB-A_11_sets" / "split1"
    files.mkdir(parents=True)
    both = np.concatenate([collins()[:500, :500], hopper()[:500, :500]], axis=1)
    write(both, pictures / "img" / "1.jpg")
    write(hopper()[:500], pictures / "img" / "2.jpg")
    write(GREY, pictures / "img" / "3.jpg")
    found = {}
    for n, path in ((1, "1.jpg"), (2, "2.jpg")):
        image = next(iter(open_media(pictures / "img" / path).frames())).image
        (seen,) = detection.get("mtcnn").detect([image])
        found[n] = sorted((f for f in seen if f.score > 0.99), key=lambda f: f.box[0])

    def box(n: int, k: int) -> tuple[int, ...]:
        x0, y0, x1, y1 = found[n][k].box
        return round(x0), round(y0), round(x1 - x0), round(y1 - y0)

    (files / "train_1.csv").write_text(HEADER + row(1, 9, "img/3.jpg", 3, 5, (10, 10, 30, 30)))
    (files / "verify_metadata_1.csv").write_text(
        HEADER
        + row(2, 1, "img/1.jpg", 1, 6, box(1, 0))
        + row(3, 2, "img/1.jpg", 1, 7, box(1, len(found[1]) - 1))
        + row(4, 2, "img/2.jpg", 2, 8, box(2, 0))
        + row(5, 2, "img/4.jpg", 4, 4, (0, 0, 9, 9))
    )
    (files / "verify_comparisons_1.csv").write_text("2,3\n4,3\n5,3\n")
    output = tmp_path / "f.parquet"
    told = run(pictures, "-o", output, "--protocol", "ijba", "--protocol-root", tmp_path / "ijba", "--json")
    said = json.loads(told.stdout)
    assert said["fallback"] == ["img/3.jpg#5"]
    assert "the protocol's own box" in said["fallback_rule"]
    assert said["missing"] == ["img/4.jpg#4"]
    table = features.read(output)
    assert table.medium.names == ("img/1.jpg#6", "img/1.jpg#7", "img/2.jpg#8", "img/3.jpg#5")
    assert {m: table.take(table.medium.is_in([m])).subject.names for m in table.medium.names} == {
        "img/1.jpg#6": ("1",),
        "img/1.jpg#7": ("2",),
        "img/2.jpg#8": ("2",),
        "img/3.jpg#5": ("9",),
    }
    unit = dict(zip(np.array(table.medium.names)[table.medium.codes], table.vectors / table.norm[:, None], strict=True))
    same = float(unit["img/1.jpg#7"] @ unit["img/2.jpg#8"])
    assert same > 0.95 > float(unit["img/1.jpg#6"] @ unit["img/2.jpg#8"])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--protocol", "none"], "there is no protocol 'none'; choose one of"),
        (["--protocol-root", "{tmp}"], "--protocol-root goes with --protocol; name the protocol too"),
        (["--list", "original"], "--list goes with --protocol; name the protocol too"),
        (["--protocol", "lfw", "--split", "1"], "protocol lfw has no option 'split'; it has task, pairs"),
        (["--protocol", "lfw", "--list", "none.txt"], "none.txt"),
        (["--protocol", "lfw", "--protocol-root", "{tmp}/none"], "none is no folder; "),
        (["--undetected", "left"], "undetected must be one of skip, centre, but got 'left'"),
    ],
)
def test_bad_input_is_said_before_any_model_is_loaded(
    lfw: Path, tmp_path: Path, words: list[str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("faceset.cli.options.recognizer", lambda **_: pytest.fail("no model is to be loaded"))
    words = [word.format(tmp=tmp_path) for word in words]
    result = CliRunner().invoke(app, ["extract", str(lfw), "-o", str(tmp_path / "f.parquet"), *words])
    assert result.exit_code != 0
    assert said in str(result.exception) + result.output


def made(names: tuple[str, ...], members: list[list[int]], subjects: list[str], **given: Any) -> Verification:
    faces = FaceList(names, **given)
    templates = TemplateList.of([str(i) for i in range(len(members))], subjects, members, list(range(len(names))))
    nothing = np.empty(0, np.int64)
    return Verification("made", "", faces, templates, nothing, nothing, np.empty(0, bool))


def test_faces_of_several_experiments() -> None:
    points = np.arange(30, dtype=float).reshape(3, 5, 2)
    boxes = np.array([[0, 1, 2, 3], [np.nan] * 4, [4, 5, 6, 7]])
    one = made(("a", "b", "c"), [[2], [0]], ["X", "Y"], boxes=boxes, landmarks=points, scores=np.array([0.1, 0.2, 0.3]))
    two = made(("b", "c"), [[0, 1]], ["t1"], files=("f/b", "f/c"))
    assert media_of([one]) is None
    assert media_of([two]) is None
    assert media_of([made(("b", "c", "d"), [[0], [2]], ["X", "X"]), made(("a",), [[0]], ["Y"])]) == ["a", "b", "d"]
    found = list(faces_of([one, two]))
    assert [(f.name, f.subject, f.file, f.box, f.score) for f in found] == [
        ("a", "Y", "a", (0, 1, 2, 3), 0.1),
        ("c", "X", "c", (4, 5, 6, 7), 0.3),
        ("b", "t1", "f/b", None, None),
        ("c", "X", "f/c", None, None),
    ]
    assert found[1].landmarks is not None
    np.testing.assert_array_equal(found[1].landmarks, points[2])


@pytest.mark.data
def test_the_real_lists_name_their_faces(data_dir: Path) -> None:
    media = media_of(protocols.load("lfw", data_dir / "lfw"))
    assert media is not None
    assert len(media) == 7701
    experiments = protocols.load("ijba", data_dir / "ijba")
    faces = {f.name: f for f in faces_of(experiments)}
    assert media_of(experiments) is None
    assert len({f.subject for f in faces.values()}) == 499
    assert all(f.box is not None and f.file == f.name.split("#")[0] for f in faces.values())
