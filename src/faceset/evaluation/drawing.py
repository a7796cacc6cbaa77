"""What all plots share: one look, SVG with the same bytes every time, and no state of matplotlib touched for good.

The figures are made without pyplot, on a white ground, so that they read the same in print and on a dark page. Colours
are those of Okabe and Ito (2008, "Color Universal Design"), told apart with every common colour vision, and every line
also has its own dashes.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from faceset.errors import MissingExtraError
from faceset.evaluation.results import Curve, Doubles
from faceset.evaluation.wording import clean

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1, 1.5)), (0, (6, 2, 1, 2)), (0, (8, 3, 1, 2, 1, 2)))
_LOOK: dict[str, Any] = {
    "axes.edgecolor": "#5a6472",
    "axes.grid": True,
    "axes.grid.which": "major",
    "axes.labelsize": 10,
    "axes.linewidth": 0.8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 10,
    "figure.facecolor": "white",
    "font.family": ["sans-serif"],
    "font.size": 10,
    "grid.color": "#d9dee5",
    "grid.linewidth": 0.6,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "path.simplify": True,
    "savefig.facecolor": "white",
    "svg.fonttype": "path",
    "svg.hashsalt": "faceset",
    "text.parse_math": False,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
}


@contextlib.contextmanager
def look() -> Iterator[None]:
    """Draw in the look of the report, whatever the user's own settings of matplotlib are.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    try:
        import matplotlib.style
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"plots need matplotlib ({error}); install the extra that brings it: pip install 'faceset[evaluate]'"
        ) from error
    with matplotlib.style.context(["default", _LOOK]), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")  # names of any script
        yield


def new(width: float = 6.4, height: float = 4.4, rows: int = 1, columns: int = 1) -> tuple[Figure, list[Axes]]:
    """A figure in inches and its axes, row by row."""
    from matplotlib.figure import Figure

    made = Figure(figsize=(width, height), layout="constrained")
    axes = made.subplots(rows, columns, squeeze=False)
    return made, list(axes.ravel())


def svg(figure: Figure) -> str:
    """The figure as an SVG document, the same bytes for the same figure."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    written = io.StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    FigureCanvasSVG(figure).print_svg(written, metadata=nothing)
    return written.getvalue()


def style(index: int) -> dict[str, Any]:
    """Colour and dashes of the line with that number."""
    return {"color": COLOURS[index % len(COLOURS)], "linestyle": DASHES[index % len(DASHES)]}


def legend(figure: Figure, names: Sequence[str], handles: Sequence[Any]) -> None:
    """Names of lines under the axes; names come from anywhere."""
    shown = [clean(name) if len(name) <= 40 else "..." + clean(name[-37:]) for name in names]
    if shown:
        rows = -(-len(shown) // (4 if max(map(len, shown)) < 16 else 2))
        columns = -(-len(shown) // rows)
        figure.legend(handles, shown, loc="outside lower center", ncols=columns, handlelength=3.2)


def rates(axis: Any, ticks: Sequence[float], places: Sequence[float] | None = None) -> None:
    """Ticks at rates, written plainly: ``1e-4``, ``0.01``; ``places``: where they are, if not at their values."""
    axis.set_ticks(list(ticks if places is None else places), [rate(t) for t in ticks])
    axis.set_ticks([], minor=True)


def rate(value: float) -> str:
    """A rate in few characters.

    >>> rate(1e-5), rate(0.01), rate(0.5)
    ('1e-5', '0.01', '0.5')
    """
    return f"1e{round(np.log10(value))}" if value < 0.001 else f"{value:g}"


def thin(x: Doubles, y: Doubles, steps: int = 500) -> Curve:
    """The points of a curve that differ in a drawing of ``steps`` pixels each way; ends are kept."""
    if x.size <= 2:
        return Curve(x, y)
    spans = [float(np.ptp(v)) or 1.0 for v in (x, y)]
    way = np.abs(np.diff(x)) / spans[0] + np.abs(np.diff(y)) / spans[1]
    cell = np.floor(np.concatenate([[0.0], np.cumsum(way)]) * steps)
    keep = np.concatenate([[True], np.diff(cell) > 0])
    keep[-1] = True
    keep[:-1] |= keep[1:]  # the point before a jump, or a step would turn into a slope
    return Curve(x[keep], y[keep])
