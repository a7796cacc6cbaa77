"""One aggregator on one experiment: from faces to an outcome."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from faceset.aggregation import Aggregator
from faceset.evaluation.examples import Chosen, choose, describe
from faceset.evaluation.identification import Identified, identify
from faceset.evaluation.jobs import Job
from faceset.evaluation.options import Options
from faceset.evaluation.pairwise import scorer_of
from faceset.evaluation.results import Outcome
from faceset.evaluation.scores import Scorer, TemplateScorer, score_pairs
from faceset.evaluation.searching import chosen_searches, score_searches, searches_of
from faceset.evaluation.templates import make
from faceset.evaluation.trials import Bools
from faceset.evaluation.verification import Pairs, Verified, verify
from faceset.evaluation.workers import Workers
from faceset.feature_table import FeatureTable


@dataclass(frozen=True, slots=True, eq=False)
class Way:
    """One way to score a job: a scorer of one or several kinds, and what is known of its templates."""

    labels: tuple[str, ...]
    used: tuple[str, ...]
    scorer: Scorer
    enrolled: Bools
    aggregator: Aggregator | None
    counts: dict[str, int]
    refused: Mapping[int, str]


def score(
    job: Job,
    labels: tuple[str, ...],
    aggregator: Aggregator | None,
    table: FeatureTable,
    options: Options,
    shown: tuple[float, float],
    pool: Workers,
) -> tuple[list[Outcome], list[str]]:
    """One outcome a label, and sentences that a reader must see, such as why sets were refused.

    Args:
        job: the experiment.
        labels: what the results are called: one, or all pairwise baselines, which share one pass and its seconds.
        aggregator: None for pairwise baselines.
        table: the features.
        options: of the evaluation.
        shown: FAR and FPIR of the rates by size.
        pool: threads.
    """
    start = time.perf_counter()
    way = _way(job, labels, aggregator, table, pool)
    sizes = np.where(way.enrolled, job.sets.sizes, 0)
    plan = job.plan
    said = []
    if way.refused:
        place, reason = min(way.refused.items())
        name = job.experiment.templates.ids[job.sets.order[place]]
        said.append(
            f"{labels[0]}: {len(way.refused)} templates with faces failed to enrol, the first {name} ({reason})."
        )
    outcomes = []
    if isinstance(plan, Pairs):
        pairs = score_pairs(way.scorer, plan.first, plan.second, pool)
        seconds = time.perf_counter() - start
        for k, row in enumerate(pairs):
            verified = verify(plan, row, sizes, options, shown[0])
            chosen = choose(plan.first, plan.second, plan.same, row)
            outcomes.append(_outcome(job, way, k, verified, chosen, table, seconds))
        return outcomes, said
    tables = score_searches(way.scorer, plan, pool)
    seconds = time.perf_counter() - start
    for k in range(len(labels)):
        scores = [t[k] for t in tables]
        searches = searches_of(plan, scores)
        identified = identify(plan, searches, sizes[plan.probes], options, shown[1])
        chosen = chosen_searches(plan, scores, searches)
        outcomes.append(_outcome(job, way, k, identified, chosen, table, seconds))
        said += identified.notes
    return outcomes, said


def _way(job: Job, labels: tuple[str, ...], aggregator: Aggregator | None, table: FeatureTable, pool: Workers) -> Way:
    sets = job.sets
    templates, frames = job.plan.cost(sets.sizes)
    counts = {"template_comparisons": templates}
    if aggregator is None:
        pairwise = scorer_of(labels, table, sets)
        return Way(labels, labels, pairwise, pairwise.enrolled, None, counts | {"frame_comparisons": frames}, {})
    made = make(aggregator, table, sets, pool)
    scorer = TemplateScorer(made.vectors, made.enrolled)
    return Way(labels, (aggregator.name,), scorer, made.enrolled, aggregator, counts, made.refused)


def _outcome(
    job: Job,
    way: Way,
    k: int,
    found: Verified | Identified,
    chosen: list[Chosen],
    table: FeatureTable,
    seconds: float,
) -> Outcome:
    e, joined = job.experiment, job.joined.counts
    counts = {
        "templates": job.sets.order.size,
        "faces": job.sets.rows.size,
        "failed_templates": int(np.count_nonzero(~way.enrolled)),
        "missing_entries": joined["missing_entries"],
        "zero_vectors": joined["zero_vectors"],
    }
    return Outcome(
        aggregator=way.labels[k],
        used=way.used[k],
        task=e.task,
        part=e.part,
        metrics=found.metrics,
        counts={**counts, **found.counts, **way.counts},
        curves=found.curves,
        histogram=found.histogram,
        by_size=found.by_size,
        examples=describe(chosen, e.templates, job.sets, table, way.enrolled, way.aggregator),
        seconds=seconds,
    )
