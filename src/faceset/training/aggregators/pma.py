"""Pooling by multi-head attention, with one seed (Set Transformer, Lee et al., ICML 2019).

::

    Z = X + rFF(X),     H = LN(s + Att(s, Z, Z)),     r = LN(H + rFF(H))

``Att`` has h heads: ``softmax((W_q s) . (W_k z) / sqrt(D / h))`` over the faces, values ``W_v z``, output ``W_o``;
``rFF`` is one hidden layer of D units. Values and output start at the identity, the seed and the last layers of both
rFF at zero, so that an untrained model is close to the mean (a layer norm takes the mean of the components away). The
output is not in the convex hull of the faces. The share of a face is the mean of its attention over the heads.
8 D^2 + 12 D parameters: 4 D^2 + 3 D of the attention (a bias of the keys would cancel), 4 D^2 + 4 D of both rFF, D of
the seed, 4 D of the layer norms.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from faceset.errors import InputError
from faceset.training.aggregators.base import Aggregator, Faces, masked_softmax


class Pma(Aggregator):
    """PMA with one seed.

    Args:
        dim: D.
        heads: h, a divisor of D.
    """

    def __init__(self, dim: int, heads: int = 4) -> None:
        super().__init__(dim)
        if heads < 1 or dim % heads:
            raise InputError(f"heads must divide dim = {dim}, but got {heads}")
        self.heads = heads
        self.seed = nn.Parameter(torch.zeros(dim))
        self.query, self.key = nn.Linear(dim, dim), nn.Linear(dim, dim, bias=False)
        self.value, self.out = _identity(dim), _identity(dim)
        self.before, self.after = _feed_forward(dim), _feed_forward(dim)
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        nn.init.zeros_(self.query.bias)

    def pool(self, faces: Faces) -> tuple[Tensor, Tensor]:
        """See :class:`Aggregator`."""
        D, h = self.dim, self.heads
        z = faces.units + self.before(faces.units)  # (B, N, D)
        keys = self.key(z).unflatten(2, (h, D // h))  # (B, N, h, D/h)
        query = self.query(self.seed).unflatten(0, (h, D // h))
        a = masked_softmax((keys * query).sum(dim=3) * (D // h) ** -0.5, faces.mask)  # (B, N, h)
        values = self.value(z).unflatten(2, (h, D // h))
        pooled = (a[..., None] * values).sum(dim=1).flatten(1)  # (B, D)
        hidden = self.norm1(self.seed + self.out(pooled))
        return self.norm2(hidden + self.after(hidden)), a.mean(dim=2)


def _identity(dim: int) -> nn.Linear:
    layer = nn.Linear(dim, dim)
    with torch.no_grad():
        layer.weight.copy_(torch.eye(dim))
        layer.bias.zero_()
    return layer


def _feed_forward(dim: int) -> nn.Sequential:
    last = nn.Linear(dim, dim)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(nn.Linear(dim, dim), nn.ReLU(), last)
