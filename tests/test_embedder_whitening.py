"""Whitening folded into the last layer of a student."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from faceset.errors import InputError
from faceset.training import backbones
from faceset.training.embedder.whitening import check_foldable, whiten


def features(network, pictures):
    with torch.no_grad():
        return network.eval()(pictures).numpy()


@pytest.fixture
def network():
    torch.manual_seed(3)
    made = backbones.build("googlenet", dim=5, size=15)
    with torch.no_grad():
        made.fc.bias.copy_(torch.tensor([3.0, -2.0, 0.5, 0.0, 7.0]))
        made.fc.weight.mul_(torch.tensor([0.3, 0.5, 1.0, 2.0, 0.7])[:, None])
    return made


@pytest.fixture
def pictures():
    return torch.from_numpy(np.random.default_rng(0).normal(size=(200, 3, 15, 15)).astype(np.float32))


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0])
def test_the_network_gives_the_whitened_feature(network, pictures, power):
    before = features(network, pictures).astype(np.float64)
    mean, covariance = before.mean(axis=0), np.cov(before.T, bias=True)
    values, vectors = np.linalg.eigh(covariance / np.trace(covariance) * 5)
    root = vectors @ np.diag(np.maximum(values, 1e-4) ** (-power / 2)) @ vectors.T
    whiten(network, before.astype(np.float32), power)
    after = features(network, pictures)
    np.testing.assert_allclose(after, (before - mean) @ root.T, atol=1e-3 * np.abs(after).max())


def test_all_directions_vary_alike_and_the_mean_is_gone(network, pictures):
    before = features(network, pictures)
    whiten(network, before, 1.0)
    after = features(network, pictures)
    spread = np.cov(after.T, bias=True)
    used = np.linalg.eigvalsh(np.cov(before.T, bias=True))
    assert used.min() > 1e-4 * used.mean()  # else the floor would leave a direction smaller
    np.testing.assert_allclose(spread, np.eye(5) * np.trace(spread) / 5, atol=1e-2 * np.trace(spread))
    np.testing.assert_allclose(after.mean(axis=0), 0.0, atol=1e-3 * np.abs(after).max())


def test_what_cannot_be_folded_is_refused():
    for name in ("iresnet18", "dlib-resnet"):
        with pytest.raises(InputError, match=f"{name} does not; set whiten to 0"):
            check_foldable(backbones.build(name, size=150))


def test_features_that_are_all_the_same_are_refused(network):
    with pytest.raises(InputError, match="all the same"):
        whiten(network, np.ones((8, 5), np.float32), 1.0)
