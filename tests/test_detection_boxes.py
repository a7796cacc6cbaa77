"""Arithmetic on boxes, against loops, by hand, and against the package ``mtcnn``'s own."""

from __future__ import annotations

import importlib
import sys
import types
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import mtcnn_naive

from faceset.detection import boxes as bx
from faceset.packs.installed import MTCNN_PNET, installed_file


def some_boxes(count: int, seed: int, spread: float = 60) -> np.ndarray:
    rng = np.random.default_rng(seed)
    corner = rng.uniform(0, spread, (count, 2))
    return np.concatenate([corner, corner + rng.uniform(5, 40, (count, 2))], axis=1)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 400), st.integers(0, 10**6), st.sampled_from([0.3, 0.5, 0.7]), st.booleans())
def test_suppression_agrees_with_loops(count: int, seed: int, threshold: float, of_smaller: bool) -> None:
    boxes, rng = some_boxes(count, seed), np.random.default_rng(seed + 1)
    scores, groups = rng.permutation(count) / max(count, 1), rng.integers(0, 3, count)
    found = bx.suppress(boxes, scores, groups, threshold, of_smaller=of_smaller)
    assert found.tolist() == mtcnn_naive.suppress(boxes, scores, groups, threshold, of_smaller=of_smaller)


def test_suppression_by_hand() -> None:
    boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 8], [0, 0, 10, 5], [20, 20, 30, 30], [2, 2, 4, 4]], float)
    scores, groups = np.array([0.5, 0.9, 0.8, 0.1, 0.7]), np.zeros(5, int)
    # 1 stands; 2 shares 5/8 with it, 0 shares 8/10; 4 shares 4/80 with 1 but lies inside it.
    assert bx.suppress(boxes, scores, groups, 0.7).tolist() == [1, 2, 4, 3]
    assert bx.suppress(boxes, scores, groups, 0.6).tolist() == [1, 4, 3]
    assert bx.suppress(boxes, scores, groups, 0.7, of_smaller=True).tolist() == [1, 3]
    assert bx.suppress(boxes, scores, np.arange(5), 0.0).tolist() == [1, 2, 4, 0, 3]


def test_equal_scores_keep_their_order() -> None:
    boxes = np.repeat(np.array([[0, 0, 10, 10]], float), 3, axis=0)
    assert bx.suppress(boxes, np.ones(3), np.zeros(3, int), 0.5).tolist() == [0]


def test_boxes_turned_inside_out_harm_nobody() -> None:
    boxes = np.array([[0, 0, 10, 10], [8, 8, 2, 2], [3, 3, 3, 3]], float)
    assert bx.areas(boxes).tolist() == [100, 0, 0]
    for of_smaller in (False, True):
        found = bx.suppress(boxes, np.array([3.0, 2, 1]), np.zeros(3, int), 0.5, of_smaller=of_smaller)
        assert found.tolist() == [0, 1, 2]


def test_squares_and_moves_by_hand() -> None:
    boxes = np.array([[10, 20, 30, 60]], float)
    assert bx.squared(boxes).tolist() == [[0, 20, 40, 60]]
    assert bx.moved(boxes, np.array([[0.5, -0.25, -0.1, 0.1]])).tolist() == [[20, 10, 28, 64]]


@pytest.fixture
def package() -> Iterator[Any]:
    """``mtcnn.utils.bboxes``; the package is stood in for, as importing it imports TensorFlow."""
    root = installed_file(*MTCNN_PNET).parents[2]
    names = ["mtcnn", "mtcnn.utils"]
    for name in names:
        module = types.ModuleType(name)
        module.__path__ = [str(root.parent.joinpath(*name.split(".")))]
        sys.modules[name] = module
    try:
        yield importlib.import_module("mtcnn.utils.bboxes")
    finally:
        for name in [n for n in sys.modules if n.split(".")[0] == "mtcnn"]:
            del sys.modules[name]


def test_arithmetic_agrees_with_the_package(package: Any) -> None:
    boxes = some_boxes(50, 1)
    rows = np.concatenate([np.zeros((50, 1)), boxes, np.ones((50, 1))], axis=1)
    np.testing.assert_allclose(bx.squared(boxes), package.resize_to_square(rows)[:, 1:5])
    offsets = np.random.default_rng(2).uniform(-0.2, 0.2, (50, 4))
    # The package counts the last pixel as inside, we do not: its box of a and b - 1 is ours of a and b.
    inclusive = rows - np.array([0, 0, 0, 1, 1, 0])
    theirs = package.adjust_bboxes(inclusive, offsets)[:, 1:5] + np.array([0, 0, 1, 1])
    np.testing.assert_allclose(bx.moved(boxes, offsets), theirs)
    for method in ("union", "min"):
        overlaps = package.iou(boxes, method=method)
        for i, j in [(0, 1), (3, 7), (20, 49)]:
            naive = mtcnn_naive.overlap(boxes[i], boxes[j], of_smaller=method == "min")
            assert overlaps[i, j] == pytest.approx(naive)
