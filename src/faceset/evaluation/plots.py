"""The plots of a report, as SVG documents. Needs matplotlib: ``pip install 'faceset[evaluate]'``.

Of several experiments (splits) the mean curve is drawn; see :mod:`faceset.evaluation.combine`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt

from faceset.evaluation import drawing
from faceset.evaluation.combine import curve_of, histogram_of, size_name, sizes_of
from faceset.evaluation.document import aggregators_of
from faceset.evaluation.drawing import thin
from faceset.evaluation.results import Curve, Doubles, Histogram, Outcome, Report
from faceset.evaluation.wording import clean, outcomes_of

_DEVIATES = (1e-6, 1e-5, 1e-4, 1e-3, 0.01, 0.05, 0.2, 0.4)


@dataclass(frozen=True, slots=True)
class Plot:
    """One drawing.

    Attributes:
        name: ``roc``, ``det``, ``cmc``, ``open-set``, ``scores`` or ``sizes``.
        title: for people.
        text: what it shows, in place of the picture.
        svg: an SVG document.
    """

    name: str
    title: str
    text: str
    svg: str


def plots(report: Report, task: str) -> list[Plot]:
    """Every plot that the outcomes of a task have data for.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    found = {a: outcomes_of(report, a, task) for a in aggregators_of(report)}
    found = {a: outcomes for a, outcomes in found.items() if outcomes}
    makers = (_roc, _det, _cmc, _open_set, _scores, _sizes)
    with drawing.look():
        return [plot for make in makers if (plot := make(found)) is not None]


def _roc(found: Mapping[str, Sequence[Outcome]]) -> Plot | None:
    return _rates_plot(found, "roc", "ROC: correct acceptance (TAR) at each false acceptance rate (FAR)", "FAR", "TAR")


def _open_set(found: Mapping[str, Sequence[Outcome]]) -> Plot | None:
    title = "Open-set search: found at first rank (TPIR) at each false positive identification rate (FPIR)"
    return _rates_plot(found, "open-set", title, "FPIR", "TPIR")


def _rates_plot(found: Mapping[str, Sequence[Outcome]], name: str, title: str, x: str, y: str) -> Plot | None:
    """A rate of success over a rate of false alarms on a logarithmic axis."""
    curves = _curves(found, name)
    if not curves:
        return None
    left = _left(curves)
    figure, (axes,) = drawing.new()
    handles, lowest = [], 1.0
    for i, curve in enumerate(curves.values()):
        drawn = _from(curve, left)
        shown = thin(np.log10(drawn.x), drawn.y)
        handles += axes.plot(10**shown.x, shown.y, drawstyle="steps-post", **drawing.style(i))
        lowest = min(lowest, float(shown.y.min()))
    axes.set_xscale("log")
    axes.set_xlim(left, 1.0)
    axes.set_ylim(_bottom(lowest), 1.002)
    drawing.rates(axes.xaxis, [10.0**k for k in range(int(np.ceil(np.log10(left) - 1e-9)), 1)])
    axes.set(xlabel=f"{x} (logarithmic)", ylabel=y)
    drawing.legend(figure, list(curves), handles)
    return Plot(name, title, f"{title}. {_names(curves)}", drawing.svg(figure))


def _det(found: Mapping[str, Sequence[Outcome]]) -> Plot | None:
    """Both errors on normal deviate axes, as in Martin et al., "The DET curve", Eurospeech 1997."""
    curves = _curves(found, "det")
    if not curves:
        return None
    left = _left(curves)
    inner = [c.y[(c.y > 0) & (c.y < 1)] for c in curves.values()]
    floor = min([left, 0.01, *(float(y.min()) / 2 for y in inner if y.size)])
    figure, (axes,) = drawing.new()
    handles = []
    for i, curve in enumerate(curves.values()):
        drawn = _from(curve, left)
        shown = thin(_deviate(np.clip(drawn.x, floor, 0.6)), _deviate(np.clip(drawn.y, floor, 0.6)))
        handles += axes.plot(shown.x, shown.y, **drawing.style(i))
    ticks = [t for t in _DEVIATES if t >= floor * 0.99]
    low, high = _deviate(np.array([floor, 0.5]))
    for axis in (axes.xaxis, axes.yaxis):
        drawing.rates(axis, ticks, [float(v) for v in _deviate(np.array(ticks))])
    axes.set(xlim=(low, high), ylim=(low, high), xlabel="FAR (normal deviate)", ylabel="FRR = 1 - TAR (normal deviate)")
    drawing.legend(figure, list(curves), handles)
    title = "DET: false rejection (FRR) at each false acceptance rate (FAR), normal deviate axes"
    return Plot("det", title, f"{title}. {_names(curves)}", drawing.svg(figure))


def _cmc(found: Mapping[str, Sequence[Outcome]]) -> Plot | None:
    curves = _curves(found, "cmc")
    if not curves:
        return None
    figure, (axes,) = drawing.new()
    last = min(max(float(c.x.max()) for c in curves.values()), 20.0)
    handles, lowest = [], 1.0
    for i, curve in enumerate(curves.values()):
        shown = curve.x <= last
        handles += axes.plot(curve.x[shown], curve.y[shown], marker="o", markersize=3.5, **drawing.style(i))
        lowest = min(lowest, float(curve.y[shown].min()))
    axes.set(
        xlim=(0.7, max(last, 2.0) + 0.3), ylim=(_bottom(lowest), 1.002), xlabel="rank", ylabel="identification rate"
    )
    ticks = [t for t in (1, 2, 3, 5, 10, 15, 20) if t <= last]
    axes.set_xticks(ticks, [str(t) for t in ticks])
    drawing.legend(figure, list(curves), handles)
    title = "CMC: share of searches whose mate is among the first ranks"
    return Plot("cmc", title, f"{title}. {_names(curves)}", drawing.svg(figure))


