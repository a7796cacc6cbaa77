"""The commands on real files: what they print, what they exit with, and what they say to bad input."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import av
import numpy as np
import pytest
from portraits import both, collins, hopper, varied, write

import faceset
from faceset.errors import GalleryError
from faceset.packs.store import import_model


def import_arcface(models_dir: Path) -> str:
    """Import the ArcFace test model once a run and return its name."""
    options = {"crop": "arcface112", "colour": "RGB", "mean": 0.0, "std": 1.0, "name": "test-arcface"}
    return import_model(models_dir / "mobilefacenet_arcface_112.onnx", **options).name


def run(*words: object, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run the command; its exit code is checked."""
    done = subprocess.run(
        [sys.executable, "-m", "faceset", *map(str, words)], capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stderr + done.stdout
    return done


def clip(path: Path, pictures: list[np.ndarray], fps: int = 5) -> Path:
    """A small mp4 of the given pictures."""
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width = (side // 2 * 2 for side in pictures[0].shape[:2])
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=fps)
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = width, height, "yuv420p", 4_000_000
        for picture in pictures:
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture[:height, :width]), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """root/<person>/<media>, two probes and a gallery of both people."""
    root = tmp_path_factory.mktemp("people")
    clip(root / "enrol" / "Collins" / "walk.mp4", [varied(collins(), s) for s in range(5)])
    write(varied(hopper(), 1), root / "enrol" / "Hopper" / "1.png")
    write(varied(hopper(), 2), root / "enrol" / "Hopper" / "2.jpg")
    clip(
        root / "probe.mp4",
        [varied(collins(), s) for s in range(20, 25)] + [varied(hopper(), s)[:512, :512] for s in range(5)],
    )
    write(varied(collins(), 7), root / "collins.png")
    write(varied(hopper(), 7), root / "hopper.png")
    write(both(), root / "both.png")
    run("enroll", root / "enrol", "--gallery", root / "people.db")
    return root


def test_enroll_says_what_it_did_and_does_it_once(folder: Path, tmp_path: Path) -> None:
    first = json.loads(run("enroll", folder / "enrol", "-g", tmp_path / "g.db", "--json").stdout)
    assert [(r["name"], r["added"], r["faces"]) for r in first["enrolled"]] == [
        ("Collins", ["walk.mp4"], 5),
        ("Hopper", ["1.png", "2.jpg"], 2),
    ]
    again = json.loads(run("enroll", folder / "enrol", "-g", tmp_path / "g.db", "--json").stdout)
    assert [(r["added"], len(r["already"])) for r in again["enrolled"]] == [([], 1), ([], 2)]


def test_identify_prints_one_row_per_track(folder: Path) -> None:
    rows = list(
        csv.DictReader(io.StringIO(run("identify", folder / "probe.mp4", "-g", folder / "people.db", "--csv").stdout))
    )
    assert [row["who"] for row in rows] == ["Collins", "Hopper"]
    assert sum(int(row["faces"]) for row in rows) == 10
    assert float(rows[0]["end"]) < float(rows[1]["start"])
    source = rows[0]["threshold_source"]
    assert source.startswith("FPIR 0.01 among 2 people; 1,338 people of LFW that no training saw; templates of ")
    assert rows[0]["fpir"] == "0.01"
    table = run("identify", folder / "probe.mp4", "-g", folder / "people.db")
    assert "2 tracks in" in table.stdout
    assert re.search(r"thresholds? 0\.\d{4}.*FPIR 0\.01 among 2 people; 1,338 people of LFW", table.stderr)


def test_verify_answers_by_its_exit_code(folder: Path) -> None:
    yes = run("verify", folder / "collins.png", folder / "enrol" / "Collins" / "walk.mp4")
    assert yes.stdout.startswith("same person: score 0.9")
    no = run("verify", folder / "collins.png", folder / "hopper.png", "--json", code=1)
    answer = json.loads(no.stdout)
    assert answer["same"] is False
    assert answer["score"] < answer["threshold"]


