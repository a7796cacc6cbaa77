"""Intervals over subjects: against loops over the definition, and what must not change a bit of them."""

from __future__ import annotations

import metric_oracles as naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faceset import metrics
from faceset.bootstrap import (
    Trials,
    accuracy_bootstrap,
    all_pairs,
    combine,
    draw_subjects,
    drawing,
    joined,
    paired_bootstrap,
    pairs,
    search_bootstrap,
)
from faceset.bootstrap.result import ends
from faceset.errors import InputError

FAILED = -np.inf


def test_draws_sum_to_the_number_of_subjects_and_are_paired_by_seed():
    draws = draw_subjects(7, 20, seed=3)
    assert (draws.sum(axis=1) == 7).all()
    np.testing.assert_array_equal(draws, draw_subjects(7, 20, seed=3))
    assert (draws != draw_subjects(7, 20, seed=4)).any()


def _problem(rng, subjects=9, templates=30, failures=0.0):
    names = np.array([f"s{i}" for i in rng.integers(subjects, size=templates)])
    trials = all_pairs(names)
    scores = {}
    for name, gain in [("a", 1), ("b", 2)]:
        values = np.round(rng.normal(size=trials.same.size) + trials.same * gain, 1)
        values[rng.random(values.size) < failures] = FAILED
        scores[name] = values
    return trials, scores


#   subjects a, b, c drawn (2, 1, 0) times.        genuine  a .9 x2   b .5 x1   c .7 x0
#                                                  impostor a-b .6 x2   a-c .8 x0   b-c .3 x0
#   FAR 0.5 allows a weight of 1 of 2: .6 is one too many, so .9 alone is accepted: TAR 2/3, just above .6
#   drawn (1, 1, 1): .8 of 3 allowed, .6 refused: .9 and .7 accepted, 2/3
def test_the_drawn_resample(monkeypatch):
    trials = Trials.of(np.array([0, 2, 4, 0, 0, 2]), np.array([1, 3, 5, 2, 4, 4]), ["a", "a", "b", "b", "c", "c"])
    scores = [0.9, 0.5, 0.7, 0.6, 0.8, 0.3]
    assert trials.same.tolist() == [True, True, True, False, False, False]
    monkeypatch.setattr(pairs, "draw_subjects", lambda *_: np.array([[2, 1, 0], [1, 1, 1]], dtype=np.int32))
    found = paired_bootstrap({"x": scores}, trials, fars=(0.5,), resamples=2, curves=True)
    assert found.draws[0, 0].tolist() == [2 / 3, 2 / 3]
    assert found.threshold_draws[0, 0].tolist() == [np.nextafter(0.6, 1), np.nextafter(0.6, 1)]
    assert found.auc.draws[0].tolist() == [2 / 3, (3 + 1 + 2) / 9]  # .9 wins over all, .5 over .3, .7 over .6 and .3
    assert found.draws[0, 0, 1] == found.point[0, 0]
    assert found.auc.draws[0, 1] == found.auc.point[0]
    assert found.eer.draws[0, 1] == found.eer.point[0] == metrics.eer(scores[:3], scores[3:])


@given(st.integers(0, 2**32 - 1), st.booleans())
@settings(max_examples=15, deadline=None)
def test_bootstrap_equals_naive_loop(seed, curves):
    trials, scores = _problem(np.random.default_rng(seed), templates=18, failures=0.1)
    fars = (0.02, 0.3)
    result = paired_bootstrap(scores, trials, fars=fars, resamples=8, seed=seed, curves=curves)
    same = trials.same
    for r, w in enumerate(draw_subjects(trials.subjects, 8, seed)):
        genuine_weights = w[trials.first_subject[same]]
        impostor_weights = w[trials.first_subject[~same]] * w[trials.second_subject[~same]]
        for k, values in enumerate(scores.values()):
            for f, far in enumerate(fars):
                if genuine_weights.sum() == 0:
                    assert np.isnan(result.draws[k, f, r])
                    continue
                expected = naive.tar(values[same], values[~same], far, genuine_weights, impostor_weights)
                assert result.draws[k, f, r] == expected
                t = result.threshold_draws[k, f, r]
                assert genuine_weights[values[same] >= max(t, -1e9)].sum() / genuine_weights.sum() == expected
            if curves and genuine_weights.sum():
                given = (values[same].tolist(), values[~same].tolist(), genuine_weights, impostor_weights)
                assert result.eer.draws[k, r] == float(naive.eer(*given))
                assert result.auc.draws[k, r] == float(naive.auc(*given))


