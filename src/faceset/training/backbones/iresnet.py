"""The residual network of ArcFace (Deng et al., CVPR 2019, section 3.1), of 18, 34, 50 or 100 layers.

Layers and keys are those of InsightFace's ``arcface_torch`` (``backbones/iresnet.py``), so that its checkpoints fit.
A block is batch norm, 3x3, batch norm, PReLU, 3x3 with the stride, batch norm, plus the input; the first convolution
has no stride. The head is batch norm, dropout, one matrix, and a batch norm whose scale stays at 1.
"""

from __future__ import annotations

from torch import Tensor, nn

from faceset.errors import InputError
from faceset.training.backbones.base import HALF, Backbone, Form, Size

_BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 14, 3), 100: (3, 13, 30, 3)}
"""Blocks in each of the four layers, by depth."""
_FILTERS = (64, 128, 256, 512)
_TOGETHER = 4  # blocks of a stage of gradient checkpointing


class IResNet(Backbone):
    """ArcFace's network.

    Args:
        dim: D; None: 512.
        size: at least 16; None: 112. The matrix of the head depends on it.
        depth: 18, 34, 50 or 100.
        dropout: share of the numbers before the matrix that are dropped in training.
    """

    form = Form(dim=512, side=112, least=16, mean=HALF, std=HALF, head=("fc.", "features."), width_key="fc.weight")

    def __init__(self, dim: int | None = None, size: Size | None = None, depth: int = 50, dropout: float = 0.0) -> None:
        if depth not in _BLOCKS:
            raise InputError(f"iresnet: depth must be one of {', '.join(map(str, _BLOCKS))}, but got {depth!r}")
        super().__init__(f"iresnet{depth}", dim, size, dropout=dropout)
        self.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.prelu = nn.PReLU(64)
        channels, (high, wide) = 64, self.size
        for i, (filters, count) in enumerate(zip(_FILTERS, _BLOCKS[depth], strict=True)):
            blocks = [_Block(channels, filters, 2), *(_Block(filters, filters, 1) for _ in range(count - 1))]
            self.add_module(f"layer{i + 1}", nn.Sequential(*blocks))
            channels, high, wide = filters, (high + 1) // 2, (wide + 1) // 2
        self.bn2 = nn.BatchNorm2d(channels)
        self.flatten = nn.Flatten()
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(channels * high * wide, self.dim)
        self.features = nn.BatchNorm1d(self.dim)
        self.features.weight.requires_grad = False
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)

    def parts(self) -> list[list[nn.Module]]:
        """See :class:`Backbone`."""
        groups: list[list[nn.Module]] = [[self.conv1, self.bn1, self.prelu]]
        for layer in (self.get_submodule(f"layer{i + 1}") for i in range(len(_FILTERS))):
            blocks = list(layer.children())
            groups += [blocks[i : i + _TOGETHER] for i in range(0, len(blocks), _TOGETHER)]
        return [*groups, [self.bn2, self.flatten, self.dropout, self.fc, self.features]]


class _Block(nn.Module):
    """See the top of the file. The shortcut is a 1x1 convolution and a batch norm where there is a stride."""

    def __init__(self, channels: int, filters: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv1 = nn.Conv2d(channels, filters, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(filters)
        self.prelu = nn.PReLU(filters)
        self.conv2 = nn.Conv2d(filters, filters, 3, stride, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(filters)
        self.downsample: nn.Module | None = None
        if stride > 1:
            self.downsample = nn.Sequential(
                nn.Conv2d(channels, filters, 1, stride, bias=False), nn.BatchNorm2d(filters)
            )

    def forward(self, x: Tensor) -> Tensor:
        branch = self.prelu(self.bn2(self.conv1(self.bn1(x))))
        branch = self.bn3(self.conv2(branch))
        shortcut = x if self.downsample is None else self.downsample(x)
        y: Tensor = branch + shortcut
        return y
