"""Embedding networks by name: pictures to features, with a head of any width. Needs the extra ``train`` (torch).

>>> names()
['dlib-resnet', 'googlenet', 'iresnet100', 'iresnet18', 'iresnet34', 'iresnet50', 'mobilefacenet', 'vgg16', 'vgg16_bn']
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from faceset.errors import InputError, ModelFileError
from faceset.lazy import exports

if TYPE_CHECKING:
    from faceset.training.backbones.base import Backbone as Backbone
    from faceset.training.backbones.base import Size
    from faceset.training.backbones.dlib_resnet import DlibResNet as DlibResNet
    from faceset.training.backbones.googlenet import GoogLeNet as GoogLeNet
    from faceset.training.backbones.iresnet import IResNet as IResNet
    from faceset.training.backbones.mobilefacenet import MobileFaceNet as MobileFaceNet
    from faceset.training.backbones.vgg16 import VGG16 as VGG16

_HOMES = {
    "Backbone": "base",
    "DlibResNet": "dlib_resnet",
    "GoogLeNet": "googlenet",
    "IResNet": "iresnet",
    "MobileFaceNet": "mobilefacenet",
    "VGG16": "vgg16",
}
_NETWORKS: dict[str, tuple[str, dict[str, Any]]] = {
    "dlib-resnet": ("DlibResNet", {}),
    "googlenet": ("GoogLeNet", {}),
    "iresnet18": ("IResNet", {"depth": 18}),
    "iresnet34": ("IResNet", {"depth": 34}),
    "iresnet50": ("IResNet", {"depth": 50}),
    "iresnet100": ("IResNet", {"depth": 100}),
    "mobilefacenet": ("MobileFaceNet", {}),
    "vgg16": ("VGG16", {"batch_norm": False}),
    "vgg16_bn": ("VGG16", {"batch_norm": True}),
}
"""Name -> class and the arguments that the name fixes."""

__all__ = [*sorted(_HOMES), "build", "from_config", "from_pretrained", "names"]


def names() -> list[str]:
    """Every name that :func:`build` knows, sorted."""
    return sorted(_NETWORKS)


def build(name: str, dim: int | None = None, size: Size | list[int] | None = None, **options: Any) -> Backbone:
    """A fresh network, its parameters drawn from torch's generator.

    Args:
        name: one of :func:`names`.
        dim: D, width of the feature; None: the default of the network.
        size: side of the picture in pixels, or (height, width); None: the default of the network.
        options: of that network; see its class.

    Raises:
        InputError: unknown name or option, or a value out of range.
        MissingExtraError: torch is not installed.
    """
    network, fixed = _network(name, options)
    built: Backbone = network(dim=dim, size=size, **fixed, **options)
    return built


def from_config(config: Mapping[str, Any]) -> Backbone:
    """A fresh network of the shape that :meth:`Backbone.config` describes.

    Raises:
        InputError: as :func:`build`, or it is no such description.
    """
    if not isinstance(config.get("name"), str) or not isinstance(config.get("options"), Mapping):
        raise InputError(f"a backbone is described by name and options, but got {dict(config)!r}")
    return build(config["name"], **config["options"])


def from_pretrained(
    name: str,
    path: str | Path | None = None,
    dim: int | None = None,
    size: Size | list[int] | None = None,
    **options: Any,
) -> Backbone:
    """A network with the weights of a file; see :meth:`Backbone.from_pretrained`.

    Args:
        name: one of :func:`names`.
        path: the file; None: the installed weights, which ``dlib-resnet`` alone has.
        dim: D; None: that of the file.
        size: side of the picture in pixels, or (height, width); None: the default of the network.
        options: of that network.

    Raises:
        InputError: as :func:`build`.
        ModelFileError: the file is missing, damaged, or of another network.
    """
    network, fixed = _network(name, options)
    if path is None and name != "dlib-resnet":
        raise ModelFileError(f"no weights of {name} are installed; give the path of a checkpoint")
    loaded: Backbone = network.from_pretrained(path, dim, size=size, **fixed, **options)
    return loaded


def _network(name: str, options: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    if name not in _NETWORKS:
        raise InputError(f"no backbone is called {name!r}; take one of {', '.join(names())}")
    cls, fixed = _NETWORKS[name]
    network = __getattr__(cls)
    known = [p for p in inspect.signature(network).parameters if p not in ("dim", "size", *fixed)]
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise InputError(f"backbone {name!r} has no option {', '.join(unknown)}; it has {', '.join(known) or 'none'}")
    return network, fixed


__getattr__, __dir__ = exports(globals(), _HOMES, doing="training")