@pytest.mark.parametrize("curves", [False, True])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_the_order_of_pairs_changes_no_bit(curves, kind):
    rng = np.random.default_rng(7)
    trials, scores = _problem(rng, templates=60, failures=0.05)
    values = scores["a"].astype(kind)
    folds = rng.integers(4, size=values.size)
    order, flip = rng.permutation(values.size), rng.random(values.size) < 0.5
    a, b = (np.where(flip, x, y)[order] for x, y in ((trials.first, trials.second), (trials.second, trials.first)))
    subject = {int(t): int(s) for t, s in zip(trials.first, trials.first_subject, strict=True)}
    subject |= {int(t): int(s) for t, s in zip(trials.second, trials.second_subject, strict=True)}
    shuffled = Trials.of(a, b, np.array([f"s{subject[t]}" for t in range(60)]))
    one = paired_bootstrap({"x": values}, trials, fars=(0.01, 0.1), resamples=30, curves=curves)
    two = paired_bootstrap({"x": values[order]}, shuffled, fars=(0.01, 0.1), resamples=30, curves=curves)
    for name in ("point", "draws", "thresholds", "threshold_draws"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))
    if curves:
        np.testing.assert_array_equal(one.eer.draws, two.eer.draws)
        np.testing.assert_array_equal(one.auc.draws, two.auc.draws)
    np.testing.assert_array_equal(
        accuracy_bootstrap({"x": values}, trials, folds, resamples=30).draws,
        accuracy_bootstrap({"x": values[order]}, shuffled, folds[order], resamples=30).draws,
    )


def test_curves_change_no_rate():
    trials, scores = _problem(np.random.default_rng(8), templates=80)
    short = paired_bootstrap(scores, trials, fars=(0.01,), resamples=20)
    whole = paired_bootstrap(scores, trials, fars=(0.01,), resamples=20, curves=True)
    np.testing.assert_array_equal(short.draws, whole.draws)
    np.testing.assert_array_equal(short.threshold_draws, whole.threshold_draws)


def test_both_ways_to_sum_pairs_agree(monkeypatch):
    rng = np.random.default_rng(9)
    a, b = rng.integers(20, size=(2, 500))
    weights = draw_subjects(20, 10, 0)
    expected = (weights[:, a].astype(int) * weights[:, b]).sum(axis=1)
    np.testing.assert_array_equal(drawing.pair_totals(weights, a, b, 20), expected)
    monkeypatch.setattr(drawing, "_SMALL", -(10**6))
    monkeypatch.setattr(drawing, "_CHUNK", 64)
    np.testing.assert_array_equal(drawing.pair_totals(weights, a, b, 20), expected)
    np.testing.assert_array_equal(
        drawing.running(weights[0], a, b, np.empty(500, np.int64)), np.cumsum(weights[0][a] * weights[0][b])
    )


def test_share_that_rounds_below_a_whole_number():
    assert 0.29 * 100 < 29
    falling = np.linspace(1.0, 0.0, 100)
    tars, thresholds = drawing.rates_at(
        [0.29], np.arange(1, 101), -falling, 100, np.arange(1, 3), -np.array([falling[28], falling[29]]), 2, True
    )
    assert tars.tolist() == [0.5]  # 29 impostors pass, and so does what ties with the 29th
    assert thresholds[0] == np.nextafter(falling[29], 1)


