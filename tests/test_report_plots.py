"""The plots: what is drawn, the same bytes twice, and no trace left in matplotlib."""

from __future__ import annotations

import subprocess
import sys
import xml.etree.ElementTree as ET

import matplotlib as mpl
import numpy as np
import pytest
from sample_reports import outcome, report, search

from faceset.evaluation import drawing
from faceset.evaluation.plots import plots
from faceset.evaluation.results import Curve, Histogram, Metric


def test_each_task_has_its_plots() -> None:
    both = report(outcome(), outcome("nan", seed=1), search())
    assert [p.name for p in plots(both, "verification")] == ["roc", "det", "scores", "sizes"]
    assert [p.name for p in plots(both, "identification")] == ["cmc", "open-set", "scores"]
    for plot in plots(both, "verification"):
        assert ET.fromstring(plot.svg).tag == "{http://www.w3.org/2000/svg}svg"  # noqa: S314 - our own
        assert "mean, nan" in plot.text


def test_the_same_report_gives_the_same_bytes_whatever_the_user_has_set() -> None:
    before = dict(mpl.rcParams)
    first = [p.svg for p in plots(report(), "verification")]
    assert dict(mpl.rcParams) == before
    with mpl.rc_context(
        {"lines.linewidth": 9, "figure.facecolor": "red", "svg.hashsalt": "other", "axes.labelcolor": "green"}
    ):
        assert [p.svg for p in plots(report(), "verification")] == first
    assert "dc:date" not in first[0]


def test_pyplot_is_not_used() -> None:
    code = (
        "import sys; sys.path.insert(0, 'tests'); from sample_reports import report; "
        "from faceset.evaluation.plots import plots; assert 'matplotlib' not in sys.modules; "
        "plots(report(), 'verification'); print('matplotlib.pyplot' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


@pytest.mark.parametrize("name", ["$\\frac{$", "_hidden", "<script>&", "\x00\ud800", "模型.onnx", "x" * 300])
def test_names_come_from_anywhere(name: str) -> None:
    for plot in plots(report(outcome(name), outcome("mean")), "verification"):
        ET.fromstring(plot.svg)  # noqa: S314 - our own


def test_odd_outcomes_can_be_drawn() -> None:
    perfect = outcome(
        curves={
            "roc": Curve(np.array([0.0, 1.0]), np.array([1.0, 1.0])),
            "det": Curve(np.array([0.0, 1.0]), np.array([0.0, 0.0])),
        },
        histogram=Histogram(np.array([0.0, 1.0]), np.array([0]), np.array([0])),
        by_size=(),
        metrics={"eer": Metric(0.0)},
    )
    assert [p.name for p in plots(report(perfect), "verification")] == ["roc", "det", "scores"]
    nothing = outcome(curves={}, histogram=None, by_size=())
    assert plots(report(nothing), "verification") == []


def test_splits_are_drawn_as_one_line() -> None:
    splits = report(*(outcome(part=f"split {k}", seed=k) for k in range(3)))
    assert plots(splits, "verification")[0].text.endswith("Shown: mean.")


def test_thinning_keeps_ends_and_jumps() -> None:
    x = np.linspace(0, 1, 100_000)
    y = (x > 0.5).astype(float)
    found = drawing.thin(x, y)
    assert found.x.size < 1100
    assert (found.x[0], found.x[-1]) == (0.0, 1.0)
    jump = int(np.flatnonzero(np.diff(found.y))[0])
    assert found.x[jump + 1] - found.x[jump] < 2e-5


def test_a_missing_matplotlib_is_named() -> None:
    code = (
        "import sys; sys.modules['matplotlib'] = None; sys.path.insert(0, 'tests'); "
        "from sample_reports import report; from faceset.evaluation.plots import plots\n"
        "from faceset.errors import MissingExtraError\n"
        "try: plots(report(), 'verification')\n"
        "except MissingExtraError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'faceset[evaluate]'" in done.stdout
