"""A progress bar on standard error that appears only when the work takes longer than two seconds."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any

from faceset.cli.output import counted, plain

if TYPE_CHECKING:
    from faceset.types import Progress

SILENT_SECONDS = 2.0


class Bar:
    """Context manager whose instance is a progress callback.

    On a terminal it draws a bar; elsewhere it writes nothing, so that logs stay readable.
    """

    def __init__(self, what: str, *, quiet: bool = False) -> None:
        self.what = what
        self.enabled = not quiet and sys.stderr.isatty()
        self._start = time.monotonic()
        self._bar: Any = None
        self._tasks: dict[str, Any] = {}

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, progress: Progress) -> None:
        """Show how far ``progress.media`` has come."""
        self.update(plain(progress.media), progress.done, progress.total, counted(progress.faces, "face"))

    def update(self, name: str, done: float, total: float | None, note: str = "") -> None:
        """Show how far ``name`` has come, in any unit."""
        if not self.enabled or time.monotonic() - self._start < SILENT_SECONDS:
            return
        if self._bar is None:
            self._bar = self._make()
            self._bar.start()
        if name not in self._tasks:
            for task in self._tasks.values():
                self._bar.remove_task(task)
            self._tasks = {name: self._bar.add_task(f"{self.what} {name}", total=total, note=note)}
        self._bar.update(self._tasks[name], completed=done, total=total, note=note)

    @staticmethod
    def _make() -> Any:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
        from rich.progress import Progress as RichProgress

        return RichProgress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}%"),
            TextColumn("{task.fields[note]}", markup=False),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )
