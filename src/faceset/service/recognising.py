"""The one recogniser that all requests share, and the queue in front of it."""

from __future__ import annotations

import asyncio
import contextlib
import math
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import TYPE_CHECKING, TypeVar

from faceset.errors import ModelError
from faceset.packs.pack import Pack, open_pack
from faceset.recognizer import Recognizer
from faceset.service.config import ServiceConfig
from faceset.service.host import Host
from faceset.service.meters import Meters
from faceset.service.problems import Problem
from faceset.service.remote import About, WorkerPipeline
from faceset.service.wire import WireError

if TYPE_CHECKING:
    from starlette.requests import Request

T = TypeVar("T")

_RECENT = 0.2  # weight of the latest request in the mean time of one


class ClientLeftError(Exception):
    """Nobody waits for the answer any more; raised in the working thread between two batches."""


class Recognising:
    """Starts the worker process, and lets requests at it one after the other.

    Attributes:
        recognizer: for what needs no media: thresholds, aggregating, searching with templates.
    """

    recognizer: Recognizer

    def __init__(self, config: ServiceConfig, meters: Meters) -> None:
        self._config, self._meters = config, meters
        self._host = Host(config, meters)
        self._about: About | None = None
        self._pack: Pack | None = None
        self._line = asyncio.Lock()  # lets in first who came first
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="faceset-request")
        self._waiting = 0  # changed by _Place alone
        self._seconds = 1.0

    async def __aenter__(self) -> Recognising:
        """Start the worker and wait until its models are loaded.

        Raises:
            FacesetError: they cannot be.
        """
        try:
            await asyncio.to_thread(self._start)
        except BaseException:
            await asyncio.to_thread(self._host.close)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the worker."""
        await asyncio.to_thread(self._host.close)
        self._thread.shutdown(wait=True)

    @property
    def waiting(self) -> int:
        """Requests that wait for their turn."""
        return self._waiting

    @property
    def alive(self) -> bool:
        """Whether the worker is up; for a few seconds after a crash it is not."""
        return self._host.alive

    @property
    def worker_pid(self) -> int | None:
        """Id of the worker process."""
        return self._host.pid

    async def run(
        self, call: Callable[[Recognizer], T], *, seconds: float | None = None, request: Request | None = None
    ) -> T:
        """``call`` with a recogniser of its own, in a thread, when all who came before are served.

        Args:
            call: reads media with the recogniser, which must not outlive the call.
            seconds: most seconds of work on one medium; default the configured ``work_seconds``.
            request: whose answer it is, its body read already. When the client leaves, the place in the queue is given
                back, or the work ends with the batch it is at.

        Raises:
            Problem: 429 when the queue is full.
            FacesetError: whatever the call raises.
        """
        # One who is let in at once still counts as waiting until the event loop comes round to it.
        if self._waiting >= self._config.queue + (not self._line.locked()):
            self._meters.rejected.labels("queue-full").inc()
            raise Problem(
                429,
                f"{self._waiting} requests wait already, and no more are let in; try again in a moment",
                kind="queue-full",
                headers={"retry-after": str(self._wait_seconds())},
            )
        place = _Place(self)
        with self._host.turns.request(), contextlib.closing(place):
            work = asyncio.ensure_future(self._served(place, call, seconds or self._config.work_seconds))
            if request is None:
                return await work
            leaving = asyncio.ensure_future(_left(request))
            try:
                await asyncio.wait((work, leaving), return_when=asyncio.FIRST_COMPLETED)
                if not work.done():
                    raise Problem(408, "the client closed the connection", kind="client-left")
                return work.result()
            finally:
                leaving.cancel()
                if not work.done():
                    work.cancel()
                    with contextlib.suppress(asyncio.CancelledError):
                        await work

    def reader(self, *, check: Callable[[], None], job: bool, seconds: float | None) -> Recognizer:
        """A recogniser for one piece of work; see :class:`~faceset.service.remote.WorkerPipeline`."""
        if self._about is None:
            raise ModelError("the service has not started yet")
        pipeline = WorkerPipeline(
            self._host, self._about, self._config, self._meters, job=job, seconds=seconds, check=check
        )
        return self._make(pipeline)

    async def _served(self, place: _Place, call: Callable[[Recognizer], T], seconds: float) -> T:
        await self._line.acquire()
        place.close()
        gone = threading.Event()

        def check() -> None:
            if gone.is_set():
                raise ClientLeftError

        def work() -> T:
            began = time.monotonic()
            try:
                return call(self.reader(check=check, job=False, seconds=seconds))
            finally:
                self._seconds += _RECENT * (time.monotonic() - began - self._seconds)

        try:
            running = asyncio.get_running_loop().run_in_executor(self._thread, work)
            try:
                return await asyncio.shield(running)
            except asyncio.CancelledError:
                gone.set()
                # The thread still uses the worker: the next one is let in when it has left.
                await asyncio.wait((running,))
                running.exception()
                raise
        finally:
            self._line.release()

    def _wait_seconds(self) -> int:
        """After how many seconds there may be a place again."""
        return max(1, min(120, math.ceil(self._seconds)))

    def _start(self) -> None:
        if self._config.pack is not None:
            self._pack = open_pack(self._config.pack)
        try:
            self._about = About.read(self._host.start())
        except WireError as error:
            raise ModelError(f"the worker process says something unknown of itself ({error})") from error
        self.recognizer = self.reader(check=lambda: None, job=False, seconds=self._config.work_seconds)

    def _make(self, pipeline: WorkerPipeline) -> Recognizer:
        made = getattr(self, "recognizer", None)
        return Recognizer(
            reader=pipeline,
            pack=self._pack,
            aggregator=self._config.aggregator if made is None else made.aggregator,
            fps=self._config.fps or None,
            threshold=self._config.threshold,
            far=self._config.far,
            fpir=self._config.fpir,
            calibration=self._config.calibration,
        )


async def _left(request: Request) -> None:
    """Return when the client of a request whose body was read has closed the connection."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


class _Place:
    """A place among those who wait; given back once."""

    def __init__(self, line: Recognising) -> None:
        self._line: Recognising | None = line
        line._waiting += 1

    def close(self) -> None:
        """Give it back."""
        if self._line is not None:
            self._line._waiting -= 1
            self._line = None
