"""Settings read from the environment, each in one place.

Every variable is documented in ``docs/settings.md``; a test holds that table against :data:`VARIABLES`.
Values are read when they are used, never at import, so that a program may set them first.
"""

from __future__ import annotations

import os
from pathlib import Path

from faceset.errors import InputError

VARIABLES = {
    "FACESET_CACHE": "folder for converted and downloaded models (default: the user's cache folder)",
    "FACESET_CALIBRATIONS": "folder for your own calibrations (default: the user's data folder)",
    "FACESET_COMMERCIAL": "1: refuse every model whose licence does not plainly allow commercial use",
    "FACESET_OFFLINE": "1: never open a network connection to fetch a model",
    "FACESET_THREADS": "threads one ONNX Runtime session, and an evaluation, may use (default: all cores)",
    "FACESET_MAX_PIXELS": "largest picture or frame that is decoded, in pixels (default 100000000)",
}


def cache_dir() -> Path:
    """Folder for converted and downloaded models; it is not created here."""
    chosen = os.environ.get("FACESET_CACHE")
    if chosen:
        return Path(chosen).expanduser()
    import platformdirs

    return Path(platformdirs.user_cache_dir("faceset"))


def calibrations_dir() -> Path:
    """Folder for the user's own calibrations; it is not created here."""
    chosen = os.environ.get("FACESET_CALIBRATIONS")
    if chosen:
        return Path(chosen).expanduser()
    import platformdirs

    return Path(platformdirs.user_data_dir("faceset")) / "calibrations"


def commercial_only() -> bool:
    """Whether only models with a plain commercial licence may be used."""
    return _flag("FACESET_COMMERCIAL")


def offline() -> bool:
    """Whether fetching models is forbidden."""
    return _flag("FACESET_OFFLINE")


def threads() -> int:
    """Threads for one ONNX Runtime session; 0 lets ONNX Runtime decide."""
    return _count("FACESET_THREADS", 0, minimum=0)


def max_pixels() -> int:
    """Largest picture or frame that is decoded, in pixels."""
    return _count("FACESET_MAX_PIXELS", 100_000_000, minimum=1)


def _flag(name: str) -> bool:
    value = os.environ.get(name, "").strip().lower()
    if value in ("", "0", "no", "false", "off"):
        return False
    if value in ("1", "yes", "true", "on"):
        return True
    raise InputError(f"{name}={value!r} is neither yes nor no; set it to 1 or 0")


def _count(name: str, default: int, *, minimum: int) -> int:
    value = os.environ.get(name, "").strip()
    if not value:
        return default
    if not value.isdigit() or int(value) < minimum:
        raise InputError(f"{name}={value!r} is not a whole number of at least {minimum}")
    return int(value)