def test_failures_are_resampled_too():
    # Subject s0 failed: the more often it is drawn, the lower TAR. Its impostors have no weight and loosen nothing.
    names = np.repeat(["s0", "s1", "s2", "s3"], 2)
    trials = all_pairs(names)
    values = np.where(trials.same, 0.9, 0.1)
    values[(trials.first_subject == 0) | (trials.second_subject == 0)] = FAILED
    found = paired_bootstrap({"x": values}, trials, fars=(0.5,), resamples=40)
    assert found.point[0, 0] == 0.75
    for w, tar in zip(draw_subjects(4, 40, 0), found.draws[0, 0], strict=True):
        others = w[1] * w[2] + w[1] * w[3] + w[2] * w[3]
        assert tar == (4 - w[0]) / 4 if others else np.isnan(tar)


def test_a_resample_of_one_person_counts_in_no_interval(monkeypatch):
    trials = all_pairs(["a", "a", "b", "b"])
    monkeypatch.setattr(pairs, "draw_subjects", lambda *_: np.array([[2, 0], [1, 1]], dtype=np.int32))
    found = paired_bootstrap({"x": np.where(trials.same, 0.9, 0.1)}, trials, fars=(0.1,), resamples=2, curves=True)
    assert np.isnan(found.draws[0, 0]).tolist() == [True, False]
    assert np.isnan(found.eer.draws[0]).tolist() == [True, False]
    assert found.interval("x", 0.1) == (1.0, 1.0, 1.0)


def test_threshold_interval_holds_draws():
    rng = np.random.default_rng(10)
    trials, scores = _problem(rng, templates=60)
    scores["a"] = scores["a"] + rng.random(trials.same.size) / 100  # no ties
    found = paired_bootstrap(scores, trials, fars=(0.05,), resamples=100)
    value, low, high = found.threshold_interval("a", 0.05)
    assert value == metrics.tar_at_far(scores["a"][trials.same], scores["a"][~trials.same], 0.05).threshold
    assert low <= value <= high
    assert {low, high} <= set(found.threshold_draws[0, 0])
    assert ends(np.array([-np.inf, -np.inf, 1.0]), 0.5, observed=True) == (-np.inf, 1.0)
    assert np.isnan(ends(np.array([np.nan]), 0.9)).all()


def test_trials_of_a_list():
    listed = Trials.of(np.array([3, 0]), np.array([1, 1]), ["zoe", "bob", "unused", "bob"])
    assert listed.same.tolist() == [True, False]
    assert (listed.first_subject.tolist(), listed.second_subject.tolist(), listed.subjects) == ([0, 1], [0, 0], 2)
    with pytest.raises(InputError, match="templates 0 to 4, but there are 4"):
        Trials.of(np.array([4]), np.array([0]), ["a"] * 4)
    with pytest.raises(InputError, match=r"shapes \(1,\) and \(2,\)"):
        Trials.of(np.array([1]), np.array([0, 1]), ["a"] * 4)


def test_bootstrap_takes_all_pairs_when_the_highest_are_drawn_too_often(monkeypatch):
    # One subject holds nearly all high scores: drawn several times it fills the short list.
    rng = np.random.default_rng(0)
    names = np.repeat([f"s{i:03}" for i in range(60)], 2)
    trials = all_pairs(names)
    values = rng.normal(size=trials.same.size)
    values[(trials.first_subject == 0) | (trials.second_subject == 0)] += 10
    expected = paired_bootstrap({"a": values}, trials, fars=(0.001,), resamples=50)
    monkeypatch.setattr(pairs, "_FACTOR", 1)
    monkeypatch.setattr(pairs, "_MORE", 0)
    short = paired_bootstrap({"a": values}, trials, fars=(0.001,), resamples=50)
    np.testing.assert_array_equal(short.draws, expected.draws)
    np.testing.assert_array_equal(short.threshold_draws, expected.threshold_draws)


def test_identical_score_sets_differ_by_nothing():
    trials, scores = _problem(np.random.default_rng(1))
    result = paired_bootstrap({"a": scores["a"], "same": scores["a"]}, trials, fars=(0.1,), resamples=50)
    assert result.difference("a", "same", 0.1) == (0.0, 0.0, 0.0)


