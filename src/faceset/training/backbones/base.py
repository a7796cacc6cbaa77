"""What every backbone has in common: its preprocessing, its configuration, its stages, and how weights are read.

Letters: n pictures, D width of the feature, H W picture. A backbone takes ``x = (picture - mean) / std``, the picture
in 0..255, and gives raw features: their length is never touched, since aggregators and losses normalise, and the
length itself says something about the face.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self

import torch
from torch import Tensor, nn

from faceset.errors import InputError
from faceset.training.backbones import checkpoints, stages

Size = int | tuple[int, int]
Floats3 = tuple[float, float, float]

HALF: Floats3 = (127.5, 127.5, 127.5)
"""Mean and deviation that bring 0..255 to -1..1."""


class Form(NamedTuple):
    """What is fixed for a kind of network.

    Attributes:
        dim: D when none is asked for.
        side: height and width of the picture when none is asked for.
        least: smallest height and width that leaves a pixel at the end.
        crop: family of crop geometries, ``arcface`` or ``dlib``; the side goes behind it.
        mean, std: of red, green and blue, for x in 0..255.
        head: the part of the network whose width is D, as prefixes of keys; it is replaced when D is another.
        width_key: the key whose first dimension is D, the last axis where ``width_key`` is a matrix of a ``Linear``.
    """

    dim: int
    side: int
    least: int
    mean: Floats3
    std: Floats3
    head: tuple[str, ...]
    width_key: str
    crop: str = "arcface"


class Backbone(nn.Module):
    """A picture to a feature. A subclass sets :attr:`form` and gives :meth:`parts`.

    Args:
        name: under which :func:`faceset.training.backbones.build` makes one like it.
        dim: D >= 1; None: the default of the network.
        size: side of the square picture, or (H, W); None: the default of the network.
        options: further arguments from which ``build`` makes the same shape again.

    Attributes:
        name, dim: as given.
        size: (H, W).
        crop: name of the crop geometry that gives such pictures.
        colour: order of the channels, always ``RGB``.
        mean, std: three floats each.
        replaced: names of the parameters and buffers that did not come from the file of :meth:`from_pretrained`.

    Raises:
        InputError: D, the size or an option is out of range.
    """

    form: ClassVar[Form]
    colour = "RGB"

    def __init__(self, name: str, dim: int | None, size: Size | None, **options: Any) -> None:
        super().__init__()
        self.name = name
        self.dim = self.form.dim if dim is None else dim
        if self.dim < 1:
            raise InputError(f"{name}: dim must be at least 1, but got {self.dim}")
        if not 0.0 <= options.get("dropout", 0.0) <= 1.0:
            raise InputError(f"{name}: dropout must be in 0..1, but got {options['dropout']!r}")
        self.size = _pair(name, self.form.side if size is None else size, self.form.least)
        self.crop = _crop(name, self.form.crop, self.size)
        self.mean, self.std = self.form.mean, self.form.std
        self.replaced: tuple[str, ...] = ()
        self._options = options

    def parts(self) -> list[list[nn.Module]]:
        """The modules in the order in which they are applied, in groups; the last one is the embedding head.

        A group is what gradient checkpointing keeps or computes again; it must not change its input in place.
        """
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        """Raw features (n, D) of pictures (n, 3, H, W).

        Args:
            x: what :meth:`normalised` gives.

        Returns:
            float32, in autocast too; float64 where ``x`` and the parameters are.
        """
        *body, head = self.parts()
        for part in body:
            for module in part:
                x = module(x)
        return stages.full_precision(head, x)

    def stages(self) -> list[nn.Module]:
        """Modules whose composition is :meth:`forward`. They share the layers of this one."""
        *body, head = self.parts()
        return [*(nn.Sequential(*part) for part in body), stages.FullPrecision(*head)]

    def checkpointed(self, x: Tensor) -> Tensor:
        """As :meth:`forward`, but what the backward pass needs is kept between stages only, and else computed again.

        Costs one forward pass more. The running statistics of batch normalisation are updated once, as by ``forward``.
        """
        return stages.checkpointed(self, self.stages(), x)

    def normalised(self, pictures: Tensor) -> Tensor:
        """``(x - mean) / std`` of pictures (n, 3, H, W) in 0..255, as float32 (float64 stays)."""
        x = pictures if pictures.dtype == torch.float64 else pictures.float()
        mean, std = (torch.tensor(v, dtype=x.dtype, device=x.device).view(1, 3, 1, 1) for v in (self.mean, self.std))
        return (x - mean) / std

    def config(self) -> dict[str, Any]:
        """``name`` and ``options`` in plain values; ``build(name, **options)`` makes the same shape again."""
        return {"name": self.name, "options": {"dim": self.dim, "size": list(self.size), **self._options}}

    def preprocessing(self) -> dict[str, Any]:
        """``crop``, ``colour``, ``mean`` and ``std`` in plain values."""
        return {"crop": self.crop, "colour": self.colour, "mean": list(self.mean), "std": list(self.std)}

    @classmethod
    def from_pretrained(
        cls, path: str | Path, dim: int | None = None, *, size: Size | None = None, **options: Any
    ) -> Self:
        """The network with the weights of a file; every key and shape must be the network's own.

        The head is replaced by a fresh one where the file has a classifier in its place, or a head of another width or
        for another size than asked for; :attr:`replaced` says so. Everything else must fit.

        Args:
            path: a checkpoint of torch (a ``state_dict``, bare or under ``state_dict``, with ``module.`` before the
                keys or without) or of safetensors.
            dim: D; None: that of the file's head, or the default of the network where the file has a classifier.
            size: as in the constructor.
            options: of the constructor.

        Raises:
            ModelFileError: missing, damaged, with anything but tensors, or of another network.
            InputError: an argument is out of range.
        """
        return cls._of(checkpoints.read(Path(path)), dim, size, options)

    @classmethod
    def _of(cls, found: checkpoints.Checkpoint, dim: int | None, size: Size | None, options: Mapping[str, Any]) -> Self:
        form = cls.form
        width = found.width(form.width_key)
        classifier = width == checkpoints.IMAGENET_CLASSES and not found.own
        if dim is None and width and not classifier:
            dim = width
        network = cls(dim=dim, size=size, **options)
        fresh = classifier or (width != 0 and width != network.dim)
        if size is not None and network.size != (form.side, form.side) and not fresh:
            fresh = not checkpoints.fits(network, found.tensors, form.head)
        network.replaced = checkpoints.load(network, found, form.head if fresh else ())
        return network


def _pair(name: str, size: Size | list[int], least: int) -> tuple[int, int]:
    sides = (size, size) if isinstance(size, int) else tuple(size)
    if len(sides) != 2 or not all(isinstance(side, int) and side >= least for side in sides):
        raise InputError(f"{name}: size must be a side or (height, width) of at least {least} pixels, but got {size!r}")
    return sides[0], sides[1]


def _crop(name: str, family: str, size: tuple[int, int]) -> str:
    if size[0] == size[1]:
        return f"{family}{size[0]}"
    if size == (112, 96) and family == "arcface":
        return "sphere112x96"
    raise InputError(f"{name}: no crop geometry gives pictures of {size[0]} x {size[1]}; take a square size")
