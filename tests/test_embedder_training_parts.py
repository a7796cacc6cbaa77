"""The parts of an embedder's training by hand: settings, targets, distances, people held out, pairs, rights."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import numpy as np
import pytest
import torch
from tiny_faces import tiny_store, tiny_teacher

from faceset.cli.embedder_start import Start, rights_of
from faceset.errors import InputError, LicenceError, ProtocolError
from faceset.metrics import Rate
from faceset.training import backbones
from faceset.training.data import split_subjects
from faceset.training.embedder import DistilConfig, EmbedderConfig, train_embedder
from faceset.training.embedder.held_out import HeldOut
from faceset.training.embedder.lfw import faces_of, pairs_in, read_pairs
from faceset.training.embedder.measuring import threshold
from faceset.training.embedder.network import distance, start_at
from faceset.training.embedder.people import parts
from faceset.training.embedder.rights import rights
from faceset.training.embedder.targets import fit
from faceset.training.faces import AugmentConfig
from faceset.training.faces.preparing import _alone

torch.set_num_threads(1)

SPLIT = split_subjects([f"p{i:02d}" for i in range(40)])
PEOPLE = (*SPLIT.train[:4], *SPLIT.validation[:2])
QUICK = EmbedderConfig(size=32, dim=8, batch=4, steps=1, validate_every=1, augment=AugmentConfig.none(), workers=1)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return tiny_store(tmp_path_factory.mktemp("faces"), PEOPLE, 3)


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    return tiny_teacher(tmp_path_factory.mktemp("teacher"))


def changed(**changes):
    return EmbedderConfig.from_dict(QUICK.to_dict() | changes)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"heads": "arcface"}, "EmbedderConfig has no setting heads; it has backbone, options"),
        ({"distil": {"alpha": 1}}, "DistilConfig has no setting alpha; it has weight, loss, centre"),
        ({"augment": {"flips": 1}}, "AugmentConfig has no setting flips"),
        ({"head": "angular"}, r"head must be one of \(empty\), softmax, arcface, cosface, but got 'angular'"),
        ({"optimiser": "rmsprop"}, "optimiser must be one of adamw, sgd"),
        ({"precision": "fp16"}, "precision must be one of auto, fp32, bf16"),
        ({"distil": {"views": "both"}}, "views must be one of stored, plain, same"),
        ({"distil": {"whiten": 2.0}}, r"whiten must be in 0\.\.1"),
        ({"batch": 1}, "batch must be at least 2"),
        ({"average": 1.0}, "average must be < 1"),
        ({"learning_rate": 0.0}, "learning_rate and head_weight must be > 0"),
        ({"steps": 0, "epochs": 0.0}, "epochs must be > 0 where steps is 0"),
        ({"label_smoothing": 0.1}, "label_smoothing need a head"),
        ({"head": "softmax", "head_options": {"label_smoothing": 0.1}}, "a setting of its own"),
    ],
)
def test_settings_that_cannot_be_are_named(values, words):
    with pytest.raises(InputError, match=words):
        EmbedderConfig.from_dict(values)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "nothing to learn from: set head .* or give a teacher"),
        ({"head": "cosface", "head_options": {"margin_rad": 0.5}}, "has no option margin_rad"),
        ({"head": "softmax", "least": 9}, "at least 9 faces"),
        ({"head": "softmax", "batch": 14}, "batch is 14, but there are 12 faces"),
        ({"head": "softmax", "size": 48}, "the store has no crops 'arcface48'"),
        ({"head": "softmax", "crop": "arcface48"}, r"crop 'arcface48' is \(48, 48\) pixels, but the backbone takes"),
        ({"head": "softmax", "augment": {"mix": 0.5}}, "only a teacher that sees them can label"),
        ({"head": "softmax", "score": "teacher"}, "score 'teacher' cannot be measured here; tar can"),
        ({"head": "softmax", "sync_bn": True}, "sync_bn works on GPUs only"),
        ({"head": "softmax", "backbone": "alexnet"}, "alexnet"),
    ],
)
def test_what_cannot_be_trained_is_named(store, tmp_path, changes, words):
    with pytest.raises(InputError, match=words):
        train_embedder(store, changed(**changes), tmp_path / "run", device="cpu", tensorboard=False)
    assert not (tmp_path / "run" / "checkpoint.safetensors").exists()


def test_a_student_wider_than_its_teacher_is_refused(store, teacher, tmp_path):
    with pytest.raises(InputError, match="has 8 numbers, so a student of dim 9 cannot learn them; set dim to 8 or"):
        train_embedder(store, changed(dim=9), tmp_path, teacher=teacher, device="cpu")


def test_epochs_become_steps_and_the_rate_follows():
    config = EmbedderConfig(epochs=2.5, warmup=1, learning_rate=1.0).planned(4)
    assert config.steps == 10
    assert [round(config.rate(step), 6) for step in (0, 5)] == [0.5, 0.5]
    assert EmbedderConfig(steps=7).planned(4).steps == 7
    assert EmbedderConfig.from_dict(config.to_dict()) == config


def test_reading_the_settings_loads_no_torch():
    code = "import sys, faceset.training.embedder.config; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_targets_by_hand():
    x = np.array([[3, 1], [1, 1], [3, -1], [1, -1]], np.float32)  # mean (2, 0), variances 1 and 1
    raw = fit(x, 2, DistilConfig())
    assert np.array_equal(raw(x), x)
    assert (raw.mean.tolist(), raw.spread) == ([2.0, 0.0], 2.0)
    centred = fit(x, 2, DistilConfig(centre=True))
    assert np.array_equal(centred(x), x - [2, 0])
    stretched = x * np.array([1, 4], np.float32)  # less their mean, rms 1 and 4
    white = fit(stretched, 2, DistilConfig(centre=True, whiten=1.0))
    assert np.allclose(np.abs(white(stretched)), np.sqrt(8.5), atol=1e-5)  # both as long as the mean direction
    half = fit(stretched, 2, DistilConfig(centre=True, whiten=0.5))
    assert np.allclose(np.abs(half(stretched)) / 8.5**0.25, [1.0, 2.0], atol=1e-5)
    one = fit(stretched, 1, DistilConfig(centre=True))
    assert np.allclose(np.abs(one(stretched)), 4.0, atol=1e-5)  # the direction with more in it
    with pytest.raises(InputError, match="the same feature for every face"):
        fit(np.ones((5, 2), np.float32), 2, DistilConfig())


def test_a_constant_answer_is_worth_nothing_but_its_mean():
    rng = np.random.default_rng(2)
    x = rng.normal(size=(400, 6)).astype(np.float32)
    x[:, 0] += 5
    targets = fit(x, 6, DistilConfig())
    plain, centred = targets.alike(np.tile(targets.mean, (400, 1)), x)
    assert plain > 0.9
    assert abs(centred) < 0.1
    assert targets.alike(3 * x, x) == pytest.approx((1.0, 1.0), abs=1e-5)


def test_distances_by_hand():
    students, goals = torch.tensor([[2.0, 0.0], [0.0, 1.0]]), torch.tensor([[1.0, 0.0], [1.0, 1.0]])
    assert distance(students, goals, DistilConfig(loss="mse"), 4.0).item() == pytest.approx(1.0 / 4.0)
    half = 0.5**0.5
    assert distance(students, goals, DistilConfig(loss="cosine"), 4.0).item() == pytest.approx((1.0 - half) / 2)
    both = distance(students, goals, DistilConfig(loss="cosine", relational=2.0), 4.0).item()
    assert both == pytest.approx((1.0 - half) / 2 + 2.0 * (2 * half**2 / 4))  # off the diagonal 0 against half


@pytest.mark.parametrize("name", ["googlenet", "iresnet18"])
def test_a_fresh_last_layer_starts_at_the_mean_of_the_targets(name):
    torch.manual_seed(0)
    backbone = backbones.build(name, dim=8, size=32)
    mean = torch.linspace(-2, 2, 8)
    start_at(backbone, mean, spread=0.08)
    with torch.no_grad():
        answers = backbone.train()(torch.randn(32, 3, 32, 32))
    assert torch.allclose(answers.mean(dim=0), mean, atol=0.5)
    assert float((answers - mean).square().sum(dim=1).mean()) < 2.0


def test_people_held_out_are_compared_as_a_naive_loop_does():
    rng = np.random.default_rng(1)
    subject = np.array([0, 0, 0, 0, 1, 1, 2, 2, 2])
    medium = np.array([0, 0, 1, 2, 3, 4, 5, 6, 7])
    x = rng.normal(size=(9, 4)).astype(np.float32)
    held_out = HeldOut(np.arange(9), subject, medium)
    u = x / np.linalg.norm(x, axis=1, keepdims=True)
    genuine, impostor = [], []
    for i in range(9):
        for j in range(i):
            if subject[i] != subject[j]:
                impostor.append(float(u[i] @ u[j]))
            elif medium[i] != medium[j]:
                genuine.append(float(u[i] @ u[j]))
    highest = max(impostor)
    single = held_out.single(x)
    assert (single.rates[0].genuine, single.rates[0].impostors) == (len(genuine), len(impostor)) == (9, 26)
    assert single.rates[0].tar == np.mean([g > highest for g in genuine])
    dealt = [[0, 1, 3], [2], [4], [5], [6, 8], [7]]  # the media of each person in turn
    sets = np.stack([u[s].mean(axis=0) for s in dealt])
    sets /= np.linalg.norm(sets, axis=1, keepdims=True)
    scores = [float(sets[k] @ sets[k + 1]) for k in (0, 2, 4)]
    strangers = [float(sets[i] @ sets[j]) for i in range(6) for j in range(i) if i // 2 != j // 2]
    found = held_out.sets(x)
    assert (found.rates[0].genuine, found.rates[0].impostors) == (3, 12)
    assert found.rates[0].tar == np.mean([s > max(strangers) for s in scores])
    assert found.mean_tar == found.rates[0].tar  # both targets ask for no impostor


def test_a_person_alone_cannot_be_verified():
    held_out = HeldOut(np.arange(2), np.array([0, 0]), np.array([0, 1]))
    assert held_out.single(np.eye(2, dtype=np.float32)) is None


def test_a_threshold_comes_with_its_counts_or_with_a_reason():
    rate = Rate(1e-3, 0.42, 0.9, 1e-3, 50, 10_000, resolved=True)
    value, source = threshold(rate, 20)
    assert value == 0.42
    assert source == (
        "FAR 0.001 of single faces: 10000 comparisons of two people, 50 of one, among 20 people held out; TAR 0.900"
    )
    value, source = threshold(dataclasses.replace(rate, impostors=9_000, resolved=False), 20)
    assert value is None
    assert source.endswith("are too few for FAR 0.001")
    assert threshold(None, 1) == (None, "none: 1 people held out are too few to compare")


def test_a_student_is_never_freer_than_its_teacher(teacher, tmp_path):
    strict = tiny_teacher(tmp_path, commercial="no")
    assert rights(strict, False, "", "")[1] == "no"
    assert rights(strict, True, "MIT", "no")[1] == "no"
    assert "squares, whose licence is: MIT" in rights(strict, False, "", "")[0]
    with pytest.raises(LicenceError, match="commercial use cannot be 'yes'"):
        rights(strict, False, "", "yes")
    assert rights(teacher, False, "", "")[1] == "yes"
    assert rights(teacher, False, "", "no")[1] == "no"
    assert rights(teacher, True, "", "")[1] == "unknown"  # nobody has said what the first weights allow
    assert rights(teacher, True, "", "yes")[1] == "yes"
    assert rights(None, False, "", "") == ("", "unknown")
    assert rights(None, False, "CC0", "yes") == ("CC0", "yes")
    with pytest.raises(InputError, match="commercial must be one of"):
        rights(None, False, "", "maybe")


def test_the_words_of_first_weights_and_teacher_stand_once(teacher):
    first = Start(backbones.build("mobilefacenet", dim=8, size=32), licence="CC BY-NC 4.0", commercial="no")
    words, commercial = rights(teacher, True, *rights_of(first, teacher))
    assert commercial == "no"
    assert words == (
        "started from weights whose licence is: CC BY-NC 4.0; made from work under: student of squares, whose licence "
        "is: MIT"
    )
    assert rights(teacher, True, *rights_of(first._replace(licence="", commercial=""), teacher))[1] == "unknown"


def write_pairs(folder, folds):
    lines = ["2\t1", *(line for fold in folds for line in fold)]
    (folder / "pairs.txt").write_text("\n".join(lines) + "\n")
    return folder


def test_pairs_are_scored_fold_by_fold_and_a_missing_face_is_wrong(store, tmp_path):
    a, b, c, d = PEOPLE[:4]
    folds = ([f"{a}\t1\t2", f"{a}\t1\t{b}\t1"], [f"{c}\t2\t3", f"{c}\t1\t{d}\t9"])
    pairs = pairs_in(read_pairs(write_pairs(tmp_path, folds)), store)
    assert pairs.people == {a, b, c, d}
    assert pairs.missed == 1  # picture 9 is not there
    features = np.zeros((len(pairs.rows), 3), np.float32)
    for i, row in enumerate(pairs.rows):
        features[i, PEOPLE.index(store.subject.names[store.subject.codes[row]]) % 3] = 2.0  # a and d point one way
    assert pairs.accuracy(features).accuracies.tolist() == [1.0, 0.5]


def test_many_processes_open_the_faces_of_the_pairs_at_once(store, tmp_path):
    other = tiny_store(tmp_path, ["Ann", "Bob"], 2)
    pairs = read_pairs(write_pairs(tmp_path, (["Ann\t1\t2", "Ann\t1\tBob\t1"], ["Bob\t1\t2", "Ann\t2\tBob\t2"])))
    with _alone(other.folder):  # as another of them holds it
        found = faces_of(pairs, tmp_path, store, other.folder, store.geometries[0], make=False)
    assert found.fingerprint == other.fingerprint
    assert faces_of(pairs, tmp_path, other, tmp_path / "none", store.geometries[0]) is other  # all are there


def test_people_of_the_pairs_are_left_out_and_counted(store, teacher, tmp_path):
    a, b = SPLIT.train[0], SPLIT.validation[0]
    folds = ([f"{a}\t1\t2", f"{a}\t1\t{b}\t1"], [f"{b}\t1\t2", f"{b}\t3\t{a}\t3"])
    root = write_pairs(tmp_path, folds)
    result = train_embedder(
        store,
        changed(score="lfw"),
        tmp_path / "run",
        teacher=teacher,
        lfw=root,
        device="cpu",
        tensorboard=False,
        curve=False,
    )
    assert set(result.left_out) == {a, b}
    assert not {a, b} & {*result.train, *result.validation}
    assert result.score == result.figures["lfw"]
    assert result.teacher["lfw"] >= 0.5
    with pytest.raises(ProtocolError):
        train_embedder(store, QUICK, tmp_path / "x", teacher=teacher, lfw=tmp_path / "nowhere", device="cpu")


def test_nobody_left_to_train_on_is_an_error(store):
    with pytest.raises(InputError, match=r"nobody is left to train on: of 6 people 4 are left out and 2 held out"):
        parts(store, SPLIT.train)
