"""Faces of people who are never trained on: how well features of them verify, one by one and as sets."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from faceset.feature_table import Labels
from faceset.metrics import Rate, Scores
from faceset.training.backbones import Backbone
from faceset.training.data import unit
from faceset.training.device import autocast, channels_last
from faceset.training.faces import FaceStore
from faceset.types import Floats

FARS = (1e-2, 1e-3)
"""Targets of validation."""
_CHUNK = 64  # faces embedded at a time

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Verification:
    """TAR at each of :data:`FARS`, and the equal error rate."""

    rates: tuple[Rate, ...]
    eer: float

    @property
    def mean_tar(self) -> float:
        """TAR averaged over the targets."""
        return float(np.mean([rate.tar for rate in self.rates]))

    def figures(self, name: str) -> dict[str, float]:
        """``tar/<name>/<far>`` and ``eer/<name>``."""
        return {f"tar/{name}/{rate.far:g}": rate.tar for rate in self.rates} | {f"eer/{name}": self.eer}


class HeldOut:
    """Some faces and every pair of them.

    Pairs of one medium are left out: a second face in one picture is another person, or the same one twice. The media
    of a person are dealt in turn to two sets, each the mean of the unit features of its faces; a person with one medium
    gives one set, and so strangers only.

    Args:
        rows: of the faces in the store.
        subject, medium: (m,) numbers of person and medium of each.
    """

    def __init__(self, rows: Ints, subject: npt.NDArray[np.integer], medium: npt.NDArray[np.integer]) -> None:
        self.rows, self.subject, self.medium = rows, subject, medium
        self._set, self._owner = _sets(subject, medium)

    @classmethod
    def of(cls, people: Labels, medium: Labels, names: Sequence[str], most: int) -> HeldOut:
        """Faces of these people, ``most`` at most; people with several media first, then by a hash of the name."""
        chosen = _first(people, medium, np.flatnonzero(people.is_in(names)), most)
        return cls(chosen, people.codes[chosen], medium.codes[chosen])

    @property
    def people(self) -> int:
        """Number of people."""
        return int(np.unique(self.subject).size)

    def single(self, features: Floats) -> Verification | None:
        """Faces (m, D) compared one by one; None where there are no pairs of one kind."""
        return _verified(unit(features), self.subject, self.medium)

    def sets(self, features: Floats) -> Verification | None:
        """Sets of faces compared; None where nobody has two media."""
        units = unit(features)
        total = np.zeros((self._owner.size, units.shape[1]), np.float32)
        np.add.at(total, self._set, units)
        count = np.bincount(self._set, minlength=self._owner.size)[:, None]
        return _verified(unit(np.asarray(total / count, np.float32)), self._owner, np.arange(self._owner.size))


def embed(
    backbone: Backbone, store: FaceStore, geometry: str, rows: Ints, device: torch.device, precision: str = "fp32"
) -> Floats:
    """(n, D) raw features of faces as they were found, by a backbone in eval mode on ``device``."""
    out = [np.empty((0, backbone.dim), np.float32)]
    with torch.no_grad(), autocast(device, precision):
        for i in range(0, len(rows), _CHUNK):
            crops = torch.from_numpy(store.crop(geometry, rows[i : i + _CHUNK])).to(device).permute(0, 3, 1, 2)
            out.append(backbone(channels_last(backbone.normalised(crops))).float().cpu().numpy())
    return np.concatenate(out)


def _verified(units: Floats, subject: npt.NDArray[np.integer], medium: npt.NDArray[np.integer]) -> Verification | None:
    table = units @ units.T
    above = np.triu(np.ones(table.shape, bool), 1)
    same = subject[:, None] == subject[None]
    genuine, impostor = table[above & same & (medium[:, None] != medium[None])], table[above & ~same]
    if not genuine.size or not impostor.size:
        return None
    scores = Scores.of(genuine, impostor)
    return Verification(tuple(scores.rates(FARS)), scores.roc().eer)


def _sets(subject: npt.NDArray[np.integer], medium: npt.NDArray[np.integer]) -> tuple[Ints, Ints]:
    """(m,) the set of each face, and the person of each set."""
    media, first, place = np.unique(medium, return_index=True, return_inverse=True)
    owner = subject[first]
    half = np.zeros(media.size, np.int64)
    for person in np.unique(owner):
        mine = np.flatnonzero(owner == person)
        half[mine] = np.arange(mine.size) % 2
    keys, of_medium = np.unique(2 * owner.astype(np.int64) + half, return_inverse=True)
    return of_medium[place], keys // 2


def _first(subject: Labels, medium: Labels, rows: Ints, most: int) -> Ints:
    _, at = np.unique(medium.codes[rows], return_index=True)
    media = np.bincount(subject.codes[rows[at]], minlength=len(subject.names))
    faces = np.bincount(subject.codes[rows], minlength=len(subject.names))
    order = sorted(
        np.flatnonzero(faces), key=lambda c: (media[c] == 1, hashlib.sha256(subject.names[c].encode()).digest())
    )
    kept = [c for c, so_far in zip(order, np.cumsum(faces[order]), strict=True) if so_far <= most]
    return rows[np.isin(subject.codes[rows], kept)]