def test_pairing_makes_the_interval_of_a_difference_narrow():
    rng = np.random.default_rng(2)
    names = np.repeat([f"s{i:02}" for i in range(40)], 3)
    trials = all_pairs(names)
    base = rng.normal(size=trials.same.size) + 2 * trials.same + rng.normal(size=40)[trials.first_subject]
    result = paired_bootstrap({"a": base, "b": base + 0.3 * trials.same}, trials, fars=(0.01,), resamples=200)
    gain, low, high = result.difference("b", "a", 0.01)
    _, a_low, a_high = result.interval("a", 0.01)
    assert low <= gain <= high
    assert low > 0
    assert high - low < a_high - a_low


def test_combined_draws_are_the_mean():
    trials, scores = _problem(np.random.default_rng(3))
    one = paired_bootstrap({"x": scores["a"]}, trials, fars=(0.1,), resamples=20, seed=5)
    two = paired_bootstrap({"x": scores["b"]}, trials, fars=(0.1,), resamples=20, seed=5)
    np.testing.assert_allclose(combine([one, two]).draws, (one.draws + two.draws) / 2)
    with pytest.raises(InputError, match="same score sets"):
        combine([one, paired_bootstrap({"y": scores["a"]}, trials, fars=(0.1,), resamples=20)])


def test_bootstrap_refuses_what_does_not_fit():
    trials, scores = _problem(np.random.default_rng(4))
    with pytest.raises(InputError, match=r"score set 'a' must have shape \(435,\), but got \(434,\)"):
        paired_bootstrap({"a": scores["a"][:-1]}, trials)
    result = paired_bootstrap(scores, trials, fars=(0.1,), resamples=3)
    with pytest.raises(InputError, match="no score set is called 'c'; there are a, b"):
        result.interval("c", 0.1)
    with pytest.raises(InputError, match=r"FAR 0.2 was not measured; 0.1 were"):
        result.interval("a", 0.2)


def test_scores_of_trials_are_dot_products():
    trials = all_pairs(["a", "a", "b"])
    templates = np.eye(3, dtype=np.float32)
    templates[1] = templates[0]
    assert trials.scores(templates).tolist() == [1.0, 0.0, 0.0]


def test_joined_score_sets_are_as_if_made_together():
    trials, scores = _problem(np.random.default_rng(11))
    kwargs = {"fars": (0.1,), "resamples": 20, "curves": True}
    together = paired_bootstrap(scores, trials, **kwargs)
    apart = joined([paired_bootstrap({k: v}, trials, **kwargs) for k, v in scores.items()])
    assert apart.names == together.names
    assert apart.difference("b", "a", 0.1) == together.difference("b", "a", 0.1)
    assert apart.eer_interval("b") == together.eer_interval("b")
    assert apart.auc_interval("a") == together.auc_interval("a")
    with pytest.raises(InputError, match="twice: a, b, a, b"):
        joined([together, together])
    with pytest.raises(InputError, match="same FAR"):
        joined([together, paired_bootstrap({"c": scores["a"]}, trials, fars=(0.2, 0.1), resamples=20)])


def test_curves_must_be_asked_for():
    trials, scores = _problem(np.random.default_rng(12))
    found = paired_bootstrap(scores, trials, fars=(0.1,), resamples=2)
    with pytest.raises(InputError, match="curves=True"):
        found.eer_interval("a")
    with pytest.raises(InputError, match="at least one score set and one resample"):
        paired_bootstrap({}, trials)


def test_accuracy_bootstrap_equals_naive():
    trials, scores = _problem(np.random.default_rng(13), failures=0.1)
    folds = np.arange(trials.same.size) % 3
    found = accuracy_bootstrap(scores, trials, folds, resamples=25, seed=2)
    for k, (name, values) in enumerate(scores.items()):
        fixed = metrics.kfold_accuracy(values, trials.same, folds)
        assert found.point[k] == fixed.mean
        for r, w in enumerate(draw_subjects(trials.subjects, 25, 2)):
            by_fold = []
            for fold, t in enumerate(fixed.thresholds):
                good = weight = 0
                for p in np.flatnonzero(folds == fold):
                    i, j = trials.first_subject[p], trials.second_subject[p]
                    times = int(w[i]) if i == j else int(w[i]) * int(w[j])
                    good += times * bool(values[p] > FAILED and (values[p] >= t) == (i == j))
                    weight += times
                by_fold.append(good / weight)
            assert found.draws[k, r] == pytest.approx(np.mean(by_fold), abs=1e-12)
        value, low, high = found.interval(name)
        assert low < value < high
    assert found.difference("a", "a") == (0.0, 0.0, 0.0)


