"""GoogLeNet with batch normalisation (Szegedy et al., CVPR 2015, table 1; Ioffe and Szegedy, ICML 2015).

Layers and keys are those of torchvision's ``googlenet``, so that its ImageNet checkpoint fits. Two things in it are
not the 2015 paper's: the convolutions of the third branch are 3x3 where the paper has 5x5 (a slip that the published
weights share), and every convolution is followed by batch normalisation (eps 1e-3).

The checkpoint was trained on pictures in -1..1. torchvision gets there from pictures normalised by the statistics of
ImageNet with ``transform_input``, which undoes them; here mean and std are 127.5 at once.
"""

from __future__ import annotations

import math

from torch import Tensor, cat, nn

from faceset.errors import InputError
from faceset.training.backbones.base import HALF, Backbone, Form, Size

# name: channels in, 1x1, 3x3 reduced, 3x3, third branch reduced, third branch, after the pooling
_INCEPTIONS = {
    "inception3a": (192, 64, 96, 128, 16, 32, 32),
    "inception3b": (256, 128, 128, 192, 32, 96, 64),
    "inception4a": (480, 192, 96, 208, 16, 48, 64),
    "inception4b": (512, 160, 112, 224, 24, 64, 64),
    "inception4c": (512, 128, 128, 256, 24, 64, 64),
    "inception4d": (512, 112, 144, 288, 32, 64, 64),
    "inception4e": (528, 256, 160, 320, 32, 128, 128),
    "inception5a": (832, 256, 160, 320, 32, 128, 128),
    "inception5b": (832, 384, 192, 384, 48, 128, 128),
}
_STAGES = (
    ("conv1", "maxpool1"),
    ("conv2", "conv3", "maxpool2"),
    ("inception3a",),
    ("inception3b", "maxpool3"),
    ("inception4a", "inception4b", "inception4c"),
    ("inception4d", "inception4e", "maxpool4"),
    ("inception5a", "inception5b", "avgpool", "flatten", "dropout"),
    ("fc",),
)


POOLINGS = ("average", "none")


class GoogLeNet(Backbone):
    """GoogLeNet with an embedding head in place of the classifier.

    Args:
        dim: D; None: 128, as NAN has it.
        size: at least 15; None: 224.
        dropout: share of the 1024 numbers before the head that are dropped in training. The paper's 0.4 protects a
            classifier; here the classifier belongs to the loss, hence 0.
        pooling: ``average`` over the last map, as the paper; or ``none``: the head sees every place of the map apart.
            Faces are aligned, so that a place has a meaning, and a head that knows it learns from fewer faces.

    Raises:
        InputError: another pooling.
    """

    form = Form(dim=128, side=224, least=15, mean=HALF, std=HALF, head=("fc.",), width_key="fc.weight")

    def __init__(
        self, dim: int | None = None, size: Size | None = None, dropout: float = 0.0, pooling: str = "average"
    ) -> None:
        super().__init__("googlenet", dim, size, dropout=dropout, pooling=pooling)
        if pooling not in POOLINGS:
            raise InputError(f"googlenet: pooling must be one of {', '.join(POOLINGS)}, but got {pooling!r}")
        self.conv1 = _Conv(3, 64, 7, stride=2)
        self.maxpool1 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.conv2 = _Conv(64, 64, 1)
        self.conv3 = _Conv(64, 192, 3)
        self.maxpool2 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        for name, channels in _INCEPTIONS.items():
            self.add_module(name, _Inception(*channels))
        self.maxpool3 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.maxpool4 = nn.MaxPool2d(2, stride=2, ceil_mode=True)
        self.avgpool = nn.AdaptiveAvgPool2d(1) if pooling == "average" else nn.Identity()
        self.flatten = nn.Flatten()
        self.dropout = nn.Dropout(dropout)
        places = 1 if pooling == "average" else math.prod(map(_last_side, self.size))
        self.fc = nn.Linear(1024 * places, self.dim)
        nn.init.xavier_normal_(self.fc.weight)
        nn.init.zeros_(self.fc.bias)

    def parts(self) -> list[list[nn.Module]]:
        """See :class:`Backbone`."""
        return [[getattr(self, name) for name in names] for names in _STAGES]


def _last_side(side: int) -> int:
    """Pixels along a side of the last map."""
    side = math.ceil(side / 2)
    for kernel in (3, 3, 3, 2):  # the poolings, which round up
        side = math.ceil((side - kernel) / 2) + 1
    return side


class _Conv(nn.Module):
    """Convolution without bias, batch normalisation, ReLU; the size stays, but for the stride."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
        self.bn = nn.BatchNorm2d(outputs, eps=1e-3)
        nn.init.kaiming_normal_(self.conv.weight, nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.relu(self.bn(self.conv(x)), inplace=True)


class _Inception(nn.Module):
    """Four branches side by side, joined along the channels; the size stays."""

    def __init__(self, inputs: int, one: int, three_in: int, three: int, five_in: int, five: int, pooled: int) -> None:
        super().__init__()
        self.branch1 = _Conv(inputs, one, 1)
        self.branch2 = nn.Sequential(_Conv(inputs, three_in, 1), _Conv(three_in, three, 3))
        self.branch3 = nn.Sequential(_Conv(inputs, five_in, 1), _Conv(five_in, five, 3))
        self.branch4 = nn.Sequential(nn.MaxPool2d(3, stride=1, padding=1, ceil_mode=True), _Conv(inputs, pooled, 1))

    def forward(self, x: Tensor) -> Tensor:
        return cat([self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)], 1)
