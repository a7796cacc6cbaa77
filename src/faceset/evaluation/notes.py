"""Sentences that a reader of a report must see."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from faceset.evaluation.jobs import Job
from faceset.evaluation.options import Options
from faceset.evaluation.pairwise import KINDS
from faceset.evaluation.results import Outcome
from faceset.evaluation.verification import Pairs


def of_job(job: Job, rule: str) -> list[str]:
    """What the protocol says of itself, and what was found when its entries met the feature table.

    ``rule`` is the one by which the extraction placed faces that were not detected; empty where it does not say.
    """
    e, counts = job.experiment, job.joined.counts
    where = f"{e.task} {e.part}".strip()
    said = list(e.notes)
    empty = int(np.count_nonzero(job.sets.sizes == 0))
    if counts["missing_entries"] or empty:
        said.append(
            f"{where}: {counts['missing_entries']} of {counts['entries']} entries have no face in the feature table, "
            f"and {empty} of {len(e.templates)} templates have none at all: these failed to enrol, and every trial of "
            "one person with one of them is a miss at any threshold."
        )
    if counts["zero_vectors"]:
        said.append(f"{where}: {counts['zero_vectors']} features of length zero are left out, as faces not enrolled.")
    if counts["unscored_rows"]:
        said.append(
            f"{where}: {counts['unscored_rows']} faces have detector score 0: the detector did not find them, and the "
            f"extraction placed them by a rule{f' ({rule})' if rule else ''}."
        )
    if counts["degraded_rows"]:
        said.append(f"{where}: {counts['degraded_rows']} degraded copies in the feature table are not used.")
    if isinstance(job.plan, Pairs) and job.plan.trials is None:
        said.append(f"{where}: the labels of some pairs disagree with the subjects of their templates; no intervals.")
    return said


def of_options(options: Options, labels: Sequence[str]) -> list[str]:
    """What was chosen that changes how results compare."""
    if not options.media_first:
        return []
    apart = [label for label in labels if label in KINDS]
    return ["Faces are pooled by medium first" + (f", but not for {', '.join(apart)}." if apart else ".")]


def of_outcomes(outcomes: Sequence[Outcome]) -> list[str]:
    """Rates that the data cannot resolve, and what the pairwise baselines cost."""
    said = []
    weak = {name: None for o in outcomes for name, metric in o.metrics.items() if not metric.resolved}
    if weak:
        said.append(
            f"Not resolved by this many trials (fewer than 10 false alarms are expected): {', '.join(weak)}. Take them "
            "as accidents of a few pairs."
        )
    costs: dict[tuple[str, str], tuple[int, int]] = {}
    for o in outcomes:
        if "frame_comparisons" in o.counts:
            costs[o.task, o.part] = (o.counts["frame_comparisons"], o.counts["template_comparisons"])
    if costs:
        frames, templates = (sum(c[i] for c in costs.values()) for i in (0, 1))
        said.append(
            f"The pairwise baselines compare {frames:,} pairs of faces, where an aggregator compares {templates:,} "
            f"pairs of templates: {frames / templates:,.1f} times as many."
        )
    return said
