"""``faceset train-embedder``: from pictures to a network, what it prints, and what it says to bad input."""

from __future__ import annotations

import csv
import io
import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from command import here
from portraits import collins, hopper, varied, write
from safetensors import SafetensorError
from typer.main import get_command

from faceset.cli import embedder_start as start
from faceset.cli import embedder_summary as summary
from faceset.cli import training_faces
from faceset.cli.app import app
from faceset.degradations import KINDS
from faceset.training import runs
from faceset.training.embedder import load_embedder
from faceset.training.embedder.steps import EmbedderLoop
from faceset.training.faces import AugmentConfig, FaceStore, PrepareReport

COMMANDS: Any = get_command(app)
PAGES = Path(__file__).resolve().parent.parent
# Of these names, by their hashes, the last three are held out for validation.
PEOPLE = ("Collins", "Hopper", "Eileen", "Ann", "Hal", "Quin")
NETWORK = ("--backbone", "mobilefacenet", "--dim", 16, "--size", 32)
SHORT = ("--steps", 2, "--batch", 4, "--workers", 1, "--device", "cpu", "--precision", "fp32")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """root/<person>/<picture> of six people and what may go wrong, a run on it, and what was printed."""
    folder = tmp_path_factory.mktemp("embedder")
    for i, name in enumerate(PEOPLE):
        for k in range(2):  # mirrored, and without colour, two portraits stand for six people
            write(_picture(i, k), folder / "root" / name / f"{name}_{k + 1:04}.jpg")
    write(_picture(1, 9), folder / "root" / "Single" / "one.png")
    write(np.zeros((64, 64, 3), np.uint8), folder / "root" / "Ann" / "dark.png")
    (folder / "root" / "Broken").mkdir()
    (folder / "root" / "Broken" / "a.jpg").write_bytes(b"\xff\xd8 no picture")
    (folder / "root" / "Empty").mkdir()
    (folder / "root" / "notes.txt").write_text("nobody")
    said = here("train-embedder", folder / "root", "-o", folder / "run", *NETWORK, *SHORT, "--json")
    (folder / "said.json").write_text(said.stdout)
    (folder / "said.txt").write_text(said.stderr)
    return folder


