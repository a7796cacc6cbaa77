"""Pieces of the scoring loop: feature files, joining, pooling by medium, blocks of scores, pairwise baselines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from evaluation_sets import Drawn, face_row, table, verification
from hypothesis import given
from hypothesis import strategies as st

from faceset import aggregation, features
from faceset.errors import EmbedderMismatchError, FeatureTableError, InputError
from faceset.evaluation import sources
from faceset.evaluation.drawn import BINS, histogram, thin
from faceset.evaluation.examples import choose
from faceset.evaluation.joining import join, sets_of
from faceset.evaluation.pairwise import KINDS, scorer_of
from faceset.evaluation.pooling import MediaFirst, aggregator_names
from faceset.evaluation.run import evaluate
from faceset.evaluation.scores import TemplateScorer, score_pairs
from faceset.evaluation.trials import FaceList, Verification
from faceset.evaluation.workers import workers


def job(names: tuple[str, ...] = ("b", "a", "c"), **columns: Any) -> Verification:
    """Three faces of two people, in the order of a protocol's file."""
    members = {"1": ("A", ["a"]), "2": ("A", ["b"]), "3": ("B", ["c"])}
    made = verification(members, [("1", "2"), ("1", "3")], names=names)
    if columns:
        made = Verification(**{f: getattr(made, f) for f in made.__slots__} | {"faces": FaceList(names, **columns)})
    return made


def test_array_rows_are_the_faces_of_the_protocol(tmp_path: Path) -> None:
    vectors = np.array([[1, 0], [0.8, 0.6], [0, 2]], np.float32)
    np.save(tmp_path / "x.npy", vectors)
    experiment = job(scores=np.array([0.5, 0.25, 1.0]))
    found = sources.load(tmp_path / "x.npy", [experiment])
    assert [found.medium.names[c] for c in found.medium.codes] == ["b", "a", "c"]
    assert found.score.tolist() == [0.5, 0.25, 1.0]
    assert found.norm.tolist() == pytest.approx([1, 1, 2])
    assert found.embedder.startswith("npy:")
    assert len(found.embedder) == 4 + 16
    assert sources.load(tmp_path / "x.npy", [experiment], model_id="arcface").embedder == "arcface"
    same = table([face_row(n, v, score=s) for n, v, s in zip("bac", vectors, (0.5, 0.25, 1.0), strict=True)])
    by_array = evaluate([experiment], found, ["mean", "norm-score"], resamples=0)
    by_table = evaluate([experiment], same, ["mean", "norm-score"], resamples=0)
    assert [o.metrics for o in by_array.outcomes] == [o.metrics for o in by_table.outcomes]
    np.save(tmp_path / "d.npy", vectors.astype(np.float64))
    assert sources.load(tmp_path / "d.npy", [job()]).vectors.dtype == np.float32


def test_array_of_zeros_is_a_failure(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.array([[0, 0], [1, 0], [0, 2]], np.float32))
    found = evaluate([job()], sources.load(tmp_path / "x.npy", [job()]), ["mean"], resamples=0).outcomes[0]
    assert found.counts["failed_genuine"] == 1


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((2, 4), np.float32), "has 2 rows, but the protocol lists 3 faces"),
        (np.zeros((3, 0), np.float32), r"shape \(3, D\)"),
        (np.zeros(3, np.float32), r"shape \(3, D\)"),
        (np.zeros((3, 4), np.int32), "int32"),
        (np.array([[1.0, 0], [0, np.nan], [1, 1]]), "NaN or infinity in row 1 "),
        (np.array([[1.0, 0], [0, 1], [1, np.inf]]), "NaN or infinity in row 2 "),
        (np.array([[1.0, None]]), "is no .npy file of numbers"),
    ],
)
def test_array_refusals(tmp_path: Path, array: Any, message: str) -> None:
    np.save(tmp_path / "x.npy", array, allow_pickle=True)
    with pytest.raises(FeatureTableError, match=message):
        sources.load(tmp_path / "x.npy", [job()])


