"""Figures, curves and examples of a 1:1 experiment from the scores of its pairs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from faceset.bootstrap import Trials, accuracy_bootstrap, paired_bootstrap
from faceset.errors import ProtocolError
from faceset.evaluation.drawn import BINS, histogram, size_rates, thin
from faceset.evaluation.joining import Sets
from faceset.evaluation.options import Options
from faceset.evaluation.results import Curve, Histogram, Metric, SizeRate
from faceset.evaluation.trials import Bools, Ints, Verification
from faceset.metrics import Scores, kfold_accuracy
from faceset.types import Floats

SUBJECTS = "95 % interval over subjects"
CURVES = 200_000_000
"""Most pairs times resamples for which EER and AUC get an interval: each resample then looks at every pair."""


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """The pairs of an experiment, sorted by first template, second template, fold and label.

    Attributes:
        first, second: (P,) int32 places of templates in :class:`faceset.evaluation.joining.Sets`.
        same: (P,) whether both are of one person.
        folds: (P,) or None.
        trials: the same with their subjects; None where labels and subjects disagree, so that subjects cannot be drawn.
    """

    first: npt.NDArray[np.int32]
    second: npt.NDArray[np.int32]
    same: Bools
    folds: npt.NDArray[np.int64] | None
    trials: Trials | None

    def cost(self, sizes: Ints) -> tuple[int, int]:
        """Comparisons of templates, and of faces where templates have ``sizes`` (T,) faces."""
        return self.first.size, int(np.sum(sizes[self.first] * sizes[self.second]))


@dataclass(frozen=True, slots=True, eq=False)
class Verified:
    """What the scores of all pairs say; see :class:`faceset.evaluation.results.Outcome`."""

    metrics: dict[str, Metric]
    counts: dict[str, int]
    curves: dict[str, Curve]
    histogram: Histogram
    by_size: tuple[SizeRate, ...]


def pairs_of(experiment: Verification, sets: Sets) -> Pairs:
    """Bring the pairs into an order that does not depend on that of the file.

    Raises:
        ProtocolError: there are no pairs of one of the two kinds.
    """
    if not experiment.genuine or not experiment.impostors:
        raise ProtocolError(
            f"{experiment.protocol} has {experiment.genuine} pairs of one person and {experiment.impostors} of two"
            f"{f' in {experiment.part}' if experiment.part else ''}; both kinds are needed for an evaluation"
        )
    first, second = (sets.place[x].astype(np.int32) for x in (experiment.first, experiment.second))
    same, folds = experiment.same, experiment.folds
    key = first.astype(np.int64) * len(experiment.templates) + second
    if folds is not None:
        key = key * (int(folds.max()) + 1) + folds
    key = key * 2 + same
    if (key[1:] < key[:-1]).any():
        order = np.argsort(key)  # pairs of equal keys are equal in everything
        first, second, same = first[order], second[order], same[order]
        folds = None if folds is None else folds[order]
    subjects = experiment.templates.subject.codes[sets.order]
    trials: Trials | None = Trials.of(first, second, subjects)
    if trials is not None and not np.array_equal(trials.same, same):
        trials = None
    return Pairs(first, second, same, folds, trials)


def verify(pairs: Pairs, scores: Floats, sizes: Ints, options: Options, shown: float) -> Verified:
    """Every figure of one score set.

    Args:
        pairs: from :func:`pairs_of`.
        scores: (P,) float32; -inf where a template failed to enrol.
        sizes: (T,) faces of each template, 0 where it was not enrolled.
        options: targets, resamples and seed.
        shown: the target of the rates by size.

    Raises:
        InputError: no impostor pair that was compared.
    """
    fars, resamples, seed = options.fars, options.resamples, options.seed
    genuine, impostor = scores[pairs.same], scores[~pairs.same]
    table = Scores.of(genuine, impostor)
    curve = table.roc()
    metrics = _accuracy(pairs, scores, resamples, seed)
    drawn = None
    if resamples and pairs.trials is not None:
        whole = scores.size * resamples <= CURVES
        drawn = paired_bootstrap({"": scores}, pairs.trials, fars=fars, resamples=resamples, seed=seed, curves=whole)
    for rate in table.rates(fars):
        low, high = (None, None) if drawn is None else drawn.interval("", rate.far)[1:]
        note = SUBJECTS if drawn is not None else ""
        if not rate.resolved:
            note = f"not resolved: {rate.impostors} impostor pairs allow {rate.far * rate.impostors:.3g}; {note}"
        metrics[f"tar@far={rate.far:g}"] = Metric(
            rate.tar, _number(low), _number(high), rate.resolved, rate.threshold, note.removesuffix("; ")
        )
    for name, value, interval in (
        ("eer", curve.eer, None if drawn is None or drawn.eer is None else drawn.eer_interval("")),
        ("auc", curve.auc, None if drawn is None or drawn.auc is None else drawn.auc_interval("")),
    ):
        low, high = (None, None) if interval is None else interval[1:]
        metrics[name] = Metric(value, _number(low), _number(high), note="" if interval is None else SUBJECTS)
    kept = thin(curve.far)
    threshold = table.rate(shown).threshold
    own = pairs.same
    smaller = np.minimum(sizes[pairs.first[own]], sizes[pairs.second[own]])
    return Verified(
        metrics=metrics,
        counts={
            "genuine": genuine.size,
            "impostors": impostor.size,
            "failed_genuine": table.failed_genuine,
            "failed_impostors": table.failed_impostors,
        },
        curves={
            "roc": Curve(curve.far[kept], curve.tar[kept]),
            "det": Curve(curve.far[kept], curve.frr[kept]),
        },
        histogram=histogram(genuine, impostor, BINS),
        by_size=size_rates(smaller, genuine >= threshold, shown, threshold),
    )


def _accuracy(pairs: Pairs, scores: Floats, resamples: int, seed: int) -> dict[str, Metric]:
    if pairs.folds is None:
        return {}
    found = kfold_accuracy(scores, pairs.same, pairs.folds)
    note = (
        f"{found.accuracies.size} folds, standard error {found.standard_error:.4f}, "
        f"standard deviation {found.std:.4f} (sample)"
    )
    low = high = None
    if resamples and pairs.trials is not None:
        drawn = accuracy_bootstrap({"": scores}, pairs.trials, pairs.folds, resamples=resamples, seed=seed)
        _, low, high = drawn.interval("")
        note += f"; {SUBJECTS}"
    return {"accuracy": Metric(found.mean, _number(low), _number(high), note=note)}


def _number(value: float | None) -> float | None:
    return None if value is None or np.isnan(value) else float(value)
