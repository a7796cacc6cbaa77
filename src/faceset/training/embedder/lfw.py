"""Accuracy on the pairs of LFW (View 2) while an embedder is trained on other people."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from faceset.errors import InputError
from faceset.evaluation.protocols.lfw import verification
from faceset.evaluation.trials import Verification
from faceset.metrics import Folds, kfold_accuracy
from faceset.training.data import unit
from faceset.training.embedder.people import Ints, folder_of
from faceset.training.faces import FaceStore, prepare
from faceset.types import Floats


@dataclass(frozen=True, slots=True, eq=False)
class LfwPairs:
    """The official pairs, and the faces of their pictures.

    Attributes:
        store: where the faces are.
        rows: (n,) faces that are needed, each once.
        first, second: (P,) place in ``rows`` of both sides of each pair, -1 where no face was found.
        same, folds: (P,) label, and fold from 0.
        people: everybody in a pair.
    """

    store: FaceStore
    rows: Ints
    first: Ints
    second: Ints
    same: np.ndarray[tuple[int], np.dtype[np.bool_]]
    folds: Ints
    people: frozenset[str]

    @property
    def missed(self) -> int:
        """Pairs that cannot be compared, because no face was found; they count as wrong."""
        return int(np.count_nonzero((self.first < 0) | (self.second < 0)))

    def accuracy(self, features: Floats) -> Folds:
        """Accuracy over the folds of features (n, D) of :attr:`rows`."""
        units = unit(features)
        scores = np.einsum("pd,pd->p", units[self.first], units[self.second])
        scores[(self.first < 0) | (self.second < 0)] = -np.inf
        return kfold_accuracy(scores, self.same, self.folds)


def read_pairs(root: Path) -> Verification:
    """The list ``pairs.txt`` of a folder.

    Raises:
        ProtocolError: it is missing or damaged.
        InputError: it has no folds.
    """
    found = verification(root)
    if found.folds is None:
        raise InputError(f"{root / 'pairs.txt'} has no folds; take the list of View 2")
    return found


def people_of(pairs: Verification) -> frozenset[str]:
    """Everybody in a pair."""
    return frozenset(folder_of(name) for name in pairs.faces.names)


def faces_of(
    pairs: Verification,
    root: Path,
    store: FaceStore,
    folder: Path,
    geometry: str,
    progress: Callable[[int, int, int], None] | None = None,
    *,
    make: bool = True,
) -> FaceStore:
    """The store with the faces of the pairs: ``store`` where it holds all their people, else one of ``root``.

    Args:
        pairs: the list.
        root: the pictures.
        store: what is trained on.
        folder: of the store that is made.
        geometry: of the crops.
        progress: as of :func:`faceset.training.faces.prepare`.
        make: False: another process has made it, and several may open it at once.
    """
    if people_of(pairs) <= {folder_of(name) for name in store.medium.names}:
        return store
    if not make:
        return FaceStore.open(folder)
    return prepare(root, folder, [geometry], progress=progress)[0]


def pairs_in(pairs: Verification, store: FaceStore) -> LfwPairs:
    """The pairs with the faces of a store; the first face of a picture counts.

    Raises:
        InputError: the store has none of their faces.
    """
    number = {name: i for i, name in enumerate(store.medium.names)}
    first_row = np.full(len(store.medium.names), -1, np.int64)
    codes, at = np.unique(store.medium.codes, return_index=True)
    first_row[codes] = at
    row = np.array([first_row[number[name]] if name in number else -1 for name in pairs.faces.names], np.int64)
    used = np.unique(row[row >= 0])
    if not used.size:
        raise InputError("none of the pictures of pairs.txt is in the store of faces; is it the folder of the pairs?")
    place = np.where(row >= 0, np.searchsorted(used, row), -1)
    of_template = place[pairs.templates.entries[pairs.templates.offsets[:-1]]]
    folds = np.zeros(0, np.int64) if pairs.folds is None else pairs.folds
    return LfwPairs(
        store, used, of_template[pairs.first], of_template[pairs.second], pairs.same, folds, people_of(pairs)
    )
