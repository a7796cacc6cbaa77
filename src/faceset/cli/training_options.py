"""What the commands that train share: settings from a file and options, lists of names, the folder of a run."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol, Self, TypeVar

import typer

from faceset.cli.output import remark
from faceset.errors import InputError, MissingExtraError

EXTRA = ("onnxscript", "pyarrow", "safetensors", "tensorboard", "torch")
"""Modules that only the extra ``train`` brings."""


class Configuration(Protocol):
    """A configuration as those of :mod:`faceset.training` are: unknown keys fail in ``from_dict``."""

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The configuration with these values, defaults for the rest."""


Config = TypeVar("Config", bound=Configuration)


@contextlib.contextmanager
def extra_named() -> Iterator[None]:
    """Say which extra brings a module that is missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        name = (error.name or "").partition(".")[0]
        if name not in EXTRA:
            raise
        raise MissingExtraError(
            f"training needs {name}, which is not installed; install the extra: pip install 'faceset[train]'"
        ) from error


@contextlib.contextmanager
def resumable(folder: Path) -> Iterator[None]:
    """Around work that goes on when its command is given again: Ctrl-C says so and ends with 130.

    Raises:
        InputError: ``folder`` cannot be written.
    """
    try:
        yield
    except KeyboardInterrupt:
        if first_process():
            remark("interrupted; run the same command again, and it goes on where it was", quiet=False)
        raise typer.Exit(130) from None
    except OSError as error:
        raise InputError(f"{folder} cannot be written ({error}); choose a place with room and rights") from error


def first_process() -> bool:
    """Whether this process answers; ``torchrun`` starts several, which all run the command."""
    return os.environ.get("RANK", "0") == "0"


def values(path: Path | None, given: Mapping[str, Any]) -> dict[str, Any]:
    """What a JSON file of settings says, if there is one, with the options given over it; groups key by key.

    Raises:
        InputError: the file cannot be read as an object.
    """
    if path is None:
        return dict(given)
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read as JSON ({error}); give a file of settings") from error
    if not isinstance(found, dict):
        raise InputError(f'{path} holds no settings; it is an object such as {{"seed": 1, "steps": 900}}')
    for key, value in given.items():
        inner = found.get(key)
        found[key] = {**inner, **value} if isinstance(inner, dict) and isinstance(value, dict) else value
    return found


def settings(kind: type[Config], path: Path | None, given: Mapping[str, Any]) -> Config:
    """The settings of :func:`values`.

    Raises:
        InputError: the file cannot be read, or names a setting that there is not, or a value is out of range.
    """
    found = values(path, given)
    if path is None:
        return kind.from_dict(found)
    try:
        return kind.from_dict(found)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    except (TypeError, AttributeError, ValueError) as error:
        raise InputError(f"{path}: a setting is of the wrong type ({error})") from error


def names(path: Path | None) -> set[str]:
    """The names in a file, one a line; empty lines do not count, nor does a byte order mark."""
    if path is None:
        return set()
    try:
        return {line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()}
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read ({error}); give a text file (UTF-8) with a name a line") from error


def check_folder(run: Path, *kinds: str, beside: Iterable[str] = ()) -> None:
    """Refuse a folder that holds something else, or a run of another kind, so that no file is written over.

    ``beside`` names what a command puts there before its run begins.
    """
    from faceset.errors import ModelFileError

    if run.exists() and not run.is_dir():
        raise InputError(f"{run} is a file; name a folder for the run")
    begun = (run / "config.json").is_file()
    if not begun and run.is_dir() and any(e.name[0] != "." and e.name not in beside for e in run.iterdir()):
        raise InputError(f"{run} holds other files and no run; name an empty folder, or one that is not there")
    if begun:
        with extra_named():
            from faceset.training.runs import read_config
        try:
            read_config(run, *kinds)
        except ModelFileError as error:
            raise InputError(f"{error}; to train anew, name another folder or delete {run}") from error


def finite(value: Any) -> Any:
    """The same with None for numbers that are not finite, as JSON has none."""
    if isinstance(value, dict):
        return {key: finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [finite(inner) for inner in value]
    return None if isinstance(value, float) and value - value != 0 else value
