"""The embedder: preprocessing seen through small graphs, the built-in network against dlib."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from oracles.small_models import channel_means

from faceset.embedding import Embedder
from faceset.errors import InputError, LicenceError, ModelError, ModelFileError
from faceset.packs.manifest import Manifest
from faceset.packs.registry import registry

RNG = np.random.default_rng(11)
BATCH = 32


@pytest.fixture
def small(tmp_path: Path) -> Callable[..., Embedder]:
    """An embedder whose feature is the mean of each channel as the network gets it."""

    def make(graph: dict[str, Any] | None = None, **changes: Any) -> Embedder:
        path = channel_means(tmp_path / "small.onnx", (112, 96), **(graph or {}))
        values: dict[str, Any] = {
            "id": "small",
            "role": "embedder",
            "licence": "MIT",
            "commercial": "yes",
            "file": path.name,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "crop": "sphere112x96",
            "colour": "RGB",
            "width": 3,
        }
        return Embedder(Manifest(**{**values, **changes}), path)

    return make


@pytest.fixture(scope="module")
def builtin() -> Embedder:
    return Embedder.load()


def plain(r: int, g: int, b: int) -> np.ndarray:
    return np.broadcast_to(np.array([r, g, b], np.uint8), (112, 96, 3)).copy()


def test_colours_reach_the_network_in_the_order_it_takes(small: Callable[..., Embedder]) -> None:
    crop = plain(10, 20, 200)
    assert small().embed([crop]).tolist() == [[10, 20, 200]]
    assert small(colour="BGR").embed([crop]).tolist() == [[200, 20, 10]]


def test_mean_and_std_by_hand(small: Callable[..., Embedder]) -> None:
    # In the model's own channel order: (10 - 2) / 4, (20 - 10) / -5, (200 - 100) / 50.
    made = small(mean=(2, 10, 100), std=(4, -5, 50))
    np.testing.assert_allclose(made.embed([plain(10, 20, 200)]), [[2, -2, 2]], rtol=1e-6)
    made = small(mean=(100, 10, 2), std=(50, -5, 4), colour="BGR")
    np.testing.assert_allclose(made.embed([plain(10, 20, 200)]), [[2, -2, 2]], rtol=1e-6)


@pytest.mark.parametrize("batch", ["n", 1, 3])
@pytest.mark.parametrize("count", [1, 2, 3, BATCH - 1, BATCH, BATCH + 1, 2 * BATCH + 5])
def test_order_is_kept_for_every_count_and_fixed_batches(
    small: Callable[..., Embedder], batch: int | str, count: int
) -> None:
    crops = [plain(i, 255 - i, 7) for i in range(count)]
    expected = [[i, 255 - i, 7] for i in range(count)]
    made = small({"batch": batch})
    assert made.embed(crops).tolist() == expected
    assert made.embed(np.stack(crops)).tolist() == expected


def test_no_crops_give_no_features(small: Callable[..., Embedder], builtin: Embedder) -> None:
    for made in (small(), builtin):
        found = made.embed([])
        assert (found.shape, found.dtype) == ((0, made.width), np.float32)


def test_what_an_embedder_says_of_itself(builtin: Embedder) -> None:
    assert builtin.manifest == registry()["dlib-resnet"]
    assert (builtin.model_id, builtin.width) == (builtin.manifest.model_id, 128)
    assert (builtin.geometry.name, builtin.geometry.scheme) == ("dlib150", "dlib5")


@pytest.mark.parametrize(
    ("crop", "found"),
    [
        (np.zeros((112, 96, 3)), r"float64 \(112, 96, 3\)"),
        (np.zeros((96, 112, 3), np.uint8), r"uint8 \(96, 112, 3\)"),
        (np.zeros((112, 96), np.uint8), r"uint8 \(112, 96\)"),
        (None, "NoneType"),
    ],
)
def test_a_wrong_crop_is_named(small: Callable[..., Embedder], crop: Any, found: str) -> None:
    with pytest.raises(InputError, match=rf"crop 33 must be RGB uint8 \(112, 96, 3\).*but is {found}; make crops with"):
        small().embed([plain(1, 2, 3)] * 33 + [crop])


def test_a_graph_that_does_not_fit_is_named(small: Callable[..., Embedder]) -> None:
    with pytest.raises(ModelFileError, match=r"'small' gives 3 numbers a face, but its manifest says 4; correct"):
        small(width=4).embed([plain(1, 2, 3)])
    with pytest.raises(ModelFileError, match=r"takes tensor\(float\) \['n', 3, 112, 96\].*choose the crop"):
        small(crop="arcface112")
    with pytest.raises(ModelFileError, match="no output 'other'; its outputs are feature"):
        small(output="other")
    with pytest.raises(ModelError, match="is of role detector, but an embedder is needed"):
        small(role="detector")


def test_numbers_that_are_none_are_refused(small: Callable[..., Embedder]) -> None:
    with pytest.raises(ModelError, match=r"embedder small \(small\.onnx\) gives NaN or infinity"):
        small({"extra": 0}).embed([plain(1, 2, 3)])


def test_commercial_only(small: Callable[..., Embedder], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACESET_COMMERCIAL", "1")
    small()
    with pytest.raises(LicenceError, match="'small' is refused because FACESET_COMMERCIAL is set"):
        small(commercial="unknown")


def test_an_unknown_name_lists_what_there_is() -> None:
    with pytest.raises(ModelError, match=r"no model is called 'facenet'; known are dlib-resnet"):
        Embedder.load("facenet")
    with pytest.raises(ModelError, match=r"'sface' is known but not downloaded.*`faceset models pull sface`"):
        Embedder.load("sface")


def test_a_crop_gives_the_same_bits_in_every_company(builtin: Embedder) -> None:
    crops = RNG.integers(0, 256, (BATCH + 3, 150, 150, 3), dtype=np.uint8)
    together = builtin.embed(crops)
    assert np.array_equal(np.concatenate([builtin.embed(crops[i : i + 1]) for i in range(len(crops))]), together)
    assert np.array_equal(builtin.embed(crops[::-1])[::-1], together)


def test_eight_threads_give_what_one_gives(builtin: Embedder) -> None:
    crops = RNG.integers(0, 256, (8, 5, 150, 150, 3), dtype=np.uint8)
    expected = [builtin.embed(c) for c in crops]
    found: list[np.ndarray | None] = [None] * 8

    def work(i: int) -> None:
        for _ in range(3):
            found[i] = builtin.embed(crops[i])

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for a, b in zip(found, expected, strict=True):
        assert a is not None
        assert np.array_equal(a, b)
