import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from synthetic_sets import synthetic

from faceset.errors import InputError, ModelFileError
from faceset.training import SetConfig, TrainConfig, fit, load
from faceset.training import runs as files
from faceset.training.progress import progress_bar
from faceset.training.report import compare
from faceset.training.sampler import SetSampler

torch.set_num_threads(1)

SETS = SetConfig(subjects=12, max_faces=6)
QUICK = TrainConfig(sets=SETS, steps=24, validate_every=8, far=0.05, warmup=2, learning_rate=1e-2)


@pytest.fixture(scope="module")
def data():
    return synthetic(people=40, media=2, faces=4)[0]


def quick(**changes):
    return TrainConfig.from_dict(QUICK.to_dict() | changes)


def files_of(run):
    names = (files.MODEL, files.CHECKPOINT, files.LOG, files.CONFIG)
    return {name: (Path(run) / name).read_bytes() for name in names}


class Killed(BaseException):
    """Stands for the end of the process."""


def killed_at(monkeypatch, step):
    whole = SetSampler.batch

    def batch(self, at, rank=0):
        if at == step:
            raise Killed
        return whole(self, at, rank)

    monkeypatch.setattr(SetSampler, "batch", batch)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"optimiser": "adamw", "average": 0.9, "loss": "angular", "patience": 2},
        {"aggregator": "ghostvlad", "loss": "contrast"},  # batch normalisation has state
        {"aggregator": "proxyfusion", "steps": 12, "validate_every": 4},  # dropout draws numbers
        {"aggregator": "anchored", "kinds": True},
    ],
)
def test_killed_and_run_again_ends_with_the_same_bits(data, tmp_path, monkeypatch, changes):
    config = quick(**changes)
    fit(data, config, tmp_path / "whole", device="cpu", tensorboard=False)
    for step in (0, 5, 10, 11):  # before any checkpoint, between two, and twice after the second one
        with monkeypatch.context() as patch:
            killed_at(patch, step)
            with pytest.raises(Killed):
                fit(data, config, tmp_path / "cut", device="cpu", tensorboard=False)
    fit(data, config, tmp_path / "cut", device="cpu", tensorboard=False)
    whole, cut = files_of(tmp_path / "whole"), files_of(tmp_path / "cut")
    for name, content in whole.items():
        assert cut[name] == content, name


def test_another_seed_gives_other_parameters(data, tmp_path):
    a = fit(data, quick(), tmp_path / "a", device="cpu", tensorboard=False)
    b = fit(data, quick(seed=1), tmp_path / "b", device="cpu", tensorboard=False)
    assert not torch.equal(a.aggregator.W, b.aggregator.W)


