"""MTCNN's ONNX graphs give what the networks give when they are written down in loops."""

from __future__ import annotations

import joblib
import numpy as np
import pytest
from oracles import mtcnn_naive

from faceset.errors import ModelFileError
from faceset.packs import mtcnn as networks

SIDES = {"rnet": [(24, 24)], "onet": [(48, 48)], "pnet": [(12, 12), (13, 17), (22, 31)]}
CASES = [(net, shape) for net, shapes in SIDES.items() for shape in shapes]


def run(net: str, images: np.ndarray) -> dict[str, np.ndarray]:
    """Images (n, H, W, 3); the graph's outputs by name."""
    session = networks.session(net)
    names = [output.name for output in session.get_outputs()]
    image = images.transpose(0, 3, 1, 2).astype(np.float32)
    return dict(zip(names, session.run(names, {"image": image}), strict=True))


@pytest.mark.parametrize(("net", "shape"), CASES)
def test_a_network_agrees_with_loops(net: str, shape: tuple[int, int]) -> None:
    image = np.random.default_rng(5).uniform(0, 255, (1, *shape, 3))
    found = run(net, image)
    wanted = mtcnn_naive.forward(net, networks.weights(net), image[0])
    assert set(found) == set(wanted)
    for name, value in wanted.items():
        mine = found[name][0]
        mine = mine.transpose(1, 2, 0) if mine.ndim == 3 else mine
        assert mine.shape == value.shape
        np.testing.assert_allclose(mine, value, atol=1e-4, err_msg=name)


@pytest.mark.parametrize(("net", "shape"), CASES)
def test_a_batch_gives_what_each_gives_alone(net: str, shape: tuple[int, int]) -> None:
    images = np.random.default_rng(6).uniform(0, 255, (5, *shape, 3))
    together = run(net, images)
    for k in range(5):
        for name, value in run(net, images[k : k + 1]).items():
            np.testing.assert_allclose(together[name][k], value[0], atol=1e-5, err_msg=name)


@pytest.mark.parametrize("net", ["rnet", "onet"])
def test_no_windows_give_no_answers(net: str) -> None:
    side = SIDES[net][0][0]
    assert all(len(value) == 0 for value in run(net, np.empty((0, side, side, 3))).values())


def test_weights_are_not_unpickled_before_their_sha256_is_right(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        pytest.fail("a file of unknown bytes was unpickled")

    monkeypatch.setattr(joblib, "load", refuse)
    monkeypatch.setitem(networks.FILES, "pnet", networks.FILES["pnet"]._replace(sha256="0" * 64))
    with pytest.raises(ModelFileError, match=r"pnet\.lz4 is damaged .* reinstall"):
        networks.weights("pnet")