def test_template_writes_a_file_that_verify_reads(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "collins.npz"
    said = json.loads(run("template", folder / "enrol" / "Collins", "-o", out, "--json").stdout)
    assert said["face_count"] == 5
    assert sum(said["weights"]) == pytest.approx(1.0, abs=1e-5)
    assert len(faceset.load_template(out)) == 5
    run("verify", out, folder / "collins.png")
    run("verify", out, folder / "hopper.png", code=1)
    rows = list(csv.DictReader(io.StringIO(run("template", folder / "collins.png", "-o", out, "--csv").stdout)))
    assert [row["weight"] for row in rows] == ["1"]


def test_people_and_forget(folder: Path, tmp_path: Path) -> None:
    run("enroll", folder / "enrol", "-g", tmp_path / "g.db", "-q")
    held = json.loads(run("people", "-g", tmp_path / "g.db", "--json").stdout)
    assert [(p["name"], p["faces"], len(p["media"])) for p in held] == [("Collins", 5, 1), ("Hopper", 2, 2)]
    media = run("people", "-g", tmp_path / "g.db", "--media", "--csv").stdout
    assert "Hopper,1.png,still,1," in media
    gone = json.loads(run("forget", "Hopper", "-g", tmp_path / "g.db", "--yes", "--json").stdout)
    assert gone == {"name": "Hopper", "media": 2, "faces": 2}
    assert "no" in run("forget", "Hopper", "-g", tmp_path / "g.db", "--yes", code=2).stderr
    assert len(json.loads(run("people", "-g", tmp_path / "g.db", "--json").stdout)) == 1


def test_forget_asks_first(folder: Path, tmp_path: Path) -> None:
    run("enroll", folder / "hopper.png", "--name", "Hopper", "-g", tmp_path / "g.db", "-q")
    asked = subprocess.run(
        [sys.executable, "-m", "faceset", "forget", "Hopper", "-g", str(tmp_path / "g.db")],
        input="n\n",
        capture_output=True,
        text=True,
        check=False,
    )
    assert asked.returncode == 1
    assert "Forget 'Hopper', 1 face from 1 medium, for good?" in asked.stderr
    closed = subprocess.run(
        [sys.executable, "-m", "faceset", "forget", "Hopper", "-g", str(tmp_path / "g.db")],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert closed.returncode == 2
    assert "\nerror: nobody answered; give --yes to forget without being asked. Nothing was changed\n" in closed.stderr
    with faceset.Gallery(tmp_path / "g.db") as gallery:
        assert "Hopper" in gallery
    assert "1 person in" in run("people", "-g", tmp_path / "g.db").stdout
    assert run("forget", "Hopper", "-g", tmp_path / "g.db", "--yes").stdout == ("forgot Hopper: 1 face from 1 medium\n")
    alone = run("identify", folder / "hopper.png", "-g", tmp_path / "g.db")
    assert f"{tmp_path / 'g.db'} is empty: nobody is enrolled, so everybody is unknown" in alone.stderr
    assert "1 track in" in alone.stdout


def test_a_failed_enrolment_leaves_no_empty_gallery(tmp_path: Path) -> None:
    (tmp_path / "root" / "Grace").mkdir(parents=True)
    write(np.full((64, 64, 3), 128, np.uint8), tmp_path / "root" / "Grace" / "grey.png")
    said = run("enroll", tmp_path / "root", "-g", tmp_path / "e.db", code=2).stderr
    assert "grey.png: no face found" in said
    assert [p.name for p in tmp_path.iterdir()] == ["root"]
    faceset.Gallery(tmp_path / "e.db").close()
    run("enroll", tmp_path / "root", "-g", tmp_path / "e.db", code=2)
    assert (tmp_path / "e.db").exists(), "a gallery that was there before is no leftover of this call"


def test_enroll_and_verify_tables_are_clear(folder: Path, tmp_path: Path) -> None:
    table = run("enroll", folder / "hopper.png", "--name", "Hopper", "-g", tmp_path / "g.db").stdout
    (header,) = (line for line in table.splitlines() if line.startswith("┃"))
    assert [c.strip() for c in header.strip("┃").split("┃")] == [
        "name", "media added", "held before", "refused", "faces held", "looks like"
    ]  # fmt: skip
    yes = run("verify", folder / "hopper.png", folder / "enrol" / "Hopper" / "1.png").stdout
    assert re.fullmatch(r"same person: score 0\.\d{4} >= threshold 0\.\d{4} \(.*\); 1 against 1 face\n", yes), yes


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names there are Unicode")
def test_names_that_are_not_utf_8(folder: Path, tmp_path: Path) -> None:
    source = tmp_path / os.fsdecode(b"caf\xe9.png")
    shutil.copy(folder / "hopper.png", source)
    for out in ("a.json", "a.npz"):
        said = run("template", source, "-o", tmp_path / out, "--json")
        assert [f["media"] for f in json.loads(said.stdout)["faces"]] == ["caf\\xe9.png"]
        assert faceset.load_template(tmp_path / out).faces[0].media == "caf\\xe9.png"
    assert "caf\\xe9.png" in run("template", source, "-o", tmp_path / "a.npz", "--csv").stdout
    assert "caf\\xe9.png" in run("identify", source, "-g", folder / "people.db").stdout
    person = tmp_path / "root" / os.fsdecode(b"Ren\xe9e")
    person.mkdir(parents=True)
    shutil.copy(folder / "hopper.png", person)
    refused = run("enroll", tmp_path / "root", "-g", tmp_path / "g.db", code=2).stderr
    assert "the name 'Ren\\\\xe9e' is not UTF-8 text; rename the folder" in refused
    (tmp_path / "root" / "Ann").mkdir()
    shutil.copy(folder / "collins.png", tmp_path / "root" / "Ann")
    failed = json.loads(run("enroll", tmp_path / "root", "-g", tmp_path / "g.db", "--json", code=2).stdout)["failed"]
    assert "is not UTF-8 text" in failed[0]["reason"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["verify", "{folder}/none.mp4", "{folder}/collins.png"], "{folder}/none.mp4: no such file"),
        (["verify", "{folder}/both.png", "{folder}/collins.png"], "nothing says who is meant"),
        (["template", "{folder}/collins.png", "-o", "{tmp}/a.pkl"], ".npz"),
        (["template", "{folder}/collins.png", "-o", "{tmp}/a.npz", "--json", "--csv"], "exclude each other"),
        (["identify", "{folder}/collins.png", "-g", "{tmp}/none.db"], "none.db"),
        (["enroll", "{folder}/collins.png", "-g", "{tmp}/g.db"], "--name"),
        (["enroll", "{folder}/enrol/Hopper", "-g", "{tmp}/g.db"], "<person>/<media>"),
        (["verify", "{folder}/collins.png", "{folder}/collins.png", "--detector", "magic"], "mtcnn"),
        (["verify", "{folder}/collins.png", "{folder}/collins.png", "--embedder", "magic"], "magic"),
        (["verify", "{folder}/collins.png", "{folder}/collins.png", "--aggregator", "magic"], "norm-score"),
        (["models", "info", "magic"], "magic"),
        (["models", "pull", "dlib-resnet"], "nothing to pull"),
        (["models", "import", "{folder}/collins.png", "--mean", "x"], "--mean 'x' is not a number"),
    ],
    ids=lambda v: " ".join(v[:2]) if isinstance(v, list) else None,
)
def test_bad_input_is_one_line_and_exit_code_2(folder: Path, tmp_path: Path, words: list[str], message: str) -> None:
    done = run(*(w.format(folder=folder, tmp=tmp_path) for w in words), code=2)
    assert message.replace("{folder}", str(folder)) in done.stderr
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_a_folder_of_nothing(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "empty" in run("template", tmp_path / "empty", "-o", tmp_path / "a.npz", code=2).stderr


def test_another_embedder_end_to_end(folder: Path, tmp_path: Path, models_dir: Path) -> None:
    name = import_arcface(models_dir)
    listed = json.loads(run("models", "list", "--json").stdout)
    (entry,) = [m for m in listed if m["name"] == name]
    assert (entry["state"], entry["commercial"], entry["width"]) == ("available", "unknown", 128)
    assert (
        "--threshold" in run("verify", folder / "collins.png", folder / "hopper.png", "--embedder", name, code=2).stderr
    )
    run("verify", folder / "collins.png", folder / "enrol" / "Collins", "--embedder", name, "--threshold", 0.4)
    run("verify", folder / "collins.png", folder / "hopper.png", "--embedder", name, "--threshold", 0.4, code=1)
    refused = run(
        "identify", folder / "collins.png", "-g", folder / "people.db", "--embedder", name, "--threshold", 0.4, code=2
    )
    assert "was made with embedder dlib-resnet" in refused.stderr


def test_a_licence_that_does_not_allow_commercial_use_is_refused_on_demand(
    folder: Path, models_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = import_arcface(models_dir)
    monkeypatch.setenv("FACESET_COMMERCIAL", "1")
    words = ["verify", folder / "collins.png", folder / "hopper.png"]
    assert "FACESET_COMMERCIAL" in run(*words, "--embedder", name, "--threshold", 0.4, code=2).stderr
    run(*words, code=1)


@pytest.mark.skipif(sys.platform == "win32", reason="sends a POSIX signal")
def test_an_interruption_in_the_middle_of_enrol_leaves_the_gallery_whole(folder: Path, tmp_path: Path) -> None:
    for person in range(30):
        clip(tmp_path / "many" / f"p{person:02d}" / "a.mp4", [varied(collins(), 100 * person + s) for s in range(3)])
    path = tmp_path / "g.db"
    process = subprocess.Popen(
        [sys.executable, "-m", "faceset", "enroll", str(tmp_path / "many"), "-g", str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "FACESET_THREADS": "1"},
    )
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        time.sleep(0.05)
        try:
            with faceset.Gallery(path, create=False) as gallery:
                if len(gallery) >= 2:
                    break
        except GalleryError:
            continue
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "interrupted; everything finished before is in" in said
    with faceset.Gallery(path, create=False) as gallery:
        held = gallery.people()
        assert 2 <= len(held) < 30
        aggregator = faceset.Recognizer().aggregator
        for person in held:
            sets = gallery.features(person.name)
            assert sum(map(len, sets)) == person.faces == 3
            again = faceset.aggregation.aggregate_set(aggregator, sets)
            np.testing.assert_array_equal(again.vector, gallery.template(person.name).vector)


def test_a_damaged_video_is_used_as_far_as_it_goes_and_the_loss_is_told(folder: Path, tmp_path: Path) -> None:
    whole = tmp_path / "whole.mp4"
    with av.open(str(whole), "w", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("mpeg4", rate=5)
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = 512, 512, "yuv420p", 4_000_000
        for seed in range(12):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(varied(collins(), seed)), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    cut = tmp_path / "cut.mp4"
    data = whole.read_bytes()
    cut.write_bytes(data[: len(data) // 2])
    done = run("identify", cut, "-g", folder / "people.db", "--json")
    assert {m["name"] for m in json.loads(done.stdout)} == {"Collins"}
    assert "cut.mp4" in done.stderr
    assert "lost" in done.stderr or "missing" in done.stderr
    told = json.loads(run("template", cut, "-o", tmp_path / "a.json", "--json").stdout)
    assert 0 < told["face_count"] < 12
    assert any("cut.mp4" in sentence for sentence in told["left_out"])
    written_at_the_end = clip(tmp_path / "end.mp4", [varied(collins(), s) for s in range(6)])
    data = written_at_the_end.read_bytes()
    written_at_the_end.write_bytes(data[: len(data) // 2])
    refused = run("identify", written_at_the_end, "-g", folder / "people.db", code=2)
    assert "end.mp4" in refused.stderr
    assert "index" in refused.stderr
