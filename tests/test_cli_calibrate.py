"""``faceset calibrate`` from a feature table, and verify and identify with what it wrote."""

from __future__ import annotations

import csv
import io
import json
import os
from pathlib import Path

import numpy as np
import pytest
from portraits import collins, hopper, varied, write
from typer.testing import CliRunner, Result

import faceset
from faceset import aggregation, calibration, features
from faceset.cli.app import app
from faceset.errors import FacesetError
from faceset.feature_table import FeatureRow, table_of

DLIB = "dlib-resnet:aae79f758fb292a9"


@pytest.fixture(autouse=True)
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FACESET_CALIBRATIONS", str(tmp_path / "own"))
    return tmp_path / "own"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """25 made-up people of 4 pictures each, in a feature table of the default embedder."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(25, 128))
    rows = [
        FeatureRow(
            f"p{p}", f"p{p}/{i}", (centres[p] + 0.3 * rng.normal(size=128)).astype(np.float32), (0, 0, 9, 9), 1.0
        )
        for p in range(25)
        for i in range(4)
    ]
    features.write(tmp_path / "f.parquet", table_of(rows, DLIB, scheme="dlib5"))
    return tmp_path / "f.parquet"


def run(*words: object, code: int = 0) -> Result:
    done = CliRunner().invoke(app, list(map(str, words)))
    assert done.exit_code == code, (done.output, done.exception)
    return done


def refused(*words: object) -> str:
    done = CliRunner().invoke(app, list(map(str, words)))
    assert isinstance(done.exception, FacesetError), done.output
    return str(done.exception)


def test_from_a_table_to_answers(table: Path, tmp_path: Path, own: Path) -> None:
    done = run("calibrate", "--features", table, "--far", 0.03, "--aggregator", "mean", "--json", "-q")
    document = json.loads(done.stdout)
    path = own / "dlib-resnet_aae79f758fb292a9--mean.json"
    assert document["file"] == str(path)
    assert (document["people"], document["media"], document["faces"]) == (25, 100, 100)
    assert document["source"] == "25 people of f.parquet"
    assert [p["far"] for p in document["pairs"][0]["points"]] == [0.1, 0.03, 0.01, 0.001, 0.0001]
    made = calibration.load(path)
    assert made.to_dict() == {key: value for key, value in document.items() if key != "file"}

    # verify and identify take it without being asked, and say so
    a, b = write(varied(collins(), 1), tmp_path / "a.png"), write(hopper(), tmp_path / "b.png")
    said = json.loads(run("verify", a, b, "--aggregator", "mean", "--far", 0.1, "--json").stdout)
    assert said["same"]  # strangers among the made-up people hardly resemble each other, so little is asked
    assert said["far"] == 0.1
    assert said["threshold"] == made.pairs[0].points[0].threshold
    assert said["threshold_source"] == (
        "FAR 0.1; 25 people of f.parquet; templates of 1 and 1 faces; "
        "your own calibration dlib-resnet_aae79f758fb292a9--mean.json"
    )
    with faceset.Gallery(tmp_path / "g.db") as gallery:
        faceset.Recognizer(aggregator="mean").enroll(gallery, "Grace", b)
    probe = ("identify", a, "-g", tmp_path / "g.db", "--aggregator", "mean", "--fpir", 0.1, "--json")
    (match,) = json.loads(run(*probe).stdout)
    assert match["fpir"] == 0.1
    assert match["threshold_source"].startswith("FPIR 0.1 among 1 person; 25 people of f.parquet; ")
    (match,) = json.loads(run(*probe, "--calibration", "shipped").stdout)
    assert "1,338 people of LFW" in match["threshold_source"]
    (match,) = json.loads(run(*probe, "--calibration", "none").stdout)
    assert (match["threshold_source"], match["fpir"]) == ("dlib, single images, uncalibrated", None)
    (match,) = json.loads(run(*probe[:4], *probe[6:], "--calibration", path).stdout)  # the default aggregator
    assert match["threshold_source"].endswith(f"calibration {path.name} was made for aggregator mean, not used")
    line = run(*probe[:-1])
    assert "threshold 0." in line.stderr
    assert "FPIR 0.1 among 1 person" in line.stderr


def test_a_table_for_people_and_csv(table: Path, tmp_path: Path) -> None:
    out = tmp_path / "c.json"
    shown = run("calibrate", "--features", table, "-o", out)
    assert "25 people, 100 media, 100 faces" in " ".join(shown.stdout.split())
    assert "thresholds are not resolved: too few people" in shown.stderr
    assert calibration.load(out).aggregator == aggregation.default(DLIB).name
    again = run("calibrate", "--features", table, "-o", tmp_path / "d.json", "--csv", "-q")
    assert (tmp_path / "d.json").read_bytes() == out.read_bytes()
    rows = list(csv.DictReader(io.StringIO(again.stdout)))
    assert len(rows) == 10 * 4 + 3 * 2  # size pairs and FAR, galleries of 1, 3 and 10 and FPIR
    assert rows[0].keys() == {
        "kind", "faces", "gallery", "rate", "threshold", "low", "high", "tar", "resolved", "rule",
    }  # fmt: skip


def test_from_pictures(tmp_path: Path, own: Path) -> None:
    for name, portrait in (("Collins", collins()), ("Hopper", hopper())):
        for seed in range(2):
            write(varied(portrait, seed), tmp_path / "people" / name / f"{seed}.png")
    run("calibrate", tmp_path / "people", "-q", "--features", tmp_path / "new.parquet", "-o", tmp_path / "c.json")
    made = calibration.load(tmp_path / "c.json")
    assert (made.people, made.faces, made.source) == (2, 4, "2 people of people")
    assert not any(p.resolved for pair in made.pairs for p in pair.points)
    assert made.searches == ()
    assert features.read(tmp_path / "new.parquet").embedder == made.model_id


def test_from_a_protocol(tmp_path: Path) -> None:
    """The people of the protocol's templates, and no others of the table."""
    rng = np.random.default_rng(1)
    root = tmp_path / "people"
    rows = []
    for p in range(12):
        centre = rng.normal(size=128)
        for i in range(3):
            medium = f"p{p:02d}/{i}.png"
            rows.append(
                FeatureRow(
                    f"p{p:02d}", medium, (centre + 0.3 * rng.normal(size=128)).astype(np.float32), (0, 0, 9, 9), 1
                )
            )
            if p < 10:
                path = root / medium
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(b"")
    features.write(tmp_path / "f.parquet", table_of(rows, DLIB, scheme="dlib5"))
    words = ("--protocol", "folder", "--aggregator", "mean", "-o", tmp_path / "c.json", "-q")
    run("calibrate", root, "--features", tmp_path / "f.parquet", *words)
    made = calibration.load(tmp_path / "c.json")
    assert made.source == f"{made.people} people of protocol folder"
    assert 2 <= made.people <= 10
    assert "needs ROOT" in refused("calibrate", "--features", tmp_path / "f.parquet", *words)


