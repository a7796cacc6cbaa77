"""Closed-form aggregators: hand-worked tables, laws, a naive loop, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import aggregate_oracle

from faceset import aggregation
from faceset.aggregation import ragged
from faceset.errors import EmbedderMismatchError, EmptySetError, InputError
from faceset.types import Face, FaceSet

NAMES = [name for name in aggregation.names() if name not in ("anchored", "ers")]  # these need their embedder


def batch(rng, sizes, D=8):
    """Random people: B sets around their own centre, with media and quality."""
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    M = int(offsets[-1])
    centres = np.repeat(rng.standard_normal((len(sizes), D)), sizes, axis=0)
    x = ((centres + 0.4 * rng.standard_normal((M, D))) * rng.uniform(0.5, 3, (M, 1))).astype(np.float32)
    return x, offsets, rng.integers(0, 3, M), rng.uniform(0.1, 1, M).astype(np.float32)


# Two faces along x with lengths 1 and 3, one along y with length 2; scores .5, .5, 1; media a, a, b.
HAND = np.array([[1, 0], [3, 0], [0, 2]], np.float32)
HAND_QUALITY = [0.5, 0.5, 1.0]
HAND_MEDIA = [7, 7, 3]


@pytest.mark.parametrize(
    ("name", "weights"),
    [
        ("mean", [1 / 3, 1 / 3, 1 / 3]),
        ("norm", [1 / 6, 3 / 6, 2 / 6]),
        ("norm-score", [0.5 / 4, 1.5 / 4, 2 / 4]),
        ("medoid", [1, 0, 0]),  # mean cosines .5, .5, 0: the first of equals
        ("best", [0, 0, 1]),  # .5, 1.5, 2
        ("media-first", [1 / 4, 1 / 4, 1 / 2]),
        ("media-first+norm", [0.5 / 4, 1.5 / 4, 2 / 4]),  # 1/2, 3/2, 2
        ("media-first+norm-score", [0.25 / 3, 0.75 / 3, 2 / 3]),
        ("trimmed", [1 / 3, 1 / 3, 1 / 3]),  # three faces: none may go
        ("nan", [1 / 3, 1 / 3, 1 / 3]),
    ],
)
def test_hand_worked(name, weights):
    out = aggregation.get(name)(HAND, [0, 3], media=HAND_MEDIA, quality=HAND_QUALITY)
    assert out.weights == pytest.approx(weights, abs=1e-6)
    x, y = weights[0] + weights[1], weights[2]
    assert out.consistency[0] == pytest.approx(np.hypot(x, y), abs=1e-6)
    assert out.templates[0] == pytest.approx(np.array([x, y]) / np.hypot(x, y), abs=1e-6)
    assert out.templates.dtype == out.weights.dtype == out.consistency.dtype == np.float32


def test_trimmed_by_hand():
    # Four faces along x and one along y. Mean (4, 1)/5: cosines 4/sqrt(17) = .970 four times and 1/sqrt(17) = .243;
    # distances .030 and .757 against a limit of 2.5 * .030: the stranger goes. Five faces: ceil(.7 * 5) = 4 must stay.
    x = np.array([[1, 0], [2, 0], [0, 1], [1, 0], [1, 0]], np.float32)
    out = aggregation.get("trimmed")(x, [0, 5])
    assert out.weights == pytest.approx([0.25, 0.25, 0, 0.25, 0.25])
    assert out.templates[0] == pytest.approx([1, 0])
    # Two strangers: one must stay (the second is as far, so the first of them).
    x = np.array([[1, 0], [1, 0], [1, 0], [0, 1], [0, 1]], np.float32)
    out = aggregation.get("trimmed", bound=0.9)(x, [0, 5])
    assert out.weights == pytest.approx([0.25, 0.25, 0.25, 0.25, 0])
    # A bound that all meet, and one given by hand that is in the name.
    assert aggregation.get("trimmed", bound=-1.0)(x, [0, 5]).weights == pytest.approx([0.2] * 5)
    assert aggregation.get("trimmed", bound=0.3, keep=0.5).name == "trimmed(bound=0.3, keep=0.5)"


def test_trimmed_goes_on_round_after_round():
    # Eight faces within 8 degrees, one at 40 and one at 100: the last pulls the mean so far that 40 passes at first.
    angles = np.radians([0, 5, -5, 2, 8, 40, -8, 4, 100, -3])
    x = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    once = aggregation.get("trimmed", rounds=1, factor=8)(x, [0, 10]).weights
    full = aggregation.get("trimmed", factor=8)(x, [0, 10]).weights
    assert np.flatnonzero(once == 0).tolist() == [8]
    assert np.flatnonzero(full == 0).tolist() == [5, 8]


def test_quality_all_zero_falls_back_to_the_norm():
    out = aggregation.get("norm-score")(np.vstack([HAND, HAND]), [0, 3, 6], quality=[0, 0, 0, 0.5, 0.5, 1])
    assert out.weights[:3] == pytest.approx([1 / 6, 3 / 6, 2 / 6])
    assert out.weights[3:] == pytest.approx([0.5 / 4, 1.5 / 4, 2 / 4])
    assert aggregation.get("best")(HAND, [0, 3], quality=[0, 0, 0]).weights.tolist() == [0, 1, 0]


def test_of_equal_faces_the_first_is_the_medoid():
    x = np.random.default_rng(0).standard_normal(99)
    for scales in ([1, 0.7, 3.3, 1.9, 0.1], [0.3, 7, 0.9], [5, 1 / 3]):
        rows = np.array([s * x for s in scales], np.float32)
        assert np.argmax(aggregation.get("medoid")(rows, [0, len(rows)]).weights) == 0


def test_best_without_quality_takes_the_longest():
    assert aggregation.get("best")(HAND, [0, 3]).weights.tolist() == [0, 1, 0]


def test_media_are_counted_within_their_set():
    # The same medium number in two sets is two media; without media each set is one.
    x = np.vstack([HAND, HAND])
    out = aggregation.get("media-first")(x, [0, 3, 6], media=[1, 1, 2, 1, 2, 2])
    assert out.weights == pytest.approx([1 / 4, 1 / 4, 1 / 2, 1 / 2, 1 / 4, 1 / 4])
    assert aggregation.get("media-first")(x, [0, 3, 6]).weights == pytest.approx([1 / 3] * 6)


@given(
    sizes=st.lists(st.integers(1, 12), min_size=1, max_size=6),
    seed=st.integers(0, 10**6),
    name=st.sampled_from([n for n in NAMES if n != "nan"]),
)
@settings(deadline=None, max_examples=150)
def test_ragged_call_equals_a_loop_over_sets(sizes, seed, name):
    x, offsets, media, quality = batch(np.random.default_rng(seed), sizes)
    out = aggregation.get(name)(x, offsets, media=media, quality=quality)
    for b in range(len(sizes)):
        rows = slice(offsets[b], offsets[b + 1])
        wanted = aggregate_oracle.weights(
            name, x[rows].astype(float), quality[rows].astype(float), media[rows].tolist()
        )
        vector, length = aggregate_oracle.template(x[rows].astype(float), wanted)
        np.testing.assert_allclose(out.weights[rows], wanted, atol=1e-5)
        np.testing.assert_allclose(out.templates[b], vector, atol=1e-5)
        np.testing.assert_allclose(out.consistency[b], min(length, 1), atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_laws(name):
    rng = np.random.default_rng(5)
    sizes = [1, 5, 3, 7, 30, 1, 4]  # not 2: of two faces both are the medoid, and the first is taken
    x, offsets, media, quality = batch(rng, sizes, D=16)
    aggregator = aggregation.get(name)
    out = aggregator(x, offsets, media=media, quality=quality)
    # Convex: weights >= 0, sum 1, and the template is their sum over the unit features.
    assert out.weights.min() >= 0
    np.testing.assert_allclose(np.add.reduceat(out.weights, offsets[:-1]), 1, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(out.templates, axis=1), 1, atol=1e-5)
    assert (out.consistency > 0).all()
    assert (out.consistency <= 1).all()
    for b in range(len(sizes)):
        rows = slice(offsets[b], offsets[b + 1])
        vector, length = aggregate_oracle.template(x[rows].astype(float), out.weights[rows])
        np.testing.assert_allclose(out.templates[b], vector, atol=1e-5)
        np.testing.assert_allclose(out.consistency[b], length, atol=1e-5)
    # One face: itself.
    np.testing.assert_allclose(out.templates[0], x[0] / np.linalg.norm(x[0]), atol=1e-6)
    assert out.weights[0] == pytest.approx(1)
    # Another order of the faces within the sets.
    order = np.concatenate([rng.permutation(np.arange(offsets[b], offsets[b + 1])) for b in range(len(sizes))])
    moved = aggregator(x[order], offsets, media=media[order], quality=quality[order])
    np.testing.assert_allclose(moved.templates, out.templates, atol=1e-5)
    np.testing.assert_allclose(moved.weights, out.weights[order], atol=1e-5)
    # Another order of the sets.
    turned = np.concatenate([np.arange(offsets[b], offsets[b + 1]) for b in range(len(sizes))[::-1]])
    back = np.concatenate([[0], np.cumsum(sizes[::-1])])
    flipped = aggregator(x[turned], back, media=media[turned], quality=quality[turned])
    np.testing.assert_allclose(flipped.templates[::-1], out.templates, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_chunks_change_nothing(name, monkeypatch):
    x, offsets, media, quality = batch(np.random.default_rng(2), [5, 1, 40, 3, 3, 11, 2])
    whole = aggregation.get(name)(x, offsets, media=media, quality=quality)
    monkeypatch.setattr(ragged, "CHUNK", 4)
    monkeypatch.setattr(ragged, "PIECE", 3)
    parts = aggregation.get(name)(x, offsets, media=media, quality=quality)
    for a, b in zip(whole, parts, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [np.float16, np.float64, np.float32])
def test_other_types_and_layouts(name, dtype):
    x, offsets, media, quality = batch(np.random.default_rng(3), [3, 4])
    x = x.astype(np.float16)
    wanted = aggregation.get(name)(x.astype(np.float32), offsets, media=media, quality=quality)
    wide = np.zeros((x.shape[0], 16), dtype)
    wide[:, ::2] = x
    before = wide.copy()
    got = aggregation.get(name)(wide[:, ::2], offsets, media=media, quality=quality)
    np.testing.assert_allclose(got.templates, wanted.templates, atol=1e-6)
    np.testing.assert_array_equal(wide, before)


def test_a_large_set_keeps_its_digits():
    # A naive single-precision sum of 200,000 equal shares would be off in the fourth digit.
    x = np.tile(np.array([[1, 0.1]], np.float32), (200_000, 1))
    out = aggregation.get("mean")(x, [0, 200_000])
    assert out.consistency[0] == pytest.approx(1, abs=1e-6)
    assert out.templates[0] == pytest.approx(np.array([1, 0.1]) / np.hypot(1, 0.1), abs=1e-6)


def test_duplicates_double_a_weight():
    twice = np.vstack([HAND, HAND[2:]])
    out = aggregation.get("mean")(twice, [0, 4])
    assert out.templates[0] == pytest.approx(np.array([1, 1]) / np.sqrt(2), abs=1e-6)


def test_very_small_and_large_features():
    x = np.array([[3e-19, 4e-19], [3e19, 4e19]], np.float32)
    for name in ("mean", "medoid", "nan"):
        assert aggregation.get(name)(x, [0, 2]).templates[0] == pytest.approx([0.6, 0.8], abs=1e-5)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"offsets": [0, 2, 2, 3]}, EmptySetError, "set 1 of 3 holds no face"),
        ({"offsets": [0]}, EmptySetError, "no set"),
        ({"features": np.zeros((0, 2)), "offsets": [0, 0]}, EmptySetError, "set 0 of 1 holds no face"),
        ({"offsets": [0, 2]}, InputError, "run from 0 to the number of faces, 3"),
        ({"offsets": [1, 3]}, InputError, "but run from 1 to 3"),
        ({"offsets": [0, 3, 2, 3]}, InputError, "from 3 to 2 at set 1"),
        ({"offsets": [0.0, 3.0]}, InputError, "whole numbers"),
        ({"features": HAND[0]}, InputError, r"but got float32 \(2,\)"),
        ({"features": [["a", "b"]] * 3}, InputError, "must be"),
        ({"features": np.zeros((3, 0))}, InputError, "D >= 1, but got"),
        ({"features": [[1, 0], [0, np.nan], [1, 1]]}, InputError, r"NaN or infinity in row 1 \(set 0\)"),
        ({"features": [[1, 0], [0, 1], [np.inf, 1]], "offsets": [0, 2, 3]}, InputError, r"row 2 \(set 1\)"),
        ({"features": [[1, 0], [0, 0], [1, 1]]}, InputError, r"row 1 \(set 0\) is zero"),
        ({"features": [[1, 0], [1e30, 0], [1, 1]]}, InputError, r"row 1 \(set 0\) is too large"),
        ({"quality": [1, np.nan, 1]}, InputError, r"row 1 \(set 0\) has nan"),
        ({"quality": [1, 1, -1]}, InputError, r"row 2 \(set 0\) has -1"),
        ({"quality": [1, 1]}, InputError, "one number a face"),
        ({"media": [1, 1]}, InputError, "one whole number a face"),
        ({"media": [1.0, 1.0, 2.0]}, InputError, "one whole number a face"),
    ],
)
def test_refused(name, change, error, words):
    given = {"features": HAND, "offsets": [0, 3], "quality": HAND_QUALITY, "media": HAND_MEDIA} | change
    with pytest.raises(error, match=words):
        aggregation.get(name)(given.pop("features"), given.pop("offsets"), **given)


@pytest.mark.parametrize("name", ["mean", "norm", "norm-score", "media-first", "trimmed", "nan"])
def test_opposite_faces_cancel_out(name):
    x = np.array([[1, 0], [1, 0], [0, 2], [0, -2]], np.float32)
    with pytest.raises(InputError, match=r"faces of set 1 cancel out.*split the set"):
        aggregation.get(name)(x, [0, 2, 4], quality=[1, 1, 1, 1])


@pytest.mark.parametrize("name", ["norm-score", "media-first+norm-score"])
def test_quality_is_needed(name):
    with pytest.raises(InputError, match="pass quality="):
        aggregation.get(name)(HAND, [0, 3])


def test_names_and_options():
    assert sorted(NAMES) == NAMES
    for name in NAMES:
        assert aggregation.get(name).name == name
        assert isinstance(aggregation.get(name), aggregation.Aggregator)
    assert aggregation.DEFAULT in aggregation.names()
    assert aggregation.get("media-first", base="norm").name == "media-first+norm"
    with pytest.raises(InputError, match="no aggregator is called 'median'; take one of anchored, best, ers, mean"):
        aggregation.get("median")
    with pytest.raises(InputError, match=r"'mean' does not take the options \['bound'\]"):
        aggregation.get("mean", bound=0.3)
    with pytest.raises(InputError, match="base must be"):
        aggregation.get("media-first", base="best")
    for wrong in ({"bound": 2.0}, {"keep": 0.0}, {"factor": 1.0}, {"rounds": 0}):
        with pytest.raises(InputError):
            aggregation.get("trimmed", **wrong)


def face_set(rows, media="a.mp4", digest="", model_id="m", scores=None):
    scores = scores or [0.9] * len(rows)
    faces = [
        Face(box=(0, 0, 10, 10), score=s, feature=np.array(r, np.float32), time=float(i), media=media)
        for i, (r, s) in enumerate(zip(rows, scores, strict=True))
    ]
    return FaceSet(tuple(faces), model_id, media=media, digest=digest)


def test_aggregate_set():
    one = face_set([[1, 0], [3, 0]], "a.mp4", scores=[0.5, 0.5])
    two = face_set([[0, 2]], "b.jpg", scores=[1.0])
    template = aggregation.aggregate_set(aggregation.get("media-first+norm-score"), [one, two])
    assert template.weights == pytest.approx([0.25 / 3, 0.75 / 3, 2 / 3])
    assert template.aggregator == "media-first+norm-score"
    assert template.model_id == "m"
    assert [f.media for f in template.faces] == ["a.mp4", "a.mp4", "b.jpg"]
    assert all(f.feature is None for f in template.faces)
    single = aggregation.aggregate_set(aggregation.get("mean"), one)
    assert single.vector.tolist() == [1, 0]
    assert single.consistency == pytest.approx(1)


def test_media_are_told_apart_by_digest_before_name():
    aggregator = aggregation.get("media-first")
    sets = [face_set([[1, 0], [1, 0]], "a", "d1"), face_set([[1, 0], [1, 0]], "b", "d1"), face_set([[0, 1]], "a", "d2")]
    assert aggregation.aggregate_set(aggregator, sets).weights == pytest.approx([1 / 8] * 4 + [1 / 2])


def test_aggregate_set_refuses():
    mean = aggregation.get("mean")
    with pytest.raises(EmptySetError, match="at least one face set"):
        aggregation.aggregate_set(mean, [])
    with pytest.raises(EmbedderMismatchError, match=r"'a\.mp4' and 'b\.jpg' were embedded by 'm' and 'n'"):
        aggregation.aggregate_set(mean, [face_set([[1, 0]]), face_set([[1, 0]], "b.jpg", model_id="n")])
    with pytest.raises(InputError, match="one width"):
        aggregation.aggregate_set(mean, [face_set([[1, 0]]), face_set([[1, 0, 0]])])
