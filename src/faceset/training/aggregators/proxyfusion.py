"""ProxyFusion (Jawade et al., NeurIPS 2024): a few experts are chosen for each set, each gives a query.

::

    s_j = mean_i cos(P f_i, p_j)  in d' dimensions;   the S proxies with the largest s_j are chosen
    c_j = expert_j([mean(F); var(F); t_j]),           a_j = softmax(F c_j)
    r = sum_j softmax_j(s)  sum_k a_jk f_k            over the chosen

An expert is an MLP 3 D -> 2 D -> 2 D -> D with LeakyReLU and dropout: 12 D^2 + 5 D parameters; a proxy has d' numbers
``p_j`` to be chosen by and D numbers ``t_j`` to tell its expert. Two deviations: the paper hands out the S aggregates
side by side, a template S times as wide, where here they are averaged to width D with the similarities as weights
(so that the choice gets a gradient and the template fits everything else); and enrolment and probe share the proxies.
The share of a face is the same average of its weights. The last layers start at zero, which is the mean.
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn

from faceset.errors import InputError
from faceset.training.aggregators.base import Aggregator, Faces, masked_softmax, mean_and_variance, unit, weighted


class ProxyFusion(Aggregator):
    """ProxyFusion.

    Args:
        dim: D.
        proxies: number of proxies and experts.
        select: S, how many are chosen for a set.
        projected: d'.
        dropout: share of hidden units left out in training.
    """

    def __init__(self, dim: int, proxies: int = 6, select: int = 4, projected: int = 10, dropout: float = 0.7) -> None:
        super().__init__(dim)
        if not 1 <= select <= proxies:
            raise InputError(f"select must be in 1..proxies = {proxies}, but got {select}")
        self.select = select
        self.project = nn.Linear(dim, projected, bias=False)
        self.proxies = nn.Parameter(torch.randn(proxies, projected))
        self.tokens = nn.Parameter(torch.randn(proxies, dim) * dim**-0.5)
        self.experts = nn.ModuleList(_expert(dim, dropout) for _ in range(proxies))

    def pool(self, faces: Faces) -> tuple[Tensor, Tensor]:
        """See :class:`Aggregator`."""
        cosines = unit(self.project(faces.units)) @ unit(self.proxies).T  # (B, N, K)
        real = faces.mask[..., None]
        s = torch.where(real, cosines, torch.zeros_like(cosines)).sum(dim=1) / real.sum(dim=1)  # (B, K)
        least = s.topk(self.select, dim=1).values[:, -1:]  # (B, 1)
        share = torch.softmax(torch.where(s >= least, s, torch.full_like(s, -1e9)), dim=1)  # (B, K)
        stats = mean_and_variance(faces)  # (B, 2 D)
        told = self.tokens[None].expand(stats.shape[0], -1, -1)
        queries = [e(torch.cat([stats, told[:, j]], dim=1)) for j, e in enumerate(self.experts)]  # K of (B, D)
        a = masked_softmax(faces.units @ torch.stack(queries, dim=2), faces.mask)  # (B, N, K)
        weights = (a * share[:, None, :]).sum(dim=2)  # (B, N)
        return weighted(weights, faces.units), weights


def _expert(dim: int, dropout: float) -> nn.Sequential:
    widths = (3 * dim, 2 * dim, 2 * dim)
    layers: list[nn.Module] = []
    for a, b in itertools.pairwise(widths):
        layers += [nn.Linear(a, b), nn.LeakyReLU(), nn.Dropout(dropout)]
    last = nn.Linear(2 * dim, dim)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(*layers, last)
