"""1:N figures: by hand, against a loop over probes and thresholds, and bad input."""

from __future__ import annotations

import metric_oracles as naive
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceset import metrics
from faceset.errors import InputError
from faceset.metrics import searching

FAILED = -np.inf

#   gallery:        a     b     b     c        (b has two templates: the better one counts)
#
#   probe 0 of a   .9    .2    .4    .1        mate .9, rank 1
#   probe 1 of b   .5    .3    .7    .7        mate .7, c ties with it and is ranked before: rank 2
#   probe 2 of c   .6    .1    .8    .3        mate .3, a and b are above: rank 3
#   probe 3 of d   .2    .5    .1    .3        no mate, highest .5
#   probe 4 of e   .8    .6    .7    .1        no mate, highest .8
#
#   CMC: 1/3, 2/3, 3/3
#   FPIR 0 above .8, 1/2 above .5, 1 at .5
#   TPIR at FPIR 1/2 (threshold just above .5):  rank 1: probe 0, 1/3    rank 2: probes 0 and 1, 2/3
#   TPIR at FPIR 0.1 (just above .8):            probe 0, 1/3
GALLERY, PROBES = ["a", "b", "b", "c"], ["a", "b", "c", "d", "e"]
SCORES = np.array(
    [[0.9, 0.2, 0.4, 0.1], [0.5, 0.3, 0.7, 0.7], [0.6, 0.1, 0.8, 0.3], [0.2, 0.5, 0.1, 0.3], [0.8, 0.6, 0.7, 0.1]]
)


@pytest.fixture
def drawn():
    return metrics.search(SCORES, PROBES, GALLERY)


def test_the_drawn_searches(drawn):
    assert drawn.mated.tolist() == [True, True, True, False, False]
    assert drawn.mate_score.tolist() == [0.9, 0.7, 0.3, FAILED, FAILED]
    assert drawn.mate_rank[:3].tolist() == [1, 2, 3]
    assert (drawn.mate_rank[3:] == metrics.UNRANKED).all()
    assert drawn.best_other.tolist() == [0.4, 0.7, 0.8, 0.5, 0.8]
    assert (drawn.subjects, drawn.failed_subjects, drawn.failed.any()) == (3, 0, False)


def test_the_drawn_rates(drawn):
    assert metrics.cmc(drawn, [1, 2, 3, 50]).tolist() == [1 / 3, 2 / 3, 1, 1]
    half = metrics.tpir_at_fpir(drawn, 0.5)
    assert (half.tpir, half.threshold, half.measured_fpir) == (1 / 3, np.nextafter(0.5, 1), 0.5)
    assert (half.mated, half.nonmated, half.resolved) == (3, 2, False)
    assert metrics.tpir_at_fpir(drawn, 0.5, rank=2).tpir == 2 / 3
    assert metrics.tpir_at_fpir(drawn, 0.5, rank=None).tpir == 2 / 3
    strict = metrics.tpir_at_fpir(drawn, 0.1)
    assert (strict.tpir, strict.threshold, strict.measured_fpir) == (1 / 3, np.nextafter(0.8, 1), 0)
    assert "not resolved: 2 non-mated searches" in str(strict)
    curve = metrics.open_set_curve(drawn, rank=2)
    assert list(zip(curve.fpir, curve.tpir, strict=True)) == [
        (0, 0),
        (0, 1 / 3),
        (1 / 2, 1 / 3),
        (1 / 2, 2 / 3),
        (1, 2 / 3),
    ]


def test_over_two_galleries(drawn):
    other = metrics.search(SCORES[:, :1], PROBES, ["d"])  # one mated search, of probe 3: its mate has the only score
    assert metrics.cmc([drawn, other], [1, 2]).tolist() == [2 / 4, 3 / 4]
    rates = [metrics.tpir_at_fpir(s, 0.5) for s in (drawn, other)]
    assert rates[1].tpir == 0.0  # .2, and the others have .9 .5 .6 .8
    assert metrics.mean_tpir(rates) == 1 / 6


