"""Backbone, head and distance to the teacher as one module, which is what distributed training wraps."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from faceset.training.backbones import Backbone
from faceset.training.device import autocast, channels_last, compiled
from faceset.training.embedder.config import DistilConfig


@dataclass(frozen=True, slots=True)
class Weights:
    """How much each part of the loss counts: 0 = it is not there."""

    head: float
    distil: float


_INPUTS = 1024
"""Inputs of a last layer whose learning rate is that of the others."""


class Work(nn.Module):
    """From pictures (n, 3, H, W) to a loss.

    Args:
        backbone: gives raw features (n, D).
        head: a loss of :mod:`faceset.training.losses` over the training people; None: none.
        unit: whether the head takes features of unit length.
        weights: of head and teacher.
        distil: how the distance to the targets is measured.
        spread: of the targets (:class:`faceset.training.embedder.targets.Targets`).
        precision: of the backbone.
    """

    def __init__(
        self,
        backbone: Backbone,
        head: nn.Module | None,
        *,
        unit: bool,
        weights: Weights,
        distil: DistilConfig,
        spread: float,
        precision: str,
    ) -> None:
        super().__init__()
        self.backbone, self.head = backbone, head
        self._unit, self._weights, self._distil, self._spread = unit, weights, distil, spread
        self._precision = precision
        self._run: tuple[nn.Module] = (backbone,)  # in a tuple, so that it is no second child
        self.frozen = False
        """While set, only the last stage of the backbone learns, and the rest runs as in use."""

    def train(self, mode: bool = True) -> Work:
        """Training mode, but for a frozen trunk."""
        super().train(mode)
        if mode and self.frozen:
            for stage in self.backbone.stages()[:-1]:
                stage.eval()
        return self

    def compile(self, mode: str) -> None:
        """Run the backbone through ``torch.compile`` in training; parameters stay those of :attr:`backbone`."""
        self._run = (compiled(self.backbone, mode),)

    def forward(self, pictures: Tensor, labels: Tensor | None, places: Tensor | None, targets: Tensor | None) -> Tensor:
        """The loss, a scalar.

        Args:
            pictures: (n, 3, H, W) uint8.
            labels: (k,) classes of those faces that have one; None: no head.
            places: (k,) which faces these are; None: all.
            targets: (n, D); None: no teacher.
        """
        features = self._features(pictures)  # (n, D) float32
        loss = features.new_zeros(())
        if self.head is not None and labels is not None and len(labels):
            named = features if places is None else features[places]
            loss = loss + self._weights.head * self.head(
                nn.functional.normalize(named) if self._unit else named, labels
            )
        if targets is not None:
            loss = loss + self._weights.distil * distance(features, targets, self._distil, self._spread)
        return loss

    def _features(self, pictures: Tensor) -> Tensor:
        x = channels_last(self.backbone.normalised(pictures))
        with autocast(pictures.device, self._precision):
            if not self.frozen:
                found: Tensor = self._run[0](x)
                return found.float()
            *trunk, last = self.backbone.stages()
            with torch.no_grad():
                for stage in trunk:
                    x = stage(x)
            found = last(x)
            return found.float()


def distance(features: Tensor, targets: Tensor, config: DistilConfig, spread: float) -> Tensor:
    """How far features (n, D) are from their targets (n, D); see :class:`DistilConfig`."""
    students, teachers = nn.functional.normalize(features), nn.functional.normalize(targets)
    if config.loss == "mse":
        loss = (features - targets).square().sum(dim=1).mean() / spread
    else:
        loss = (1.0 - (students * teachers).sum(dim=1)).mean()
    if config.relational:
        loss = loss + config.relational * (students @ students.T - teachers @ teachers.T).square().mean()
    return loss


def start_at(backbone: Backbone, mean: Tensor, spread: float) -> None:
    """Let a fresh last layer answer with the mean of the targets (D,), and vary about it as much as they do.

    Otherwise the first steps are spent on finding the mean, which is most of the length of some teachers' features.
    The last layer of a fresh backbone gives numbers of about unit variance.
    """
    last = last_layer(backbone, len(mean))
    if last is not None:
        with torch.no_grad():
            last.bias.copy_(mean)
            last.weight.mul_(_deviation(len(mean), spread))


def last_rate(backbone: Backbone, dim: int, spread: float) -> float:
    """Factor of the learning rate of the last layer, where features are regressed onto targets.

    AdamW moves every weight by the same length. So what a step changes in the answer grows with the number of inputs,
    and is large or small in comparison with the targets, whatever their unit. The factor takes both out: one unit of
    change is the deviation of the targets, and that of a layer of 1024 inputs.
    """
    last = last_layer(backbone, dim)
    if last is None:
        return 1.0
    return _deviation(dim, spread) * min(1.0, _INPUTS / last.weight[0].numel())


class Last(NamedTuple):
    """The parameters of a layer that ends in the feature: weight (D, inputs), or (D,) of a normalisation; bias (D,)."""

    weight: nn.Parameter
    bias: nn.Parameter


def last_layer(backbone: Backbone, dim: int) -> Last | None:
    """The very last layer that learns, a matrix or batch normalisation; None where it has no bias of width D."""
    for layer in reversed(list(backbone.stages()[-1].modules())):
        weight, bias = getattr(layer, "weight", None), getattr(layer, "bias", None)
        if isinstance(weight, nn.Parameter):
            return Last(weight, bias) if isinstance(bias, nn.Parameter) and bias.shape == (dim,) else None
    return None


def _deviation(dim: int, spread: float) -> float:
    """Of one number of a target."""
    return math.sqrt(spread / dim)
