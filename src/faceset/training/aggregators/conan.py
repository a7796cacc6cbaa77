"""CoNAN (Jawade et al., IJCB 2023): the query comes from the distribution of the features of the set.

::

    c = MLP([mean(F); var(F)]),     a = softmax(F c),     r = sum_k a_k f_k

The MLP has one hidden layer of H units (2 D H + H + H D + D parameters). Its last layer starts at zero, which is the
mean.
"""

from __future__ import annotations

from torch import Tensor, nn

from faceset.training.aggregators.base import Aggregator, Faces, masked_softmax, mean_and_variance, weighted


class Conan(Aggregator):
    """CoNAN.

    Args:
        dim: D.
        hidden: H; 0 stands for D.
    """

    def __init__(self, dim: int, hidden: int = 0) -> None:
        super().__init__(dim)
        width = hidden or dim
        last = nn.Linear(width, dim)
        self.context = nn.Sequential(nn.Linear(2 * dim, width), nn.LeakyReLU(), last)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)

    def pool(self, faces: Faces) -> tuple[Tensor, Tensor]:
        """See :class:`Aggregator`."""
        c = self.context(mean_and_variance(faces))  # (B, D)
        a = masked_softmax((faces.units @ c[:, :, None])[..., 0], faces.mask)
        return weighted(a, faces.units), a
