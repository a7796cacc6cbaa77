"""Attention for each dimension apart, after C-FAN (Gong et al., ICB 2019).

::

    q_i = Q f_i in R^D,     r_j = sum_i softmax_i(q_ij) f_ij

C-FAN reads the qualities off the last feature map of the embedder; here they come from the feature itself. A bias
would cancel in the softmax over faces, so there is none: D^2 parameters, starting at zero, which is the mean. Each
dimension of ``r`` lies between the smallest and the largest of the faces, but ``r`` itself need not be in their convex
hull. The share of a face is the mean of its weights over the dimensions.
"""

from __future__ import annotations

from torch import Tensor, nn

from faceset.training.aggregators.base import Aggregator, Faces, masked_softmax


class Cfan(Aggregator):
    """Attention for each dimension apart.

    Args:
        dim: D.
    """

    def __init__(self, dim: int) -> None:
        super().__init__(dim)
        self.quality = nn.Linear(dim, dim, bias=False)
        nn.init.zeros_(self.quality.weight)

    def pool(self, faces: Faces) -> tuple[Tensor, Tensor]:
        """See :class:`Aggregator`."""
        a = masked_softmax(self.quality(faces.units), faces.mask)  # (B, N, D)
        return (a * faces.units).sum(dim=1), a.mean(dim=2)
