"""Searches of all probes in each gallery, in an order that does not depend on that of the files."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from faceset.errors import ProtocolError
from faceset.evaluation.examples import Chosen, choose
from faceset.evaluation.joining import Sets
from faceset.evaluation.scores import Scorer
from faceset.evaluation.trials import Identification, Ints
from faceset.evaluation.workers import Workers
from faceset.metrics import Searches, search
from faceset.types import Floats

PROBES = 256
"""Probes searched at a time."""


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """Places of templates in :class:`faceset.evaluation.joining.Sets`, sorted.

    Attributes:
        probes: (Q,).
        galleries: (G,) of each gallery.
        names: of the galleries.
        subjects: (T,) number of the subject of each template.
        close_set: see :class:`faceset.evaluation.trials.Identification`.
    """

    probes: Ints
    galleries: tuple[Ints, ...]
    names: tuple[str, ...]
    subjects: Ints
    close_set: bool

    def cost(self, sizes: Ints) -> tuple[int, int]:
        """Comparisons of templates, and of faces where templates have ``sizes`` (T,) faces."""
        gallery = np.concatenate(self.galleries)
        return self.probes.size * gallery.size, int(sizes[self.probes].sum()) * int(sizes[gallery].sum())

    @property
    def non_mated(self) -> int:
        """The fewest non-mated searches in any gallery."""
        who = self.subjects[self.probes]
        return min(int(np.count_nonzero(~np.isin(who, self.subjects[g]))) for g in self.galleries)


def plan_of(experiment: Identification, sets: Sets) -> Plan:
    """Bring probes and galleries into order.

    Raises:
        ProtocolError: no probes, no gallery, or a gallery without templates.
    """
    empty = [g.name for g in experiment.galleries if not g.templates.size]
    if not experiment.probes.size or not experiment.galleries or empty:
        what = f"gallery {empty[0]} is empty" if empty else "there are no probes or no gallery"
        raise ProtocolError(f"{experiment.protocol} {experiment.part}: {what}; both are needed for a search")
    return Plan(
        probes=np.sort(sets.place[experiment.probes]),
        galleries=tuple(np.sort(sets.place[g.templates]) for g in experiment.galleries),
        names=tuple(g.name for g in experiment.galleries),
        subjects=experiment.templates.subject.codes[sets.order].astype(np.int64),
        close_set=experiment.close_set,
    )


def score_searches(scorer: Scorer, plan: Plan, workers: Workers) -> list[Floats]:
    """(K, Q, G) scores for each gallery."""
    found = []
    for gallery in plan.galleries:
        out = np.empty((len(scorer.kinds), plan.probes.size, gallery.size), np.float32)

        def work(low: int, out: Floats = out, gallery: Ints = gallery) -> None:
            out[:, low : low + PROBES] = scorer.matrix(plan.probes[low : low + PROBES], gallery)

        for _ in workers.map(work, range(0, plan.probes.size, PROBES)):
            pass
        found.append(out)
    return found


def searches_of(plan: Plan, scores: list[Floats]) -> list[Searches]:
    """What each gallery's scores (Q, G) say."""
    who = plan.subjects
    return [search(s, who[plan.probes], who[g]) for s, g in zip(scores, plan.galleries, strict=True)]


def chosen_searches(plan: Plan, scores: list[Floats], searches: list[Searches]) -> list[Chosen]:
    """Mated searches by the score of the mate, non-mated ones by their best score, with the template that scored it."""
    Q = plan.probes.size
    mated = np.concatenate([s.mated for s in searches])
    values = np.concatenate([np.where(s.mated, s.mate_score, s.best_other) for s in searches])
    numbers = np.arange(mated.size, dtype=np.int32)
    found = []
    for kind, score, number, _ in choose(numbers, numbers, mated, values):
        gallery, row = divmod(number, Q)
        columns = plan.galleries[gallery]
        probe = int(plan.probes[row])
        fits = (plan.subjects[columns] == plan.subjects[probe]) == mated[number]
        at = int(np.argmax(fits & (scores[gallery][row] == np.float32(score))))
        found.append(Chosen(kind, score, probe, int(columns[at])))
    return found
