"""``faceset evaluate`` from official files and a feature table to figures, JSON, CSV and a page."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from command import here
from portraits import write

from faceset import features
from faceset.feature_table import FeatureRow, table_of

PEOPLE = [f"P{i:02d}" for i in range(12)]


def rows_of(pictures: int, noise: float = 0.6) -> list[FeatureRow]:
    """Vectors around one direction a person; box in the middle of a picture of 80 x 80."""
    rng = np.random.default_rng(3)
    rows = []
    for person in PEOPLE:
        middle = rng.normal(size=16)
        for k in range(1, pictures + 1):
            vector = (middle + noise * rng.normal(size=16)).astype(np.float32)
            rows.append(FeatureRow(person, f"{person}/{person}_{k:04d}.jpg", vector, (20, 20, 60, 60), 0.9))
    return rows


@pytest.fixture(scope="module")
def lfw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A list of LFW's form with 3 folds of 8 + 8 pairs, a table without one picture, and two of the pictures."""
    root = tmp_path_factory.mktemp("lfw")
    lines = ["3\t8"]
    for fold in range(3):
        own = PEOPLE[4 * fold : 4 * fold + 4]
        lines += [f"{p}\t{a}\t{b}" for p in own for a, b in ((1, 2), (1, 3))]
        lines += [f"{own[i]}\t{k}\t{own[(i + 1) % 4]}\t{k}" for i in range(4) for k in (1, 2)]
    (root / "pairs.txt").write_text("\n".join(lines) + "\n")
    rows = [r for r in rows_of(3) if r.medium != "P00/P00_0003.jpg"]
    features.write(root / "f.parquet", table_of(rows, "e:1"))
    for k in (1, 2):
        write(np.full((80, 80, 3), 40 * k, np.uint8), root / "P00" / f"P00_{k:04d}.jpg")
    return root


def test_json_has_one_object_an_aggregator_with_figures_by_name(lfw: Path) -> None:
    said = here(
        "evaluate", "lfw", lfw, "--features", lfw / "f.parquet", "--aggregators", "mean,norm,pairwise-max", "--json"
    )
    found = json.loads(said.stdout)
    assert list(found) == ["protocol", "signature", "notes", "results"]
    assert [r["aggregator"] for r in found["results"]] == ["mean", "norm", "pairwise-max"]
    for result in found["results"]:
        assert 0.8 <= result["accuracy"] <= 1.0
        assert {"tar@far=0.0001", "tar@far=0.001", "tar@far=0.01", "tar@far=0.1", "eer", "auc"} <= set(result)
        assert result["genuine"] == result["impostors"] == 24
        assert result["failed_templates"] == 1
        assert result["failed_genuine"] == 1
        assert "tar@far=0.001" in result["unresolved"]
    assert found["signature"]["protocol"] == "lfw"
    assert here(*said.args).stdout != ""


def test_two_runs_give_the_same_bytes_but_for_the_time(lfw: Path) -> None:
    words = ("evaluate", "lfw", lfw, "-f", lfw / "f.parquet", "--aggregators", "mean", "--json", "--seed", 5)
    first, second = (json.loads(here(*words).stdout) for _ in range(2))
    for found in (first, second):
        for result in found["results"]:
            del result["seconds"]
            for experiment in result["experiments"]:
                del experiment["seconds"]
    assert first == second


