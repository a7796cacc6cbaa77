"""Held-out people: fixed face sets from clean to degraded, and how well templates of them verify."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from faceset.bootstrap import Trials, all_pairs
from faceset.metrics import Rate, tar_at_far
from faceset.training.config import SetConfig
from faceset.training.data import TrainData
from faceset.training.sampler import Ints, SetBatch, SetSampler
from faceset.types import Floats

MIXES: Mapping[str, float] = {"clean": 0.0, "mixed": 0.7, "degraded": 1.0}
"""Share of degraded faces in the sets of each condition."""
SIZES = (4, 12)
"""Faces in a set."""
_CHUNK = 256  # sets aggregated at a time


class Condition(NamedTuple):
    """Sets of one size and one share of degraded faces, and every pair of them."""

    sets: SetBatch
    trials: Trials


class Validation:
    """Sets of held-out people. They depend on the data and the seed only, so that all runs are measured on the same.

    Two sets of one person share no medium. A person with a single medium gives one set, and so strangers only.

    Args:
        data: of people never trained on.
        sizes: numbers of faces.
        mixes: name -> share of degraded faces; without degraded faces in the data only a share of 0 is measured.
        max_media: most media of one set.
        most: people at most; those with two media or more come first, then the order of a hash of the name.
        seed: of the draws.
    """

    def __init__(
        self,
        data: TrainData,
        *,
        sizes: Sequence[int] = SIZES,
        mixes: Mapping[str, float] = MIXES,
        max_media: int = 3,
        most: int = 1500,
        seed: int = 20170721,
    ) -> None:
        self.data = data = data.only(_first(data, most))
        sampler = SetSampler(data, SetConfig(max_media=max_media), seed)
        possible = {k: v for k, v in mixes.items() if v == 0.0 or data.degraded.any()}
        self.conditions: dict[str, Condition] = {}
        for i, (name, share) in enumerate(possible.items()):
            for size in sizes:
                sets = sampler.everyone(1000 * i + size, size, share)
                self.conditions[f"{name}/{size}"] = Condition(sets, all_pairs(sets.subjects))

    def rates(self, aggregator: nn.Module, far: float) -> dict[str, Rate]:
        """TAR at that FAR in every condition."""
        found = {}
        for name, (sets, trials) in self.conditions.items():
            scores = trials.scores(templates(aggregator, self.data, sets))
            found[name] = tar_at_far(scores[trials.same], scores[~trials.same], far)
        return found


def _first(data: TrainData, most: int) -> list[str]:
    _, at = np.unique(data.medium.codes[data.rows], return_index=True)
    counts = np.bincount(data.subject.codes[data.rows[at]], minlength=len(data.subject.names))
    taking_part = [(n, c) for n, c in zip(data.subject.names, counts, strict=True) if c]
    taking_part.sort(key=lambda item: (item[1] == 1, hashlib.sha256(item[0].encode()).digest()))
    return [name for name, _ in taking_part[:most]]


def templates(aggregator: nn.Module, data: TrainData, sets: SetBatch) -> Floats:
    """(B, D) templates of the sets, by a torch aggregator."""
    was, device = aggregator.training, next(iter(aggregator.state_dict().values()), torch.zeros(0)).device
    aggregator.eval()
    out = []
    with torch.no_grad():
        for i in range(0, len(sets.rows), _CHUNK):
            part = slice(i, i + _CHUNK)
            x, mask = padded(data, sets.rows[part], sets.mask[part])
            out.append(aggregator(x.to(device), mask.to(device))[0].cpu().numpy())
    aggregator.train(was)
    return np.concatenate(out)


def padded(data: TrainData, rows: Ints, mask: npt.NDArray[np.bool_]) -> tuple[torch.Tensor, torch.Tensor]:
    """Features (B, N, D) and mask (B, N) as tensors."""
    return torch.from_numpy(data.features[rows]), torch.from_numpy(mask)


def mean_tar(rates: Mapping[str, Rate]) -> float:
    """The figure by which the best parameters are chosen: TAR averaged over the conditions."""
    return float(np.mean([r.tar for r in rates.values()]))
