"""Agreement with scikit-learn where it defines the same thing."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as reference

from faceset import metrics


@pytest.fixture(params=[0, 1, 2, 3], ids=["ties", "no ties", "one genuine", "one impostor"])
def scores(request):
    rng = np.random.default_rng(request.param)
    sizes = {0: (400, 3000), 1: (300, 2000), 2: (1, 50), 3: (50, 1)}[request.param]
    g, s = rng.normal(1, 1, sizes[0]), rng.normal(size=sizes[1])
    return (np.round(g, 1), np.round(s, 1)) if request.param == 0 else (g, s)


def _labelled(scores):
    g, s = scores
    return np.r_[np.ones(g.size), np.zeros(s.size)], np.concatenate([g, s])


def test_roc(scores):
    curve = metrics.roc(*scores)
    far, tar, thresholds = reference.roc_curve(*_labelled(scores), drop_intermediate=False)
    at = {t: i for i, t in enumerate(thresholds)}
    rows = [at[t] for t in curve.thresholds]
    np.testing.assert_allclose(curve.far, far[rows], atol=1e-12, rtol=0)
    np.testing.assert_allclose(curve.tar, tar[rows], atol=1e-12, rtol=0)
    # What was left out lies on the curve: FAR + TAR tells where.
    np.testing.assert_allclose(np.interp(far + tar, curve.far + curve.tar, curve.far), far, atol=1e-12, rtol=0)


def test_auc(scores):
    assert metrics.auc(*scores) == pytest.approx(reference.roc_auc_score(*_labelled(scores)), abs=1e-12)


def test_auc_with_failures(scores):
    # scikit-learn knows no failures: a score below all others is the same to the area.
    g, s = scores
    worst = min(g.min(), s.min()) - 1
    labels, values = _labelled((np.r_[g, worst, worst], s))
    expected = reference.roc_auc_score(labels, values)
    assert metrics.auc(np.r_[g, -np.inf, -np.inf], np.r_[s, -np.inf]) == pytest.approx(expected, abs=1e-12)


def test_det(scores):
    curve = metrics.det(*scores)
    far, frr, thresholds = reference.det_curve(*_labelled(scores), drop_intermediate=False)
    at = {t: i for i, t in enumerate(thresholds)}
    shared = [(i, at[t]) for i, t in enumerate(curve.thresholds) if t in at]
    # It leaves out the ends, where one of the two rates does not move.
    assert len(shared) >= 1 if min(map(np.size, scores)) == 1 else len(shared) > curve.thresholds.size / 2
    mine, theirs = map(list, zip(*shared, strict=True))
    np.testing.assert_allclose(curve.far[mine], far[theirs], atol=1e-12, rtol=0)
    np.testing.assert_allclose(curve.frr[mine], frr[theirs], atol=1e-12, rtol=0)