def test_source_refusals(tmp_path: Path) -> None:
    with pytest.raises(FeatureTableError, match="there is no file"):
        sources.load(tmp_path / "x.npy", [job()])
    (tmp_path / "y.npy").write_bytes(b"")
    with pytest.raises(FeatureTableError, match="damaged"):
        sources.load(tmp_path / "y.npy", [job()])
    np.save(tmp_path / "z.npy", np.ones((3, 2), np.float32))
    with pytest.raises(FeatureTableError, match="list different faces"):
        sources.load(tmp_path / "z.npy", [job(), job(("a", "b", "c"))])
    with pytest.raises(InputError, match="nothing to evaluate"):
        sources.load(tmp_path / "z.npy", [])
    features.write(tmp_path / "t.parquet", table([face_row("a", [1, 0])], "one"))
    assert sources.load(tmp_path / "t.parquet", [job()], model_id="one").embedder == "one"
    with pytest.raises(EmbedderMismatchError, match="'one', not of 'two'"):
        sources.load(tmp_path / "t.parquet", [job()], model_id="two")


def test_rows_are_in_canonical_order() -> None:
    rows = [
        face_row("a", [4, 0], frame=1),
        face_row("a", [1, 0], frame=0, track=1),
        face_row("a", [3, 0], frame=0, box=(0, 0, 2, 1)),
        face_row("a", [2, 0], frame=0),
        face_row("a", [1, 0], frame=0),
        face_row("b", [9, 0]),
    ]
    expected = [[2, 0], [1, 0], [3, 0], [1, 0], [4, 0]]  # by frame, track, box, then bytes: 2.0 ends in 40, 1.0 in 3f
    rng = np.random.default_rng(0)
    for _ in range(10):
        shuffled = table([rows[i] for i in rng.permutation(len(rows))])
        experiment = verification({"T": ("s", ["a"]), "U": ("t", ["b"])}, [("T", "U")])
        sets = sets_of(join(experiment.faces, experiment.templates, shuffled), experiment.templates)
        assert shuffled.vectors[sets.rows[: sets.offsets[1]]].tolist() == expected


def test_a_face_may_be_in_several_templates() -> None:
    experiment = verification({"U": ("s", ["b", "a"]), "T": ("s", ["a"])}, [("T", "U")], media=[5, 6])
    found = table([face_row("a", [1, 0]), face_row("b", [0, 1]), face_row("c", [1, 1])])
    joined = join(experiment.faces, experiment.templates, found)
    sets = sets_of(joined, experiment.templates)
    assert [experiment.templates.ids[i] for i in sets.order] == ["T", "U"]
    assert sets.offsets.tolist() == [0, 1, 3]
    assert sets.rows.tolist() == [0, 0, 1]
    assert sets.media.tolist() == [5, 5, 6]
    assert joined.counts["other_rows"] == 1


def test_too_long_vectors_are_refused() -> None:
    long = table([face_row("a", [1e30, 0]), face_row("b", [1, 0]), face_row("c", [1, 0])])
    with pytest.raises(FeatureTableError, match="'a' has length 1e"):
        evaluate([job()], long, ["mean"])


def test_media_first_is_the_mean_by_hand() -> None:
    # Medium 1: (4, 0) and (0, 2) -> (2, 1), |.| = sqrt 5. Medium 2: (0, 3). norm weighs by length: (2, 4) / sqrt 20.
    faces, media = np.array([[4, 0], [0, 3], [0, 2]], np.float32), [1, 2, 1]
    out = MediaFirst(aggregation.get("norm"))(faces, [0, 3], media=media, quality=[1, 1, 1])
    assert out.templates[0].tolist() == pytest.approx((np.array([2, 4]) / np.sqrt(20)).tolist())
    a, b = np.sqrt(5), 3.0
    assert out.weights.tolist() == pytest.approx([a / (a + b) / 2, b / (a + b), a / (a + b) / 2])
    mean = MediaFirst(aggregation.get("mean"))
    apart = mean(np.concatenate([faces, faces]), [0, 3, 6], media=[1, 2, 1, 1, 2, 1])
    assert (
        apart.templates[0].tolist()
        == apart.templates[1].tolist()
        == mean(faces, [0, 3], media=media).templates[0].tolist()
    )
    assert mean.name == "media-first+mean"


