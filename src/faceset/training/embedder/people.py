"""Who is trained on, who is held out, and who is left out of both.

In a store without names every medium stands for itself: it is held out or not by the hash of its own name, and a name
to leave out is compared with the first folder of its path.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from faceset.errors import InputError
from faceset.feature_table import Labels
from faceset.training.data import Split, split_subjects
from faceset.training.faces import FaceStore

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """A store, taken apart.

    Attributes:
        people: (M,) who each face is of; the medium in a store without names.
        named: whether the store has names.
        split: the names of the three parts.
        rows: the faces to train on.
    """

    people: Labels
    named: bool
    split: Split
    rows: Ints


def parts(store: FaceStore, leave_out: Iterable[str]) -> Parts:
    """The parts of a store (:func:`faceset.training.data.split_subjects`).

    Raises:
        InputError: nobody is left to train on.
    """
    named = any(store.subject.names)
    people = store.subject if named else store.medium
    outside = set(leave_out)
    if not named:
        outside = {name for name in people.names if folder_of(name) in outside}
    split = split_subjects(people.names, leave_out=outside)
    rows = np.flatnonzero(people.is_in(split.train))
    if not rows.size:
        raise InputError(
            f"nobody is left to train on: of {len(people.names)} people {len(split.left_out)} are left out and "
            f"{len(split.validation)} held out; add people, or leave fewer out"
        )
    return Parts(people, named, split, rows)


def folder_of(medium: str) -> str:
    """The first folder of the path of a medium, which is the person's where there are names."""
    return medium.split("/", 1)[0]
