"""``faceset gallery export``, ``import`` and ``faceset doctor``: what is printed, and the exit codes."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from gallery_faces import MEAN, MODEL, faces

from faceset.cli import main
from faceset.gallery import Gallery


@pytest.fixture
def people(tmp_path: Path) -> Path:
    with Gallery(tmp_path / "people.db") as gallery:
        gallery.add("Grace", [faces(1, "a.mp4"), faces(1, "b.mp4")], aggregator=MEAN)
    return tmp_path / "people.db"


class Run:
    """The command line in this process."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.monkeypatch = monkeypatch
        self.capsys = capsys

    def __call__(self, *words: object, code: int = 0) -> tuple[str, str]:
        self.monkeypatch.setattr("sys.argv", ["faceset", *map(str, words)])
        self.monkeypatch.setattr("faceset.cli._drop_output", lambda: None)
        with pytest.raises(SystemExit) as caught:
            main()
        shown = self.capsys.readouterr()
        assert caught.value.code == code, shown.err
        return shown.out, shown.err


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.setenv("COLUMNS", "200")
    return Run(monkeypatch, capsys)


def test_export_and_import(people: Path, tmp_path: Path, run: Run) -> None:
    folder, new = tmp_path / "people.export", tmp_path / "new.db"
    out, err = run("gallery", "export", folder, "--gallery", people)
    assert out == f"{folder}: 1 person, 2 media, 8 faces\n"
    assert "is plain, whether the gallery is encrypted or not" in err
    out, err = run("gallery", "import", folder, "--gallery", new)
    assert (out, err) == (f"{new}: 1 person, 2 media, 8 faces\n", "")
    out, err = run("gallery", "import", folder, "--gallery", new, "--rename", "--json")
    report = json.loads(out)
    assert (report["people"], report["left_out"], len(report["already"])) == (0, ["Grace"], 2)
    assert "left out: 'a.mp4' of 'Grace' is held for 'Grace' already, as 'a.mp4'" in err
    assert run("gallery", "export", tmp_path / "quiet", "--gallery", people, "--quiet", "--csv")[1] == ""


def test_refusals_leave_no_empty_gallery(people: Path, tmp_path: Path, run: Run) -> None:
    _, err = run("gallery", "import", tmp_path, "--gallery", tmp_path / "new.db", code=2)
    assert err.startswith("error: ")
    assert "people.json cannot be read" in err
    assert not (tmp_path / "new.db").exists()
    _, err = run("gallery", "export", tmp_path, "--gallery", people, code=2)
    assert "is not empty; give the name of a new folder" in err
    _, err = run("gallery", "export", tmp_path / "x", "--gallery", tmp_path / "none.db", code=2)
    assert "none.db does not exist" in err


def test_import_with_another_aggregator(people: Path, tmp_path: Path, run: Run) -> None:
    run("gallery", "export", tmp_path / "x", "--gallery", people)
    run("gallery", "import", tmp_path / "x", "--gallery", tmp_path / "new.db", "--aggregator", "medoid")
    with Gallery(tmp_path / "new.db", create=False) as gallery:
        assert gallery.template("Grace").aggregator == "medoid"
        assert gallery.model_id == MODEL


def test_doctor(people: Path, tmp_path: Path, run: Run) -> None:
    assert run("doctor", people) == (f"{people}: nothing found\n", "")
    assert json.loads(run("doctor", people, "--json")[0]) == {"gallery": str(people), "findings": []}
    assert run("doctor", people, "--csv")[0] == "severity,check,what,cure\n"
    with closing(sqlite3.connect(people)) as raw:
        raw.execute("UPDATE medium SET faces = 9 WHERE id = 1")
        raw.commit()
    (found,) = json.loads(run("doctor", people, "--json", code=1)[0])["findings"]
    assert (found["severity"], found["check"]) == ("error", "faces")
    (row,) = csv.DictReader(io.StringIO(run("doctor", people, "--csv", code=1)[0]))
    assert row == found
    table, _ = run("doctor", people, code=1)
    assert "1 finding" in table
    assert "says 9 faces, and 4 are there" in table
    _, err = run("doctor", tmp_path / "none.db", code=2)
    assert "does not exist" in err
