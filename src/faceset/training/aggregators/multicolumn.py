"""Multicolumn Network (Xie and Zisserman, BMVC 2018): a quality by sight, then one in the light of the others.

::

    alpha_i = sigmoid(w_v . f_i + b_v),                m = sum alpha_i f_i / sum alpha_i
    beta_i = sigmoid(w_c . [f_i; m] + b_c),            r = sum alpha_i beta_i f_i / sum alpha_i beta_i

3 D + 2 parameters, all starting at zero, which is the mean.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from faceset.training.aggregators.base import Aggregator, Faces, masked_softmax, weighted


class Multicolumn(Aggregator):
    """Multicolumn Network.

    Args:
        dim: D.
    """

    def __init__(self, dim: int) -> None:
        super().__init__(dim)
        self.visual = nn.Linear(dim, 1)
        self.content = nn.Linear(2 * dim, 1)
        for layer in (self.visual, self.content):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def pool(self, faces: Faces) -> tuple[Tensor, Tensor]:
        """See :class:`Aggregator`. A ratio of sigmoids is a softmax of their logarithms, which cannot underflow."""
        log_alpha = nn.functional.logsigmoid(self.visual(faces.units)[..., 0])  # (B, N)
        m = weighted(masked_softmax(log_alpha, faces.mask), faces.units)  # (B, D)
        pairs = torch.cat([faces.units, m[:, None, :].expand_as(faces.units)], dim=2)  # (B, N, 2 D)
        log_beta = nn.functional.logsigmoid(self.content(pairs)[..., 0])
        w = masked_softmax(log_alpha + log_beta, faces.mask)
        return weighted(w, faces.units), w