def test_a_folder_that_cannot_be_made_is_refused_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("FACESET_CALIBRATIONS", str(tmp_path / "file" / "own"))
    said = refused("calibrate", "--features", tmp_path / "none.parquet")
    assert "file cannot be written" in said
    assert "set FACESET_CALIBRATIONS" in said


def test_bad_input(table: Path, tmp_path: Path) -> None:
    assert "far must be a number between 0 and 1" in refused("calibrate", "--features", table, "--far", 0)
    assert "fpir must be a number between 0 and 1" in refused("calibrate", "--features", table, "--fpir", 1)
    assert "give ROOT" in refused("calibrate")
    assert "does not exist; make it first" in refused(
        "calibrate", "--features", table, "-o", tmp_path / "no" / "c.json"
    )
    assert "exclude each other" in refused("calibrate", "--features", table, "--json", "--csv")
    for place in (tmp_path, "", os.devnull):
        assert "is no regular file" in refused("calibrate", "--features", "none.parquet", "-o", place)
    picture = write(collins(), tmp_path / "a.png")
    assert "far must be a number between 0 and 1" in refused("verify", picture, picture, "--far", 2)
    assert "FAR 1e-09 is below 0.0001" in refused("verify", picture, picture, "--far", 1e-9)
    assert "none.json cannot be read" in refused("verify", picture, picture, "--calibration", tmp_path / "none.json")
    (tmp_path / "own").mkdir()
    name = calibration.user_path(DLIB, aggregation.default(DLIB).name)
    name.write_text("{}")
    assert "is not a faceset calibration" in refused("verify", picture, picture)
