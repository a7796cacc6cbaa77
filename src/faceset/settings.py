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
    "FACESET_DEVICE": "where ONNX Runtime computes: cpu (default), cuda or cuda:N; an error where that cannot be had",
    "FACESET_BATCH": "faces one run of an embedder takes (default: 32 on the CPU, 128 on a GPU)",
    "FACESET_MAX_PIXELS": "largest picture or frame that is decoded, in pixels (default 100000000)",
    "FACESET_KEY": "key that encrypts vectors in galleries and results of jobs: 32 random bytes, hexadecimal or base64",
    "FACESET_KEY_FILE": "file that holds such a key, instead of FACESET_KEY",
}
SECRETS = frozenset({"FACESET_KEY", "FACESET_KEY_FILE"})
"""Those that are, or lead to, a secret; processes that need none are started without them."""


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


def device() -> str:
    """Where ONNX Runtime computes: ``cpu``, or ``cuda:N``.

    Raises:
        InputError: FACESET_DEVICE is neither.
    """
    return device_named(os.environ.get("FACESET_DEVICE", "").strip() or "cpu", "FACESET_DEVICE")


def device_named(name: str, what: str) -> str:
    """A device's name in full, ``cuda`` being the first GPU; ``what`` gave it. Whether it is there is not looked at.

    Raises:
        InputError: it names none.
    """
    kind, colon, number = name.partition(":")
    if name == "cpu" or (kind == "cuda" and (number.isdecimal() or not colon)):
        return name if kind == "cpu" else f"cuda:{int(number or 0)}"
    raise InputError(f"{what}={name!r} is no device that models run on; use cpu, cuda or cuda:0")


def batch() -> int:
    """Faces that go through an embedder at once."""
    return _count("FACESET_BATCH", 32 if device() == "cpu" else 128, minimum=1)


def max_pixels() -> int:
    """Largest picture or frame that is decoded, in pixels."""
    return _count("FACESET_MAX_PIXELS", 100_000_000, minimum=1)


def key_text() -> tuple[str, str] | None:
    """The text of the key that encrypts galleries, and where it came from; None when none is set.

    Raises:
        InputError: both variables are set, or the file cannot be read.
    """
    text, file = os.environ.get("FACESET_KEY", "").strip(), os.environ.get("FACESET_KEY_FILE", "").strip()
    if text and file:
        raise InputError("FACESET_KEY and FACESET_KEY_FILE are both set; unset one of them")
    if not file:
        return (text, "FACESET_KEY") if text else None
    return read_key_file(Path(file).expanduser(), "FACESET_KEY_FILE"), f"the content of {file}"


def read_key_file(path: Path, what: str) -> str:
    """The text of a key file; ``what`` named it.

    Raises:
        InputError: it cannot be read.
    """
    try:
        return path.read_bytes()[:1024].decode("ascii", "replace")
    except OSError as error:
        raise InputError(
            f"{what} names {path}, which cannot be read ({error.strerror}); make it readable for this user"
        ) from error


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
