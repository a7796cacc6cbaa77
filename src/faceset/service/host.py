"""Keeps a worker process running and lends it out for one exchange at a time."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable
from typing import NamedTuple, TypeVar

from faceset.errors import FacesetError, ModelError
from faceset.service.child import Child, WorkerDiedError, WorkerGoneError
from faceset.service.config import ServiceConfig
from faceset.service.meters import Meters
from faceset.service.turns import Turns
from faceset.service.wire import Message, WireError

log = logging.getLogger("faceset.service")

T = TypeVar("T")

START_SECONDS = 300.0
"""Longest time loading the models may take; at the very first start they are converted too."""


class StreamLostError(Exception):
    """The worker that held a stream has ended, not because of that stream."""


class Answer(NamedTuple):
    """What the worker said."""

    run: int
    """Number of the run of the worker process that said it."""
    content: Message
    raw: bytes
    seconds: float
    """How long it took."""


class Host:
    """The worker process, whichever run of it is the present one. Shared by threads.

    Attributes:
        turns: who is next.
        streams: media that are being read at the moment.

    Args:
        config: what the worker is to load; its ``work_seconds`` is the longest time for one answer.
        meters: where restarts are counted.
    """

    def __init__(self, config: ServiceConfig, meters: Meters) -> None:
        self.turns = Turns()
        self.streams = 0
        self._config, self._meters = config, meters
        self._changed = threading.Condition()
        self._child: Child | None = None
        self._run = 0
        self._starting = self._closed = False
        self._failure: FacesetError | None = None

    @property
    def alive(self) -> bool:
        """Whether the worker is up."""
        child = self._child
        return child is not None and child.alive

    @property
    def pid(self) -> int | None:
        """Id of the worker process; None while there is none."""
        child = self._child
        return None if child is None else child.pid

    def start(self) -> Message:
        """Start the worker, wait until it is ready, and return what it says of itself.

        Raises:
            FacesetError: it cannot load what it is told to.
        """
        self._begin()
        return self._ready()[1].about

    def close(self) -> None:
        """End the worker; nothing can be asked any more."""
        with self._changed:
            self._closed = True
            child, self._child = self._child, None
            self._changed.notify_all()
        if child is not None:
            child.close()

    def exchange(self, request: Message, *, job: bool, run: int | None = None, read: Callable[[Answer], T]) -> T:
        """Ask the worker when it is free, and read its answer.

        Args:
            request: what to ask.
            job: on whose behalf (:class:`faceset.service.turns.Turns`).
            run: the run of the worker that the request is meant for; None = any.
            read: makes something of the answer; when it raises :class:`WireError` the worker is ended.

        Raises:
            FacesetError: the worker reports one.
            WorkerDiedError: it died on this request.
            StreamLostError: the run that was meant is over.
        """
        with self.turns.turn(job=job):
            while True:
                if run is not None and not self._is_present(run):
                    raise StreamLostError  # without waiting for the next one
                present, child = self._ready()
                if run is None or run == present:
                    with contextlib.suppress(WorkerGoneError):
                        return self._exchange(present, child, request, read)

    def _exchange(self, present: int, child: Child, request: Message, read: Callable[[Answer], T]) -> T:
        began = time.monotonic()
        try:
            content, raw = child.ask(request, self._config.work_seconds)
            return read(Answer(present, content, raw, time.monotonic() - began))
        except WireError as error:
            child.kill()
            self._lost(child, str(error))
            raise WorkerDiedError(str(error)) from error
        except WorkerDiedError as error:
            self._lost(child, str(error))
            raise

    def count_stream(self, change: int) -> None:
        """One more (1) or one less (-1) medium is being read."""
        with self._changed:
            self.streams += change

    def _is_present(self, run: int) -> bool:
        with self._changed:
            return self._child is not None and self._run == run

    def _ready(self) -> tuple[int, Child]:
        with self._changed:
            if self._child is None and not self._starting and not self._closed:
                self._begin()
            while self._child is None and not self._closed and self._starting:
                self._changed.wait()
            if self._child is not None:
                return self._run, self._child
            if self._failure is not None:
                raise self._failure
            raise ModelError("the service is shutting down")

    def _begin(self) -> None:
        with self._changed:
            if self._starting or self._closed:
                return
            self._starting, self._failure = True, None
        threading.Thread(target=self._load, name="faceset-worker-start", daemon=True).start()

    def _load(self) -> None:
        config = self._config
        begin: Message = {
            "detector": config.detector,
            "embedder": config.models,
            "keep_crops": config.keep_crops,
            "max_seconds": config.max_seconds,
        }
        child: Child | None = None
        failure: FacesetError | None = None
        try:
            child = Child(begin, config.temporary.absolute(), START_SECONDS, self._ended)
        except FacesetError as error:
            failure = error
        except (WorkerDiedError, OSError) as error:
            failure = ModelError(f"the worker process cannot be started ({error}); the log says more")
        with self._changed:
            self._starting, self._failure = False, failure
            abandoned = child if self._closed or (child is not None and not child.alive) else None
            if child is not None and abandoned is None:
                self._child = child
                self._run += 1
            elif child is not None and not self._closed:
                self._failure = ModelError("the worker process ended as soon as it had started; the log says more")
            self._changed.notify_all()
        if failure is not None:
            log.error("%s", failure)
        if abandoned is not None:
            abandoned.close()

    def _ended(self, child: Child) -> None:
        """Called when a worker process has ended, whatever the reason; the next one is started in the background."""
        self._lost(child, "it ended by itself")

    def _lost(self, child: Child, how: str) -> None:
        with self._changed:
            if self._child is not child or self._closed:
                return
            self._child = None
        self._meters.worker_restarts.inc()
        log.error("the worker process died (%s); another one is started", how)
        self._begin()
