"""What training minimises, by name. All start from templates (B, D) of unit length and subject numbers (B,).

No loss sees anything but who is who: what a good face is, the aggregator has to find out.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from faceset.errors import InputError


class Verification(nn.Module):
    """Siamese contrastive loss over all pairs of the batch, as in NAN.

    ``mean over pairs of one person of d^2  +  mean over pairs of two of max(0, margin - d^2)``, with ``d^2`` the
    squared distance of two templates. Between unit vectors ``d^2 = 2 - 2 cos``, so a margin of 2 pushes strangers to
    a right angle. The two kinds are averaged apart, because there are far more strangers.

    Args:
        margin: of the squared distance, in 0..4.
    """

    def __init__(self, dim: int, classes: int, margin: float = 2.0) -> None:
        super().__init__()
        if not 0.0 < margin <= 4.0:
            raise InputError(f"margin is a squared distance of unit vectors, in 0..4, but got {margin!r}")
        self.margin = margin

    def forward(self, templates: Tensor, subjects: Tensor) -> Tensor:
        """The loss, a scalar."""
        squared = 2.0 - 2.0 * templates @ templates.T  # (B, B)
        same, other = _pairs(subjects)
        return _mean(squared, same) + _mean((self.margin - squared).clamp_min(0.0), other)


class Contrast(nn.Module):
    """Each pair of one person against all strangers of the batch; the nearest strangers count most.

    ``mean over ordered pairs (i, j) of one person of -log(e_ij / (e_ij + sum over strangers k of e_ik))`` with
    ``e = exp(cos / temperature)``: the smooth form of "is j nearer to i than every stranger is", which is what the
    tail at a low FAR is about.

    Args:
        temperature: > 0; the smaller, the more the nearest stranger alone counts.
    """

    def __init__(self, dim: int, classes: int, temperature: float = 0.05) -> None:
        super().__init__()
        if temperature <= 0.0:
            raise InputError(f"temperature must be > 0, but got {temperature!r}")
        self.temperature = temperature

    def forward(self, templates: Tensor, subjects: Tensor) -> Tensor:
        """The loss, a scalar."""
        logits = templates @ templates.T / self.temperature
        same, other = _pairs(subjects)
        strangers = logits.masked_fill(~other, -math.inf).logsumexp(dim=1, keepdim=True)  # (B, 1)
        return _mean(nn.functional.softplus(strangers - logits), same)


class Classification(nn.Module):
    """A linear layer over the training people and the cross-entropy of their softmax.

    Args:
        label_smoothing: share of the target that is spread evenly over all people, in 0..1.
    """

    def __init__(self, dim: int, classes: int, label_smoothing: float = 0.0) -> None:
        super().__init__()
        self.label_smoothing = _share(label_smoothing)
        self.layer = nn.Linear(dim, classes)

    def forward(self, templates: Tensor, subjects: Tensor) -> Tensor:
        """The loss, a scalar."""
        return nn.functional.cross_entropy(self.layer(templates), subjects, label_smoothing=self.label_smoothing)


class _Margin(nn.Module):
    """Softmax over scaled cosines to one unit vector a person, that of the right one made smaller by a margin."""

    def __init__(self, dim: int, classes: int, scale: float, label_smoothing: float) -> None:
        super().__init__()
        if not scale > 0.0:
            raise InputError(f"scale must be > 0, but got {scale!r}")
        self.scale, self.label_smoothing = scale, _share(label_smoothing)
        self.weight = nn.Parameter(nn.functional.normalize(torch.randn(classes, dim)))

    def forward(self, templates: Tensor, subjects: Tensor) -> Tensor:
        """The loss, a scalar."""
        cosines = templates @ nn.functional.normalize(self.weight).T  # (B, C)
        moved = self.smaller(cosines.gather(1, subjects[:, None]))
        logits = self.scale * cosines.scatter(1, subjects[:, None], moved)
        return nn.functional.cross_entropy(logits, subjects, label_smoothing=self.label_smoothing)

    def smaller(self, cosine: Tensor) -> Tensor:
        """The cosine (B, 1) to the right person with the margin taken off."""
        raise NotImplementedError


class Angular(_Margin):
    """A margin added to the angle to the right person: ``cos(angle + margin_rad)``, as in ArcFace.

    J. Deng, J. Guo, N. Xue, S. Zafeiriou, "ArcFace", CVPR 2019, equation 3. The angle does not grow beyond pi.

    Args:
        scale: > 0, of the cosines.
        margin_rad: radians, in 0..pi/2; 0 for plain normalised softmax.
        label_smoothing: as :class:`Classification`.
    """

    def __init__(
        self, dim: int, classes: int, scale: float = 30.0, margin_rad: float = 0.2, label_smoothing: float = 0.0
    ) -> None:
        super().__init__(dim, classes, scale, label_smoothing)
        if not 0.0 <= margin_rad <= math.pi / 2:
            raise InputError(f"margin_rad is an angle in radians, in 0..pi/2, but got {margin_rad!r}")
        self.margin_rad = margin_rad

    def smaller(self, cosine: Tensor) -> Tensor:
        """``cos(angle + margin_rad)``."""
        angle = cosine.clamp(-1.0 + 1e-6, 1.0 - 1e-6).acos()
        return torch.cos((angle + self.margin_rad).clamp_max(math.pi))


class CosFace(_Margin):
    """A margin taken off the cosine to the right person: ``cos(angle) - margin``.

    H. Wang, Y. Wang, Z. Zhou et al., "CosFace: Large Margin Cosine Loss", CVPR 2018, equation 4.

    Args:
        scale: > 0, of the cosines.
        margin: of the cosine, in 0..1; 0 for plain normalised softmax.
        label_smoothing: as :class:`Classification`.
    """

    def __init__(
        self, dim: int, classes: int, scale: float = 30.0, margin: float = 0.35, label_smoothing: float = 0.0
    ) -> None:
        super().__init__(dim, classes, scale, label_smoothing)
        if not 0.0 <= margin <= 1.0:
            raise InputError(f"margin is of a cosine, in 0..1, but got {margin!r}")
        self.margin = margin

    def smaller(self, cosine: Tensor) -> Tensor:
        """``cosine - margin``."""
        return cosine - self.margin


_LOSSES: dict[str, Callable[..., nn.Module]] = {
    "angular": Angular,
    "classification": Classification,
    "contrast": Contrast,
    "cosface": CosFace,
    "verification": Verification,
}


def names() -> list[str]:
    """Every name that :func:`build` knows, sorted."""
    return sorted(_LOSSES)


def build(name: str, dim: int, classes: int, **options: Any) -> nn.Module:
    """A loss for templates of width D and that many people to train on.

    Raises:
        InputError: unknown name or option, or a value out of range.
    """
    if name not in _LOSSES:
        raise InputError(f"no loss is called {name!r}; take one of {', '.join(names())}")
    kind = _LOSSES[name]
    known = [p for p in inspect.signature(kind).parameters if p not in ("dim", "classes")]
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise InputError(f"loss {name!r} has no option {', '.join(unknown)}; it has {', '.join(known) or 'none'}")
    return kind(dim, classes, **options)


def _share(label_smoothing: float) -> float:
    if not 0.0 <= label_smoothing <= 1.0:
        raise InputError(f"label_smoothing is a share, in 0..1, but got {label_smoothing!r}")
    return label_smoothing


def _pairs(subjects: Tensor) -> tuple[Tensor, Tensor]:
    """(B, B) masks: pairs of one person without the diagonal, and pairs of two."""
    same = subjects[:, None] == subjects[None, :]
    itself = torch.eye(len(subjects), dtype=torch.bool, device=subjects.device)
    return same & ~itself, ~same


def _mean(values: Tensor, chosen: Tensor) -> Tensor:
    """Mean over the chosen; 0 when there are none, so that a batch without a kind of pair still trains on the other."""
    kept = torch.where(chosen, values, torch.zeros_like(values))
    return kept.sum() / chosen.sum().clamp_min(1)
