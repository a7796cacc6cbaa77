"""A job as it is told of."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

STATES = ("queued", "running", "done", "failed", "cancelled")
UNFINISHED = frozenset({"queued", "running"})


@dataclass(frozen=True, slots=True)
class Job:
    """A piece of work that is done when its turn comes.

    Attributes:
        id: opaque.
        kind: what it does.
        gallery: name of the gallery it works on.
        key: id of the API key it was sent with; None where none was needed.
        state: one of :data:`STATES`.
        progress: share that is done, 0..1.
        created, started, ended: seconds since 1970, None where that has not been.
        result: what came out, when it is done.
        error: the problem document, when it failed.
        result_removed: the result is gone because it named a person who was forgotten.
    """

    id: str
    kind: str
    gallery: str
    key: str | None
    state: str = "queued"
    progress: float = 0.0
    created: float = 0.0
    started: float | None = None
    ended: float | None = None
    result: dict[str, Any] | None = None
    error: dict[str, Any] | None = None
    result_removed: bool = False

    @property
    def finished(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.state not in UNFINISHED

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; times in ISO 8601, the key left out."""
        values = asdict(self)
        del values["key"]
        values["progress"] = round(self.progress, 4)
        for name in ("created", "started", "ended"):
            values[name] = None if values[name] is None else _moment(values[name])
        return values

    def without(self, uid: str, name: str) -> Job:
        """The job without anything that names the person; itself when nothing does."""
        result, error = self.result, self.error
        gone = self.result_removed
        if result is not None and mentions(result, uid, name):
            result, gone = None, True
        if error is not None and mentions(error, uid, name):
            error = {**error, "detail": "what was said here named a person who was forgotten since"}
            error = {k: v for k, v in error.items() if k in ("type", "title", "status", "detail")}
        if result is self.result and error is self.error:
            return self
        return replace(self, result=result, error=error, result_removed=gone)


def mentions(value: object, uid: str, name: str) -> bool:
    """Whether a person's id or name stands anywhere in plain values: as a whole text, or as words within one."""
    if isinstance(value, dict):
        return any(mentions(k, uid, name) or mentions(v, uid, name) for k, v in value.items())
    if isinstance(value, list | tuple):
        return any(mentions(one, uid, name) for one in value)
    if not isinstance(value, str):
        return False
    if value and value in (uid, name):
        return True
    if value.startswith("data:"):  # a thumbnail
        return False
    return any(text and re.search(rf"(?<!\w){re.escape(text)}(?!\w)", value, re.IGNORECASE) for text in (uid, name))


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
