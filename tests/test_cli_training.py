"""The commands from pictures to an aggregator in one file: what they write, print, and say to bad input."""

from __future__ import annotations

import csv
import io
import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from command import apart as run
from command import here
from portraits import six_people, write

from faceset import features
from faceset.aggregation.onnx_aggregator import OnnxAggregator
from faceset.feature_table import FeatureRow, table_of

# Of these names, by their hashes, the last three are held out for validation.
PEOPLE = ("Collins", "Hopper", "Eileen", "Ann", "Hal", "Quin")
CLOSED = ["mean", "norm", "norm-score", "media-first", "medoid", "best", "trimmed"]
CONDITIONS = ["clean/4", "clean/12", "mixed/4", "mixed/12", "degraded/4", "degraded/12"]
TRAIN = ("--steps", "4", "--far", "0.2", "--device", "cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """root/<person>/<picture>, its table, a run and what was printed."""
    folder = tmp_path_factory.mktemp("training")
    six_people(folder / "root", PEOPLE)
    write(np.zeros((64, 64, 3), np.uint8), folder / "root" / "Ann" / "dark.png")
    said = run(
        "extract", folder / "root", "-o", folder / "f.parquet", "--degrade", 3, "--kinds", "noise,jpeg", "--json"
    )
    (folder / "extract.json").write_text(said.stdout)
    said = run("train", folder / "f.parquet", "-o", folder / "run", "--aggregator", "nan", *TRAIN, "--json")
    (folder / "train.json").write_text(said.stdout)
    return folder


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A table of random features of many people, in no time."""
    rng = np.random.default_rng(0)
    rows = [
        FeatureRow(f"P{s}", f"P{s}/{m}", rng.normal(size=8).astype(np.float32), (0, 0, 1, 1), 1.0, kind=k, strength=v)
        for s in range(16)
        for m in range(2)
        for k, v in (("clean", 0.0), ("noise", 0.5), ("jpeg", 0.7))
    ]
    features.write(tmp_path / "t.parquet", table_of(rows, "e:1", scheme="dlib5"))
    return tmp_path / "t.parquet"


def test_extract_says_what_it_found(folder: Path) -> None:
    said = json.loads((folder / "extract.json").read_text())
    assert said == {
        "file": str(folder / "f.parquet"),
        "media": 13,
        "done_before": 0,
        "added": 13,
        "people": 6,
        "faces": 12,
        "degraded": 36,
        "without_face": ["Ann/dark.png"],
        "failed": [],
        "fallback": [],
        "fallback_rule": "",
        "missing": [],
    }
    found = features.read(folder / "f.parquet")
    assert found.kind.names == ("clean", "jpeg", "noise")
    again = run(
        "extract", folder / "root", "-o", folder / "f.parquet", "--degrade", 3, "--kinds", "jpeg,noise", "--csv"
    )
    assert again.stderr == (
        f"nothing to do: {folder / 'f.parquet'} holds all 13 media\nfiles without a face: 1; --json lists them\n"
    )
    assert list(csv.DictReader(io.StringIO(again.stdout))) == [
        {
            "people": "6",
            "media": "13",
            "faces": "12",
            "degraded": "36",
            "fallback": "0",
            "without_face": "1",
            "failed": "0",
            "missing": "0",
        }
    ]


def test_extract_interrupted_goes_on(folder: Path, tmp_path: Path) -> None:
    words = ["extract", folder / "root", "-o", tmp_path / "f.parquet", "--degrade", 20]
    with subprocess.Popen(
        [sys.executable, "-m", "faceset", *map(str, words)], stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        while not (tmp_path / "f.parquet.parts").exists():
            assert process.poll() is None
            time.sleep(0.005)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate()
    assert said == "interrupted; run the same command again, and it goes on where it was\n"
    assert process.returncode == 130
    run(*words[:-2])  # no part was finished, so that other settings may follow
    assert len(features.read(tmp_path / "f.parquet")) == 12


def test_train_sets_every_closed_form_beside_the_learned_one(folder: Path) -> None:
    said = json.loads((folder / "train.json").read_text())
    assert (said["steps"], said["aggregator"], said["trained_on"]) == (4, "nan", 3)
    assert list(said["report"]["table"]) == CONDITIONS
    for row in said["report"]["table"].values():
        assert list(row) == [*CLOSED, "nan"]
        for found in row.values():
            assert 0 <= found["tar"][0] <= 1
    words = ("train", folder / "f.parquet", "-o", folder / "run", "--aggregator", "nan", *TRAIN)
    again = here(*words, "--csv")  # a finished run is only read
    rows = list(csv.DictReader(io.StringIO(again.stdout)))
    assert [(r["sets"], r["aggregator"]) for r in rows] == [(c, a) for c in CONDITIONS for a in [*CLOSED, "nan"]]
    shown = here(*words)
    assert "TAR in % at FAR 0.2 on 3 people never trained on" in shown.stdout
    assert "nan, best after" in shown.stdout
    other = here("train", folder / "f.parquet", "-o", folder / "run", "--seed", 1, code=2)
    assert f"error: {folder / 'run'} holds a run with other settings" in other.stderr
    assert "choose another folder, or delete that one" in other.stderr


def test_export_writes_a_file_that_aggregates(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "x.onnx"
    said = json.loads(
        here("export", folder / "run", "-o", out, "--licence", "MIT", "--training-data", "six", "--json").stdout
    )
    assert (said["file"], said["kind"], said["width"], said["licence"], said["training_data"]) == (
        str(out), "nan", 128, "MIT", "six",
    )  # fmt: skip
    assert said["metrics"]["steps"] == 4
    found = features.read(folder / "f.parquet")
    assert said["embedder"] == found.embedder
    sets = found.sets("subject")
    made = OnnxAggregator(out)(sets.features, sets.offsets)
    np.testing.assert_allclose(np.add.reduceat(made.weights, sets.offsets[:-1]), 1.0, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(made.templates, axis=1), 1.0, atol=1e-5)
    assert (made.weights >= 0).all()
    (row,) = csv.DictReader(io.StringIO(here("export", folder / "run", "-o", out, "--csv").stdout))
    assert row["licence"] == "unknown"
    assert "│ licence " in here("export", folder / "run", "-o", out).stdout


def test_settings_come_from_file_and_options(table: Path, tmp_path: Path) -> None:
    settings = tmp_path / "settings.json"
    settings.write_text(json.dumps({"steps": 900, "loss": "contrast", "validate_every": 2, "sets": {"subjects": 4}}))
    (tmp_path / "out.txt").write_text("P1\n\n  P2\nNobody\n")
    words = ["--config", settings, "--leave-out", tmp_path / "out.txt", "--without-kinds", "jpeg", *TRAIN]
    said = here("train", table, "-o", tmp_path / "run", *words, "--json")
    assert "2 of the 3 names in" in said.stderr
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["settings"]["steps"] == 4  # the option wins
    assert (config["settings"]["loss"], config["settings"]["sets"]["subjects"]) == ("contrast", 4)
    assert (config["data"]["left_out"], config["data"]["without_kinds"]) == (2, ["jpeg"])
    # An unfinished run is exported with a remark.
    del config["result"]
    (tmp_path / "run" / "config.json").write_text(json.dumps(config))
    assert "has not ended" in here("export", tmp_path / "run", "-o", tmp_path / "x.onnx").stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["extract", "{tmp}/none", "-o", "{tmp}/f.parquet"], "none is no folder; give a folder laid out as"),
        (["extract", "{tmp}", "-o", "{tmp}/f.parquet", "--kinds", "snow"], "unknown degradation 'snow'; the kinds are"),
        (["extract", "{tmp}", "-o", "{tmp}/f.parquet", "--json", "--csv"], "exclude each other"),
        (["extract", "{root}", "-o", "{tmp}/t.parquet"], "holds features of embedder 'e:1', but these would be of"),
        (["extract", "{root}", "-o", "{tmp}/bad.parquet"], "bad.parquet is there and cannot be added to"),
        (["train", "{tmp}/none.parquet", "-o", "{tmp}/r"], "there is no feature table"),
        (["train", "{tmp}/bad.parquet", "-o", "{tmp}/r"], "is no Parquet file or is damaged"),
        (
            ["train", "{tmp}/one.parquet", "-o", "{tmp}/r"],
            "one.parquet: people to train on: 1, with two media or more: 1",
        ),
        (["train", "{tmp}/t.parquet", "-o", "{tmp}/bad.parquet"], "bad.parquet is a file; name a folder"),
        (["train", "{tmp}/t.parquet", "-o", "{tmp}/other"], "other holds other files and no run; name an empty"),
        (["train", "{tmp}/t.parquet", "-o", "{tmp}/foreign"], "is not the configuration of a training run of faceset"),
        (["train", "{tmp}/t.parquet", "-o", "{tmp}/bad.parquet/r"], "r cannot be written"),
        (["train", "{tmp}/t.parquet", "-o", "{tmp}/r", "--aggregator", "mena"], "is called 'mena'; take one of"),
        (["train", "{tmp}/t.parquet", "-o", "{tmp}/r", "--loss", "mena"], "mena"),
        (["train", "{tmp}/t.parquet", "-o", "{tmp}/r", "--steps", "0"], "steps must be at least 1, but got 0"),
        (["train", "{tmp}/t.parquet", "-o", "{tmp}/r", "--device", "abacus"], "device 'abacus' is not known to torch"),
        (
            ["train", "{tmp}/t.parquet", "-o", "{tmp}/r", "--without-kinds", "snow"],
            "is degraded by snow; there is jpeg",
        ),
        (["train", "{tmp}/t.parquet", "-o", "{tmp}/r", "--leave-out", "{tmp}/none"], "none cannot be read"),
        (["train", "{tmp}/t.parquet", "-o", "{tmp}/r", "--config", "{tmp}/none"], "none cannot be read as JSON"),
        (["train", "{tmp}/t.parquet", "-o", "{tmp}/r", "--config", "{tmp}/a.json"], "has no setting stepps; it has"),
        (["train", "{tmp}/t.parquet", "-o", "{tmp}/r", "--config", "{tmp}/b.json"], "a setting is of the wrong type"),
        (["train", "{tmp}/t.parquet", "-o", "{tmp}/r", "--config", "{tmp}/c.json"], "c.json holds no settings"),
        (["export", "{tmp}/none", "-o", "{tmp}/x.onnx"], "none is not a training run: it has no config.json"),
        (["export", "{tmp}/foreign", "-o", "{tmp}/x.onnx"], "is not the configuration of a training run of faceset"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_bad_input_is_one_line(words: list[str], message: str, folder: Path, table: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 no table")
    one = features.read(table)
    features.write(tmp_path / "one.parquet", one.take(one.subject.is_in(["P1"])))
    for name in ("other", "foreign"):
        (tmp_path / name).mkdir()
    (tmp_path / "other" / "letter.txt").write_text("dear")
    (tmp_path / "foreign" / "config.json").write_text('{"format": "mp3"}')
    for name, text in (("a", '{"stepps": 3}'), ("b", '{"steps": "many"}'), ("c", "[1]")):
        (tmp_path / f"{name}.json").write_text(text)
    said = here(*(word.format(tmp=tmp_path, root=folder / "root") for word in words), code=2).stderr
    assert message in said, said
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    assert not (tmp_path / "r" / "config.json").exists()


def test_another_table_does_not_go_on_with_a_run(folder: Path, table: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "run", tmp_path / "run")
    said = here("train", table, "-o", tmp_path / "run", *TRAIN, "--aggregator", "nan", code=2)
    assert "holds a run with other data" in said.stderr


@pytest.mark.parametrize(
    ("missing", "words"),
    [
        ("torch", ["train", "{table}", "-o", "{tmp}/r"]),
        ("tensorboard", ["train", "{table}", "-o", "{tmp}/r"]),
        ("safetensors", ["export", "{tmp}", "-o", "{tmp}/x.onnx"]),
        ("pyarrow", ["extract", "{tmp}", "-o", "{tmp}/f.parquet"]),
    ],
)
def test_missing_extra_names_itself(missing: str, words: list[str], table: Path, tmp_path: Path) -> None:
    code = f"import sys; sys.modules[{missing!r}] = None; from faceset.cli import main; main()"
    filled = [word.format(tmp=tmp_path, table=table) for word in words]
    done = subprocess.run([sys.executable, "-c", code, *filled], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    extra = "evaluate" if missing == "pyarrow" else "train"
    assert f"pip install 'faceset[{extra}]'" in done.stderr
    assert missing in done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
