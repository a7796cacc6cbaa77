"""What the worker process gives up once its models are loaded."""

from __future__ import annotations

import contextlib
import os
import sys

from faceset import settings

WORKING_BYTES = 4 << 30
"""Memory that decoding and the models may take on top of what is held when the models are loaded."""
_OPEN_FILES = 64
"""On a GPU: beside those that are open when the models are loaded."""


def early() -> None:
    """At the very start: files are for this user alone, and Ctrl-C in a terminal is for the server to handle."""
    import signal

    os.umask(0o077)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def late() -> None:
    """After loading: no core dump (it would hold faces), no file can be written, bounded memory and open files.

    Where the system has no such limits nothing is done.
    """
    try:
        import resource
    except ImportError:  # Windows
        return
    files = _OPEN_FILES if settings.device() == "cpu" else _OPEN_FILES + len(os.listdir("/dev/fd"))  # CUDA holds many
    limits = [(resource.RLIMIT_CORE, 0), (resource.RLIMIT_FSIZE, 0), (resource.RLIMIT_NOFILE, files)]
    held = _data_bytes()
    if held is not None:
        limits.append((resource.RLIMIT_DATA, held + WORKING_BYTES))
    for limit, value in limits:
        _, most = resource.getrlimit(limit)
        lowered = value if most == resource.RLIM_INFINITY else min(value, most)
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(limit, (lowered, lowered))


def _data_bytes() -> int | None:
    """Private writable memory of this process as Linux counts it for the limit; None elsewhere."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        with open("/proc/self/status", encoding="ascii") as file:
            found = [line for line in file if line.startswith("VmData:")]
        return int(found[0].split()[1]) << 10
    except (OSError, IndexError, ValueError):
        return None
