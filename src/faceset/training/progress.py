"""A progress bar of training in the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from faceset.training.loop import Progress as ProgressCallback


@contextmanager
def progress_bar(console: Console | None = None) -> Iterator[ProgressCallback]:
    """A callback for :func:`faceset.training.fit` that draws a bar with the latest loss and TAR (to stderr)."""
    columns = (
        TextColumn("training"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("loss {task.fields[loss]:.4f}  TAR {task.fields[tar]:.4f}  best {task.fields[best]:.4f}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console or Console(stderr=True)) as bar:
        task = bar.add_task("training", total=None, loss=float("nan"), tar=float("nan"), best=float("nan"))

        def report(done: int, total: int, figures: Mapping[str, float]) -> None:
            bar.update(
                task,
                completed=done,
                total=total,
                loss=figures["loss"],
                tar=figures["tar"],
                best=figures["best"],
            )

        yield report
