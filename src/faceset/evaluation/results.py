"""What an evaluation found: numbers with their intervals, and what is needed to draw them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Metric:
    """One figure.

    Attributes:
        value: shares are in 0..1.
        low, high: ends of the 95 % interval; None where there is none.
        resolved: False where the data are too few to show it (see :mod:`faceset.metrics`).
        threshold: the score it was taken at, where it was taken at one.
        note: what the interval is over, and anything else a reader must know.
        std: standard deviation over the splits (population, that is divided by their number), where value is a mean
            over several; None elsewhere.
    """

    value: float
    low: float | None = None
    high: float | None = None
    resolved: bool = True
    threshold: float | None = None
    note: str = ""
    std: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; what is infinite or unknown is None."""
        return {
            "value": self.value,
            "low": self.low,
            "high": self.high,
            "resolved": self.resolved,
            "threshold": None if self.threshold is None or not np.isfinite(self.threshold) else self.threshold,
            "note": self.note,
            "std": self.std,
        }


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """Points to draw: x and y of the same length K, at most a few thousand."""

    x: Doubles
    y: Doubles


@dataclass(frozen=True, slots=True, eq=False)
class Histogram:
    """Scores counted in bins.

    Attributes:
        edges: (K + 1,) bounds of the bins.
        genuine, impostor: (K,) counts.
    """

    edges: Doubles
    genuine: npt.NDArray[np.int64]
    impostor: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class SizeRate:
    """The rate of correct acceptance among trials whose smaller template has ``low`` to ``high`` faces.

    Attributes:
        low, high: bounds of the size, inclusive; ``high`` None: no bound.
        genuine: genuine trials (or mated searches) of that size.
        rate: TAR at ``far`` with the one threshold of all trials; None where there is no trial.
        far: the target (FPIR for searches).
    """

    low: int
    high: int | None
    genuine: int
    far: float
    rate: Metric | None


@dataclass(frozen=True, slots=True)
class Example:
    """One pair worth looking at.

    Attributes:
        kind: ``missed`` (one person, lowest score), ``false alarm`` (two people, highest score), ``easy`` (one person,
            highest score), ``apart`` (two people, lowest score).
        score: of the pair; None when one of the two could not be enrolled.
        first, second: ids of the templates.
        first_subject, second_subject: who they are of.
        first_media, second_media: names of up to three entries of each, heaviest first.
    """

    kind: str
    score: float | None
    first: str
    second: str
    first_subject: str
    second_subject: str
    first_media: tuple[str, ...] = ()
    second_media: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """One aggregator on one experiment.

    Attributes:
        aggregator: its name as it was asked for, such as ``nan``, ``media-first+norm`` or ``pairwise-max``.
        used: its full name, such as ``nan:1f2e3d4c``.
        task: ``verification`` or ``identification``.
        part: which experiment, such as ``split 1``.
        metrics: figures by name, in the order to print: ``accuracy``, ``tar@far=0.001``, ``eer``, ``auc``;
            ``rank-1``, ``tpir@fpir=0.01``.
        counts: ``templates``, ``faces``, ``failed_templates``, ``genuine``, ``impostors``, ``failed_genuine``,
            ``failed_impostors``, ``searches``, ``mated`` ... what applies.
        curves: ``roc`` (FAR, TAR), ``det`` (FAR, FRR), ``cmc`` (rank, rate), ``open-set`` (FPIR, TPIR).
        histogram: of scores; for searches genuine = mates, impostor = best non-mate of non-mated searches.
        by_size: rates by template size.
        examples: best and worst pairs.
        seconds: time spent on this aggregator (templates and scores).
    """

    aggregator: str
    used: str
    task: str
    part: str
    metrics: Mapping[str, Metric]
    counts: Mapping[str, int]
    curves: Mapping[str, Curve] = field(default_factory=dict)
    histogram: Histogram | None = None
    by_size: tuple[SizeRate, ...] = ()
    examples: tuple[Example, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Report:
    """All aggregators on all experiments of a protocol.

    Attributes:
        protocol: name of the protocol.
        signature: all that makes two reports comparable or not: protocol, files with sha256, lists, counts, model ids,
            how features were made, options, seed, versions. Plain values.
        outcomes: one per aggregator and experiment; experiments of one aggregator stand together.
        summary: aggregator -> metric name -> figure over all experiments (mean and standard deviation over splits;
            the figure itself where there is one experiment of that task).
        notes: sentences a reader must see: failures to enrol, fallbacks, unresolved rates, the list used.
    """

    protocol: str
    signature: Mapping[str, Any]
    outcomes: tuple[Outcome, ...]
    summary: Mapping[str, Mapping[str, Metric]]
    notes: tuple[str, ...] = ()
