"""GhostVLAD (Zhong et al., ACCV 2018): faces vote for clusters, and bad faces can vote for ghosts, which are dropped.

::

    a_ik = softmax_k(A_k . x_i + b_k)  over K real and G ghost clusters
    V_k = sum_i a_ik (x_i - c_k)       for the real ones
    V = FC(unit([unit(V_1) .. unit(V_K)]))

Centres of ghosts would take no part and are not held: (K + G)(D + 1) + K D + K D^2 + D parameters, and 2 D of the batch
normalisation. The output layer starts at the mean of the K parts and the centres at zero, so that an untrained model
is close to the mean. The output is not in the convex hull of the faces. The share of a face is its part of all
assignments to real clusters.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from faceset.training.aggregators.base import Aggregator, Faces, unit


class GhostVlad(Aggregator):
    """GhostVLAD.

    Args:
        dim: D.
        clusters: K.
        ghosts: G.
        batch_norm: whether batch normalisation follows the output layer.
    """

    def __init__(self, dim: int, clusters: int = 4, ghosts: int = 1, batch_norm: bool = True) -> None:
        super().__init__(dim)
        self.clusters = clusters
        self.assign = nn.Linear(dim, clusters + ghosts)
        nn.init.normal_(self.assign.weight, std=dim**-0.5)
        nn.init.zeros_(self.assign.bias)
        self.centres = nn.Parameter(torch.zeros(clusters, dim))
        self.output = nn.Linear(clusters * dim, dim)
        with torch.no_grad():
            self.output.weight.copy_(torch.eye(dim).repeat(1, clusters) / clusters)
            self.output.bias.zero_()
        self.norm = nn.BatchNorm1d(dim) if batch_norm else None

    def pool(self, faces: Faces) -> tuple[Tensor, Tensor]:
        """See :class:`Aggregator`."""
        a = torch.softmax(self.assign(faces.units), dim=2)[..., : self.clusters]  # (B, N, K)
        a = torch.where(faces.mask[..., None], a, torch.zeros_like(a))
        total = a.sum(dim=1)  # (B, K)
        residuals = a.transpose(1, 2) @ faces.units - total[..., None] * self.centres  # (B, K, D)
        flat = unit(unit(residuals).flatten(1))  # (B, K D)
        out = self.output(flat)
        votes = a.sum(dim=2)  # (B, N)
        shares = votes / votes.sum(dim=1, keepdim=True).clamp_min(1e-12)
        return (out if self.norm is None else self.norm(out)), shares
