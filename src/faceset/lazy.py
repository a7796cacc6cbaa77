"""Public names of a package that load their module when they are first asked for, so that importing it stays light."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any

from faceset.errors import MissingExtraError

_TRAIN = ("torch", "safetensors", "onnxscript")


def exports(
    names: dict[str, Any], homes: Mapping[str, str], *, doing: str = ""
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """``__getattr__`` and ``__dir__`` of a package.

    Args:
        names: ``globals()`` of the package; what was loaded is kept there.
        homes: public name -> module within the package.
        doing: what needs the extra ``train``, for the error where a module of it is missing; empty: nothing does.
    """
    package = names["__name__"]

    def get(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        try:
            value = getattr(importlib.import_module(f"{package}.{homes[name]}"), name)
        except ModuleNotFoundError as error:
            if doing and error.name in _TRAIN:
                raise MissingExtraError(
                    f"{doing} needs {error.name}, which is not installed; install the extra: "
                    "pip install 'faceset[train]'"
                ) from error
            raise
        names[name] = value
        return value

    return get, lambda: list(names["__all__"])