def test_a_run_leaves_its_files(data, tmp_path):
    seen = []
    result = fit(data, quick(), tmp_path, device="cpu", progress=lambda done, total, f: seen.append((done, total)))
    assert [s[0] for s in seen] == [0, 8, 16, 24]
    assert result.steps == 24
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["aggregator"] == "nan"
    assert config["embedder"] == "synthetic"
    assert config["settings"] == json.loads(json.dumps(quick().to_dict()))
    assert config["data"]["subjects"] == len(result.train)
    assert config["result"]["score"] == result.score
    with (tmp_path / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(r["step"]) for r in rows] == [0, 8, 16, 24]
    assert float(rows[result.best_step // 8]["tar"]) == result.score == max(float(r["tar"]) for r in rows)
    assert float(rows[0]["tar"]) == result.baseline  # untrained NAN is the mean
    assert list((tmp_path / "tensorboard").iterdir())
    again = fit(data, quick(), tmp_path, device="cpu")  # finished: only read
    assert torch.equal(again.aggregator.W, result.aggregator.W)
    loaded, _ = load(tmp_path)
    assert not loaded.training
    assert torch.equal(loaded.b, result.aggregator.b)


def test_held_out_people_are_never_trained_on(data, tmp_path, monkeypatch):
    drawn = set()
    whole = SetSampler.batch

    def batch(self, step, rank=0):
        made = whole(self, step, rank)
        drawn.update(data.subject.codes[made.rows[made.mask]].tolist())
        return made

    monkeypatch.setattr(SetSampler, "batch", batch)
    left_out = data.subjects[:5]
    result = fit(data, quick(), tmp_path, leave_out=left_out, device="cpu", tensorboard=False)
    names = {data.subject.names[c] for c in drawn}
    assert names == set(result.train)
    assert not names & set(result.validation)
    assert not (names | set(result.validation)) & set(left_out)


def test_kinds_can_be_left_out_of_training(data, tmp_path, monkeypatch):
    flags = []
    whole = SetSampler.batch
    monkeypatch.setattr(SetSampler, "batch", lambda self, *a: (b := whole(self, *a), flags.append(b))[0])
    fit(data, quick(), tmp_path, without_kinds=["degraded"], device="cpu", tensorboard=False)
    assert not any(data.degraded[b.rows[b.mask]].any() for b in flags)


def test_patience_ends_training(data, tmp_path):
    config = quick(steps=400, validate_every=2, patience=3, learning_rate=1e-9)
    assert fit(data, config, tmp_path, device="cpu", tensorboard=False).steps < 400


def test_closed_form_has_nothing_to_train(data, tmp_path):
    with pytest.raises(InputError, match="'mean' has nothing to train"):
        fit(data, quick(aggregator="mean"), tmp_path, device="cpu", tensorboard=False)


def test_other_settings_in_the_folder_are_refused(data, tmp_path):
    fit(data, quick(), tmp_path, device="cpu", tensorboard=False)
    with pytest.raises(InputError, match=r"holds a run with other settings .*choose another folder"):
        fit(data, quick(seed=5), tmp_path, device="cpu", tensorboard=False)
    other = synthetic(people=40, media=2, faces=4, seed=9)[0]
    with pytest.raises(InputError, match="other data"):
        fit(other, quick(), tmp_path, device="cpu", tensorboard=False)


def test_damaged_runs_are_named(data, tmp_path):
    with pytest.raises(ModelFileError, match=r"is not a training run: it has no config\.json"):
        load(tmp_path)
    fit(data, quick(steps=2), tmp_path, device="cpu", tensorboard=False)
    config = json.loads((tmp_path / "config.json").read_text())
    for change, words in (
        ({"format": 2}, "has format 2, newer than 1; upgrade"),
        ({"dim": 3}, "do not belong together"),
        ({"aggregator": "cfan"}, "do not belong together"),
    ):
        files.write_json(tmp_path / "config.json", config | change)
        with pytest.raises(ModelFileError, match=words):
            load(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ModelFileError, match="is damaged"):
        load(tmp_path)
    files.write_json(tmp_path / "config.json", config)
    (tmp_path / "model.safetensors").write_bytes(b"xx")
    with pytest.raises(ModelFileError, match=r"model\.safetensors is damaged"):
        load(tmp_path)
    (tmp_path / "checkpoint.safetensors").write_bytes(b"xx")
    with pytest.raises(ModelFileError, match=r"checkpoint\.safetensors is damaged"):
        fit(data, quick(steps=2), tmp_path, device="cpu", tensorboard=False)


def test_report_has_every_closed_form_beside_the_models(data, tmp_path):
    model = fit(data, quick(), tmp_path, device="cpu", tensorboard=False)
    held_out = data.only(model.validation)
    report = compare({"mine": model.aggregator}, held_out, far=0.05, sizes=(3,), seeds=2, resamples=20)
    plain = report.to_dict()
    assert set(plain["table"]) == {"clean/3", "mixed/3", "degraded/3"}
    assert {"mean", "norm", "media-first", "mine"} <= set(plain["table"]["mixed/3"])
    assert plain["table"]["mixed/3"]["mean"]["minus_mean"] == (0.0, 0.0, 0.0)
    tar, low, high = plain["table"]["mixed/3"]["mine"]["tar"]
    assert low <= tar <= high
    assert "| mine | " in str(report)
    json.dumps(plain)


def test_progress_bar(data, tmp_path):
    from io import StringIO

    from rich.console import Console

    out = StringIO()
    with progress_bar(Console(file=out, force_terminal=True, width=200)) as report:
        fit(data, quick(steps=2), tmp_path, device="cpu", tensorboard=False, progress=report)
    assert "2/2" in out.getvalue()
    assert "TAR" in out.getvalue()


WORKER = """
import sys
sys.path[:0] = {paths!r}
import torch
torch.set_num_threads(1)
from synthetic_sets import synthetic
from faceset.training import SetConfig, TrainConfig, fit
data = synthetic(people=40, media=2, faces=4)[0]
config = TrainConfig.from_dict({config!r})
fit(data, config, {run!r}, device="cpu", tensorboard=False)
"""


def test_two_processes_train_one_model(data, tmp_path):
    script = tmp_path / "worker.py"
    paths = [str(Path(__file__).parent), *[p for p in sys.path if p.endswith("src")]]
    script.write_text(WORKER.format(paths=paths, config=quick().to_dict(), run=str(tmp_path / "run")))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(script)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    assert done.returncode == 0, done.stderr[-2000:]
    model, config = load(tmp_path / "run")
    assert config["result"]["steps"] == 24
    assert all(np.isfinite(p.detach().numpy()).all() for p in model.parameters())
    alone = fit(data, quick(), tmp_path / "alone", device="cpu", tensorboard=False)
    assert not torch.equal(
        files.read_tensors(tmp_path / "run" / files.CHECKPOINT)[0]["work.aggregator.W"],
        files.read_tensors(alone.run / files.CHECKPOINT)[0]["work.aggregator.W"],
    )