#   probe 1 failed: a miss at every rank.  probe 4 failed: no search at all, FPIR is over probe 3 alone.
#   template c failed: probe 2 misses.
def test_failures_by_hand(drawn):
    scores = SCORES.copy()
    scores[[1, 4]] = FAILED
    scores[:, 3] = FAILED
    found = metrics.search(scores, PROBES, GALLERY)
    assert found.failed.tolist() == [False, True, False, False, True]
    assert found.failed_subjects == 1
    assert metrics.cmc(found, [1, 99]).tolist() == [1 / 3, 1 / 3]
    rate = metrics.tpir_at_fpir(found, 0.5, rank=None)
    assert (rate.tpir, rate.mated, rate.nonmated) == (1 / 3, 3, 1)
    assert (rate.failed_mated, rate.failed_nonmated) == (1, 1)
    assert metrics.open_set_curve(found, rank=None).tpir[-1] == 1 / 3

    junk = np.array([False, True, False, False, True])
    noisy = np.where(junk[:, None], np.nan, SCORES)
    masked = metrics.search(noisy, PROBES, GALLERY, failed_probes=junk, failed_gallery=np.array(GALLERY) == "c")
    for name in ("mated", "mate_score", "mate_rank", "best_other", "failed"):
        np.testing.assert_array_equal(getattr(masked, name), getattr(found, name))
    assert masked.failed_subjects == 1


def _naive_search(scores, probes, gallery):
    for row, subject in zip(scores, probes, strict=True):
        best = {name: max(s for s, n in zip(row, gallery, strict=True) if n == name) for name in set(gallery)}
        others = [s for n, s in best.items() if n != subject]
        mate = best.get(subject, FAILED)
        rank = 1 + sum(s >= mate for s in others) if mate > FAILED else metrics.UNRANKED
        yield subject in best, mate, rank, max(others, default=FAILED), max(best.values()) == FAILED


@given(st.integers(0, 2**32 - 1), st.sampled_from([np.float32, np.float64]), st.booleans())
def test_search_equals_naive(seed, kind, numbers):
    rng = np.random.default_rng(seed)
    Q, G, N = rng.integers(1, 30), rng.integers(1, 12), rng.integers(1, 9)
    probes, gallery = rng.integers(N, size=Q), rng.integers(N, size=G)
    scores = np.round(rng.normal(size=(Q, G)), 1).astype(kind)
    scores[rng.random(Q) < 0.2] = FAILED
    scores[:, rng.random(G) < 0.2] = FAILED
    scores[rng.random((Q, G)) < 0.05] = FAILED
    if not numbers:
        probes, gallery = probes.astype(str), gallery.astype(str)
    found = metrics.search(scores, probes, gallery)
    expected = list(zip(*_naive_search(scores, probes, gallery), strict=True))
    for name, values in zip(("mated", "mate_score", "mate_rank", "best_other", "failed"), expected, strict=True):
        assert getattr(found, name).tolist() == list(values), name


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.01, 0.2, 0.5]), st.sampled_from([1, 3, None]))
def test_tpir_equals_naive(seed, fpir, rank):
    rng = np.random.default_rng(seed)
    scores = np.round(rng.normal(size=(30, 6)), 1)
    scores[rng.random(30) < 0.2] = FAILED
    probes = [*rng.integers(12, size=28).tolist(), 0, 11]
    scores[-1] = 0.5
    found = metrics.search(scores, probes, np.arange(6))
    near = found.mate_rank <= (rank or metrics.UNRANKED - 1)
    mates = np.where(near, found.mate_score, FAILED)[found.mated]
    assert metrics.tpir_at_fpir(found, fpir, rank).tpir == naive.tar(mates, found.best_other[~found.mated], fpir)


