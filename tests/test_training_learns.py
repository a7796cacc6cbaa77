"""Each learned aggregator finds weights nearly as good as the best ones, which are known for synthetic sets."""

from functools import cache

import numpy as np
import pytest
import torch
from synthetic_sets import D, synthetic

from faceset.bootstrap import all_pairs
from faceset.metrics import tar_at_far
from faceset.training import SetConfig, TrainConfig, fit

torch.set_num_threads(1)

SETS = SetConfig(subjects=96, min_faces=5, max_faces=8, clean=0.0, degraded=0.0, max_media=1)
VERIFICATION = {"loss": "verification", "optimiser": "rmsprop", "learning_rate": 1e-2}
CONTRAST = {"loss": "contrast", "loss_options": {"temperature": 0.05}, "optimiser": "adamw"}


@cache
def training_data():
    return synthetic(people=2000)[0]


@cache
def test_sets():
    """Other people, 4 sets of 6 faces each, half of them degraded; the best weights; the pairs."""
    data, best = synthetic(people=300, media=4, seed=1)
    return data.features.reshape(-1, 6, D), best.reshape(-1, 6), all_pairs(np.repeat(np.arange(300), 4))


test_sets.__test__ = False


def tar(templates):
    _, _, trials = test_sets()
    scores = trials.scores(templates.astype(np.float32))
    return tar_at_far(scores[trials.same], scores[~trials.same], 1e-2).tar


def tar_of_weights(weights):
    x, _, _ = test_sets()
    units = x / np.linalg.norm(x, axis=2, keepdims=True)
    r = (weights[..., None] * units).sum(axis=1)
    return tar(r / np.linalg.norm(r, axis=1, keepdims=True))


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("anchored", VERIFICATION),
        ("cfan", VERIFICATION),
        ("conan", VERIFICATION | {"learning_rate": 3e-3}),
        ("ghostvlad", CONTRAST | {"learning_rate": 5e-3, "steps": 400, "options": {"clusters": 1, "ghosts": 4}}),
        ("multicolumn", VERIFICATION),
        ("nan", VERIFICATION),
        ("nan", VERIFICATION | {"learning_rate": 3e-2, "options": {"blocks": 1}}),
        ("pma", CONTRAST | {"learning_rate": 3e-3, "steps": 400}),
        ("proxyfusion", VERIFICATION | {"optimiser": "adamw", "learning_rate": 2e-3}),
    ],
)
def test_learns_nine_tenths_of_the_gain_of_the_best_weights(name, settings, tmp_path):
    x, best, _ = test_sets()
    mean, goal = tar_of_weights(np.ones_like(best)), tar_of_weights(best)
    assert goal - mean > 0.15  # there is something to learn
    config = TrainConfig.from_dict(
        {"aggregator": name, "sets": SETS, "steps": 200, "far": 0.01, "validate_every": 200} | settings
    )
    model = fit(training_data(), config, tmp_path, device="cpu", tensorboard=False).aggregator
    with torch.no_grad():
        templates, _ = model(torch.from_numpy(x), torch.ones(x.shape[:2], dtype=torch.bool))
    assert tar(templates.numpy()) - mean >= 0.9 * (goal - mean)
