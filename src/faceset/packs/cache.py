"""Files made once from installed weights and kept under the user's cache folder.

A cached file has a sidecar ``<file>.sha256``; a file that does not match it is made again. Both are written to
temporary names and renamed, so that a reader, a crash or a second process never meets half a file.
"""

from __future__ import annotations

import atexit
import functools
import hashlib
import logging
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from faceset import settings
from faceset.errors import ModelFileError

_LOG = logging.getLogger(__name__)


def cached(name: str, version_key: str, build: Callable[[], bytes]) -> Path:
    """Path of a file under ``<cache>/converted``, made by ``build`` when it is not there or damaged.

    When the cache folder cannot be written (read-only home, full disk) the file goes to a temporary folder of this
    process, and a warning is logged: the work goes on, only slower at the next start.

    Args:
        name: file name, such as ``"dlib-resnet.onnx"``.
        version_key: anything that names what went in (source sha256, converter version); part of the file's name.
        build: makes the bytes; called at most once here, and only when needed.

    Raises:
        ModelFileError: neither the cache folder nor the temporary folder can be written.
    """
    stem, dot, suffix = name.rpartition(".")
    key = hashlib.sha256(version_key.encode()).hexdigest()[:16]
    filename = f"{stem}-{key}{dot}{suffix}" if dot else f"{name}-{key}"
    folder = settings.cache_dir() / "converted"
    path = folder / filename
    if _whole(path):
        return path
    data = build()
    try:
        _write(path, data)
    except OSError as e:
        if _whole(path):  # another process was faster (Windows refuses to replace a file that is open)
            return path
        return _fall_back(name, filename, data, folder, e)
    return path


def write_atomic(path: Path, data: bytes) -> None:
    """Write a file by a temporary name in the same folder and one rename; nothing is left behind on failure."""
    temporary = temporary_beside(path)
    try:
        temporary.write_bytes(data)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def temporary_beside(path: Path) -> Path:
    """A fresh name in the same folder, so that a rename to ``path`` stays within one file system.

    ``tempfile`` is not used because its files are readable by their owner only, and a cache may be shared.
    """
    return path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.part")


def _whole(path: Path) -> bool:
    """Whether the file and its sidecar are there and agree."""
    try:
        wanted = _sidecar(path).read_text(encoding="ascii").strip()
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == wanted
    except (OSError, UnicodeDecodeError):
        return False


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # A crash between the two renames leaves a mismatch, which is made again.
    write_atomic(path, data)
    write_atomic(_sidecar(path), hashlib.sha256(data).hexdigest().encode() + b"\n")


def _sidecar(path: Path) -> Path:
    return path.with_name(path.name + ".sha256")


def _fall_back(name: str, filename: str, data: bytes, folder: Path, reason: OSError) -> Path:
    try:
        path = _process_folder() / filename
        write_atomic(path, data)
    except OSError as e:
        raise ModelFileError(
            f"{name} cannot be stored: neither the cache folder {folder} ({reason.strerror or reason}) nor the "
            f"temporary folder {tempfile.gettempdir()} ({e.strerror or e}) can be written; free some space, or set "
            "FACESET_CACHE to a folder that can be written"
        ) from e
    _LOG.warning(
        "the cache folder %s cannot be written (%s); %s goes to a temporary folder and is made again at every start. "
        "Set FACESET_CACHE to a folder that can be written",
        folder,
        reason.strerror or reason,
        name,
    )
    return path


@functools.cache
def _process_folder() -> Path:
    """A folder only this process and user can write (a fixed name under /tmp could belong to somebody else)."""
    folder = Path(tempfile.mkdtemp(prefix="faceset-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