def test_the_table_fits_eighty_columns(lfw: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    said = here("evaluate", "lfw", lfw, "-f", lfw / "f.parquet", "--aggregators", "mean,media-first+norm-score")
    lines = said.stdout.splitlines()
    table = lines[: next(i for i, line in enumerate(lines) if line.startswith("└")) + 1]
    assert max(map(len, table)) <= 80
    assert "lfw, verification: figures in %" in table[0]
    assert "Accuracy" in said.stdout
    row = next(line for line in table if " mean " in line)
    assert "[" in row
    assert "media-first+norm-score" in said.stdout
    assert "--json and --html have also: " in said.stderr
    monkeypatch.setenv("COLUMNS", "250")
    wide = here("evaluate", "lfw", lfw, "-f", lfw / "f.parquet", "--aggregators", "mean")
    for name in ("Accuracy", "TAR@FAR=0.0001", "TAR@FAR=0.1", "EER", "AUC"):
        assert name in wide.stdout
    assert "?" in wide.stdout
    assert "fewer than 10 comparisons of different people" in wide.stdout
    assert "have also" not in wide.stderr


def test_csv_has_one_line_an_aggregator(lfw: Path) -> None:
    said = here(
        "evaluate", "lfw", lfw, "-f", lfw / "f.parquet", "--aggregators", "mean,norm", "--far", "0.1,0.2", "--csv"
    )
    rows = list(csv.DictReader(io.StringIO(said.stdout)))
    assert [r["aggregator"] for r in rows] == ["mean", "norm"]
    assert 0 <= float(rows[0]["tar@far=0.2"]) <= 1
    assert "tar@far=0.001" not in rows[0]


def test_the_page_has_faces_and_the_command_that_makes_it_again(lfw: Path, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    said = here("evaluate", "lfw", lfw, "-f", lfw / "f.parquet", "--aggregators", "mean", "--html", page)
    assert said.stderr.endswith(f"page: {page}\n")
    content = page.read_text(encoding="utf-8")
    assert 'aria-label="P00/P00_0001.jpg"' in content
    assert '<span class="face none">P05/P05_0001.jpg</span>' in content  # without a picture
    assert f"faceset evaluate lfw {lfw} --features {lfw / 'f.parquet'} --aggregators mean --seed 0" in content
    bare = here(
        "evaluate",
        "lfw",
        lfw,
        "-f",
        lfw / "f.parquet",
        "--aggregators",
        "mean",
        "--html",
        page,
        "--pictures",
        tmp_path,
        "-q",
    )
    assert bare.stderr == ""
    assert 'aria-label="P00' not in page.read_text(encoding="utf-8")


def test_figures_are_printed_even_if_the_page_cannot_be_written(
    lfw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from faceset.evaluation import page

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)  # where a full disk shows at the latest
    assert page.check(tmp_path / "r.html") is None
    said = here(
        "evaluate", "lfw", lfw, "-f", lfw / "f.parquet", "--aggregators", "mean", "--html", tmp_path / "r.html", code=2
    )
    assert "Accuracy" in said.stdout
    assert "r.html cannot be written (No space left on device)" in said.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_people_gives_both_tasks(tmp_path: Path) -> None:
    rows = rows_of(4)
    for row in rows:
        write(np.full((80, 80, 3), 90, np.uint8), tmp_path / "people" / row.medium)
    features.write(tmp_path / "f.parquet", table_of(rows, "e:1"))
    words = ("evaluate", "folder", tmp_path / "people", "-f", tmp_path / "f.parquet", "--aggregators", "mean")
    found = json.loads(here(*words, "--seed", 1, "--fpir", 0.2, "--far", 0.1, "--json").stdout)
    (result,) = found["results"]
    assert {e["task"] for e in result["experiments"]} == {"verification", "identification"}
    assert {"tar@far=0.1", "rank-1", "tpir@fpir=0.2"} <= set(result)
    said = here(*words, "--html", tmp_path / "r.html", "-O", "size=2", "-O", "balanced=yes", "-O", "share=0.5")
    content = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "balanced: yes" in content
    assert "--option size=2 --option balanced=yes --option share=0.5" in content
    for option, cure in (("size=two", "a whole number"), ("share=x", "a number"), ("balanced=maybe", "yes or no")):
        assert f"takes {cure}, such as" in here(*words, "-O", option, code=2).stderr
    assert "folder, verification" in said.stdout
    assert "folder, identification" in said.stdout
    assert "Identification (1:N)" in content


def test_without_a_name_the_embedder_decides(lfw: Path) -> None:
    found = json.loads(here("evaluate", "lfw", lfw, "-f", lfw / "f.parquet", "--resamples", 0, "--json").stdout)
    assert [r["aggregator"] for r in found["results"]] == ["mean", "norm"]  # nothing ships for this embedder


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "Give --features FILE; `faceset extract ROOT -o FILE --protocol lfw` makes them"),
        (("-f", "F", "--json", "--csv"), "--json and --csv exclude each other"),
        (("-f", "nothing.parquet"), "nothing.parquet"),
        (("-f", "F", "--far", "0"), "--far takes rates between 0 and 1, such as 0.001, but got '0'"),
        (("-f", "F", "--far", "0.1,x"), "but got 'x'"),
        (("-f", "F", "--fpir", "nan"), "--fpir takes rates between 0 and 1"),
        (("-f", "F", "--aggregators", ","), "--aggregators names none"),
        (("-f", "F", "--aggregators", "mode"), "'mode'"),
        (("-f", "F", "--split", "1"), "protocol lfw has no option 'split'"),
        (("-f", "F", "--task", "sing"), "there is no task 'sing'"),
        (("-f", "F", "--model-id", "other:2"), "of embedder 'e:1', not of 'other:2'"),
        (("-f", "F", "--missing", "error"), "P00/P00_0003.jpg"),
        (("-f", "F", "--html", "nowhere/r.html"), "nowhere/r.html cannot be written"),
        (("-f", "F", "--option", "size"), "--option takes NAME=VALUE, such as subjects=200, but got 'size'"),
        (("-f", "F", "-O", "sise=3"), "protocol lfw has no option 'sise'"),
        (("-f", "F", "--list", "other.txt"), "other.txt"),
        (("-f", "F", "--pictures", "nowhere"), "--pictures nowhere is no folder"),
    ],
)
def test_bad_input_is_named(lfw: Path, words: tuple[str, ...], said: str) -> None:
    given = [str(lfw / "f.parquet") if w == "F" else w for w in words]
    found = here("evaluate", "lfw", lfw, *given, code=2)
    assert said.replace("ROOT", str(lfw)) in found.stderr
    assert found.stderr.startswith("error: ")
    assert found.stdout == ""


def test_an_unknown_protocol_is_named(lfw: Path) -> None:
    found = here("evaluate", "lwf", lfw, "-f", lfw / "f.parquet", code=2)
    assert "there is no protocol 'lwf'" in found.stderr


def test_nothing_heavy_is_loaded(lfw: Path) -> None:
    code = (
        "import sys; from faceset.cli import main\n"
        f"sys.argv = ['faceset', 'evaluate', 'lfw', {str(lfw)!r}, '-f', {str(lfw / 'f.parquet')!r}, "
        "'--aggregators', 'mean', '--json']\n"
        "try: main()\n"
        "except SystemExit as stopped: assert not stopped.code\n"
        "heavy = {'torch', 'cv2', 'dlib', 'av', 'mtcnn', 'matplotlib', 'faceset.detection', 'faceset.pipeline'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "[]\n"
