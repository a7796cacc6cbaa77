"""Training of an embedder on drawn people: what it learns, and that a run can be killed, split and read."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_faces import CROP, tiny_store, tiny_teacher
from torch import nn

from faceset.errors import InputError, ModelFileError
from faceset.training import backbones, runs
from faceset.training.data import split_subjects
from faceset.training.embedder import DistilConfig, EmbedderConfig, load_embedder, train_embedder
from faceset.training.embedder.examples import Examples
from faceset.training.faces import AugmentConfig

torch.set_num_threads(1)

SPLIT = split_subjects([f"p{i:02d}" for i in range(40)])
TRAINED, HELD_OUT = SPLIT.train[:8], SPLIT.validation[:4]
WHOLE = {"device": "cpu", "tensorboard": False, "curve": False}
PLAIN = EmbedderConfig(
    size=32,
    dim=8,
    augment=AugmentConfig.none(),
    batch=6,
    steps=4,
    warmup=1,
    average=0.5,
    learning_rate=2e-3,
    validate_every=2,
    precision="fp32",
    workers=1,
)


def settings(**changes):
    return EmbedderConfig.from_dict(PLAIN.to_dict() | changes)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return tiny_store(tmp_path_factory.mktemp("faces"), [*TRAINED, *HELD_OUT])


@pytest.fixture(scope="module")
def crowd(tmp_path_factory):
    """Many people with two pictures each."""
    return tiny_store(tmp_path_factory.mktemp("crowd"), [*SPLIT.train, *SPLIT.validation], 2)


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    return tiny_teacher(tmp_path_factory.mktemp("teacher"))


def state_of(run, part):
    tensors, _ = runs.read_tensors(Path(run) / runs.CHECKPOINT)
    return {k[len(part) :]: v for k, v in tensors.items() if k.startswith(part)}


def unit(x):
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def features_of(backbone, store, rows):
    crops = torch.from_numpy(store.crop(CROP, rows)).permute(0, 3, 1, 2)
    with torch.no_grad():
        return backbone(backbone.normalised(crops)).numpy()


@pytest.mark.parametrize("head", ["softmax", "arcface", "cosface"])
def test_twenty_steps_learn_eight_people_by_heart(store, tmp_path, head):
    config = settings(head=head, dim=16, batch=16, steps=20, warmup=2, average=0.7, validate_every=20)
    train_embedder(store, config, tmp_path, **WHOLE)
    backbone = backbones.build("googlenet", dim=16, size=32).eval()
    backbone.load_state_dict(state_of(tmp_path, "mean."))  # averaged, with averaged running statistics
    rows = np.flatnonzero(store.subject.is_in(TRAINED))
    features = torch.from_numpy(features_of(backbone, store, rows))
    last = state_of(tmp_path, "work.head.")
    if head == "softmax":
        logits = features @ last["layer.weight"].T + last["layer.bias"]
    else:
        logits = nn.functional.normalize(features) @ nn.functional.normalize(last["weight"]).T
    right = np.array(TRAINED)[logits.argmax(dim=1).numpy()] == np.array(store.subject.names)[store.subject.codes[rows]]
    assert right.mean() > 0.95


@pytest.mark.parametrize(
    "distil",
    [DistilConfig(), DistilConfig(loss="cosine", centre=True, views="plain", relational=0.5)],
    ids=["mse", "cosine"],
)
def test_a_student_knows_more_of_its_teacher_than_any_constant_answer(crowd, teacher, tmp_path, distil):
    """Of directions less their mean, no constant answer comes nearer to all than cosine |their mean|."""
    config = settings(
        batch=16, steps=24, warmup=2, average=0.7, validate_every=24, distil=distil, score="teacher", learning_rate=4e-3
    )
    result = train_embedder(crowd, config, tmp_path, teacher=teacher, **WHOLE)
    known = np.asarray(crowd.teacher(teacher))[:, 0]
    train, held = (np.flatnonzero(crowd.subject.is_in(names)) for names in (SPLIT.train, SPLIT.validation))
    target = known - (known[train].mean(axis=0) if distil.centre else np.float32(0.0))
    common = unit(target[train]).mean(axis=0)

    def cosines(rows):
        answer, goal = unit(features_of(result.backbone, crowd, rows)), unit(target[rows])
        plain, centred = (answer * goal).sum(axis=1).mean(), (unit(answer - common) * unit(goal - common)).sum(1).mean()
        return plain, centred, np.linalg.norm(unit(goal - common).mean(axis=0))

    plain, centred, bound = cosines(held)
    assert result.figures["teacher"] == pytest.approx(plain, abs=1e-5)
    assert result.score == result.figures["teacher/centred"] == pytest.approx(centred, abs=1e-5)
    _, learnt, bound = cosines(train)
    assert learnt > bound + 0.2
    assert centred > 0.1  # of people never seen
    assert result.best_step == 24
    assert result.teacher["tar/single/0.01"] > 0.5


class Killed(BaseException):
    """Stands for the end of the process."""


def log_of(run):
    """The log without the columns of clocks."""
    with (Path(run) / runs.LOG).open() as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        row.pop("images_per_second"), row.pop("waiting")
    return rows


@pytest.mark.parametrize(
    "changes",
    [
        {"head": "arcface", "distil": {"weight": 0.5, "mirror": "mean"}, "augment": AugmentConfig()},
        {
            "optimiser": "sgd",
            "freeze": 2,
            "clip": 1.0,
            "options": {"dropout": 0.3},
            "distil": {"views": "same"},
            "augment": AugmentConfig(mix=0.5, shape=0.5),
        },
    ],
    ids=["both", "sgd"],
)
def test_killed_and_run_again_ends_with_the_same_bits(store, teacher, tmp_path, monkeypatch, changes):
    config = settings(**changes)
    train_embedder(store, config, tmp_path / "whole", teacher=teacher, **WHOLE)
    made = Examples.example
    for number in (2, 4):  # in the step after the first checkpoint, and after the second one
        seen = []

        def example(self, batch, seen=seen, number=number):
            seen.append(batch)
            if len(seen) == number:
                raise Killed
            return made(self, batch)

        with monkeypatch.context() as patch:
            patch.setattr(Examples, "example", example)
            with pytest.raises(Killed):
                train_embedder(store, config, tmp_path / "cut", teacher=teacher, **WHOLE)
    train_embedder(store, config, tmp_path / "cut", teacher=teacher, **WHOLE)
    for name in (runs.MODEL, runs.CHECKPOINT, runs.CONFIG):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name
    assert log_of(tmp_path / "cut") == log_of(tmp_path / "whole")


def test_a_run_leaves_its_files(store, teacher, tmp_path):
    seen = []
    config = settings(head="cosface", label_smoothing=0.1)
    result = train_embedder(
        store,
        config,
        tmp_path,
        teacher=teacher,
        device="cpu",
        data="drawn people",
        progress=lambda step, steps, figures: seen.append((step, steps, set(figures))),
    )
    assert [s[:2] for s in seen] == [(0, 4), (2, 4), (4, 4)]
    assert {"loss", "score", "best", "images_per_second", "waiting", "teacher", "tar/sets/0.001"} <= seen[0][2]
    found = json.loads((tmp_path / "config.json").read_text())
    assert found["kind"] == "embedder"
    assert found["backbone"] == {"name": "googlenet", "options": result.backbone.config()["options"]}
    assert found["preprocessing"] == {"crop": CROP, "colour": "RGB", "mean": [127.5] * 3, "std": [127.5] * 3}
    assert found["settings"] == json.loads(json.dumps(config.to_dict()))
    assert EmbedderConfig.from_dict(found["settings"]) == config
    assert found["teacher"] == teacher.model_id
    assert (found["commercial"], "MIT" in found["licence"]) == ("yes", True)
    assert found["data"]["text"] == "drawn people"
    assert (found["data"]["classes"], found["data"]["faces"], found["data"]["held_out"]) == (8, 48, 4)
    assert found["result"]["threshold"] is None
    assert "216 comparisons of two people, 60 of one, among 4 people" in found["result"]["threshold_source"]
    rows = log_of(tmp_path)
    assert [int(r["step"]) for r in rows] == [0, 2, 4]
    assert result.score == max(float(r["score"]) for r in rows)
    assert list((tmp_path / "tensorboard").iterdir())
    assert (tmp_path / "curve.png").stat().st_size > 1000
    again = train_embedder(store, config, tmp_path, teacher=teacher, data="drawn people", **WHOLE)  # only read
    loaded, _ = load_embedder(tmp_path)
    assert not loaded.training
    for one, two in zip(again.backbone.state_dict().values(), loaded.state_dict().values(), strict=True):
        assert torch.equal(one, two)
    with pytest.raises(ModelFileError, match="kind embedder, but aggregator is needed"):
        runs.load(tmp_path)
    other = settings(head="cosface", label_smoothing=0.1, seed=3, workers=2, distil={"whiten": 0.5})
    with pytest.raises(
        InputError, match=r"with other settings \(distil\.whiten: 0\.0, now 0\.5; seed: 0, now 3\); choose"
    ):
        train_embedder(store, other, tmp_path, teacher=teacher, data="drawn people", **WHOLE)


def test_the_mean_takes_in_the_running_statistics(store, teacher, tmp_path):
    """Mean and variance of batch normalisation are averaged like the parameters they go with; counts are copied."""
    name = next(k for k in backbones.build("googlenet", dim=8, size=32).state_dict() if k.endswith("running_mean"))
    count = name.replace("running_mean", "num_batches_tracked")
    seen = []

    def look(step, steps, figures):
        seen.append((state_of(tmp_path, "work.backbone."), state_of(tmp_path, "mean.")))

    train_embedder(store, settings(steps=3, validate_every=1), tmp_path, teacher=teacher, progress=look, **WHOLE)
    expected = seen[0][1][name]
    assert torch.equal(expected, seen[0][0][name])
    for step, (own, mean) in enumerate(seen[1:]):
        keep = min(0.5, step / (step + 10))
        expected = keep * expected + (1 - keep) * own[name]
        assert torch.allclose(mean[name], expected, atol=1e-6)
        assert int(mean[count]) == int(own[count]) == step + 1
    assert not torch.equal(seen[-1][0][name], seen[-1][1][name])


def test_a_student_is_whitened_once_whenever_it_was_killed(store, teacher, tmp_path, monkeypatch):
    config = settings(whiten=1.0)
    whole = train_embedder(store, config, tmp_path / "whole", teacher=teacher, **WHOLE)
    plain = train_embedder(store, PLAIN, tmp_path / "plain", teacher=teacher, **WHOLE)
    assert not torch.equal(whole.backbone.fc.weight, plain.backbone.fc.weight)
    assert "teacher" in plain.figures
    assert "teacher" not in whole.figures  # its features are no longer to be like the teacher's
    with monkeypatch.context() as patch:
        patch.setattr(runs, "write_json", _fail_at_the_end)
        with pytest.raises(KeyboardInterrupt):
            train_embedder(store, config, tmp_path / "killed", teacher=teacher, **WHOLE)
    again = train_embedder(store, config, tmp_path / "killed", teacher=teacher, **WHOLE)
    assert torch.equal(again.backbone.fc.weight, whole.backbone.fc.weight)
    assert again.figures == whole.figures


_write_json = runs.write_json


def _fail_at_the_end(path, values):
    if "result" in values:
        raise KeyboardInterrupt
    _write_json(path, values)


def test_a_loss_that_is_none_stops_and_keeps_the_last_checkpoint(store, teacher, tmp_path):
    config = settings(learning_rate=1e30, steps=8, validate_every=4, warmup=0, distil={"loss": "mse"})
    with pytest.raises(InputError, match=r"the loss is (nan|inf) by step \d, .* keeps the checkpoint of step 0"):
        train_embedder(store, config, tmp_path, teacher=teacher, **WHOLE)
    backbone, _ = load_embedder(tmp_path)
    assert all(torch.isfinite(p).all() for p in backbone.parameters())
    assert all(torch.isfinite(v.double()).all() for v in state_of(tmp_path, "work.").values())


def test_it_starts_from_weights_and_freezes_all_but_the_last_stage(store, teacher, tmp_path):
    torch.manual_seed(5)
    initial = backbones.build("googlenet", dim=8, size=32)
    before = {k: v.clone() for k, v in initial.state_dict().items()}
    config = settings(freeze=2, steps=3, validate_every=1, average=0.0)
    seen = []

    def look(step, steps, figures):
        seen.append(state_of(tmp_path, "work.backbone."))

    train_embedder(store, config, tmp_path, teacher=teacher, initial=initial, progress=look, **WHOLE)
    last = {id(p) for p in initial.stages()[-1].parameters()}
    learns = {name for name, p in initial.named_parameters() if id(p) in last}
    assert learns
    for name, value in before.items():
        assert torch.equal(initial.state_dict()[name], value), "initial must not change"
        assert torch.equal(seen[0][name], value)
        frozen = torch.equal(seen[2][name], value)
        assert frozen == (name not in learns), name
        assert not torch.equal(seen[3][name], seen[2][name]), name
    with pytest.raises(InputError, match="the weights to start from are of"):
        train_embedder(store, settings(dim=9), tmp_path / "other", initial=initial, teacher=teacher, **WHOLE)


def test_nobody_held_out_or_left_out_is_trained_on(store, teacher, tmp_path, monkeypatch):
    drawn = set()
    made = Examples.example
    monkeypatch.setattr(Examples, "example", lambda self, batch: (drawn.update(batch.rows), made(self, batch))[1])
    gone = [TRAINED[0], HELD_OUT[0]]
    result = train_embedder(
        store, settings(batch=14, steps=3, augment=AugmentConfig()), tmp_path, leave_out=gone, teacher=teacher, **WHOLE
    )
    assert {store.subject.names[store.subject.codes[row]] for row in drawn} == set(result.train) == set(TRAINED[1:])
    assert set(result.validation) == set(HELD_OUT[1:])
    assert set(result.left_out) == set(gone)


def test_a_teacher_needs_no_names(teacher, tmp_path):
    store = tiny_store(tmp_path, [*TRAINED, *HELD_OUT], labelled=False)
    config = settings()
    result = train_embedder(store, config, tmp_path / "run", leave_out=[TRAINED[0]], teacher=teacher, **WHOLE)
    assert result.score == result.figures["teacher/centred"]
    assert result.threshold is None
    assert {name.split("/")[0] for name in result.left_out} == {TRAINED[0]}
    assert not {name for name in (*result.train, *result.validation) if name.startswith(TRAINED[0])}
    with pytest.raises(InputError, match="needs the names of people, and this store has none"):
        train_embedder(store, settings(head="softmax"), tmp_path / "other", teacher=teacher, **WHOLE)


WORKER = """
import sys
sys.path[:0] = {paths!r}
import torch
torch.set_num_threads(1)
from pathlib import Path
from tiny_faces import tiny_teacher
from faceset.training.embedder import EmbedderConfig, train_embedder
from faceset.training.faces import FaceStore
teacher = tiny_teacher(Path({folder!r}) / str(__import__("os").environ["RANK"]))
config = EmbedderConfig.from_dict({config!r})
more = dict(teacher=teacher, device="cpu", tensorboard=False, curve=False)
train_embedder(FaceStore.open({store!r}), config, {run!r}, **more)
"""


def test_two_processes_share_each_batch(store, tmp_path):
    for rank in "01":
        (tmp_path / rank).mkdir()
    config = settings(head="arcface", batch=8)
    script = tmp_path / "worker.py"
    paths = [str(Path(__file__).parent), *[p for p in sys.path if p.endswith("src")]]
    given = {"paths": paths, "folder": str(tmp_path), "store": str(store.folder), "run": str(tmp_path / "run")}
    script.write_text(WORKER.format(config=config.to_dict(), **given))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(script)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    assert done.returncode == 0, done.stderr[-3000:]
    backbone, found = load_embedder(tmp_path / "run")
    assert found["result"]["steps"] == 4
    assert all(torch.isfinite(p).all() for p in backbone.parameters())
    alone = train_embedder(store, config, tmp_path / "alone", teacher=tiny_teacher(tmp_path), **WHOLE)
    two, one = state_of(tmp_path / "run", "work."), state_of(alone.run, "work.")
    apart = max(float((two[k] - one[k]).abs().max()) for k in one if k.endswith("weight"))
    assert 0.0 < apart < 0.05  # the same batches; batch normalisation over halves of them
