"""What the work of a job may use."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

from faceset.media import Media
from faceset.recognizer import Recognizer
from faceset.service.recognising import Recognising
from faceset.types import FaceSet, Progress, ProgressCallback


class JobCancelledError(Exception):
    """The job was cancelled; raised in its work between two batches. Let it pass."""


class JobContext:
    """Handed to the work function of a job, which runs in a thread of its own.

    Attributes:
        id: of the job.
    """

    def __init__(
        self,
        id_: str,
        recognising: Recognising,
        *,
        on_fraction: Callable[[float], None],
        on_track: Callable[[dict[str, Any]], None],
        on_keep: Callable[[Sequence[FaceSet]], None],
    ) -> None:
        self.id = id_
        self._stop = threading.Event()
        self._on_fraction, self._on_track, self._on_keep = on_fraction, on_track, on_keep
        self._recognising = recognising

    @cached_property
    def recognizer(self) -> Recognizer:
        """Reads uploads in the worker, between the batches of other people's requests.

        It raises :class:`JobCancelledError` between two batches. Made at the first use, within the work, so that a
        failure to make it is one of the job.
        """
        return self._recognising.reader(check=self.check, job=True, seconds=None)

    @property
    def cancelled(self) -> bool:
        """Whether the work is to end."""
        return self._stop.is_set()

    def cancel(self) -> None:
        """Ask the work to end."""
        self._stop.set()

    def check(self) -> None:
        """To be called now and then in work that reads no media.

        Raises:
            JobCancelledError: the work is to end.
        """
        if self.cancelled:
            raise JobCancelledError

    def progress(self, fraction: float) -> None:
        """Say how much is done, 0..1; it never goes back."""
        self.check()
        self._on_fraction(min(1.0, max(0.0, fraction)))

    def on_progress(self, media: Sequence[Media]) -> ProgressCallback:
        """A callback for ``progress=`` that makes one fraction of the progress in several media, by their lengths."""
        lengths: dict[str, float] = {}
        for medium in media:
            lengths[medium.name] = lengths.get(medium.name, 0.0) + (medium.duration or 1.0)
        total = sum(lengths.values()) or 1.0
        done: dict[str, float] = {}

        def callback(progress: Progress) -> None:
            length = lengths.get(progress.media, 0.0)
            done[progress.media] = length if not progress.total else min(progress.done, length)
            self.progress(sum(done.values()) / total)

        return callback

    def track(self, track: dict[str, Any]) -> None:
        """Tell listeners of a person that was found: plain values for JSON."""
        self._on_track(track)

    def keep(self, sets: Sequence[FaceSet]) -> None:
        """Keep face sets for a while after the job is done; their place in the list is the number of the track."""
        self._on_keep(sets)