def _picture(person: int, number: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    portrait = (collins(), hopper())[person % 2]
    portrait = cv2.resize(portrait, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    picture = varied(portrait, 10 * person + number)[:, :: -1 if person // 2 == 1 else 1]
    grey = np.repeat(picture.mean(axis=2, keepdims=True), 3, axis=2).astype(np.uint8)
    return grey if person > 3 else picture


def test_names_alone_teach_and_everything_is_accounted_for(folder: Path) -> None:
    said = json.loads((folder / "said.json").read_text())
    assert (said["backbone"], said["dim"], said["crop"], said["steps"]) == ("mobilefacenet", 16, "arcface32", 2)
    assert (said["trained_on"], said["held_out"], said["left_out"]) == (4, 3, 0)
    faces = said["faces"]
    assert (faces["people"], faces["faces"]) == (7, 13)
    assert faces["one_picture"] == {"count": 1, "names": ["Single"]}
    assert faces["no_picture"] == {"count": 2, "names": ["Broken", "Empty"]}
    assert faces["without_face"] == {"count": 1, "names": ["Ann/dark.png"]}
    assert faces["stray"] == {"count": 1, "names": ["notes.txt"]}
    assert faces["corrupt"]["count"] == 1
    assert {"tar/single/0.01", "tar/single/0.001", "eer/single", "tar/sets/0.01"} <= set(said["figures"])
    assert said["teacher"] == {}
    assert said["threshold"] is None
    assert "too few for FAR 0.001" in said["threshold_source"]
    config = runs.read_config(folder / "run", "embedder")
    assert config["settings"]["head"] == "softmax"  # where nobody else teaches
    assert config["data"]["classes"] == 3
    backbone, _ = load_embedder(folder / "run")
    assert said["parameters"] == sum(p.numel() for p in backbone.parameters())


def test_the_terminal_names_the_first_of_each_list(folder: Path) -> None:
    told = (folder / "said.txt").read_text()
    assert "faces: 13 of 7 people; " in told
    assert "  people with one picture: 1 (Single)\n" in told
    assert "  people without a face: 2 (Broken, Empty)\n" in told
    assert "  pictures without a face: 1 (Ann/dark.png)\n" in told
    assert "  damaged: 1 (Broken/a.jpg)\n" in told
    assert "  files of nobody, beside the person folders: 1 (notes.txt)\n" in told
    many = PrepareReport(people=9, faces=9, pictures=9, one_picture=list("abcde"))
    assert list(training_faces.found(many)) == [
        "faces: 9 of 9 people; 9 pictures read, 0 files damaged",
        "  people with one picture: 5 (a, b, c, ...)",
    ]


def test_a_finished_run_is_only_read_and_prints_every_form(folder: Path) -> None:
    before = {p.name: p.stat().st_mtime_ns for p in (folder / "run").glob("*.safetensors")}
    words = ("train-embedder", folder / "root", "-o", folder / "run", *NETWORK, *SHORT)
    rows = list(csv.DictReader(io.StringIO(here(*words, "--csv").stdout)))
    assert [row["figure"] for row in rows] == [
        *(f"tar/single/{far}" for far in ("0.01", "0.001")), "eer/single",
        *(f"tar/sets/{far}" for far in ("0.01", "0.001")), "eer/sets",
    ]  # fmt: skip
    said = here(*words)
    assert "3 people never trained on; rates in %" in said.stdout
    assert "TAR at FAR 0.001, single faces" in said.stdout
    assert "teacher" not in said.stdout
    assert "of 2 steps" in said.stdout
    assert said.stderr.endswith(f"next: faceset export {folder / 'run'} -o pack/\n")
    assert here(*words, "--quiet").stderr == ""
    assert before == {p.name: p.stat().st_mtime_ns for p in (folder / "run").glob("*.safetensors")}
    other = here(*words, "--seed", 1, code=2)
    assert f"error: {folder / 'run'} holds a run with other settings (seed: 0, now 1)" in other.stderr
    crops = FaceStore.open(folder / "run" / "faces").geometries
    other = here(*words, "--size", 40, "--head", "none", "--teacher", "default", code=2)
    assert "(head: softmax, now none; size: 32, now 40; teacher: none, now dlib-resnet:" in other.stderr
    assert FaceStore.open(folder / "run" / "faces").geometries == crops  # nothing is cut for it
    assert other.stderr.count("\n") == 1


def test_a_list_of_names_may_come_from_any_editor(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "out.txt").write_bytes("\ufeffAnn\r\nEileen\r\n\r\nBroken\r\nHoper\r\n".encode())
    words = ("--leave-out", tmp_path / "out.txt", "--faces", folder / "run" / "faces", *NETWORK, *SHORT)
    said = here("train-embedder", folder / "root", "-o", tmp_path / "run", *words)
    assert "2 of the 4 names in " in said.stderr
    assert "are among the people and left out; not among them: Hoper\n" in said.stderr
    assert runs.read_config(tmp_path / "run", "embedder")["data"]["left_out"] == 2


def test_a_full_disk_is_no_fault_of_the_program(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    words = ("train-embedder", folder / "root", "-o", tmp_path / "run", *NETWORK, *SHORT, "--quiet")
    words = (*words, "--faces", folder / "run" / "faces")
    with monkeypatch.context() as patched:
        patched.setattr("faceset.training.runs.save_file", full)
        said = here(*words, code=2)
    assert said.stderr.startswith(
        f"error: {tmp_path / 'run'} cannot be written (Error while serializing: I/O error: No"
    )
    assert said.stderr.endswith("choose a place with room and rights\n")
    here(*words)  # goes on


def test_it_goes_on_after_an_interruption_as_if_there_was_none(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = ("--steps", 4, "--validate-every", 2, "--faces", folder / "run" / "faces")
    words = ("train-embedder", folder / "root", *NETWORK, *SHORT, *steps)
    real, seen = EmbedderLoop.loss, []

    def loss(self: EmbedderLoop, work: torch.nn.Module, step: int) -> torch.Tensor:
        seen.append(step)
        if len(seen) == 4:
            raise KeyboardInterrupt
        return real(self, work, step)

    with monkeypatch.context() as patched:
        patched.setattr(EmbedderLoop, "loss", loss)
        said = here(*words, "-o", tmp_path / "killed", code=130)
        assert said.stderr.endswith("interrupted; run the same command again, and it goes on where it was\n")
        here(*words, "-o", tmp_path / "killed")
    assert seen == [0, 1, 2, 3, 2, 3]  # from the checkpoint after two steps
    here(*words, "-o", tmp_path / "whole")
    left, right = (runs.read_tensors(tmp_path / name / runs.CHECKPOINT)[0] for name in ("killed", "whole"))
    assert left.keys() == right.keys()
    assert all(torch.equal(left[key], right[key]) for key in left)


def test_a_teacher_needs_no_names(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "out.txt").write_text("Ann\nNobody\n")
    words = ["--unlabelled", "--teacher", "default", "--leave-out", tmp_path / "out.txt", *NETWORK, *SHORT]
    said = here("train-embedder", folder / "root", "-o", tmp_path / "run", *words, "--json")
    found = json.loads(said.stdout)
    assert found["faces"]["people"] == 0
    assert found["left_out"] == 2  # pictures, as nobody has a name
    assert -1.0 <= found["figures"]["teacher"] <= 1.0
    config = runs.read_config(tmp_path / "run", "embedder")
    assert (config["settings"]["head"], config["data"]["named"]) == ("", False)
    assert config["teacher"].startswith("dlib-resnet:")
    assert config["commercial"] == "yes"
    assert "dlib150" in FaceStore.open(tmp_path / "run" / "faces").geometries


def test_first_weights_of_a_run_and_accuracy_on_pairs(folder: Path, tmp_path: Path) -> None:
    for i, name in enumerate(("Zoe", "Yan")):
        for k in (1, 2):
            write(_picture(i, 40 + k), tmp_path / "lfw" / name / f"{name}_{k:04}.jpg")
    pairs = ["2\t1", "Zoe\t1\t2", "Zoe\t1\tYan\t1", "Yan\t1\t2", "Zoe\t2\tYan\t2"]
    (tmp_path / "lfw" / "pairs.txt").write_text("\n".join(pairs) + "\n")
    words = ["--init", folder / "run", "--head", "arcface", "--margin-rad", 0.3, "--lfw", tmp_path / "lfw", *SHORT]
    faces = ("--faces", folder / "run" / "faces")
    said = json.loads(here("train-embedder", folder / "root", "-o", tmp_path / "run", *words, *faces, "--json").stdout)
    assert (said["backbone"], said["dim"], said["crop"]) == ("mobilefacenet", 16, "arcface32")
    assert said["figures"]["lfw"] in (0.0, 0.25, 0.5, 0.75, 1.0)
    config = runs.read_config(tmp_path / "run", "embedder")
    assert config["settings"]["head_options"] == {"margin_rad": 0.3}
    assert config["data"]["lfw"] == {"people": 2, "pairs": 4, "without_a_face": 0}
    first = start.weights_of(str(folder / "run"), {})
    assert first.backbone is not None
    for key, value in runs.read_tensors(folder / "run" / runs.MODEL)[0].items():
        assert torch.equal(value, first.backbone.state_dict()[key]), key
    wider = start.weights_of(str(folder / "run"), {"dim": 8})
    assert wider.backbone is not None
    assert wider.backbone.dim == 8
    assert wider.backbone.replaced  # the head is fresh


def test_settings_come_from_file_and_options(folder: Path, tmp_path: Path) -> None:
    settings = {"head": "cosface", "head_options": {"scale": 20}, "steps": 900, "warmup": 1, "augment": {"flip": 0.0}}
    (tmp_path / "s.json").write_text(json.dumps(settings))
    words = ["--config", tmp_path / "s.json", "--margin", 0.1, "--crop", "arcface32", *NETWORK[:4], *SHORT]
    faces = ("--faces", folder / "run" / "faces")
    here("train-embedder", folder / "root", "-o", tmp_path / "run", *words, *faces, "--quiet")
    found = runs.read_config(tmp_path / "run", "embedder")["settings"]
    assert (found["head"], found["head_options"]) == ("cosface", {"scale": 20, "margin": 0.1})
    assert (found["steps"], found["warmup"], found["augment"]["flip"], found["size"]) == (2, 1, 0.0, 32)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["{tmp}/none"], "none is no folder; give a folder laid out as <person>/<picture>"),
        (["{tmp}/empty"], "empty holds no"),
        (["{root}", "--json", "--csv"], "exclude each other"),
        (["{root}", "--epochs", "1", "--steps", "2"], "--epochs and --steps exclude each other"),
        (["{root}", "--unlabelled"], "without names only a teacher can teach; add --teacher default"),
        (["{root}", "--unlabelled", "--teacher", "default", "--head", "arcface"], "no names for the head arcface"),
        (["{root}", "--head", "none"], "there is nothing to learn from"),
        (["{root}", "--head", "mena"], "--head mena is not known; it is softmax, arcface, cosface or none"),
        (["{root}", "--margin-rad", "0.2"], "--head softmax: loss 'classification' has no option margin_rad"),
        (["{root}", "--head", "arcface", "--margin-rad", "9"], "an angle in radians"),
        (["{root}", "--teacher", "mena"], "mena"),
        (["{root}", "--teacher", "{tmp}"], "is no pack: there is no"),
        (["{root}", "--teacher", "default", "--dim", "256"], "give --dim 128 or less"),
        (["{root}", "--backbone", "mena"], "no backbone is called 'mena'; take one of dlib-resnet, googlenet"),
        (["{root}", "--crop", "mena"], "mena"),
        (["{root}", "--size", "8"], "googlenet: size must be a side"),
        (["{root}", "--crop", "arcface40", "--size", "48"], "pixels, but the backbone takes"),
        (["{root}", "--optimiser", "mena"], "optimiser must be one of adamw, sgd"),
        (["{root}", "--device", "abacus"], "device 'abacus' is not known to torch"),
        (["{root}", "--config", "{tmp}/a.json"], "a.json: EmbedderConfig has no setting stepps"),
        (["{root}", "--leave-out", "{tmp}/none"], "none cannot be read"),
        (["{root}", "--lfw", "{tmp}/empty"], "pairs.txt"),
        (["{root}", "--init", "{tmp}/none"], "there is no such file or folder"),
        (["{root}", "--init", "{tmp}/other"], "other: the folder holds no run (no config.json); give a run, or a"),
        (
            ["{root}", "--init", "{tmp}/torn"],
            "torn/config.json is damaged (KeyError('preprocessing')); give another run",
        ),
        (["{root}", "--init", "{run}", "--backbone", "vgg16"], "is a run of backbone mobilefacenet, not vgg16"),
        (["{root}", "--init", "{run}/model.safetensors"], "is not a checkpoint of googlenet: conv1.conv.weight is"),
        (["{root}", "--init", "{tmp}/pickled.pth"], "pickled code"),
        (["{root}", "--init", "{tmp}/cut.pth"], "damaged"),
        (["{root}", "-o", "{tmp}/other"], "other holds other files and no run; name an empty"),
        (["{root}", "-o", "{tmp}/aggregator"], "is a training run of kind aggregator, but embedder is needed"),
        (["{root}", "--leave-out", "{tmp}/everybody"], "nobody is left to train on"),
        (["{one}", "--faces", "{tmp}/one"], "two people with at least 2 faces each, but 1 are there"),
        (["{root}", "--batch", "400"], "batch is 400, but there are"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_bad_input_is_one_line(words: list[str], message: str, folder: Path, tmp_path: Path) -> None:
    _bad_files(folder, tmp_path)
    filled = [w.format(tmp=tmp_path, root=folder / "root", run=folder / "run", one=tmp_path / "person") for w in words]
    chosen = {"-o": tmp_path / "r", "--device": "cpu"} | ({} if "--init" in words else {"--steps": 1, "--batch": 2})
    if not {"--size", "--crop", "--init"} & set(words):
        chosen["--size"] = 32
    chosen["--faces"] = folder / "run" / "faces"
    more = [x for key, value in chosen.items() if key not in filled and not _clash(key, filled) for x in (key, value)]
    said = here("train-embedder", *filled, *more, "--quiet", code=2).stderr
    assert message in said, said
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    assert not (tmp_path / "r" / "config.json").exists()


def _clash(key: str, words: list[str]) -> bool:
    return key == "--steps" and "--epochs" in words


def _bad_files(folder: Path, tmp_path: Path) -> None:
    for name in ("other", "aggregator", "empty"):
        (tmp_path / name).mkdir()
    (tmp_path / "other" / "letter.txt").write_text("dear")
    (tmp_path / "aggregator" / "config.json").write_text('{"format": 1, "aggregator": "nan"}')
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn" / "config.json").write_text(
        '{"format": 1, "kind": "embedder", "backbone": {"name": "vgg16", "options": {"dim": 8, "size": [32, 32]}}}'
    )
    (tmp_path / "a.json").write_text('{"stepps": 3}')
    (tmp_path / "everybody").write_text("\n".join([*PEOPLE, "Single"]))
    torch.save({"conv1.conv.weight": Path("x")}, tmp_path / "pickled.pth")
    (tmp_path / "cut.pth").write_bytes((tmp_path / "pickled.pth").read_bytes()[:200])
    shutil.copytree(folder / "root" / "Collins", tmp_path / "person" / "Collins")


def test_missing_torch_names_the_extra(tmp_path: Path) -> None:
    code = "import sys; sys.modules['torch'] = None; from faceset.cli import main; main()"
    words = ["train-embedder", str(tmp_path), "-o", str(tmp_path / "r")]
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("error: training needs torch, which is not installed; install the extra: pip install")
    assert done.stderr.count("\n") == 1, done.stderr


def test_help_loads_neither_torch_nor_numpy() -> None:
    code = "import sys, faceset.cli.app; print(sorted({'numpy', 'torch', 'cv2', 'onnxruntime'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert AugmentConfig().kinds == tuple(KINDS)  # which are written out, so that OpenCV need not be loaded


def test_what_stands_behind_the_bar() -> None:
    figures = {"loss": 0.5, "score": 0.25, "best": 0.75, "images_per_second": 99.6, "tar/single/0.01": 0.5}
    assert summary.note(figures) == "loss 0.5000  100 images/s  TAR 0.5000  score 0.2500  best 0.7500"
    none = float("nan")
    assert summary.note({"loss": none, "images_per_second": none, "score": 0.1, "best": 0.1}) == (
        "score 0.1000  best 0.1000"
    )


@pytest.mark.parametrize("page", ["README.md", "docs/training.md", "docs/packs.md"])
def test_commands_in_the_documentation_are_understood(page: str) -> None:
    text = (PAGES / page).read_text(encoding="utf-8")
    fenced = "".join(text.split("```")[1::2])
    lines = re.findall(r"^faceset (.+)$", fenced, re.MULTILINE) + re.findall(r"^ {4}faceset (.+)$", text, re.MULTILINE)
    assert len(lines) > 5
    for line in lines:
        words = shlex.split(line.partition(" # ")[0])
        command = COMMANDS
        while hasattr(command, "commands"):
            command = command.commands[words.pop(0)]
        command.make_context(command.name, words)
