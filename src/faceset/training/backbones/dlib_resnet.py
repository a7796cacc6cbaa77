"""dlib's face recognition network as a torch module, to be trained on from its installed weights.

The layers are those of :mod:`faceset.packs.dlib_resnet`, which has the drawing. Where inference folds the affine layers
into the convolutions, they stay apart here: the scale of a channel is then a parameter of its own, the weights keep the
size at which dlib trained them, and so one learning rate and one weight decay suit all of them. The biases of the
convolutions, which the affine layers make superfluous, go into ``beta``. There is no batch normalisation, so nothing
differs between training and use.

``mean`` and ``std`` are outside the graph here: dlib's network divides by 256 after the subtraction.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from faceset.errors import ModelFileError
from faceset.packs.dlib_resnet import BLOCKS, MEAN, SCALE, STEM, WIDTH, Layer, read_network
from faceset.packs.installed import DLIB_RESNET, installed_file
from faceset.training.backbones.base import Backbone, Form, Size
from faceset.training.backbones.checkpoints import Checkpoint

_LEAST = 103  # what the unpadded strides need to leave three pixels for the last of them


class DlibResNet(Backbone):
    """dlib's network of 29 convolutions. A fresh one starts with every residual branch at zero (Goyal et al., 2017).

    Args:
        dim: D; None: 128.
        size: at least 103; None: 150.
    """

    form = Form(
        dim=WIDTH,
        side=150,
        least=_LEAST,
        mean=MEAN,
        std=(SCALE,) * 3,
        head=("fc.",),
        width_key="fc.weight",
        crop="dlib",
    )

    def __init__(self, dim: int | None = None, size: Size | None = None) -> None:
        super().__init__("dlib-resnet", dim, size)
        self.stem = _Layer(3, STEM, 7, stride=2, padding=0)
        self.relu, self.pool = nn.ReLU(), nn.MaxPool2d(3, stride=2)
        self.blocks = nn.Sequential()
        channels = STEM
        for filters, down in BLOCKS:
            self.blocks.append(_Block(channels, filters, down))
            channels = filters
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(channels, self.dim, bias=False)
        nn.init.xavier_normal_(self.fc.weight)

    def parts(self) -> list[list[nn.Module]]:
        """See :class:`Backbone`."""
        blocks = list(self.blocks)
        pairs = [blocks[i : i + 2] for i in range(0, len(blocks), 2)]
        pairs[-1] += [self.avgpool, self.flatten]
        return [[self.stem, self.relu, self.pool], *pairs, [self.fc]]

    @classmethod
    def from_pretrained(
        cls, path: str | Path | None = None, dim: int | None = None, *, size: Size | None = None, **options: Any
    ) -> Self:
        """As :meth:`Backbone.from_pretrained`; also from dlib's ``.dat`` file.

        Args:
            path: a checkpoint, or a file whose name ends in ``.dat``; None: the installed one.
            dim: D; None: that of the file.
            size: as in the constructor.
            options: there are none.
        """
        source = installed_file(*DLIB_RESNET) if path is None else Path(path)
        if source.suffix != ".dat" or not source.is_file():
            return super().from_pretrained(source, dim, size=size, **options)
        return cls._of(Checkpoint(source, tensors_of_dat(source), own=False), dim, size, options)


def tensors_of_dat(path: Path) -> dict[str, Tensor]:
    """The parameters in a ``.dat`` file under the names that they have in :class:`DlibResNet`.

    Raises:
        ModelFileError: the file cannot be read, is truncated, damaged, or another network.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ModelFileError(f"{path} cannot be read ({error.strerror or error}); check its permissions") from error
    network = read_network(data, path.name)
    places = ["stem", *(f"blocks.{i}.{part}" for i in range(len(BLOCKS)) for part in ("first", "second"))]
    found: dict[str, Tensor] = {}
    for place, layer in zip(places, network.layers, strict=True):
        found |= {f"{place}.{key}": value for key, value in _tensors(layer).items()}
    return found | {"fc.weight": torch.from_numpy(np.ascontiguousarray(network.matrix.T))}


def _tensors(layer: Layer) -> dict[str, Tensor]:
    beta = layer.gamma.astype(np.float64) * layer.conv.bias + layer.beta
    return {
        "weight": torch.from_numpy(layer.conv.weights.copy()),
        "gamma": torch.from_numpy(layer.gamma.copy()),
        "beta": torch.from_numpy(beta.astype(np.float32)),
    }


class _Layer(nn.Module):
    """``gamma * (w * x) + beta``, a scale and a shift for each filter."""

    def __init__(self, inputs: int, filters: int, kernel: int, stride: int, padding: int, gamma: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(filters, inputs, kernel, kernel))
        self.gamma = nn.Parameter(torch.full((filters,), gamma))
        self.beta = nn.Parameter(torch.zeros(filters))
        self.stride, self.padding = stride, padding
        nn.init.kaiming_normal_(self.weight, nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        # The scale goes on the weights, which are far fewer than the numbers of a picture.
        return nn.functional.conv2d(
            x, self.weight * self.gamma[:, None, None, None], self.beta, self.stride, self.padding
        )


class _Block(nn.Module):
    """``relu(x + second(relu(first(x))))``; with ``down`` at half the size, ``x`` averaged and padded with zeros."""

    def __init__(self, channels: int, filters: int, down: bool) -> None:
        super().__init__()
        stride, padding = (2, 0) if down else (1, 1)
        self.first = _Layer(channels, filters, 3, stride, padding)
        self.second = _Layer(filters, filters, 3, 1, 1, gamma=0.0)
        self.down, self.more_channels = down, filters - channels

    def forward(self, x: Tensor) -> Tensor:
        branch = self.second(nn.functional.relu(self.first(x)))
        if self.down:
            x = nn.functional.avg_pool2d(x, 2)
        high, wide = (max(branch.shape[axis], x.shape[axis]) for axis in (2, 3))
        return nn.functional.relu(_padded(branch, 0, high, wide) + _padded(x, self.more_channels, high, wide))


def _padded(x: Tensor, channels: int, high: int, wide: int) -> Tensor:
    """Zeros at the last channels, below and on the right."""
    right, below = wide - x.shape[3], high - x.shape[2]
    if not (channels or below or right):
        return x
    return nn.functional.pad(x, (0, right, 0, below, 0, channels))
