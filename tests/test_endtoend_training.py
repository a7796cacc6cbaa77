"""End-to-end runs: sets of pictures, resuming, what is kept, what is refused."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from faceset.errors import InputError, ModelFileError
from faceset.feature_table import Labels
from faceset.training import TrainData, backbones, load, runs, split_subjects
from faceset.training.backbones import Backbone
from faceset.training.config import SetConfig
from faceset.training.endtoend import EndToEndConfig, EndToEndResult, load_end_to_end, train_end_to_end
from faceset.training.endtoend.held_out import Copies, HeldOut
from faceset.training.endtoend.objective import Objective
from faceset.training.endtoend.pictures import Ahead, FaceRows, SetPictures, Targets
from faceset.training.endtoend.running import digest
from faceset.training.faces import AugmentConfig
from faceset.training.sampler import SetSampler

torch.set_num_threads(1)

SIDE, PAD, PEOPLE, MEDIA = 16, 4, 16, 3
GEOMETRY = "arcface16"
STILL = AugmentConfig.none()


class Painted:
    """A store of painted faces: blobs of a person's own, and a change of light from picture to picture."""

    fingerprint = "painted"

    def __init__(self, people: int = PEOPLE) -> None:
        rng = np.random.default_rng(5)
        side = SIDE + 2 * PAD
        own = np.kron(rng.uniform(40, 215, (people, 4, 4, 3)), np.ones((side // 4, side // 4, 1)))
        names = [f"P{p:02}" for p in range(people) for _ in range(MEDIA)]
        light = rng.uniform(0.6, 1.4, (people * MEDIA, 1, 1, 3))
        noise = rng.normal(0, 25, (people * MEDIA, side, side, 3))
        crops = np.repeat(own, MEDIA, axis=0) * light + noise
        self.subject = Labels.of(names)
        self.medium = Labels.of([f"{name}/{i % MEDIA}" for i, name in enumerate(names)])
        self.crops = np.clip(crops, 0, 255).astype(np.uint8)

    def __len__(self) -> int:
        return len(self.crops)

    def padded(self, geometry: str) -> np.ndarray:
        assert geometry == GEOMETRY
        return self.crops


QUICK = EndToEndConfig(
    crop=GEOMETRY,
    frozen_steps=4,
    frozen_sets=SetConfig(subjects=6, max_faces=4),
    copies=1,
    steps=4,
    sets=SetConfig(subjects=4, max_faces=3),
    augment=AugmentConfig(erase=0.0, high=1.0, kinds=("noise", "jpeg")),
    warmup=1,
    average=0.5,
    learning_rate=1e-2,
    chunk=6,
    precision="fp32",
    validate_every=2,
    far=0.05,
    workers=2,
)


def quick(**changes: Any) -> EndToEndConfig:
    return EndToEndConfig.from_dict(QUICK.to_dict() | changes)


def fresh(dim: int = 8) -> Backbone:
    torch.manual_seed(0)
    return backbones.build("mobilefacenet", dim=dim, size=SIDE)


@pytest.fixture(scope="module")
def store() -> Painted:
    return Painted()


def train(store: Painted, config: EndToEndConfig, run: Path, **options: Any) -> EndToEndResult:
    initial = options.pop("initial", None) or fresh()
    return train_end_to_end(store, config, run, initial=initial, device="cpu", tensorboard=False, **options)


@pytest.fixture(scope="module")
def done(store: Painted, tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    run, told = tmp_path_factory.mktemp("done"), []
    result = train(store, QUICK, run, progress=lambda *words: told.append(words[:3]), licence="MIT", commercial="yes")
    return SimpleNamespace(run=run, result=result, told=told)


def test_rows_are_clean_faces_then_the_same_to_be_degraded(store: Painted) -> None:
    rows = FaceRows(store, ("P01", "P03"))
    M = len(store)
    assert rows.rows.tolist() == [3, 4, 5, 9, 10, 11, M + 3, M + 4, M + 5, M + 9, M + 10, M + 11]
    assert rows.degraded.tolist() == [False] * 6 + [True] * 6
    assert rows.subject.codes[M + 4] == store.subject.codes[4]
    batch = SetSampler(rows, SetConfig(subjects=2, max_media=1, several=1.0), 0).batch(3)
    media = [set(m[k].tolist()) for m, k in zip(batch.media, batch.mask, strict=True)]
    for i, person in enumerate(batch.subjects):
        others = [media[j] for j in range(len(media)) if j != i and batch.subjects[j] == person]
        assert all(not media[i] & other for other in others)


def test_pictures_are_a_function_of_seed_step_and_rank(store: Painted) -> None:
    rows = FaceRows(store, ("P01", "P02", "P03"))
    batch = SetSampler(rows, SetConfig(subjects=3), 0).batch(0)
    with ThreadPoolExecutor(2) as pool:

        def made(seed: int, step: int, rank: int, config: AugmentConfig = QUICK.augment) -> np.ndarray:
            return SetPictures(store, GEOMETRY, (SIDE, SIDE), config, seed).of(batch, step, rank, pool)

        assert np.array_equal(made(1, 2, 0), made(1, 2, 0))
        for other in ((2, 2, 0), (1, 3, 0), (1, 2, 1)):
            assert not np.array_equal(made(1, 2, 0), made(*other))
        plain = made(1, 2, 0, STILL)
    real = batch.rows[batch.mask]
    clean = real < len(store)
    crops = store.crops[real % len(store), PAD:-PAD, PAD:-PAD]
    assert clean.any()
    assert not clean.all()
    assert np.array_equal(plain[clean], crops[clean])  # nothing is drawn but what the sets say
    assert all(not np.array_equal(a, b) for a, b in zip(plain[~clean], crops[~clean], strict=True))


def test_batches_made_ahead_are_those_made_at_once() -> None:
    with Ahead(lambda step, pool: step * 10, last=5, workers=1) as ahead:
        assert [ahead.take(step) for step in (0, 1, 2, 4, 3)] == [0, 10, 20, 40, 30]


def test_copies_begin_with_the_face_as_it_is(store: Painted) -> None:
    faces = np.array([4, 9])
    copies = Copies(store, GEOMETRY, (SIDE, SIDE), faces, 2, QUICK.augment)
    data = copies.data(np.zeros((6, 2), np.float32))
    assert [data.kind.names[c] == "clean" for c in data.kind.codes] == [True, False, False] * 2
    assert [data.subject.names[c] for c in data.subject.codes] == ["P01"] * 3 + ["P03"] * 3
    for i, face in enumerate(faces):
        assert np.array_equal(copies.picture(3 * i), store.crops[face, PAD:-PAD, PAD:-PAD])
        assert not np.array_equal(copies.picture(3 * i + 1), copies.picture(3 * i + 2))
    again = Copies(store, GEOMETRY, (SIDE, SIDE), faces[1:], 2, QUICK.augment)
    assert np.array_equal(again.picture(1), copies.picture(4))  # whoever else is there


def test_a_run_leaves_what_others_read(done: SimpleNamespace, store: Painted) -> None:
    config = json.loads((done.run / "config.json").read_text())
    split = split_subjects(store.subject.names)
    assert config["kind"] == "end-to-end"
    assert config["backbone"] == fresh().config()
    assert config["preprocessing"] == fresh().preprocessing()
    assert (config["aggregator"], config["dim"], config["options"]) == ("nan", 8, {})
    assert (config["licence"], config["commercial"]) == ("MIT", "yes")
    assert config["settings"] == json.loads(json.dumps(QUICK.to_dict()))
    assert config["data"]["subjects"] == len(split.train) == len(done.result.train)
    result = config["result"]
    assert -1.0 <= result["threshold"] <= 1.0
    n = MEDIA * len(split.validation)
    same = len(split.validation) * MEDIA * (MEDIA - 1) // 2
    assert f"{same} pairs of one person, {n * (n - 1) // 2 - same} of two" in result["threshold_source"]
    assert result["score"] == done.result.score >= result["frozen"] >= result["baseline"] - 0.2
    backbone, aggregator, found = load_end_to_end(done.run)
    assert found == config
    assert not backbone.training
    assert not aggregator.training
    assert digest(backbone) == digest(done.result.network.backbone)
    frozen, _ = load(done.run / "frozen")
    assert digest(frozen) != digest(aggregator) or result["best_step"] == 0
    assert {words[0] for words in done.told} == {"features", "frozen", "together"}
    steps = [words[1] for words in done.told if words[0] == "together"]
    assert steps == sorted(steps)
    assert {0, 2, 4} <= set(steps)
    with pytest.raises(ModelFileError, match="is a training run of kind end-to-end, but aggregator is needed"):
        load(done.run)


def test_score_of_a_run_is_that_of_what_it_keeps(done: SimpleNamespace, store: Painted) -> None:
    held = FaceRows(store, done.result.validation).faces
    copies = Copies(store, GEOMETRY, (SIDE, SIDE), held, QUICK.copies, QUICK.augment)
    with ThreadPoolExecutor(1) as pool:
        again = HeldOut(copies, QUICK.validation_people, pool)
        data = again.look(done.result.network)
        rates = again.rates(done.result.network.aggregator, data, QUICK.far)
    assert np.mean([r.tar for r in rates.values()]) == pytest.approx(done.result.score, abs=1e-12)


class Killed(BaseException):
    """Stands for the end of the process."""


@pytest.mark.parametrize(
    "changes",
    [
        {"loss": "angular", "anchor": 0.1, "checkpoint": "stages", "blends": [0.3, 0.6], "optimiser": "rmsprop"},
    ],
)
def test_killed_and_run_again_ends_with_the_same_bits(
    store: Painted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]
) -> None:
    config, whole = quick(**changes), SetPictures.of
    train(store, config, tmp_path / "whole")
    for at in (1, 3):  # before the first checkpoint of the second stage, and after one

        def killed(self: SetPictures, batch: Any, step: int, rank: int, pool: Any, at: int = at) -> np.ndarray:
            if step == at:
                raise Killed
            return whole(self, batch, step, rank, pool)

        with monkeypatch.context() as patch:
            patch.setattr(SetPictures, "of", killed)
            with pytest.raises(Killed):
                train(store, config, tmp_path / "cut")
    train(store, config, tmp_path / "cut")
    for name in (runs.MODEL, runs.CHECKPOINT, runs.LOG, runs.CONFIG):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name
    before = (tmp_path / "cut" / runs.MODEL).stat().st_mtime_ns
    train(store, config, tmp_path / "cut")  # finished: only read
    assert (tmp_path / "cut" / runs.MODEL).stat().st_mtime_ns == before


def test_people_held_out_or_left_out_are_never_in_a_batch(
    store: Painted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, drawn = SetPictures.of, set()

    def seen(self: SetPictures, batch: Any, *rest: Any) -> np.ndarray:
        drawn.update(store.subject.codes[batch.rows[batch.mask] % len(store)].tolist())
        return whole(self, batch, *rest)

    monkeypatch.setattr(SetPictures, "of", seen)
    result = train(store, quick(frozen_steps=2), tmp_path, leave_out=["P00", "P01"])
    names = {store.subject.names[c] for c in drawn}
    assert names <= set(result.train)
    assert not names & {*result.validation, "P00", "P01"}
    assert not {"P00", "P01"} & set(result.validation)


def test_either_stage_may_be_left_out(store: Painted, tmp_path: Path) -> None:
    start = digest(fresh())
    alone = train(store, quick(steps=0), tmp_path / "alone")
    assert (alone.steps, alone.best_step, alone.score) == (0, 0, alone.frozen)
    assert digest(alone.network.backbone) == start
    assert digest(alone.network.aggregator) == digest(load(tmp_path / "alone" / "frozen")[0])
    mean = train(store, quick(frozen_steps=0, aggregator="mean"), tmp_path / "mean")
    assert not (tmp_path / "mean" / "frozen" / runs.CONFIG).exists()
    assert mean.frozen == mean.baseline


def test_features_that_are_there_are_not_computed(
    store: Painted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copies = Copies(store, GEOMETRY, (SIDE, SIDE), np.arange(len(store)), 1, QUICK.augment)
    features = np.random.default_rng(0).normal(size=(len(copies), 8)).astype(np.float32)
    told: list[str] = []
    train(
        store,
        quick(steps=0),
        tmp_path,
        features=copies.data(features, "e"),
        progress=lambda what, *_: told.append(what),
    )
    assert "features" not in told
    assert runs.read_config(tmp_path / "frozen")["embedder"] == "e"


def test_the_cnn_learns_at_its_own_rate(store: Painted, tmp_path: Path) -> None:
    """Adam moves a parameter by about its rate at the first step, whatever its gradient."""
    moved = {}
    for factor in (0.0, 0.1):
        config = quick(steps=1, frozen_steps=0, cnn_rate=factor, average=0.0, clip=0.0, warmup=0, blends=[], far=0.9)
        train(store, config, tmp_path / str(factor))
        tensors, _ = runs.read_tensors(tmp_path / str(factor) / runs.CHECKPOINT)
        start = fresh().state_dict()
        moved[factor] = max(
            float((v - start[k[22:]]).abs().max())
            for k, v in tensors.items()
            if k.startswith("work.network.backbone.") and v.is_floating_point()
        )
    assert moved[0.0] == 0.0
    assert moved[0.1] == pytest.approx(1e-3, rel=0.05)


class NoLoss(torch.nn.Module):
    def forward(self, templates: torch.Tensor, subjects: torch.Tensor) -> torch.Tensor:
        return templates.sum() * 0.0


def test_anchor_is_half_the_squared_distance_and_keep_that_of_unit_features(store: Painted) -> None:
    from faceset.training.endtoend.network import EndToEnd

    network = EndToEnd(fresh(), load_nan()).eval()
    work = Objective(network, NoLoss(), 2.0, 3.0)
    first = next(network.backbone.parameters())
    with torch.no_grad():
        first[0] += 0.5
    mask, subjects = torch.ones(1, 2, dtype=torch.bool), torch.zeros(1, dtype=torch.int64)
    pictures = torch.randn(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    value = work(pictures, mask, subjects).detach()
    assert float(value) == pytest.approx(0.5 * 3.0 * first[0].numel() * 0.25, rel=1e-5)
    units = torch.nn.functional.normalize(network.backbone(pictures)).detach()
    turned = torch.stack([units[0], -units[1]])  # 0 and 2 away
    found = work(pictures, mask, subjects, turned)
    assert float(found.detach()) == pytest.approx(float(value) + 2.0 * (0 + 4) / 2, rel=1e-4)


def test_targets_are_the_clean_features_of_the_same_faces(store: Painted) -> None:
    from faceset.training.endtoend.stage import _clean

    faces = FaceRows(store, ("P01", "P03")).faces
    every = np.repeat(np.arange(len(store)), 2)  # each face degraded, then clean
    data = TrainData.of(
        np.arange(len(every) * 2, dtype=np.float32).reshape(-1, 2),
        np.array(store.subject.names)[store.subject.codes[every]],
        np.array(store.medium.names)[store.medium.codes[every]],
        degraded=np.tile([True, False], len(store)),
    )
    found = _clean(data, store, faces)
    assert found is not None
    assert np.array_equal(found, data.features[2 * faces + 1])
    assert _clean(data.only(["P01"]), store, faces) is None
    batch = SetSampler(FaceRows(store, ("P01", "P03")), SetConfig(subjects=2), 0).batch(1)
    rows = batch.rows[batch.mask] % len(store)
    assert np.array_equal(Targets(faces, found, len(store)).of(batch).numpy(), data.features[2 * rows + 1])


def test_keep_holds_the_cnn_back(store: Painted, tmp_path: Path) -> None:
    """Loss of the first step, where nothing has moved; what is above that without ``keep`` is in proportion to it."""
    logged = {}
    for keep in (0.0, 5.0, 10.0):
        config = quick(frozen_steps=0, steps=1, warmup=0, keep=keep, blends=[])
        train(store, config, tmp_path / str(keep))
        with (tmp_path / str(keep) / runs.LOG).open() as file:
            logged[keep] = float(list(csv.DictReader(file))[1]["loss"])
    assert logged[5.0] > logged[0.0] + 1e-3
    assert logged[10.0] - logged[0.0] == pytest.approx(2 * (logged[5.0] - logged[0.0]), rel=1e-4)


def load_nan() -> Any:
    from faceset.training import aggregators

    return aggregators.build("nan", 8)


def test_what_is_kept_is_never_worse_than_the_start(store: Painted, tmp_path: Path) -> None:
    config = quick(frozen_steps=0, steps=2, learning_rate=0.3, cnn_rate=1.0, clip=0.0, average=0.0, keep=0.0, blends=[])
    ruined = train(store, config, tmp_path)
    with (tmp_path / runs.LOG).open() as file:
        scores = [float(row["tar"]) for row in csv.DictReader(file)]
    assert ruined.score == max(scores)
    assert ruined.frozen == scores[0]
    if ruined.best_step == 0:
        assert digest(ruined.network.backbone) == digest(fresh())


def test_features_that_are_not_finite_end_the_run(store: Painted, tmp_path: Path) -> None:
    broken = fresh()
    with torch.no_grad():
        next(broken.parameters()).fill_(float("nan"))
    with pytest.raises(InputError, match="gives NaN or infinity for a face.*lower learning_rate"):
        train(store, quick(frozen_steps=0), tmp_path, initial=broken)


def test_other_settings_or_another_start_are_refused(done: SimpleNamespace, store: Painted) -> None:
    with pytest.raises(InputError, match=r"holds a run with other settings .*choose another folder"):
        train(store, quick(steps=7), done.run)
    other = fresh()
    with torch.no_grad():
        next(other.parameters()).add_(1.0)
    with pytest.raises(InputError, match=r"holds a run with other \w+ .*choose another folder"):
        train(store, QUICK, done.run, initial=other)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"cnn_rat": 1}, "EndToEndConfig has no setting cnn_rat"),
        ({"sets": {"people": 3}}, "SetConfig has no setting people"),
        ({"augment": {"mix": 0.5}}, "make another face of a face"),
        ({"blends": [0.0]}, "blends are shares between 0 and 1"),
        ({"checkpoint": "some"}, "checkpoint must be one of"),
        ({"batch_statistics": True}, "batch statistics need all faces at once"),
        ({"precision": "fp16"}, "precision must be one of auto, fp32, bf16"),
        ({"steps": -1}, "steps must be at least 0"),
        ({"average": 1.0}, "average must be < 1"),
    ],
)
def test_settings_out_of_range(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        quick(**changes)


def test_settings_survive_json() -> None:
    assert EndToEndConfig.from_dict(json.loads(json.dumps(QUICK.to_dict()))) == QUICK
    assert EndToEndConfig().rate(0) < EndToEndConfig().rate(30)


def test_two_processes_train_as_one_run(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import sys\nsys.path.insert(0, sys.argv[2])\n"
        "from test_endtoend_training import Painted, fresh, quick\n"
        "from faceset.training.endtoend import train_end_to_end\n"
        "options = {'initial': fresh(), 'device': 'cpu', 'tensorboard': False}\n"
        "print('score', train_end_to_end(Painted(), quick(steps=3), sys.argv[1], **options).score)\n"
    )
    done = subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"),
            *(str(script), str(tmp_path / "run"), str(Path(__file__).parent)),
        ],
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    scores = [line for line in done.stdout.splitlines() if line.startswith("score")]
    assert len(scores) == 2
    assert scores[0] == scores[1]
    one = train(Painted(), quick(steps=3), tmp_path / "one")
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["result"]["frozen"] != 0
    assert config["data"] == json.loads((tmp_path / "one" / "config.json").read_text())["data"]
    features = [next((tmp_path / run / "frozen").glob("features-*.npy")) for run in ("run", "one")]
    a, b = (np.load(path) for path in features)
    assert np.allclose(a, b, atol=1e-4)
    assert one.steps == 3
