"""Experiments joined with features, ready to be scored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from faceset.evaluation.drawn import shown_target
from faceset.evaluation.joining import Joined, Sets, join, sets_of
from faceset.evaluation.options import Options
from faceset.evaluation.searching import Plan, plan_of
from faceset.evaluation.trials import Experiment, Verification
from faceset.evaluation.verification import Pairs, pairs_of
from faceset.feature_table import FeatureTable


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """One experiment, the rows of its entries, the faces of its templates, and its trials in canonical order."""

    experiment: Experiment
    joined: Joined
    sets: Sets
    plan: Pairs | Plan


def jobs_of(experiments: Sequence[Experiment], features: FeatureTable, missing: str) -> list[Job]:
    """Join every experiment; what they share is done once.

    Raises:
        FeatureTableError: as :func:`faceset.evaluation.joining.join`.
        ProtocolError: trials of a kind are missing.
    """
    jobs: list[Job] = []
    for e in experiments:
        alike = (j for j in jobs if j.experiment.faces is e.faces and j.experiment.templates is e.templates)
        before = next(alike, None)
        joined = before.joined if before else join(e.faces, e.templates, features, missing=missing)
        sets = before.sets if before else sets_of(joined, e.templates)
        plan = pairs_of(e, sets) if isinstance(e, Verification) else plan_of(e, sets)
        jobs.append(Job(e, joined, sets, plan))
    return jobs


def shown_targets(jobs: Sequence[Job], options: Options) -> tuple[float, float]:
    """FAR and FPIR of the rates by size: the same for all jobs, so that they can be put together."""
    impostors = [job.experiment.impostors for job in jobs if isinstance(job.experiment, Verification)]
    others = [job.plan.non_mated for job in jobs if isinstance(job.plan, Plan)]
    return (
        shown_target(options.fars, min(impostors, default=0)),
        shown_target(options.fpirs, min(others, default=0)),
    )
