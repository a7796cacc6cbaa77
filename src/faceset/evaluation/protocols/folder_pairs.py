"""Verification trials of a folder of people."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from faceset.errors import InputError
from faceset.evaluation.protocols.drawing import sample, shuffled
from faceset.evaluation.protocols.folder_people import Collection, check_at_least
from faceset.evaluation.trials import Ints, Verification


def make_pairs(people: Collection, *, seed: int, size: int, folds: int, pairs: int, balanced: bool) -> Verification:
    """See :func:`faceset.evaluation.protocols.folder.load`."""
    for what, value, low in (("seed", seed, 0), ("size", size, 1), ("folds", folds, 0), ("pairs", pairs, 1)):
        check_at_least(what, value, low)
    if folds == 1:
        raise InputError("folds must be 0 for none, or 2 or more; a threshold for one fold comes from the others")
    templates = people.templates(size, seed)
    folded = _folds(templates, folds, seed)
    # Templates are numbered by fold, then person: those of a person, and of the people after them, are in a row.
    owners = [person for fold in folded for person in fold]
    counts = np.array([len(templates[person]) for person in owners])
    ends = np.cumsum(counts)
    fold_of = np.repeat(np.arange(len(folded)), [len(fold) for fold in folded])
    last = np.array([int(ends[np.flatnonzero(fold_of == fold)[-1]]) for fold in range(len(folded))])
    same_first, same_second = _genuine(ends - counts, counts, pairs, seed)
    person_of = np.repeat(np.arange(len(owners)), counts)
    genuine_fold = fold_of[person_of[same_first]]
    caps = np.bincount(genuine_fold, minlength=len(folded)) if balanced else None
    first, second = _impostors(ends - counts, ends, last[fold_of], fold_of, pairs, caps, seed)
    first, second = np.concatenate([same_first, first]), np.concatenate([same_second, second])
    same = np.arange(first.size) < same_first.size
    faces = people.faces()
    return Verification(
        protocol="folder",
        part="",
        faces=faces,
        templates=people.template_list(faces, ((person, media) for person in owners for media in templates[person])),
        first=first,
        second=second,
        same=same,
        folds=fold_of[person_of[first]].astype(np.int64) if len(folded) > 1 else None,
        files=(people.record(),),
        settings={
            "seed": seed,
            "size": size,
            "folds": len(folded) if len(folded) > 1 else 0,
            "pairs": pairs,
            "balanced": balanced,
        },
        notes=people.notes + _notes(people, templates, folds, len(folded), same),
    )


def _folds(templates: dict[str, list[list[str]]], folds: int, seed: int) -> list[list[str]]:
    """The people of each fold, by name: dealt out in seeded order, first those with genuine pairs.

    Every fold then has one of those and two people or more; there are fewer folds than asked for where that cannot be.
    """
    several = shuffled([person for person, of in templates.items() if len(of) > 1], seed, "fold")
    single = shuffled([person for person, of in templates.items() if len(of) == 1], seed, "fold")
    made = max(1, min(folds, len(several), len(templates) // 2))
    everyone = several + single
    return [sorted(everyone[fold::made]) for fold in range(made)]


def _genuine(starts: Ints, counts: Ints, most: int, seed: int) -> tuple[Ints, Ints]:
    """Pairs of templates of a person: number r of a person is the pair (r - j(j - 1)/2, j), j the largest that fits."""
    each = counts * (counts - 1) // 2
    person, rank = _locate(each, sample(int(each.sum()), most, seed, "genuine"))
    j = np.floor((1 + np.sqrt(1 + 8 * rank.astype(np.float64))) / 2).astype(np.int64)
    j -= j * (j - 1) // 2 > rank  # the root of a large number may be rounded up ...
    j += j * (j + 1) // 2 <= rank  # ... or down
    return starts[person] + rank - j * (j - 1) // 2, starts[person] + j


def _impostors(
    starts: Ints, ends: Ints, last: Ints, fold_of: Ints, most: int, caps: npt.NDArray[np.int64] | None, seed: int
) -> tuple[Ints, Ints]:
    """Pairs of a template of a person with one of a later person of the fold."""
    after = last - ends
    each = (ends - starts) * after
    if caps is None:
        person, rank = _locate(each, sample(int(each.sum()), most, seed, "impostor"))
    else:
        parts = []
        for fold, cap in enumerate(caps.tolist()):
            own = np.where(fold_of == fold, each, 0)
            parts.append(_locate(own, sample(int(own.sum()), min(cap, most), seed, f"impostor {fold}")))
        person, rank = (np.concatenate(column) for column in zip(*parts, strict=True))
    row, column = rank // np.maximum(after[person], 1), rank % np.maximum(after[person], 1)
    return starts[person] + row, ends[person] + column


def _locate(each: Ints, numbers: Ints) -> tuple[Ints, Ints]:
    """(person, rank among that person's) of numbers over all, where person p has ``each[p]``."""
    stops = np.cumsum(each)
    person = np.searchsorted(stops, numbers, side="right").astype(np.int64)
    return person, numbers - (stops - each)[person]


def _notes(
    people: Collection, templates: dict[str, list[list[str]]], asked: int, made: int, same: npt.NDArray[np.bool_]
) -> tuple[str, ...]:
    notes: tuple[str, ...] = ()
    everyone = len(people.people())
    if len(templates) < everyone:
        notes += (f"{everyone - len(templates)} of {everyone} people have too few media and are left out",)
    if asked and made < asked:
        folds = "no folds" if made == 1 else f"{made} folds"
        notes += (f"{folds} instead of {asked}: a fold needs a person with two templates and another person",)
    impostors = same.size - int(np.count_nonzero(same))
    if made > 1 and impostors > 2 * (same.size - impostors):
        notes += (
            f"{same.size - impostors} genuine and {impostors} impostor pairs: accepting nobody has an accuracy of "
            f"{impostors / same.size:.2%}; look at TAR at a FAR, or choose balanced pairs",
        )
    return notes
