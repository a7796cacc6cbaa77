"""Every closed form beside the learned aggregators, on held-out people, by condition and set size, with intervals.

All share the same sets, pairs and resamples, so differences are paired.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import nn

from faceset import aggregation
from faceset.bootstrap import Bootstrap, Trials, combine, paired_bootstrap
from faceset.training.data import TrainData
from faceset.training.sampler import SetBatch
from faceset.training.validation import MIXES, SIZES, Validation, templates
from faceset.types import Floats

CLOSED = ("mean", "norm", "norm-score", "media-first", "medoid", "best", "trimmed")
"""Closed forms of :mod:`faceset.aggregation` that are always reported."""


@dataclass(frozen=True, slots=True)
class Report:
    """TAR of every aggregator in every condition.

    Attributes:
        conditions: name of the condition -> the bootstrap over all aggregators.
        far: the target FAR.
        subjects: people behind it.
        seeds: how many draws of the sets each figure is the mean of.
    """

    conditions: Mapping[str, Bootstrap]
    far: float
    subjects: int
    seeds: int

    def to_dict(self, against: str = "mean") -> dict[str, Any]:
        """Plain values for JSON: TAR, its interval, and the paired difference to ``against``."""
        table = {
            condition: {
                name: {
                    "tar": result.interval(name, self.far),
                    f"minus_{against}": result.difference(name, against, self.far),
                }
                for name in result.names
            }
            for condition, result in self.conditions.items()
        }
        resolved = {c: r.resolved[r.fars.index(self.far)] for c, r in self.conditions.items()}
        return {"far": self.far, "subjects": self.subjects, "seeds": self.seeds, "resolved": resolved, "table": table}

    def __str__(self) -> str:
        """A Markdown table: TAR in percent, in brackets the interval of the difference to the mean in points."""
        names = next(iter(self.conditions.values())).names
        lines = [
            f"TAR in % at FAR {self.far:g}, [95 % of TAR - TAR of the mean], {self.subjects} people, "
            f"{self.seeds} draws of the sets",
            "",
            "| aggregator | " + " | ".join(self.conditions) + " |",
            "|---|" + "---|" * len(self.conditions),
        ]
        for name in names:
            cells = []
            for result in self.conditions.values():
                tar = 100 * result.interval(name, self.far)[0]
                _, low, high = (100 * v for v in result.difference(name, "mean", self.far))
                cells.append(f"{tar:.1f}" if name == "mean" else f"{tar:.1f} [{low:+.1f}, {high:+.1f}]")
            lines.append(f"| {name} | " + " | ".join(cells) + " |")
        return "\n".join(lines)


def compare(
    models: Mapping[str, nn.Module],
    data: TrainData,
    *,
    far: float = 1e-3,
    sizes: Sequence[int] = SIZES,
    mixes: Mapping[str, float] = MIXES,
    closed: Sequence[str] = CLOSED,
    seeds: int = 3,
    resamples: int = 500,
) -> Report:
    """Measure models and closed forms on people never trained on.

    Args:
        models: name -> torch aggregator.
        data: of held-out people.
        far: target FAR.
        sizes, mixes: as in :class:`faceset.training.validation.Validation`.
        closed: names of :mod:`faceset.aggregation`; ``mean`` is always among them.
        seeds: draws of the sets, over which figures are averaged.
        resamples: of subjects.
    """
    parts: dict[str, list[Bootstrap]] = {}
    for seed in range(seeds):
        validation = Validation(data, sizes=sizes, mixes=mixes, seed=1000 + seed)
        for name, (sets, trials) in validation.conditions.items():
            made = {c: closed_templates(c, data, sets) for c in dict.fromkeys(["mean", *closed])}
            made |= {m: templates(model, data, sets) for m, model in models.items()}
            scores = {k: trials.scores(t) for k, t in made.items()}
            parts.setdefault(name, []).append(_bootstrap(scores, trials, far, resamples))
    found = {name: combine(results) for name, results in parts.items()}
    return Report(found, far, len(data.subjects), seeds)


def closed_templates(name: str, data: TrainData, sets: SetBatch) -> Floats:
    """(B, D) templates of the sets by a closed form."""
    rows = sets.rows[sets.mask]
    offsets = np.concatenate([[0], np.cumsum(sets.mask.sum(axis=1))])
    made = aggregation.get(name)(data.features[rows], offsets, media=sets.media[sets.mask], quality=data.score[rows])
    return made.templates


def _bootstrap(scores: Mapping[str, Floats], trials: Trials, far: float, resamples: int) -> Bootstrap:
    return paired_bootstrap(scores, trials, fars=(far,), resamples=resamples)
