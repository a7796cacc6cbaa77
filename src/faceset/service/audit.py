"""The audit log: who was enrolled, looked for and forgotten, when, and with which key, under opaque ids."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ACTIONS = frozenset(
    {
        *("create", "enrol", "identify", "verify", "rename", "remove-media", "forget", "put-template", "read"),
        *("create-gallery", "delete-gallery"),
    }
)


class AuditLog:
    """One JSON object a line, only ever appended to, and on the disk before the answer leaves.

    Names of people never enter it: ids are opaque, so that forgetting somebody leaves nothing of them here but that an
    id existed.

    Args:
        path: the file; made when missing, readable by its owner alone.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def write(self, action: str, *, key: str | None, gallery: str, **more: Any) -> None:
        """Append one line.

        Args:
            action: one of :data:`ACTIONS`.
            key: id of the API key; None where none was needed.
            gallery: name of the gallery.
            more: opaque ids and counts.
        """
        if action not in ACTIONS:
            raise ValueError(f"unknown action {action!r}")
        moment = datetime.now(UTC).isoformat(timespec="milliseconds")
        record = {"time": moment, "action": action, "key": key, "gallery": gallery, **more}
        line = (json.dumps(record, ensure_ascii=True, allow_nan=False) + "\n").encode()
        with self._lock:  # one write call a line: lines of several threads never mix
            os.write(self._file, line)
            os.fsync(self._file)

    def read(self) -> Iterator[dict[str, Any]]:
        """Every line, oldest first."""
        with self.path.open(encoding="utf-8") as file:
            for line in file:
                yield json.loads(line)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            if self._file >= 0:
                os.close(self._file)
                self._file = -1
