import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faceset import bootstrap as module
from faceset import metrics
from faceset.bootstrap import all_pairs, combine, draw_subjects, paired_bootstrap
from faceset.errors import InputError

# Few distinct values, so that ties are the rule.
SCORES = st.lists(st.sampled_from([-1.0, -0.25, 0.0, 0.1, 0.2, 0.3, 0.5, 1.0]), min_size=1, max_size=30)
FARS = st.sampled_from([0.0, 0.001, 0.1, 0.25, 1 / 3, 0.5, 1.0])


def naive_tar(genuine, impostor, far, genuine_weights=None, impostor_weights=None):
    """Try every threshold that could matter, from the loosest to the strictest."""
    g, s = np.asarray(genuine), np.asarray(impostor)
    gw = np.ones(len(g)) if genuine_weights is None else genuine_weights
    sw = np.ones(len(s)) if impostor_weights is None else impostor_weights
    candidates = [-np.inf, *(np.nextafter(t, np.inf) for t in sorted(set(s.tolist())))]
    for t in candidates:
        if sw[s >= t].sum() <= far * sw.sum() + 1e-6:
            return gw[g >= t].sum() / gw.sum()
    raise AssertionError("above the highest impostor nothing is accepted")


def test_tar_by_hand():
    impostor = [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.0]
    genuine = [0.95, 0.85, 0.75, 0.65]
    rate = metrics.tar_at_far(genuine, impostor, 0.2)  # 0.9 and 0.8 may pass, 0.7 may not
    assert rate.tar == 0.75
    assert 0.7 < rate.threshold < 0.7000001
    assert rate.measured_far == 0.2
    assert (rate.genuine, rate.impostors) == (4, 10)


def test_genuine_equal_to_the_refused_impostor_is_refused():
    rate = metrics.tar_at_far([0.5, 0.6], [0.5, 0.1], 0.4)
    assert rate.tar == 0.5


def test_impostors_that_tie_are_all_refused():
    rate = metrics.tar_at_far([0.6, 0.5], [0.5, 0.5, 0.5, 0.1], 0.5)
    assert rate.measured_far == 0.0
    assert rate.tar == 0.5


def test_far_of_one_accepts_everything():
    rate = metrics.tar_at_far([0.1], [0.9], 1.0)
    assert rate.threshold == -np.inf
    assert rate.tar == 1.0


def test_share_that_rounds_below_a_whole_number():
    impostor = np.arange(3000) / 3000
    assert metrics.tar_at_far([1.0], impostor, 0.001).measured_far == pytest.approx(3 / 3000)


@pytest.mark.parametrize(("count", "far", "expected"), [(10_000, 1e-3, True), (9_999, 1e-3, False), (1000, 1e-2, True)])
def test_resolution(count, far, expected):
    assert metrics.resolved(count, far) is expected
    assert metrics.tar_at_far([2.0], np.linspace(0, 1, count), far).resolved is expected


def test_unresolved_says_so():
    assert "not resolved: 2 impostors" in str(metrics.tar_at_far([0.5], [0.1, 0.2], 0.001))


@given(SCORES, SCORES, FARS)
def test_tar_equals_naive(genuine, impostor, far):
    rate = metrics.tar_at_far(genuine, impostor, far)
    assert rate.tar == naive_tar(genuine, impostor, far)
    assert rate.measured_far <= far + 1e-9


@given(SCORES, SCORES)
def test_roc_points_are_rates_at_their_thresholds(genuine, impostor):
    curve = metrics.roc(genuine, impostor)
    for t, far, tar in zip(curve.thresholds, curve.far, curve.tar, strict=True):
        assert far == np.mean(np.asarray(impostor) >= t)
        assert tar == np.mean(np.asarray(genuine) >= t)
    assert (np.diff(curve.thresholds) < 0).all()
    assert (curve.far[-1], curve.tar[-1]) == (1.0, 1.0)


@given(SCORES, SCORES)
def test_eer_lies_between_the_points_around_the_crossing(genuine, impostor):
    value = metrics.eer(genuine, impostor)
    curve = metrics.roc(genuine, impostor)
    worst = np.maximum(curve.far, 1 - curve.tar).min()
    best = np.minimum(curve.far, 1 - curve.tar).max()
    assert best - 1e-12 <= value <= worst + 1e-12


def test_eer_by_hand():
    # At 0.5: FAR 1/4, FRR 1/4.
    assert metrics.eer([0.9, 0.8, 0.6, 0.4], [0.5, 0.3, 0.2, 0.1]) == pytest.approx(0.25)


@pytest.mark.parametrize(("genuine", "impostor"), [([], [0.1]), ([0.1], []), ([[0.1]], [0.1]), ([np.nan], [0.1])])
def test_bad_scores(genuine, impostor):
    with pytest.raises(InputError, match=r"genuine|impostor"):
        metrics.tar_at_far(genuine, impostor, 0.1)


def test_bad_far():
    with pytest.raises(InputError, match=r"far must be in 0..1, but got 2"):
        metrics.tar_at_far([1], [0], 2)


def test_draws_sum_to_the_number_of_subjects_and_are_paired_by_seed():
    draws = draw_subjects(7, 20, seed=3)
    assert (draws.sum(axis=1) == 7).all()
    np.testing.assert_array_equal(draws, draw_subjects(7, 20, seed=3))
    assert (draws != draw_subjects(7, 20, seed=4)).any()


def _problem(rng, subjects=9, templates=30):
    names = np.array([f"s{i}" for i in rng.integers(subjects, size=templates)])
    trials = all_pairs(names)
    scores = {
        k: np.round(rng.normal(size=trials.same.size) + trials.same * gain, 1) for k, gain in [("a", 1), ("b", 2)]
    }
    return trials, scores


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=15, deadline=None)
def test_bootstrap_equals_naive_loop(seed):
    trials, scores = _problem(np.random.default_rng(seed))
    fars = (0.02, 0.3)
    result = paired_bootstrap(scores, trials, fars=fars, resamples=12, seed=seed)
    for r, w in enumerate(draw_subjects(trials.subjects, 12, seed).astype(float)):
        for k, values in enumerate(scores.values()):
            same = trials.same
            genuine_weights = w[trials.first_subject[same]]
            impostor_weights = w[trials.first_subject[~same]] * w[trials.second_subject[~same]]
            for f, far in enumerate(fars):
                if genuine_weights.sum() == 0:
                    assert np.isnan(result.draws[k, f, r])
                    continue
                expected = naive_tar(values[same], values[~same], far, genuine_weights, impostor_weights)
                assert result.draws[k, f, r] == pytest.approx(expected, abs=1e-9)


def test_bootstrap_takes_all_pairs_when_the_highest_are_drawn_too_often(monkeypatch):
    # One subject holds nearly all high scores: drawn several times it fills the short list.
    rng = np.random.default_rng(0)
    names = np.repeat([f"s{i:03}" for i in range(60)], 2)
    trials = all_pairs(names)
    values = rng.normal(size=trials.same.size)
    values[(trials.first_subject == 0) | (trials.second_subject == 0)] += 10
    expected = paired_bootstrap({"a": values}, trials, fars=(0.001,), resamples=50)
    monkeypatch.setattr(module, "_FACTOR", 1)
    monkeypatch.setattr(module, "_MORE", 0)
    short = paired_bootstrap({"a": values}, trials, fars=(0.001,), resamples=50)
    np.testing.assert_array_equal(short.draws, expected.draws)


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
