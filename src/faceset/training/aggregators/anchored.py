"""NAN anchored at the best closed form: recognisability and the norm weigh the faces, and attention learns the rest.

::

    phi_k = [log d(f_k, u_1) .. log d(f_k, u_K), log |x_k|, c_k]      d(f, u) = max(min(1 - u . f, 1), floor)
    s_k = theta . phi_k + v . tanh(U [f_k; phi_k] + u0)               the standing score of a face
    r0 = sum_k softmax_k(s_k + q0 . f_k) f_k
    q1 = tanh(W r0 + b)
    r1 = sum_k softmax_k(s_k + q1 . f_k) f_k                          the answer

``u_j`` are centroids of unrecognisable faces (one, or one for each kind of fault), ``c_k`` the cosine of a face to the
mean of the *other* faces weighted by the closed form, 0 when there are none. ``theta`` starts at ``(p, g, 0)``,
everything else that reaches the score at zero: an untrained model is ERS with power p times the norm to the power g.
Softmax over s is a product of powers, so this holds exactly. Weights are >= 0 and sum to 1, the answer is in the convex
hull of the unit features, a face alone is returned as it is.

Parameters: D^2 + 2 D as in NAN (none of them with ``blocks=0``, D with 1), K + 2 for theta, and with H hidden units
H (D + K + 2) + 2 H.
"""

from __future__ import annotations

import numpy.typing as npt
import torch
from torch import Tensor, nn

from faceset.errors import InputError
from faceset.training.aggregators.base import Aggregator, Faces, masked_softmax, unit, weighted
from faceset.training.aggregators.closed import log_distance, unit_centroids


class Anchored(Aggregator):
    """NAN that starts at recognisability.

    Args:
        dim: D.
        centroids: (K, D) or (D,), scaled to unit length; None: one of zeros, to be loaded.
        count: K; needed only without ``centroids``.
        power: p, shared out over the centroids.
        norm_power: g.
        blocks: 0 (no attention), 1 or 2.
        hidden: H, 0 for none.
        consensus: whether ``c_k`` takes part.
        use_norm: whether the norm takes part.
    """

    centroids: Tensor

    def __init__(
        self,
        dim: int,
        centroids: npt.ArrayLike | None = None,
        *,
        count: int = 1,
        power: float = 4.0,
        norm_power: float = 0.0,
        blocks: int = 2,
        hidden: int = 0,
        consensus: bool = True,
        use_norm: bool = True,
    ) -> None:
        super().__init__(dim)
        if blocks not in (0, 1, 2):
            raise InputError(f"blocks must be 0, 1 or 2, but got {blocks!r}")
        rows = torch.from_numpy(unit_centroids(centroids, dim).copy())
        self.register_buffer("centroids", rows if centroids is not None else rows.expand(count, dim).clone())
        K = len(self.centroids)
        self.blocks, self.consensus, self.use_norm = blocks, consensus, use_norm
        self.theta = nn.Parameter(torch.tensor([power / K] * K + [norm_power] * use_norm + [0.0] * consensus))
        if blocks >= 1:
            self.q0 = nn.Parameter(torch.zeros(dim))
        if blocks == 2:
            self.W = nn.Parameter(torch.zeros(dim, dim))
            self.b = nn.Parameter(torch.zeros(dim))
        self.hidden = nn.Linear(dim + len(self.theta), hidden) if hidden else None
        self.score = nn.Linear(hidden, 1, bias=False) if hidden else None
        if self.score is not None:
            nn.init.zeros_(self.score.weight)

    def covariates(self, faces: Faces) -> Tensor:
        """``phi``: (B, N, K + 2), or fewer when the norm or the consensus takes no part."""
        phi = [log_distance(faces.units @ self.centroids.T)]
        if self.use_norm:
            phi.append(faces.norms.clamp_min(1e-12).log()[..., None])
        if self.consensus:
            closed = torch.cat(phi, dim=2) @ self.theta[: sum(p.shape[2] for p in phi)]
            a = masked_softmax(closed, faces.mask)[..., None]  # (B, N, 1)
            shares = a * faces.units
            others = shares.sum(dim=1, keepdim=True) - shares
            phi.append((faces.units * _unit_or_zero(others)).sum(dim=2, keepdim=True))
        return torch.cat(phi, dim=2)

    def pool(self, faces: Faces) -> tuple[Tensor, Tensor]:
        """See :class:`Aggregator`."""
        phi = self.covariates(faces)
        s = phi @ self.theta
        if self.hidden is not None and self.score is not None:
            s = s + self.score(torch.tanh(self.hidden(torch.cat([faces.units, phi], dim=2))))[..., 0]
        a = masked_softmax(s + faces.units @ self.q0 if self.blocks else s, faces.mask)
        r = weighted(a, faces.units)
        if self.blocks == 2:
            q1 = torch.tanh(r @ self.W.T + self.b)
            a = masked_softmax(s + (faces.units @ q1[:, :, None])[..., 0], faces.mask)
            r = weighted(a, faces.units)
        return r, a


def _unit_or_zero(x: Tensor) -> Tensor:
    """Unit length, but zero where the others cancel or are none (what is left there is rounding)."""
    length = x.square().sum(dim=2, keepdim=True)
    return torch.where(length > 1e-10, unit(x), torch.zeros_like(x))
