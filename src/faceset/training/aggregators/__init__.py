"""Aggregators by name. Each takes raw features (B, N, D) and a mask (B, N) and gives a template and weights."""

from __future__ import annotations

import importlib
import inspect
from typing import Any

from faceset.errors import InputError
from faceset.training.aggregators.base import Aggregator

_CLASSES = {
    "anchored": ("anchored", "Anchored"),
    "cfan": ("cfan", "Cfan"),
    "conan": ("conan", "Conan"),
    "ers": ("closed", "Ers"),
    "ghostvlad": ("ghostvlad", "GhostVlad"),
    "mean": ("closed", "Mean"),
    "multicolumn": ("multicolumn", "Multicolumn"),
    "nan": ("nan", "Nan"),
    "norm": ("closed", "Norm"),
    "pma": ("pma", "Pma"),
    "proxyfusion": ("proxyfusion", "ProxyFusion"),
}


def names() -> list[str]:
    """Every name that :func:`build` knows, sorted."""
    return sorted(_CLASSES)


def build(name: str, dim: int, **options: Any) -> Aggregator:
    """A fresh aggregator.

    Args:
        name: one of :func:`names`.
        dim: D, the width of the features.
        options: of that aggregator; see its class.

    Raises:
        InputError: unknown name or option, or a value out of range.
    """
    if name not in _CLASSES:
        raise InputError(f"no learned aggregator is called {name!r}; take one of {', '.join(names())}")
    module, cls = _CLASSES[name]
    kind = getattr(importlib.import_module(f"{__name__}.{module}"), cls)
    known = [p for p in inspect.signature(kind).parameters if p != "dim"]
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise InputError(f"aggregator {name!r} has no option {', '.join(unknown)}; it has {', '.join(known) or 'none'}")
    built: Aggregator = kind(dim, **options)
    return built
