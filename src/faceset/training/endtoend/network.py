"""A backbone and an aggregator as one module: pictures of B sets in, B templates out, gradients all the way back.

Letters: B sets, N faces in the largest, F real faces of all sets, D width, H and W pixels. Only real faces are
embedded: the features (F, D) are put in their places of (B, N, D), row after row of the mask; the padding stays zero.

Memory. What a step keeps for its backward pass grows with F, and for a deep network at 224 x 224 it is tens of
megabytes a face. Faces therefore go through the backbone in chunks, and with ``checkpoint`` only some of what they
leave is kept; the rest is computed a second time on the way back (Chen et al., arXiv:1604.06174):

==========  ==================================  ====================================================================
``none``    everything                          fastest; nothing is computed twice
``stages``  what goes from one stage to the     one stage of one chunk is whole at a time
            next, of every face
``chunks``  the pictures                        one chunk is whole at a time; the least for many faces
==========  ==================================  ====================================================================

Gradients are the same whichever is taken. Batch normalisation is in evaluation mode unless ``batch_statistics``: its
running statistics stand still while scale and shift are trained. Statistics of a chunk would depend on how faces are
divided, and a checkpointed network would count every chunk twice.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint as recomputed

from faceset.errors import InputError
from faceset.training.aggregators.base import Aggregator
from faceset.training.backbones import Backbone
from faceset.training.endtoend.config import check_memory


class EndToEnd(nn.Module):
    """Backbone, then aggregator.

    Args:
        backbone: pictures (n, 3, H, W) to raw features (n, D).
        aggregator: features (B, N, D) to templates, of the same D.
        chunk: faces that go through the backbone together; 0: all.
        checkpoint: ``none``, ``stages`` or ``chunks``; see the top of the file.
        batch_statistics: let batch normalisation use, and follow, the statistics of the batch; only with all faces at
            once and nothing computed twice.
        cast: gives the context in which the backbone computes, such as one of autocast; aggregator and loss stay
            outside of it.

    Raises:
        InputError: widths that differ, an unknown word, or batch statistics of chunks.
    """

    def __init__(
        self,
        backbone: Backbone,
        aggregator: Aggregator,
        *,
        chunk: int = 0,
        checkpoint: str = "none",
        batch_statistics: bool = False,
        cast: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        super().__init__()
        check_memory(chunk, checkpoint, batch_statistics)
        if backbone.dim != aggregator.dim:
            raise InputError(
                f"the backbone gives {backbone.dim} numbers a face, but the aggregator takes {aggregator.dim}; build "
                "one of them with the other's dim"
            )
        self.backbone, self.aggregator = backbone, aggregator
        self.chunk, self.checkpoint, self.batch_statistics, self.cast = chunk, checkpoint, batch_statistics, cast

    def train(self, mode: bool = True) -> EndToEnd:
        """As of any module, but batch normalisation of the backbone stays in evaluation mode."""
        super().train(mode)
        if not self.batch_statistics:
            for module in self.backbone.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.eval()
        return self

    def forward(self, faces: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Templates of B sets.

        Args:
            faces: (F, 3, H, W) pictures of the real faces as the backbone takes them, in the order of the Trues of
                the mask, row after row.
            mask: (B, N) bool, True = a real face.

        Returns:
            Templates (B, D) of unit length, and weights (B, N).

        Raises:
            InputError: another number of faces than the mask says.
            EmptySetError: a row of the mask without a True.
        """
        return self.pooled(self.features(faces), mask)

    def pooled(self, features: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """As :meth:`forward`, from features (F, D) of the real faces."""
        if len(features) != int(mask.sum()):
            raise InputError(f"the mask has {int(mask.sum())} faces, but there are {len(features)} pictures")
        templates, weights = self.aggregator(placed(features, mask), mask)
        return templates, weights

    def features(self, faces: Tensor) -> Tensor:
        """(F, D) raw features of pictures (F, 3, H, W), in float32 (float64 where the parameters are)."""
        parts = []
        for part in torch.split(faces, self.chunk or max(1, len(faces))):
            with self.cast():
                if self.checkpoint == "chunks" and self.training:
                    found = recomputed(self.backbone, part, use_reentrant=False)
                elif self.checkpoint == "stages" and self.training:
                    found = self.backbone.checkpointed(part)
                else:
                    found = self.backbone(part)
            parts.append(found if found.dtype == torch.float64 else found.float())
        return torch.cat(parts)


def placed(features: Tensor, mask: Tensor) -> Tensor:
    """Features (F, D) of the real faces to (B, N, D); zeros in the padding.

    >>> placed(torch.tensor([[1.0], [2.0], [3.0]]), torch.tensor([[True, False], [True, True]]))[..., 0]
    tensor([[1., 0.],
            [2., 3.]])
    """
    empty = features.new_zeros(*mask.shape, features.shape[1])
    return empty.masked_scatter(mask[..., None], features)
