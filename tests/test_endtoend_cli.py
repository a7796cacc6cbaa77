"""``faceset train --end-to-end``: from person folders to a run, and what it says to bad input."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from command import apart as run
from portraits import six_people

from faceset import features
from faceset.feature_table import FeatureRow, table_of
from faceset.training import runs
from faceset.training.endtoend import load_end_to_end

# Of these names, by their hashes, the last three are held out for validation.
PEOPLE = ("Collins", "Hopper", "Eileen", "Ann", "Hal", "Quin")
SETTINGS = {
    "frozen_steps": 2,
    "steps": 2,
    "copies": 1,
    "validate_every": 2,
    "far": 0.2,
    "sets": {"subjects": 2, "max_faces": 2},
    "frozen_sets": {"subjects": 2, "max_faces": 2},
    "blends": [],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """root/<person>/<picture>, settings, a run and what was printed."""
    folder = tmp_path_factory.mktemp("endtoend")
    six_people(folder / "root", PEOPLE)
    (folder / "root" / "Ann" / "broken.jpg").write_bytes(b"\\xff\\xd8\\xff not a picture")
    (folder / "s.json").write_text(json.dumps(SETTINGS))
    words = ("train", folder / "root", "-o", folder / "run", "--end-to-end", "--config", folder / "s.json")
    said = run(*words, "--device", "cpu", "--json")
    (folder / "said.json").write_text(said.stdout)
    (folder / "remarks.txt").write_text(said.stderr)
    return folder


def test_a_run_of_the_installed_network_by_default(folder: Path) -> None:
    said = json.loads((folder / "said.json").read_text())
    assert {"backbone": "dlib-resnet", "aggregator": "nan", "steps": 2, "trained_on": 3}.items() <= said.items()
    assert said["score"] >= said["frozen"]
    assert set(said["report"]["table"]["clean/4"]) >= {"mean", "norm", "nan"}
    config = runs.read_config(folder / "run", "end-to-end")
    assert (config["licence"], config["commercial"]) == ("public domain (dlib-models)", "yes")
    assert config["preprocessing"]["crop"] == "dlib150"
    backbone, aggregator, _ = load_end_to_end(folder / "run")
    assert (backbone.dim, aggregator.dim) == (128, 128)
    remarks = (folder / "remarks.txt").read_text()
    assert "comparing on 3 people never trained on" in remarks


def test_a_finished_run_is_only_compared_again(folder: Path) -> None:
    before = (folder / "run" / "model.safetensors").stat().st_mtime_ns
    words = ("train", folder / "root", "-o", folder / "run", "--end-to-end", "--config", folder / "s.json")
    again = run(*words, "--device", "cpu", "--csv")
    assert (folder / "run" / "model.safetensors").stat().st_mtime_ns == before
    rows = list(csv.DictReader(io.StringIO(again.stdout)))
    assert {"aggregator", "sets", "tar", "minus_mean"} <= set(rows[0])


def test_it_refuses_a_table_and_train_refuses_pictures(folder: Path, tmp_path: Path) -> None:
    rows = [FeatureRow("P", "P/0", np.ones(8, np.float32), (0, 0, 1, 1), 1.0)]
    features.write(tmp_path / "t.parquet", table_of(rows, "e:1", scheme="dlib5"))
    for table in (tmp_path / "t.parquet", tmp_path):
        said = run("train", table, "-o", tmp_path / "run", "--end-to-end", code=2).stderr
        assert "is a feature table, but --end-to-end trains on pictures; give a folder laid out as" in said
    said = run("train", folder / "root", "-o", tmp_path / "run", code=2).stderr
    assert "is a folder without a feature table; make one with `faceset extract`, or add --end-to-end" in said
    said = run("train", tmp_path / "none", "-o", tmp_path / "run", "--end-to-end", code=2).stderr
    assert "is no folder; give a folder laid out as <person>/<picture>" in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--backbone", "resnet18", "--end-to-end"), "no backbone is called 'resnet18'"),
        (("--init", "none.pth", "--end-to-end"), "none.pth: there is no such file or folder"),
        (("--without-kinds", "noise", "--end-to-end"), "--without-kinds goes with a feature table"),
        (("--backbone", "googlenet"), "--backbone goes with --end-to-end"),
        (("--aggregator", "none", "--end-to-end"), "no learned aggregator is called 'none'"),
        (("--loss", "none", "--end-to-end"), "no loss is called 'none'"),
    ],
)
def test_bad_words(folder: Path, tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    source = folder / "root" if "--end-to-end" in words else tmp_path / "t.parquet"
    faces = ("--faces", folder / "run" / "faces") if "--end-to-end" in words else ()
    assert said in run("train", source, "-o", tmp_path / "run", *words, *faces, code=2).stderr


def test_a_run_of_another_kind_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"format": 1, "aggregator": "nan"}))
    said = run("train", folder / "root", "-o", tmp_path, "--end-to-end", code=2).stderr
    assert "is a training run of kind aggregator, but end-to-end is needed here" in said
