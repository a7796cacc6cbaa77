"""Whose batch the worker reads next."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator

PATIENCE_SECONDS = 2.0


class Turns:
    """Requests go first; a job reads its batches in between, or one every :data:`PATIENCE_SECONDS` when there is none.

    Any number of threads may ask on behalf of requests; one at a time asks on behalf of a job.
    """

    def __init__(self, patience: float = PATIENCE_SECONDS) -> None:
        self._changed = threading.Condition()
        self._patience = patience
        self._busy = False
        self._requests = 0
        self._job_since: float | None = None

    @contextlib.contextmanager
    def request(self) -> Iterator[None]:
        """While a request waits or is worked on; jobs give way for all of that time, not only within its batches."""
        with self._changed:
            self._requests += 1
        try:
            yield
        finally:
            with self._changed:
                self._requests -= 1
                self._changed.notify_all()

    @contextlib.contextmanager
    def turn(self, *, job: bool) -> Iterator[None]:
        """Hold the worker for one exchange."""
        with self._changed:
            if job:
                self._job_since = time.monotonic()
                while self._busy or (self._requests and not self._overdue()):
                    left = self._job_since + self._patience - time.monotonic()
                    self._changed.wait(max(left, 0.001) if not self._busy else None)
                self._job_since = None
            else:
                while self._busy or self._overdue():
                    self._changed.wait()
            self._busy = True
        try:
            yield
        finally:
            with self._changed:
                self._busy = False
                self._changed.notify_all()

    def _overdue(self) -> bool:
        return self._job_since is not None and time.monotonic() - self._job_since >= self._patience
