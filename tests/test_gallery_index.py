"""The exact index against a naive loop."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faceset.errors import InputError
from faceset.gallery import ExactIndex, VectorIndex


def naive(vectors: np.ndarray, queries: np.ndarray, k: int) -> tuple[list[list[int]], list[list[float]]]:
    """Sort by (-score, index), one inner product at a time, in float64."""
    indices, scores = [], []
    for query in queries.astype(np.float64):
        pairs = sorted((-float((v * query).sum()), i) for i, v in enumerate(vectors.astype(np.float64)))[:k]
        indices.append([i for _, i in pairs])
        scores.append([-s for s, _ in pairs])
    return indices, scores


def unit(rng: np.random.Generator, count: int, width: int) -> np.ndarray:
    vectors = rng.standard_normal((count, width), dtype=np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def built(vectors: np.ndarray) -> ExactIndex:
    index = ExactIndex()
    index.rebuild(vectors)
    return index


def test_by_hand() -> None:
    index = built(np.array([[1, 0], [0, 1], [0.6, 0.8], [1, 0]], dtype=np.float32))
    indices, scores = index.search(np.array([[1, 0], [0, 1]], dtype=np.float32), 3)
    assert indices.tolist() == [[0, 3, 2], [1, 2, 0]]
    np.testing.assert_allclose(scores, [[1, 1, 0.6], [1, 0.8, 0]], atol=1e-7)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(1, 3000),
    width=st.integers(1, 40),
    probes=st.integers(1, 5),
    k=st.integers(1, 12),
    twins=st.booleans(),
)
def test_as_the_naive_loop(seed: int, count: int, width: int, probes: int, k: int, twins: bool) -> None:
    rng = np.random.default_rng(seed)
    vectors = unit(rng, count, width)
    if twins:  # whole groups of equal vectors, so that ties reach across the k-th place
        vectors = vectors[rng.integers(0, max(1, count // 20), count)]
    queries = np.concatenate([unit(rng, probes, width), vectors[:1]])
    indices, scores = built(vectors).search(queries, k)
    expected, values = naive(vectors, queries, k)
    assert indices.tolist() == expected
    np.testing.assert_allclose(scores, values, rtol=0, atol=1e-12)


def test_scores_do_not_depend_on_what_else_is_asked() -> None:
    rng = np.random.default_rng(3)
    vectors, queries = unit(rng, 5000, 128), unit(rng, 64, 128)
    index = built(vectors)
    indices, scores = index.search(queries, 7)
    for row in (0, 31, 63):
        alone = index.search(queries[row : row + 1], 7)
        np.testing.assert_array_equal(alone[0][0], indices[row])
        np.testing.assert_array_equal(alone[1][0], scores[row])


def test_near_ties_below_float32_are_told_apart() -> None:
    width = 512
    query = np.full((1, width), width**-0.5, dtype=np.float32)
    vectors = np.repeat(query, 4000, axis=0)
    vectors[2600, 17] = np.nextafter(vectors[2600, 17], np.float32(1))  # better by about 3e-10
    indices, _ = built(vectors).search(query, 3)
    assert indices.tolist() == [[2600, 0, 1]]


def test_many_probes_in_several_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(4)
    vectors, queries = unit(rng, 300, 16), unit(rng, 50, 16)
    whole = built(vectors).search(queries, 4)
    monkeypatch.setattr("faceset.gallery.index._SCORES_AT_ONCE", 1000)
    monkeypatch.setattr("faceset.gallery.index._RESCORED_AT_ONCE", 3)
    parts = built(vectors).search(queries, 4)
    np.testing.assert_array_equal(parts[0], whole[0])
    np.testing.assert_array_equal(parts[1], whole[1])


def test_fewer_vectors_than_k_and_none() -> None:
    index = ExactIndex()
    assert len(index) == 0
    assert index.search(np.ones((2, 3), np.float32), 5)[0].shape == (2, 0)
    index.rebuild(np.eye(3, dtype=np.float32))
    assert len(index) == 3
    indices, scores = index.search(np.eye(3, dtype=np.float32)[:2], 5)
    assert indices.shape == scores.shape == (2, 3)


def test_wrong_shapes() -> None:
    index = built(np.eye(3, dtype=np.float32))
    with pytest.raises(InputError, match=r"queries must be \(Q, 3\), but got shape \(1, 4\)"):
        index.search(np.ones((1, 4), np.float32), 1)
    with pytest.raises(InputError, match=r"vectors \(G, D\), but got shape \(3,\)"):
        index.rebuild(np.ones(3, np.float32))


def test_it_is_a_vector_index() -> None:
    assert isinstance(ExactIndex(), VectorIndex)
