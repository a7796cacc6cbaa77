"""What every aggregator in training has in common: padding cleared, features of unit length, an answer of unit length.

Letters: B sets, N faces, D width. ``mask`` (B, N) is True for a real face. What stands where it is False, NaN and
infinity included, changes nothing: it is replaced by zeros before any arithmetic.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from faceset.errors import EmptySetError, InputError

_TINY = 1e-12


class Faces(NamedTuple):
    """The faces of a padded batch."""

    units: Tensor
    """(B, N, D) features of length 1; zeros in the padding."""
    norms: Tensor
    """(B, N) lengths of the raw features; 1 in the padding."""
    mask: Tensor
    """(B, N) True = a real face."""


class Aggregator(nn.Module):
    """A set of features to one vector and a share for each face.

    A subclass gives :meth:`pool`. ``forward`` is the checked way in; ``compute`` is the same arithmetic without the
    checks, which depend on the data and so cannot be exported.

    Args:
        dim: D.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        if dim < 1:
            raise InputError(f"dim must be at least 1, but got {dim}")
        self.dim = dim

    def pool(self, faces: Faces) -> tuple[Tensor, Tensor]:
        """From faces to a vector (B, D) of any length and shares (B, N): >= 0, summing to 1, 0 in the padding."""
        raise NotImplementedError

    def compute(self, features: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """As :meth:`forward`, unchecked."""
        vector, weights = self.pool(unit_faces(features, mask))
        return unit(vector), weights

    def forward(self, features: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Aggregate B sets.

        Args:
            features: (B, N, D) raw features.
            mask: (B, N) bool, True = a real face.

        Returns:
            Templates (B, D) of unit length and weights (B, N) that sum to 1 over the real faces.

        Raises:
            EmptySetError: a row of the mask without a True.
            InputError: shapes or types that do not fit, or a real face with NaN or infinity.
        """
        if features.ndim != 3 or features.shape[2] != self.dim or features.shape[:2] != mask.shape:
            raise InputError(
                f"features must be (B, N, {self.dim}) and mask (B, N), "
                f"but got {tuple(features.shape)} and {tuple(mask.shape)}"
            )
        if mask.dtype != torch.bool:
            raise InputError(f"mask must be bool, True = a real face, but got {mask.dtype}")
        if features.shape[0] == 0 or not bool(mask.any(dim=1).all()):
            raise EmptySetError("every set needs at least one real face, but a row of the mask has none")
        if not bool(torch.isfinite(features).all(dim=2)[mask].all()):
            raise InputError("a real face has NaN or infinity in its feature; leave it out of the set")
        template, weights = self.compute(features, mask)
        return template, weights


def unit_faces(features: Tensor, mask: Tensor) -> Faces:
    """Unit features and norms of a padded batch. Scaling by the largest component keeps large squares finite."""
    x = torch.where(mask[..., None], features, torch.zeros((), dtype=features.dtype, device=features.device))
    largest = x.abs().amax(dim=2, keepdim=True)
    scale = torch.where(largest > 0, largest, torch.ones_like(largest))
    y = x / scale
    length = y.square().sum(dim=2, keepdim=True).clamp_min(_TINY).sqrt()
    norms = (scale * length)[..., 0].clamp_max(torch.finfo(x.dtype).max)
    norms = torch.where(mask, norms, torch.ones_like(norms))
    return Faces(y / length, norms, mask)


def unit(x: Tensor) -> Tensor:
    """``x / |x|`` over the last axis; zeros stay zeros."""
    return x / x.square().sum(dim=-1, keepdim=True).clamp_min(_TINY**2).sqrt()


def masked_softmax(logits: Tensor, mask: Tensor) -> Tensor:
    """Softmax over the real faces of each set, axis 1; (B, N) or (B, N, K). Padding gets exactly 0."""
    real = mask if logits.ndim == 2 else mask[..., None]
    lowest = torch.finfo(logits.dtype).min
    e = torch.where(real, logits, torch.full((), lowest, dtype=logits.dtype, device=logits.device))
    p = torch.where(real, (e - e.amax(dim=1, keepdim=True)).exp(), torch.zeros_like(e))
    return p / p.sum(dim=1, keepdim=True).clamp_min(_TINY)


def weighted(weights: Tensor, units: Tensor) -> Tensor:
    """``sum_k a_k f_k``: weights (B, N), units (B, N, D) to (B, D)."""
    return torch.bmm(weights[:, None, :], units)[:, 0, :]


def mean_and_variance(faces: Faces) -> Tensor:
    """(B, 2 D): mean and variance of the unit features of each set, one after the other."""
    real = faces.mask[..., None].to(faces.units.dtype)
    count = real.sum(dim=1).clamp_min(1)
    mean = faces.units.sum(dim=1) / count  # (B, D)
    variance = ((faces.units - mean[:, None, :]).square() * real).sum(dim=1) / count
    return torch.cat([mean, variance], dim=1)
