"""Face sets of finished jobs, so that a track can be enrolled without sending the video again. In memory only."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from faceset.service.job import Job
from faceset.types import FaceSet

SECONDS = 3600.0
JOBS = 20
BYTES = 200 << 20


@dataclass(frozen=True, slots=True)
class _Entry:
    sets: tuple[FaceSet, ...]
    bytes: int
    until: float


class KeptSets:
    """The newest jobs' face sets, bounded in age, number and bytes; the oldest go first. Shared by threads."""

    def __init__(self, *, seconds: float = SECONDS, jobs: int = JOBS, bytes_: int = BYTES) -> None:
        self._seconds, self._jobs, self._bytes = seconds, jobs, bytes_
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._lock = threading.Lock()

    def keep(self, job: str, sets: Sequence[FaceSet]) -> bool:
        """Keep the sets of a job in place of what was kept of it; False when they alone are too large."""
        size = sum(map(_size, sets))
        with self._lock:
            self._entries.pop(job, None)
            if size > self._bytes:
                return False
            self._entries[job] = _Entry(tuple(sets), size, time.monotonic() + self._seconds)
            while len(self._entries) > self._jobs or sum(e.bytes for e in self._entries.values()) > self._bytes:
                self._entries.popitem(last=False)
            return True

    def get(self, job: str, track: int) -> FaceSet | None:
        """Set number ``track`` of a job; None when it is not, or no longer, kept."""
        with self._lock:
            for old in [id_ for id_, entry in self._entries.items() if entry.until < time.monotonic()]:
                del self._entries[old]
            entry = self._entries.get(job)
            return entry.sets[track] if entry is not None and 0 <= track < len(entry.sets) else None

    def drop(self, job: str) -> None:
        """Keep nothing of a job any more."""
        with self._lock:
            self._entries.pop(job, None)

    def clear(self) -> None:
        """Keep nothing."""
        with self._lock:
            self._entries.clear()


class Answers:
    """Jobs that were done within their request, with their face sets: the newest, for a while. Shared by threads."""

    def __init__(self) -> None:
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._sets = KeptSets()
        self._lock = threading.Lock()

    def keep(self, job: Job, sets: Sequence[FaceSet]) -> None:
        """Keep a job; the oldest goes."""
        with self._lock:
            self._jobs[job.id] = job
            self._sets.keep(job.id, sets)
            while len(self._jobs) > JOBS:
                self._drop(next(iter(self._jobs)))

    def get(self, id_: str) -> Job | None:
        """The job of that id; None when it is not, or no longer, kept."""
        return next((job for job in self.all() if job.id == id_), None)

    def all(self) -> list[Job]:
        """Every job kept, oldest first."""
        with self._lock:
            for old in [job.id for job in self._jobs.values() if job.created + SECONDS < time.time()]:
                self._drop(old)
            return list(self._jobs.values())

    def sets(self, id_: str, track: int) -> FaceSet | None:
        """As :meth:`KeptSets.get`."""
        return self._sets.get(id_, track)

    def forget(self, uid: str, name: str) -> int:
        """Keep nothing that names the person; how many jobs that were."""
        named = [job.id for job in self.all() if job.without(uid, name) is not job]
        with self._lock:
            for id_ in named:
                self._drop(id_)
        return len(named)

    def _drop(self, id_: str) -> None:
        self._jobs.pop(id_, None)
        self._sets.drop(id_)


def _size(one: FaceSet) -> int:
    arrays = (a for f in one.faces for a in (f.feature, f.landmarks, f.crop) if a is not None)
    return sum(a.nbytes + 128 for a in arrays)
