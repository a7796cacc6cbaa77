"""A report as plain values: every figure by its name, nothing that JSON cannot hold."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sample_reports import outcome, report, search

from faceset.evaluation.combine import curve_of, histogram_of, sizes_of, wilson
from faceset.evaluation.document import document, plain_values, record
from faceset.evaluation.results import Curve, Histogram, Metric, SizeRate
from faceset.evaluation.wording import clean, figure


def test_every_figure_stands_under_its_own_name_with_its_interval() -> None:
    found = document(report())
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert list(found) == ["protocol", "signature", "notes", "results"]
    mean, nan = found["results"]
    assert {k: v for k, v in mean.items() if k != "experiments"} == {
        "aggregator": "mean",
        "used": "mean",
        "accuracy": 0.9913,
        "accuracy_low": 0.989,
        "accuracy_high": 0.994,
        "tar@far=0.001": 0.97,
        "tar@far=0.001_low": 0.9,
        "tar@far=0.001_high": 0.98,
        "eer": 0.0123,
        "eer_low": 0.011,
        "eer_high": 0.014,
        "auc": 0.9991,
        "unresolved": ["tar@far=0.001"],
        "templates": 700,
        "faces": 1400,
        "failed_templates": 3,
        "genuine": 300,
        "impostors": 3000,
        "seconds": 1.5,
    }
    assert (nan["aggregator"], nan["used"]) == ("nan", "nan:1f2e3d4c")
    (experiment,) = mean["experiments"]
    assert experiment["metrics"]["tar@far=0.001"] == {
        "value": 0.97,
        "low": 0.9,
        "high": 0.98,
        "resolved": False,
        "threshold": 0.4,
        "note": "",
        "std": None,
    }
    assert [s["rate"] and s["rate"]["value"] for s in experiment["by_size"]] == [0.8, 0.9, None, 0.95]
    assert experiment["examples"][1]["score"] is None
    assert "curves" not in experiment


def test_curves_are_there_when_asked_for() -> None:
    (first, _) = document(report(), curves=True)["results"]
    found = first["experiments"][0]
    assert found["curves"]["roc"]["x"][-1] == 1.0
    assert sum(found["histogram"]["genuine"]) == 300


def test_over_splits_the_figure_is_the_mean_and_counts_are_summed() -> None:
    made = report(outcome(part="split 1", seed=1), outcome(part="split 2", seed=3))
    found = record(made, "mean")
    assert found["accuracy"] == pytest.approx(0.9893)  # of 0.9903 and 0.9883
    assert found["accuracy_std"] == pytest.approx(0.001)
    assert found["templates"] == 1400
    assert "accuracy_std" not in record(report(), "mean")
    assert [e["part"] for e in document(made)["results"][0]["experiments"]] == ["split 1", "split 2"]


def test_two_tasks_give_one_object_with_the_figures_of_both() -> None:
    found = record(report(outcome(), search()), "mean")
    assert found["accuracy"] == 0.9913
    assert found["rank-1"] == 0.93
    assert found["templates"] == 790


def test_what_json_cannot_hold_becomes_none_or_plain() -> None:
    odd = {1: np.float64("nan"), "a": np.int64(3), "b": np.array([1.0, np.inf]), "c": {2, 1}, "d": (True, None)}
    assert plain_values(odd) == {"1": None, "a": 3, "b": [1.0, None], "c": [1, 2], "d": [True, None]}
    broken = outcome(metrics={"eer": Metric(float("nan"), threshold=float("inf"))})
    json.dumps(document(report(broken), curves=True), allow_nan=False)


def test_the_mean_curve_over_splits_by_hand() -> None:
    # Steps: the first is 0.2 from 0 on and 1 from 0.5 on; the second 0.6 from 0.25 on. Before 0.25 one is unknown.
    one = outcome(curves={"roc": Curve(np.array([0.0, 0.5]), np.array([0.2, 1.0]))})
    two = outcome(curves={"roc": Curve(np.array([0.25, 1.0]), np.array([0.6, 0.8]))})
    found = curve_of([one, two], "roc")
    assert found is not None
    np.testing.assert_allclose(found.x, [0.25, 0.5, 1.0])
    np.testing.assert_allclose(found.y, [0.4, 0.8, 0.9])
    assert curve_of([one], "cmc") is None


def test_histograms_and_rates_by_size_over_splits_by_hand() -> None:
    edges = np.array([0.0, 1.0, 2.0])
    h = Histogram(edges, np.array([1, 2]), np.array([3, 4]))
    sizes = (SizeRate(1, 1, 30, 0.01, Metric(0.9)), SizeRate(2, None, 0, 0.01, None))
    other = (SizeRate(1, 1, 10, 0.01, Metric(0.5)), SizeRate(2, None, 0, 0.01, None))
    both = [outcome(histogram=h, by_size=sizes), outcome(histogram=h, by_size=other)]
    total = histogram_of(both)
    assert total is not None
    assert (total.genuine.tolist(), total.impostor.tolist()) == ([2, 4], [6, 8])
    found = sizes_of(both)
    assert [(s.genuine, s.rate and s.rate.value) for s in found] == [(40, 0.8), (0, None)]  # (27 + 5) / 40
    assert found[0].rate is not None
    assert (found[0].rate.low, found[0].rate.high) == wilson(0.8, 40)
    (one, _) = sizes_of([outcome(by_size=(SizeRate(1, 1, 9, 0.1, Metric(0.5, 0.1, 0.9)), sizes[1]))])
    assert one.rate == Metric(0.5, 0.1, 0.9)  # an interval that is there stays


def test_wilson_is_that_of_scipy() -> None:
    from scipy.stats import binomtest

    for hits, count in ((0, 1), (1, 1), (3, 7), (99, 100), (0, 50)):
        theirs = binomtest(hits, count).proportion_ci(method="wilson")
        assert wilson(hits / count, count) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


def test_how_figures_are_written() -> None:
    assert figure(None) == "-"
    assert figure(Metric(float("nan"))) == "-"
    assert figure(Metric(0.97, 0.9, 0.98, resolved=False)) == "97.00 [90.00, 98.00] ?"
    assert clean("a\x00\x1b\ud800\u202eb\tc") == "a\ufffd\ufffd\ufffd\ufffdb\tc"
