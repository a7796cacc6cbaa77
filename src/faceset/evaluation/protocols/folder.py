"""Any folder ``root/<person>/<medium>``: verification and open-set identification made from names, by a seed.

A medium is what extraction takes for one: a picture, a video, or a folder of frames; hidden files do not count. No file
is opened. Media are named ``<person>/<medium>``, as in a feature table of the same folder.

**Verification.** The media of a person, in seeded order, are cut into templates of ``size`` media; what is left over
is not used. Genuine pairs are all pairs of templates of a person; impostor pairs are of two people of one fold. Of each
kind there are at most ``pairs``, chosen by the seed. Every person is in one fold.

**Identification.** A seeded share of the people stays unknown: their templates are non-mated probes. Half of the media
of each other person, rounded down, are enrolled as one template; the rest makes probes of ``size`` media, so that no
medium is on both sides. People with too few media for both sides are non-mated probes too.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from faceset.errors import InputError, MediaError, ProtocolError
from faceset.evaluation.protocols.folder_pairs import make_pairs
from faceset.evaluation.protocols.folder_people import Collection
from faceset.evaluation.protocols.folder_search import make_search
from faceset.evaluation.trials import Experiment, Identification, Verification
from faceset.feature_table import FeatureTable
from faceset.media.people_folders import find_people

TITLE = "Any folder of people"
LAYOUT = "<person>/<medium>: a folder for each person with pictures, videos or folders of frames"

PAIRS = 1_000_000
"""Pairs of each kind, at most: enough for a false accept rate of 1e-5."""


def load(
    root: Path,
    *,
    task: str | None = None,
    seed: int = 0,
    size: int = 1,
    folds: int = 10,
    pairs: int = PAIRS,
    balanced: bool = False,
    share: float = 0.3,
) -> tuple[Experiment, ...]:
    """Verification, identification or, without a task, both.

    Args:
        root: the folder.
        task: ``verify`` or ``identify``.
        seed: of all choices, 0 or more.
        size: media of a template, 1 or more; in identification of a probe.
        folds: 2 or more, or 0 for none; fewer where there are not enough people. Each fold has people with a genuine
            pair and at least two people.
        pairs: genuine and impostor pairs, at most so many of each.
        balanced: as many impostor as genuine pairs in each fold, as LFW has them. Accuracy then is that of even odds,
            but there are too few impostors for a low false accept rate.
        share: of the people with enough media for both sides, those who stay out of the gallery; at least one person
            is unknown. 0: close-set, where everyone who is searched for is enrolled.

    Raises:
        InputError: an option outside its range.
        ProtocolError: the folder holds no people, fewer than two, or nobody with two templates.
    """
    return _experiments(_listed(Path(root)), task, seed, size, folds, pairs, balanced, share)


def from_table(
    table: FeatureTable,
    *,
    task: str | None = None,
    seed: int = 0,
    size: int = 1,
    folds: int = 10,
    pairs: int = PAIRS,
    balanced: bool = False,
    share: float = 0.3,
) -> tuple[Experiment, ...]:
    """As :func:`load`, with the people and media that a feature table holds; the folder is not needed.

    A medium in which no face was found is in no table, so that it cannot count as a miss; a note says so.

    Raises:
        InputError: an option outside its range.
        ProtocolError: the table has fewer than two people, a medium of two people, or nobody with two templates.
    """
    return _experiments(Collection.of_table(table), task, seed, size, folds, pairs, balanced, share)


def verification(
    root: Path, *, seed: int = 0, size: int = 1, folds: int = 10, pairs: int = PAIRS, balanced: bool = False
) -> Verification:
    """1:1; see :func:`load`."""
    return make_pairs(_listed(Path(root)), seed=seed, size=size, folds=folds, pairs=pairs, balanced=balanced)


def identification(root: Path, *, seed: int = 0, size: int = 1, share: float = 0.3) -> Identification:
    """1:N; see :func:`load`."""
    return make_search(_listed(Path(root)), seed=seed, size=size, share=share)


def _experiments(
    people: Collection,
    task: str | None,
    seed: int,
    size: int,
    folds: int,
    pairs: int,
    balanced: bool,
    share: float,
) -> tuple[Experiment, ...]:
    if task not in (None, "verify", "identify"):
        raise InputError(f"there is no task {task!r}; choose verify or identify")
    found: list[Any] = []
    if task != "identify":
        found.append(make_pairs(people, seed=seed, size=size, folds=folds, pairs=pairs, balanced=balanced))
    if task != "verify":
        found.append(make_search(people, seed=seed, size=size, share=share))
    return tuple(found)


def _listed(root: Path) -> Collection:
    try:
        media = find_people(root)
    except MediaError as error:
        raise ProtocolError(str(error)) from error
    return Collection(str(root), {medium.key: medium.person for medium in media})