def _scores(found: Mapping[str, Sequence[Outcome]]) -> Plot | None:
    counted = {a: h for a, outcomes in found.items() if (h := histogram_of(outcomes)) is not None}
    if not counted:
        return None
    rows = -(-len(counted) // 2) if len(counted) > 1 else 1
    figure, panels = drawing.new(7.2, 0.8 + 2.0 * rows, rows, 2 if len(counted) > 1 else 1)
    identification = next(iter(found.values()))[0].task == "identification"
    sides = ("mate", "best of others, no mate enrolled") if identification else ("same person", "different people")
    bounds = _bounds(list(counted.values()))
    handles: list[Any] = []
    for panel, (name, h) in zip(panels, counted.items(), strict=False):
        handles = [
            panel.stairs(np.maximum(h.impostor, 0.5), h.edges, baseline=0.5, fill=True, color="#e69f00", alpha=0.55),
            panel.stairs(np.maximum(h.genuine, 0.5), h.edges, baseline=0.5, color="#0072b2", linewidth=1.6),
        ]
        panel.set_yscale("log")
        top = max(float(h.genuine.max(initial=1)), float(h.impostor.max(initial=1)))
        panel.set(xlim=bounds, ylim=(0.5, 3 * top))
        drawing.rates(panel.yaxis, _decades(top))
        panel.set_title(clean(name[-44:]), loc="left")
        panel.set(xlabel="score", ylabel="pairs" if not identification else "searches")
    for panel in panels[len(counted) :]:
        panel.set_visible(False)
    drawing.legend(figure, [sides[1], sides[0]], handles)
    title = "Score histograms, counts on a logarithmic axis"
    text = f"{title}: {sides[0]} against {sides[1]}. {_names(counted)}"
    return Plot("scores", title, text, drawing.svg(figure))


def _sizes(found: Mapping[str, Sequence[Outcome]]) -> Plot | None:
    rows = {a: [r for r in sizes_of(outcomes) if r.rate is not None and r.high != 0] for a, outcomes in found.items()}
    rows = {a: r for a, r in rows.items() if r}
    places = sorted({(r.low, size_name(r)) for sizes in rows.values() for r in sizes})
    if len(places) < 2:
        return None  # templates of one size: the figure is the headline's
    at = {place: k for k, place in enumerate(places)}
    figure, (axes,) = drawing.new()
    handles: list[Any] = []
    for i, sizes in enumerate(rows.values()):
        shift = 0.5 * ((i + 0.5) / len(rows) - 0.5)
        x = [at[r.low, size_name(r)] + shift for r in sizes]
        rates = [r.rate for r in sizes if r.rate is not None]
        ends = [(m.value if m.low is None else m.low, m.value if m.high is None else m.high) for m in rates]
        look = drawing.style(i)
        axes.vlines(x, [low for low, _ in ends], [high for _, high in ends], color=look["color"], linewidth=1.2)
        handles += axes.plot(x, [m.value for m in rates], marker="o", markersize=4.5, **{**look, "linewidth": 1.0})
    axes.set_xticks(range(len(places)), [name for _, name in places])
    far = next(iter(rows.values()))[0].far
    kind = "TPIR" if next(iter(found.values()))[0].task == "identification" else "TAR"
    axes.set(xlabel="faces in the smaller template", ylabel=f"{kind} at {'FPIR' if kind == 'TPIR' else 'FAR'} {far:g}")
    axes.set_ylim(top=1.01)
    drawing.legend(figure, list(rows), handles)
    title = f"{kind} by the number of faces, at one threshold for all sizes; bars are 95 % intervals"
    return Plot("sizes", title, f"{title}. {_names(rows)}", drawing.svg(figure))


def _curves(found: Mapping[str, Sequence[Outcome]], name: str) -> dict[str, Curve]:
    return {a: curve for a, outcomes in found.items() if (curve := curve_of(outcomes, name)) is not None}


def _left(curves: Mapping[str, Curve]) -> float:
    """Left end of an axis of false alarms: half the least rate above zero, so that the rate at zero is seen too."""
    return min([0.1, *(float(c.x[c.x > 0].min()) / 2 for c in curves.values() if (c.x > 0).any())])


def _from(curve: Curve, left: float) -> Curve:
    """The curve with its last point at a rate of zero moved to the left end, as a logarithm has no zero."""
    zero = curve.x < left
    keep = ~zero
    if zero.any():
        keep[np.flatnonzero(zero)[-1]] = True
    return Curve(np.maximum(curve.x[keep], left), curve.y[keep])


def _names(shown: Mapping[str, object]) -> str:
    return f"Shown: {', '.join(shown)}."


def _bottom(lowest: float) -> float:
    """Where the axis of a rate begins: zero unless all curves are high up."""
    return max(0.0, lowest - 0.15 * (1.0 - lowest) - 0.002) if lowest > 0.3 else 0.0


def _bounds(histograms: Sequence[Histogram]) -> tuple[float, float]:
    """The range of all scores, a bin more on each side."""
    ends = []
    for h in histograms:
        held = np.flatnonzero(h.genuine + h.impostor)
        ends += [h.edges[max(held[0] - 1, 0)], h.edges[min(held[-1] + 2, h.edges.size - 1)]] if held.size else []
    return (float(min(ends)), float(max(ends))) if ends else (0.0, 1.0)


def _decades(top: float) -> list[float]:
    return [float(10**k) for k in range(int(np.ceil(np.log10(max(top, 1.0)))) + 1)]


def _deviate(rates: npt.ArrayLike) -> Doubles:
    normal = NormalDist()
    return np.array([normal.inv_cdf(float(v)) for v in np.atleast_1d(rates)], dtype=np.float64)