def test_media_first_does_not_depend_on_the_numbers_of_media() -> None:
    # Where two media are as good, the first face decides, not whose number is lower: that may be of a file's order.
    faces = np.random.default_rng(0).standard_normal((9, 5)).astype(np.float32)
    media = np.array([7, 7, 3, 3, 5, 5, 1, 1, 0])
    for inner in ("medoid", "best", "norm"):
        pooled = MediaFirst(aggregation.get(inner))
        one, other = (pooled(faces, [0, 4, 9], media=m) for m in (media, 9 - media))
        assert np.array_equal(one.templates, other.templates)
        assert np.array_equal(one.weights, other.weights)


@given(st.integers(0, 10_000))
def test_dense_and_gathered_scores_agree(seed: int) -> None:
    rng = np.random.default_rng(seed)
    T = int(rng.integers(2, 30))
    vectors = rng.standard_normal((T, 5)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    enrolled = rng.random(T) < 0.8
    first, second = np.sort(rng.integers(0, T, 12)), rng.integers(0, T, 12)
    expected = np.clip((vectors[first].astype(float) * vectors[second]).sum(axis=1), -1, 1)
    expected[~(enrolled[first] & enrolled[second])] = -np.inf
    scorer = TemplateScorer(vectors, enrolled)
    with pytest.MonkeyPatch.context() as patch, workers() as pool:
        for dense in (0, 10**9):
            patch.setattr("faceset.evaluation.scores.DENSE", dense)
            patch.setattr("faceset.evaluation.scores.FIRSTS", 3)
            assert score_pairs(scorer, first, second, pool)[0] == pytest.approx(expected, abs=1e-6)


def test_pairwise_blocks_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = Drawn(3)
    experiment = verification(drawn.members, drawn.pairs)
    found = drawn.table()
    sets = sets_of(join(experiment.faces, experiment.templates, found), experiment.templates)
    scorer = scorer_of(KINDS, found, sets)
    first = np.sort(np.array([a for a in range(len(sets.order)) for _ in range(7)]))
    second = np.arange(first.size) * 5 % len(sets.order)
    whole = scorer.pairs(first, second)
    monkeypatch.setattr("faceset.evaluation.pairwise.ROWS", 9)
    assert scorer.pairs(first, second) == pytest.approx(whole, abs=1e-6)
    cross = scorer.matrix(np.arange(5), np.arange(9))
    assert cross[:, 2, 7].tolist() == pytest.approx(scorer.pairs(np.array([2]), np.array([7]))[:, 0].tolist(), abs=1e-6)
    low, mean, high, soft = (cross[KINDS.index(f"pairwise-{k}")] for k in ("max", "mean", "min", "softmin"))
    assert ((low <= mean + 1e-6) & (mean <= soft + 1e-6) & (soft <= high + 1e-6)).all()


def test_names() -> None:
    assert {"mean", "nan", "pairwise-min", "pairwise-softmin"} <= set(aggregator_names())


def test_thinned_curves_keep_the_low_end() -> None:
    x = np.concatenate([[0.0], np.sort(np.random.default_rng(0).random(50_000)), [1.0]])
    kept = thin(x)
    assert kept.size <= 2000
    assert kept[[0, -1]].tolist() == [0, x.size - 1]
    assert kept[:10].tolist() == list(range(10))


def test_histogram_counts_every_compared_score() -> None:
    found = histogram(np.array([-1.0, 1.0, 0.0, -np.inf], np.float32), np.array([0.009, 0.011]), BINS)
    assert np.flatnonzero(found.genuine).tolist() == [0, 100, 199]
    assert np.flatnonzero(found.impostor).tolist() == [100, 101]


def test_examples_of_equal_scores_are_the_first() -> None:
    scores = np.array([0.5, 0.5, 0.1, 0.5, 0.5, 0.5, 0.5, 0.5, 0.0], np.float32)
    same, number = np.ones(9, dtype=bool), np.arange(9, dtype=np.int32)
    chosen = choose(number, number, same, scores)
    assert [c.first for c in chosen if c.kind == "missed"] == [8, 2, 0, 1, 3, 4]
    assert [c.first for c in chosen if c.kind == "easy"] == [0, 1, 3, 4, 5, 6]


def test_entries_of_no_template_may_be_missing() -> None:
    names = ("a", "b", "c", "train 1", "train 2", "train 3", "train 4")
    found = evaluate([job(names)], table([face_row(n, [1, i]) for i, n in enumerate("abc")]), ["mean"], resamples=0)
    assert found.outcomes[0].counts["missing_entries"] == 0
