"""VGG16 (Simonyan and Zisserman, ICLR 2015, column D), plain or with batch normalisation.

Layers and keys are those of torchvision's ``vgg16`` and ``vgg16_bn``; the embedding head stands where the last layer of
the classifier was. Pictures are normalised by the statistics of ImageNet.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from faceset.errors import InputError
from faceset.training.backbones.base import Backbone, Form, Size

_BLOCKS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
"""Filters of the 3x3 convolutions between two poolings."""
_CELLS = 7  # side of what the first wide layer takes


class VGG16(Backbone):
    """VGG16 with an embedding head in place of the last layer.

    Args:
        dim: D; None: 128.
        size: at least 32; None: 224.
        batch_norm: after every convolution.
        dropout: share of the numbers that are dropped in training after each of the two wide layers; 0.5 in the paper.
        hidden: width of these two; 4096 in the paper, where they hold 119.5 of the 134.3 million parameters before the
            head.
    """

    form = Form(
        dim=128,
        side=224,
        least=32,
        mean=(123.675, 116.28, 103.53),
        std=(58.395, 57.12, 57.375),
        head=("classifier.6.",),
        width_key="classifier.6.weight",
    )

    def __init__(
        self,
        dim: int | None = None,
        size: Size | None = None,
        batch_norm: bool = False,
        dropout: float = 0.5,
        hidden: int = 4096,
    ) -> None:
        if hidden < 1:
            raise InputError(f"vgg16: hidden must be at least 1, but got {hidden}")
        super().__init__("vgg16_bn" if batch_norm else "vgg16", dim, size, dropout=dropout, hidden=hidden)
        self.features = nn.Sequential(*_convolutions(batch_norm))
        self.avgpool = _Cells(_CELLS)
        self.flatten = nn.Flatten()
        self.classifier = nn.Sequential(
            _linear(512 * _CELLS * _CELLS, hidden, gain=2.0),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            _linear(hidden, hidden, gain=2.0),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            _linear(hidden, self.dim, gain=1.0),
        )

    def parts(self) -> list[list[nn.Module]]:
        """See :class:`Backbone`."""
        groups: list[list[nn.Module]] = [[]]
        for module in self.features:
            groups[-1].append(module)
            if isinstance(module, nn.MaxPool2d):
                groups.append([])
        groups[-1] = [self.avgpool, self.flatten, *list(self.classifier)[:-1]]
        return [*groups, [self.classifier[-1]]]


def _convolutions(batch_norm: bool) -> list[nn.Module]:
    layers: list[nn.Module] = []
    channels = 3
    for block in _BLOCKS:
        for filters in block:
            conv = nn.Conv2d(channels, filters, 3, padding=1)
            nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
            nn.init.zeros_(conv.bias)  # type: ignore[arg-type]  # it is there: bias is the default
            layers += [conv, nn.BatchNorm2d(filters)] if batch_norm else [conv]
            layers.append(nn.ReLU(inplace=True))
            channels = filters
        layers.append(nn.MaxPool2d(2))
    return layers


def _linear(inputs: int, outputs: int, gain: float) -> nn.Linear:
    """Drawn with the variance ``gain / inputs`` (He et al., ICCV 2015)."""
    layer = nn.Linear(inputs, outputs)
    nn.init.normal_(layer.weight, std=math.sqrt(gain / inputs))
    nn.init.zeros_(layer.bias)
    return layer


class _Cells(nn.Module):
    """Means over a grid of cells, as adaptive average pooling has them; at its own size it passes everything on.

    Written as two products with constant matrices where it does anything, since ONNX has no such pooling.
    """

    def __init__(self, cells: int) -> None:
        super().__init__()
        self.cells = cells

    def forward(self, x: Tensor) -> Tensor:
        high, wide = x.shape[2:]
        if (high, wide) == (self.cells, self.cells):
            return x
        rows, columns = (_shares(side, self.cells).to(x) for side in (high, wide))
        return rows @ x @ columns.T


def _shares(side: int, cells: int) -> Tensor:
    """(cells, side) the share of each pixel in each cell: cell i takes pixels floor(i s / c) to ceil((i + 1) s / c)."""
    found = torch.zeros(cells, side)
    for i in range(cells):
        low, high = i * side // cells, -(-(i + 1) * side // cells)
        found[i, low:high] = 1.0 / (high - low)
    return found
