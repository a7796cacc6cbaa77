"""What a step minimises: the loss of the templates, and what holds the CNN back; and the optimiser for it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from faceset.training.aggregators.base import unit
from faceset.training.endtoend.config import EndToEndConfig
from faceset.training.endtoend.network import EndToEnd
from faceset.training.loop import parameter_groups


class Objective(nn.Module):
    """Network and loss as one module, which is what distributed training wraps.

    Args:
        network: pictures to templates.
        loss: of templates.
        keep: weight of the squared distance of unit features to their targets.
        anchor: pull of the backbone back to where it is now.
    """

    def __init__(self, network: EndToEnd, loss: nn.Module, keep: float, anchor: float) -> None:
        super().__init__()
        self.network, self.loss, self.keep, self.anchor = network, loss, keep, anchor
        self._start = [p.detach().clone() for p in network.backbone.parameters()] if anchor else []

    def forward(self, faces: Tensor, mask: Tensor, subjects: Tensor, targets: Tensor | None = None) -> Tensor:
        """The loss; ``targets`` are unit features (F, D)."""
        features = self.network.features(faces)
        value: Tensor = self.loss(self.network.pooled(features, mask)[0], subjects)
        if targets is not None:
            value = value + self.keep * (unit(features) - targets).square().sum(dim=1).mean()
        for now, start in zip(self.network.backbone.parameters(), self._start, strict=False):
            value = value + 0.5 * self.anchor * (now - start.to(now.device)).square().sum()
        return value


def optimiser(work: Objective, config: EndToEndConfig) -> torch.optim.Optimizer:
    """For all that learns. The backbone's groups carry ``scale``, by which :class:`Loop` multiplies their rate."""
    slow = [g | {"scale": config.cnn_rate} for g in parameter_groups(work.network.backbone, config.weight_decay)]
    fast = [
        *parameter_groups(work.network.aggregator, config.weight_decay),
        *parameter_groups(work.loss, config.weight_decay),
    ]
    kind = torch.optim.AdamW if config.optimiser == "adamw" else torch.optim.RMSprop
    return kind([*slow, *fast], lr=config.learning_rate)
