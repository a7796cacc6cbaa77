"""A folder that appears whole or not at all."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from faceset.errors import InputError, ModelError
from faceset.packs.cache import temporary_beside
from faceset.packs.inventory import MANIFEST_NAME
from faceset.packs.manifest import read_manifest


@contextlib.contextmanager
def whole_folder(target: Path, *, force: bool) -> Iterator[Path]:
    """A fresh folder beside ``target``, renamed to it at the end; after an error nothing of it is left.

    Args:
        target: not there, or an empty folder; with ``force`` also a pack, which is replaced.
        force: see ``target``.

    Raises:
        InputError: ``target`` is taken or cannot be written.
    """
    target = target.absolute()
    _check_free(target, force=force)
    made = temporary_beside(target)
    try:
        made.mkdir(parents=True)
        yield made
        _check_free(target, force=force)  # work took a while
        if target.exists():
            old = temporary_beside(target)
            target.rename(old)
            made.rename(target)
            shutil.rmtree(old, ignore_errors=True)
        else:
            made.rename(target)
    except OSError as error:
        raise InputError(
            f"{target} cannot be written ({error.strerror or error}); choose a place with room and rights"
        ) from error
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _check_free(target: Path, *, force: bool) -> None:
    if not target.exists():
        return
    if not target.is_dir():
        raise InputError(f"{target} is a file; name a folder for the pack")
    there = {path.name for path in target.iterdir()}
    if not there:
        return
    try:
        strange = there - {MANIFEST_NAME, *read_manifest(target / MANIFEST_NAME).files}
    except ModelError:
        strange = there
    if strange:
        raise InputError(
            f"{target} holds {', '.join(sorted(strange)[:3])}, which is no part of a pack; name another folder"
        )
    if not force:
        raise InputError(f"{target} holds a pack already; name another folder, or replace it: force=True (--force)")
