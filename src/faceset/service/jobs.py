"""Work that takes longer than a request: one job at a time, in the order they came."""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import sqlite3
import threading
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any

from faceset.errors import FacesetError
from faceset.service.config import ServiceConfig
from faceset.service.events import Event, Subscription
from faceset.service.job import Job, mentions
from faceset.service.job_context import JobCancelledError, JobContext
from faceset.service.job_store import JobStore
from faceset.service.kept import Answers, KeptSets
from faceset.service.problems import Problem, problem_of
from faceset.service.recognising import Recognising
from faceset.types import FaceSet

__all__ = ["Job", "JobCancelledError", "JobContext", "Jobs", "Work"]

log = logging.getLogger("faceset.service")

Work = Callable[[JobContext], dict[str, Any]]

KEEP_ALIVE_SECONDS = 15.0
_STOPPED = "the service was stopped while this job was queued or running; send the file again"
_MOST_TRACKS = 1000


@dataclass(eq=False)
class _Entry:
    """A job that has not ended."""

    job: Job
    work: Work
    cleanup: Callable[[], None] | None
    context: JobContext | None = None
    cancelled: bool = False
    tracks: list[dict[str, Any]] = field(default_factory=list)
    listeners: list[Subscription] = field(default_factory=list)


class Jobs:
    """Jobs, queued, running and ended. An async context manager; everything else may be called from any thread.

    Args:
        path: the SQLite file.
        config: its ``queue`` is the number of jobs that may wait.
        recognising: reads media.
        key: see :class:`~faceset.service.job_store.JobStore`.
    """

    def __init__(
        self, path: Path, config: ServiceConfig, recognising: Recognising, *, key: bytes | None = None
    ) -> None:
        self._path, self._config, self._recognising, self._key = path, config, recognising, key
        self._changed = threading.Condition()
        self._entries: OrderedDict[str, _Entry] = OrderedDict()  # the first one may be running
        self._forgotten: list[tuple[str, str]] = []  # since the oldest unfinished job came
        self._kept = KeptSets()
        self._answers = Answers()
        self._closed = False
        self._thread = threading.Thread(target=self._work_off, name="faceset-jobs", daemon=True)

    async def __aenter__(self) -> Jobs:
        """Open the file; what an earlier service left unfinished has failed."""
        self._store = JobStore(self._path, self._key)
        for job in self._store.unfinished():
            self._store.put(_failed(job, Problem(503, _STOPPED, kind="stopped")))
        self._store.prune()
        self._thread.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop; unfinished jobs fail, and say so when they are asked for after the next start."""
        with self._changed:
            self._closed = True
            entries = list(self._entries.values())
            for entry in entries:
                if entry.context is not None:
                    entry.context.cancel()
            self._changed.notify_all()
        await asyncio.to_thread(self._thread.join)
        for entry in entries:
            if not entry.job.finished:
                self._end(entry, _failed(entry.job, Problem(503, _STOPPED, kind="stopped")))
        self._kept.clear()
        self._answers = Answers()
        self._store.close()

    @property
    def unfinished(self) -> int:
        """Jobs queued or running."""
        return len(self._entries)

    def submit(
        self, kind: str, gallery: str, key: str | None, work: Work, *, cleanup: Callable[[], None] | None = None
    ) -> Job:
        """Put a job at the end of the queue.

        Args:
            kind, gallery, key: see :class:`~faceset.service.job.Job`.
            work: does it, in a thread; what it returns is the result.
            cleanup: called once, whatever becomes of the job, even when it is not taken: removes its files.

        Raises:
            Problem: 429 when too many wait; 503 when the service stops.
        """
        try:
            with self._changed:
                if self._closed:
                    raise Problem(503, "the service is being stopped; send the file again later", kind="stopped")
                waiting = sum(entry.context is None for entry in self._entries.values())
                if waiting >= self._config.queue:
                    raise Problem(
                        429,
                        f"{waiting} jobs wait already, and no more are taken; try again when some are done",
                        kind="jobs-full",
                        headers={"retry-after": "60"},
                    )
                job = Job(secrets.token_urlsafe(12), kind, gallery, key, created=time.time())
                self._store.put(job)
                self._entries[job.id] = _Entry(job, work, cleanup)
                self._changed.notify_all()
                return job
        except BaseException:
            if cleanup is not None:
                cleanup()
            raise

    def record(self, kind: str, gallery: str, key: str | None, result: dict[str, Any], sets: Sequence[FaceSet]) -> Job:
        """A job that was done within its request, so that its tracks can be enrolled too; held in memory for an hour.

        Args:
            kind, gallery, key, result: see :class:`~faceset.service.job.Job`.
            sets: what :meth:`sets` gives.
        """
        now = time.time()
        job = Job(secrets.token_urlsafe(12), kind, gallery, key, "done", 1.0, now, now, now, result)
        self._answers.keep(job, sets)
        return job

    def get(self, id_: str) -> Job:
        """The job of that id.

        Raises:
            Problem: 404, there is none.
        """
        entry = self._entries.get(id_)
        job = entry.job if entry is not None else self._answers.get(id_) or self._store.get(id_)
        if job is None:
            raise Problem(404, "there is no such job; jobs are kept for a week", kind="unknown-job")
        return job

    def list(self, gallery: str | None = None) -> list[Job]:
        """All jobs, newest first; results and errors of those in the file are left out."""
        with self._changed:
            entries = dict(self._entries)
        stored = [entries[job.id].job if job.id in entries else job for job in self._store.all(gallery)]
        answers = [job for job in self._answers.all() if gallery in (None, job.gallery)]
        return sorted([*answers, *stored], key=lambda job: -job.created)

    def cancel(self, id_: str) -> Job:
        """Cancel a job: a queued one at once, a running one within a batch; one that has ended stays as it is.

        Raises:
            Problem: 404, there is none.
        """
        with self._changed:
            entry = self._entries.get(id_)
            if entry is not None and entry.context is not None:
                entry.cancelled = True
                entry.context.cancel()
            elif entry is not None:
                self._end(entry, replace(entry.job, state="cancelled", ended=time.time()))
        return self.get(id_)

    def sets(self, id_: str, track: int) -> FaceSet:
        """A face set that the job kept.

        Raises:
            Problem: 404, there is no such job, or it keeps no such set any more.
        """
        self.get(id_)
        found = self._kept.get(id_, track) or self._answers.sets(id_, track)
        if found is None:
            raise Problem(
                404,
                f"track {track} of this job is not kept; tracks are kept for an hour: send the file again",
                kind="track-gone",
            )
        return found

    def forget(self, uid: str, name: str) -> int:
        """Take away every result that names a person, and the face sets kept with it; how many jobs that were."""
        with self._changed:
            if self._entries:
                self._forgotten.append((uid, name))
            for entry in self._entries.values():
                entry.tracks = [track for track in entry.tracks if not mentions(track, uid, name)]
        changed = self._store.forget(uid, name)
        for job in changed:
            self._kept.drop(job.id)
        return len(changed) + self._answers.forget(uid, name)

    async def events(self, id_: str, *, keep_alive: float = KEEP_ALIVE_SECONDS) -> AsyncIterator[Event]:
        """What happens to a job, from its present state on, until it has ended.

        Raises:
            Problem: 404, there is none.
        """
        with self._changed:
            entry = self._entries.get(id_)
            if entry is None:
                job = self.get(id_)
                listener = None
            else:
                listener = Subscription(entry.listeners.remove)
                listener.feed(_progress(entry.job))
                for track in entry.tracks:
                    listener.feed({"event": "track", "data": track})
                entry.listeners.append(listener)
        if listener is None:
            yield {"event": job.state, "data": job.to_dict()}
            return
        async for event in listener.events(keep_alive):
            yield event

    # ------------------------------------------------------------------------------------------- in the jobs' thread

    def _work_off(self) -> None:
        while True:
            with self._changed:
                while not self._entries and not self._closed:
                    self._changed.wait()
                if self._closed:
                    return
                entry = next(iter(self._entries.values()))
                entry.context = self._context(entry)
                entry.job = replace(entry.job, state="running", started=time.time())
                self._write(entry.job)
                self._tell(entry, _progress(entry.job))
            ended = self._outcome(entry, entry.context)
            if ended is not None:
                self._end(entry, ended)

    def _outcome(self, entry: _Entry, context: JobContext) -> Job | None:
        """The job as it ends; None when it is interrupted by the end of the service."""
        try:
            result = entry.work(context)
            result = json.loads(json.dumps(result, allow_nan=False))
            return replace(entry.job, state="done", progress=1.0, ended=time.time(), result=result)
        except JobCancelledError:
            return replace(entry.job, state="cancelled", ended=time.time()) if entry.cancelled else None
        except Problem as problem:
            failure = problem
        except FacesetError as error:
            failure = problem_of(error, self._config.data)
        except Exception:
            log.exception("job %s failed", entry.job.id)
            failure = Problem(500, "this is a fault of the service; its log says more", kind="fault")
        return None if self._closed else _failed(entry.job, failure)

    def _end(self, entry: _Entry, job: Job) -> None:
        """Take the job out of the queue. Its files are gone before anybody hears of it."""
        with self._changed:
            if self._entries.pop(entry.job.id, None) is None:
                return
            if entry.cleanup is not None:
                try:
                    entry.cleanup()
                except Exception:
                    log.exception("the files of job %s could not be removed", job.id)
            for uid, name in self._forgotten:
                job = job.without(uid, name)
            if not self._entries:
                self._forgotten.clear()
            if job.state != "done" or job.result_removed:
                self._kept.drop(job.id)
            entry.job = job
            self._write(job)
            self._tell(entry, {"event": job.state, "data": job.to_dict()})

    def _write(self, job: Job) -> None:
        """Write down how a job stands; a full disk must not stop those behind it."""
        try:
            self._store.put(job)
            self._store.prune()
        except sqlite3.Error:
            log.exception("job %s could not be written down", job.id)

    def _context(self, entry: _Entry) -> JobContext:
        def on_fraction(fraction: float) -> None:
            with self._changed:
                if fraction > entry.job.progress:
                    entry.job = replace(entry.job, progress=fraction)
                    self._tell(entry, _progress(entry.job))

        def on_track(track: dict[str, Any]) -> None:
            track = json.loads(json.dumps(track, allow_nan=False))
            with self._changed:
                if len(entry.tracks) < _MOST_TRACKS:
                    entry.tracks.append(track)
                self._tell(entry, {"event": "track", "data": track})

        def on_keep(sets: Sequence[FaceSet]) -> None:
            self._kept.keep(entry.job.id, sets)

        return JobContext(entry.job.id, self._recognising, on_fraction=on_fraction, on_track=on_track, on_keep=on_keep)

    def _tell(self, entry: _Entry, event: Event) -> None:
        for listener in tuple(entry.listeners):
            listener.feed(event)


def _progress(job: Job) -> Event:
    return {"event": "progress", "data": {"state": job.state, "progress": round(job.progress, 4)}}


def _failed(job: Job, problem: Problem) -> Job:
    document = json.loads(bytes(problem.response().body))
    return replace(job, state="failed", ended=time.time(), error=document)
