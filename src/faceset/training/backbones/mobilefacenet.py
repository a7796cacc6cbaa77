"""MobileFaceNet (Chen et al., CCBR 2018) in the form of InsightFace's ``arcface_torch`` (``get_mbf``): twice as wide.

Layers and keys are those of ``backbones/mobilefacenet.py`` there. Its second convolution is grouped in pairs of
channels, where the paper has each channel by itself; the checkpoints of InsightFace have it so.
"""

from __future__ import annotations

from torch import Tensor, nn

from faceset.training.backbones.base import HALF, Backbone, Form, Size

_STEM, _WIDE, _LAST = 128, 256, 512
_RESIDUALS = (4, 6, 2)


class MobileFaceNet(Backbone):
    """MobileFaceNet.

    Args:
        dim: D; None: 512.
        size: at least 16; None: 112. The kernel of the last convolution depends on it.
    """

    form = Form(
        dim=512,
        side=112,
        least=16,
        mean=HALF,
        std=HALF,
        head=("features.",),
        width_key="features.layers.2.weight",
    )

    def __init__(self, dim: int | None = None, size: Size | None = None) -> None:
        super().__init__("mobilefacenet", dim, size)
        first, second, third = _RESIDUALS
        self.layers = nn.ModuleList(
            [
                _Conv(3, _STEM, 3, stride=2),
                _Conv(_STEM, _STEM, 3, groups=64),
                _Bottleneck(_STEM, _STEM, 128, stride=2),
                _Residual(_STEM, 128, first),
                _Bottleneck(_STEM, _WIDE, 256, stride=2),
                _Residual(_WIDE, 256, second),
                _Bottleneck(_WIDE, _WIDE, 512, stride=2),
                _Residual(_WIDE, 256, third),
            ]
        )
        self.conv_sep = _Conv(_WIDE, _LAST, 1)
        high, wide = self.size  # four strides of 2, each rounded up
        self.features = _Head((-(-high // 16), -(-wide // 16)), self.dim)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(module.weight, nonlinearity="linear")

    def parts(self) -> list[list[nn.Module]]:
        """See :class:`Backbone`."""
        layers = list(self.layers)
        return [layers[:2], *([layer] for layer in layers[2:]), [self.conv_sep], [self.features]]


class _Conv(nn.Module):
    """Convolution, batch norm and, unless ``linear``, PReLU; the size stays, but for the stride."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1, linear: bool = False
    ) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
            nn.BatchNorm2d(outputs),
        )
        if not linear:
            self.layers.append(nn.PReLU(outputs))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layers(x)
        return y


class _Bottleneck(nn.Module):
    """1x1 to the inner width, 3x3 each channel by itself, 1x1 back without PReLU."""

    def __init__(self, inputs: int, outputs: int, inner: int, stride: int = 1) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            _Conv(inputs, inner, 1), _Conv(inner, inner, 3, stride, groups=inner), _Conv(inner, outputs, 1, linear=True)
        )

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layers(x)
        return y


class _Residual(nn.Module):
    """Bottlenecks, each added to its input."""

    def __init__(self, channels: int, inner: int, count: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(*(_Bottleneck(channels, channels, inner) for _ in range(count)))

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = x + layer(x)
        return x


class _Head(nn.Module):
    """One weight for each place and channel (the "global depthwise convolution"), one matrix, batch norms."""

    def __init__(self, kernel: tuple[int, int], dim: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            _Global(kernel), nn.Flatten(), nn.Linear(_LAST, dim, bias=False), nn.BatchNorm1d(dim)
        )

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layers(x)
        return y


class _Global(nn.Module):
    """A convolution that covers the whole picture, each channel by itself, and a batch norm."""

    def __init__(self, kernel: tuple[int, int]) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(_LAST, _LAST, kernel, groups=_LAST, bias=False), nn.BatchNorm2d(_LAST))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layers(x)
        return y
