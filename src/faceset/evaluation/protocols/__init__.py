"""The field's protocols: official files -> typed trials. No picture is looked at.

Each protocol is one module with ``TITLE``, ``LAYOUT`` (the files it wants), ``load`` and, as far as it has them,
``verification`` and ``identification``::

    from faceset.evaluation import protocols

    protocols.ijba.verification(root, split=1)     # a Verification
    protocols.load("ijba", root, task="verify")    # a tuple of them, one a split

Modules are imported when they are asked for.
"""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path
from typing import Any, Protocol, cast

from faceset.errors import InputError, ProtocolError
from faceset.evaluation.trials import Experiment

TASKS = ("verify", "identify")

_NAMES = ("celebrity1000", "folder", "ijba", "ijbb", "ijbc", "lfw", "ytf")


class ProtocolModule(Protocol):
    """What a module of a protocol has."""

    TITLE: str
    LAYOUT: str

    def load(self, root: Path, *, task: str | None = None) -> tuple[Experiment, ...]:
        """The experiments of a task, or of all; further options are keywords of the module."""
        ...  # a description of the modules, none of which is an instance of this class


def names() -> tuple[str, ...]:
    """The protocols there are, sorted.

    >>> "lfw" in names()
    True
    """
    return _NAMES


def get(name: str) -> ProtocolModule:
    """The module of a protocol.

    Raises:
        InputError: an unknown name.
    """
    if name not in _NAMES:
        raise InputError(f"there is no protocol {name!r}; choose one of {', '.join(_NAMES)}")
    return cast(ProtocolModule, importlib.import_module(f"{__name__}.{name}"))


def options(name: str) -> dict[str, Any]:
    """The options of a protocol besides its root, with their defaults.

    >>> options("ytf")
    {'task': None, 'list': 'original'}

    Raises:
        InputError: an unknown name.
    """
    keywords = list(inspect.signature(get(name).load).parameters.values())[1:]
    return {keyword.name: keyword.default for keyword in keywords}


def load(name: str, root: Path | str, **chosen: Any) -> tuple[Experiment, ...]:
    """The experiments of a protocol.

    Args:
        name: one of :func:`names`.
        root: the folder that holds its files.
        chosen: options of that protocol, see :func:`options`; ``task`` is ``verify``, ``identify`` or None for all.

    Raises:
        InputError: an unknown protocol, option or task, or a value that the protocol does not know.
        ProtocolError: ``root`` is no folder, or its files are missing, damaged or do not fit together.
    """
    module = get(name)
    known = options(name)
    for option in chosen:
        if option not in known:
            raise InputError(f"protocol {name} has no option {option!r}; it has {', '.join(known)}")
    if chosen.get("task") not in (None, *TASKS):
        raise InputError(f"there is no task {chosen['task']!r}; choose one of {', '.join(TASKS)}")
    root = Path(root)
    if not root.is_dir():
        layout = "; ".join(module.LAYOUT.splitlines())
        raise ProtocolError(f"{root} is no folder; for {name} give one that holds {layout}")
    return module.load(root, **chosen)


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        return get(name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
