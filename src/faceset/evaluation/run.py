"""Trials and features to a report: every aggregator that is asked for, in one pass over the experiments.

No picture is looked at and no model of detection or embedding is loaded. The result does not depend on the order of
the rows of the table or of the lines of the protocol's files, on the number of threads, or on earlier runs: everything
is brought into the order of names first, and work is cut into blocks of fixed size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from faceset.aggregation import Aggregator
from faceset.errors import InputError
from faceset.evaluation import notes
from faceset.evaluation.jobs import jobs_of, shown_targets
from faceset.evaluation.options import FARS, FPIRS, RANKS, Options
from faceset.evaluation.outcomes import score
from faceset.evaluation.pairwise import KINDS, check_cost
from faceset.evaluation.pooling import aggregator_names, aggregator_of, label_of
from faceset.evaluation.results import Outcome, Report
from faceset.evaluation.signature import signature
from faceset.evaluation.summary import summarise
from faceset.evaluation.trials import Experiment
from faceset.evaluation.workers import workers
from faceset.feature_table import FeatureTable

__all__ = ["FARS", "FPIRS", "RANKS", "aggregator_names", "evaluate"]


def evaluate(
    experiments: Sequence[Experiment],
    features: FeatureTable,
    aggregators: Sequence[str],
    *,
    fars: Sequence[float] = FARS,
    fpirs: Sequence[float] = FPIRS,
    ranks: Sequence[int] = RANKS,
    resamples: int = 200,
    seed: int = 0,
    media_first: bool = False,
    missing: str = "miss",
    progress: Callable[[str], None] | None = None,
) -> Report:
    """Score every aggregator on every experiment.

    Entries of the protocol find their rows in the table by the name of the medium. A template none of whose entries has
    a usable row has failed to enrol: its trials score -inf, are counted, and are misses (see :mod:`faceset.metrics`).

    Args:
        experiments: of one protocol.
        features: from :func:`faceset.evaluation.sources.load`.
        aggregators: names of :func:`aggregator_names`, or paths of trained ones (``.onnx``).
        fars: targets for TAR, each between 0 and 1.
        fpirs: targets for TPIR.
        ranks: of the cumulative match characteristic.
        resamples: of subjects, for the 95 % intervals; 0: no intervals.
        seed: of the resamples.
        media_first: pool the faces of each medium first (see :class:`faceset.evaluation.pooling.MediaFirst`); the names
            in the report say so. Pairwise baselines pool nothing and stay as they are.
        missing: what an entry without a row is: ``miss``, a counted failure, or ``error``.
        progress: told what is being worked on.

    Raises:
        InputError: an unknown or repeated name, a target out of range, or pairwise baselines on a job too large.
        ProtocolError: experiments of several protocols, or one without trials of a kind.
        FeatureTableError: the table does not fit the protocol.
        EmbedderMismatchError: a trained aggregator is of another embedder than the features.
        MissingExtraError: threadpoolctl is not installed.
    """
    options = Options(tuple(fars), tuple(fpirs), tuple(ranks), resamples, seed, media_first, missing)
    if not experiments or len({e.protocol for e in experiments}) > 1:
        raise InputError("give at least one experiment, and only of one protocol")
    made = _aggregators(aggregators, features.embedder, media_first)
    tell = progress or (lambda text: None)
    outcomes: dict[str, list[Outcome]] = {label: [] for label in made}
    said: list[str] = []
    with workers() as pool:
        tell("matching faces")
        jobs = jobs_of(experiments, features, missing)
        kinds = tuple(label for label in made if label in KINDS)
        for job in jobs:
            check_cost(job.plan.cost(job.sets.sizes)[1] if kinds else 0, kinds, job.experiment.part)
        shown = shown_targets(jobs, options)
        groups = [((label,), made[label]) for label in made if label not in KINDS] + ([(kinds, None)] if kinds else [])
        for number, job in enumerate(jobs):
            said += notes.of_job(job, str(features.settings.get("fallback_rule", "")))
            for labels, aggregator in groups:
                tell(f"{', '.join(labels)}: {job.experiment.part or job.experiment.task} ({number + 1} of {len(jobs)})")
                found, extra = score(job, labels, aggregator, features, options, shown, pool)
                for outcome in found:
                    outcomes[outcome.aggregator].append(outcome)
                said += extra
    together = tuple(o for label in made for o in outcomes[label])
    used = {label: found[0].used for label, found in outcomes.items()}
    said += [*notes.of_options(options, tuple(made)), *notes.of_outcomes(together)]
    return Report(
        protocol=experiments[0].protocol,
        signature=signature(experiments, features, used, options.to_dict()),
        outcomes=together,
        summary=summarise(together),
        notes=tuple(dict.fromkeys(said)),
    )


def _aggregators(names: Sequence[str], model_id: str, media_first: bool) -> dict[str, Aggregator | None]:
    """Label -> aggregator, None for pairwise baselines."""
    if not names:
        raise InputError(f"name at least one aggregator: {', '.join(aggregator_names())}")
    made: dict[str, Aggregator | None] = {}
    for name in names:
        label = label_of(name, media_first)
        if label in made:
            raise InputError(f"aggregator {label!r} is asked for twice")
        made[label] = None if name in KINDS else aggregator_of(name, model_id, media_first)
    return made