def test_blocks_of_rows_do_not_matter(monkeypatch):
    rng = np.random.default_rng(0)
    scores, probes, gallery = rng.normal(size=(50, 8)), rng.integers(12, size=50), np.arange(8)
    whole = metrics.search(scores, probes, gallery)
    monkeypatch.setattr(searching, "_BLOCK_NUMBERS", 24)
    parts = metrics.search(scores, probes, gallery)
    for name in ("mate_score", "mate_rank", "best_other", "failed"):
        np.testing.assert_array_equal(getattr(parts, name), getattr(whole, name))


def test_the_scores_given_are_left_alone():
    scores = SCORES.copy()
    metrics.search(scores, PROBES, GALLERY, failed_probes=np.array([True] + [False] * 4))
    np.testing.assert_array_equal(scores, SCORES)


def test_orders_of_probes_and_templates_do_not_matter():
    rng = np.random.default_rng(1)
    scores, probes, gallery = np.round(rng.normal(size=(60, 9)), 1), rng.integers(10, size=60), rng.integers(6, size=9)
    rows, columns = rng.permutation(60), rng.permutation(9)
    one = metrics.search(scores, probes, gallery)
    two = metrics.search(scores[rows][:, columns], probes[rows], gallery[columns])
    np.testing.assert_array_equal(one.mate_rank[rows], two.mate_rank)
    assert metrics.tpir_at_fpir(one, 0.1) == metrics.tpir_at_fpir(two, 0.1)


@pytest.mark.parametrize(
    ("scores", "probes", "gallery", "reason"),
    [
        ([[0.1, 0.2]], ["a"], ["a"], r"= \(1, 1\), at least \(1, 1\), but got \(1, 2\)"),
        (np.empty((0, 1)), [], ["a"], r"= \(0, 1\)"),
        (np.empty((1, 0)), ["a"], [], r"= \(1, 0\)"),
        ([0.1], ["a"], ["a"], r"but got \(1,\)"),
        ([[0.1], [np.nan]], ["a", "b"], ["a"], r"scores of probe 1 hold NaN or \+inf"),
        ([[np.inf], [0.1]], ["a", "b"], ["a"], r"scores of probe 0 hold NaN or \+inf"),
        ([[0.1]], ["1"], [1], "names or numbers on both sides"),
    ],
)
def test_bad_input(scores, probes, gallery, reason):
    with pytest.raises(InputError, match=reason):
        metrics.search(scores, probes, gallery)


def test_bad_masks_rates_and_ranks(drawn):
    with pytest.raises(InputError, match=r"failed_probes must be 5 of True or False, but got shape \(2,\)"):
        metrics.search(SCORES, PROBES, GALLERY, failed_probes=[True, False])
    for fpir in (0, 1, -1):
        with pytest.raises(InputError, match="fpir must be between 0 and 1, both excluded"):
            metrics.tpir_at_fpir(drawn, fpir)
    for call in (lambda: metrics.tpir_at_fpir(drawn, 0.1, rank=0), lambda: metrics.cmc(drawn, [0])):
        with pytest.raises(InputError, match="a rank is 1 or more, but got 0"):
            call()
    with pytest.raises(InputError, match="no rates"):
        metrics.mean_tpir([])
    with pytest.raises(InputError, match="no ranks"):
        metrics.cmc([], [1])


def test_what_cannot_be_measured():
    strangers = metrics.search(SCORES, PROBES, ["x"] * 4)
    with pytest.raises(InputError, match="no probe has a mate"):
        metrics.tpir_at_fpir(strangers, 0.1)
    with pytest.raises(InputError, match="no probe has a mate"):
        metrics.cmc(strangers, [1])
    close_set = metrics.search(SCORES[:3], PROBES[:3], GALLERY)
    with pytest.raises(InputError, match="of 0 searches without a mate .* only ranks"):
        metrics.open_set_curve(close_set)
    assert metrics.cmc(close_set, [2]).tolist() == [2 / 3]