def _searches(rng, subjects=14):
    probes = rng.integers(subjects, size=80)
    galleries = (np.arange(0, subjects, 2), np.arange(1, subjects, 2))
    found = []
    for gallery in galleries:
        scores = np.round(rng.normal(size=(80, gallery.size)) + 2 * (probes[:, None] == gallery), 1)
        scores[:5] = FAILED
        found.append(metrics.search(scores, probes, gallery))
    return found, probes


def test_search_bootstrap_equals_naive():
    found, probes = _searches(np.random.default_rng(14))
    result = search_bootstrap(found, probes, fpirs=(0.1, 0.8), ranks=(1, 3), rank=1, resamples=15, seed=4)
    _, subject = np.unique(probes, return_inverse=True)
    for r, w in enumerate(draw_subjects(subject.max() + 1, 15, 4)):
        weight = w[subject]
        for f, fpir in enumerate((0.1, 0.8)):
            rates = [
                naive.tar(
                    np.where(s.mate_rank == 1, s.mate_score, FAILED)[s.mated],
                    s.best_other[~s.mated],
                    fpir,
                    weight[s.mated],
                    weight[~s.mated],
                )
                for s in found
            ]
            assert result.tpir_draws[f, r] == pytest.approx(np.mean(rates), abs=1e-12)
        for k, rank in enumerate((1, 3)):
            hits = sum(weight[s.mated & (s.mate_rank <= rank)].sum() for s in found)
            assert result.hit_draws[k, r] == pytest.approx(hits / sum(weight[s.mated].sum() for s in found), abs=1e-12)
    rates = [metrics.tpir_at_fpir(s, 0.1, 1) for s in found]
    value, low, high = result.tpir_interval(0.1)
    assert value == metrics.mean_tpir(rates)
    assert low <= value <= high
    assert result.rank_interval(3)[0] == metrics.cmc(found, [3])[0]
    assert result.threshold_interval(0.1, gallery=1)[0] == rates[1].threshold
    assert result.tpir_difference(result, 0.1) == (0.0, 0.0, 0.0)


def test_the_order_of_probes_changes_no_bit():
    rng = np.random.default_rng(15)
    found, probes = _searches(rng)
    order = rng.permutation(probes.size)
    moved = [
        metrics.Searches(
            s.mated[order], s.mate_score[order], s.mate_rank[order], s.best_other[order], s.failed[order], s.subjects
        )
        for s in found
    ]
    one, two = search_bootstrap(found, probes, resamples=20), search_bootstrap(moved, probes[order], resamples=20)
    np.testing.assert_array_equal(one.tpir_draws, two.tpir_draws)
    np.testing.assert_array_equal(one.hit_draws, two.hit_draws)


def test_close_set_has_ranks_only():
    probes = np.array([0, 1, 2])
    found = metrics.search(np.eye(3), probes, probes)
    result = search_bootstrap(found, probes, fpirs=(), ranks=(1,), resamples=5)
    assert result.rank_interval(1) == (1.0, 1.0, 1.0)
    with pytest.raises(InputError, match="no probe|none was made|only ranks"):
        search_bootstrap(found, probes, fpirs=(0.1,), resamples=5)
    with pytest.raises(InputError, match=r"FPIR 0.1 was not measured; none were"):
        result.tpir_interval(0.1)
    with pytest.raises(InputError, match=r"rank 5 was not measured; 1 were"):
        result.rank_interval(5)
    with pytest.raises(InputError, match="at least one gallery"):
        search_bootstrap(found, probes[:2], resamples=5)
