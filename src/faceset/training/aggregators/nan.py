"""The Neural Aggregation Network (Yang et al., CVPR 2017).

::

    block(q):  e_k = q . f_k,   a = softmax_k(e),   r = sum_k a_k f_k
    r0 = block(q0),   q1 = tanh(W r0 + b),   r1 = block(q1)

With one block the answer is ``r0`` (D parameters), with two ``r1`` (D^2 + 2 D). All parameters start at zero, which is
the mean; ``q0`` then gets no gradient at the first step (it acts through ``W = 0``), but gets one from the second on.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from faceset.errors import InputError
from faceset.training.aggregators.base import Aggregator, Faces, masked_softmax, weighted


class Nan(Aggregator):
    """NAN.

    Args:
        dim: D.
        blocks: 1 or 2 attention blocks.
    """

    def __init__(self, dim: int, blocks: int = 2) -> None:
        super().__init__(dim)
        if blocks not in (1, 2):
            raise InputError(f"blocks must be 1 or 2, but got {blocks!r}")
        self.blocks = blocks
        self.q0 = nn.Parameter(torch.zeros(dim))
        if blocks == 2:
            self.W = nn.Parameter(torch.zeros(dim, dim))
            self.b = nn.Parameter(torch.zeros(dim))

    def pool(self, faces: Faces) -> tuple[Tensor, Tensor]:
        """See :class:`Aggregator`."""
        a = masked_softmax(faces.units @ self.q0, faces.mask)  # (B, N)
        r = weighted(a, faces.units)  # (B, D)
        if self.blocks == 2:
            q1 = torch.tanh(r @ self.W.T + self.b)  # (B, D)
            a = masked_softmax((faces.units @ q1[:, :, None])[..., 0], faces.mask)
            r = weighted(a, faces.units)
        return r, a
