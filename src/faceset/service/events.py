"""What happens to a job, as server-sent events."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

Event = dict[str, Any]
"""``event``: ``progress``, ``track``, ``done``, ``failed``, ``cancelled`` or ``keep-alive``; ``data``: an object."""

FINAL = frozenset({"done", "failed", "cancelled"})
KEEP_ALIVE: Event = {"event": "keep-alive", "data": {}}
_MOST_WAITING = 1000


def sse(event: Event) -> bytes:
    """The event as it goes over the wire; a keep-alive is a comment."""
    if event["event"] == "keep-alive":
        return b": keep-alive\n\n"
    data = json.dumps(event["data"], ensure_ascii=True, allow_nan=False)
    return f"event: {event['event']}\ndata: {data}\n\n".encode()


class Subscription:
    """One listener. Fed from any thread, read on the event loop it was made on."""

    def __init__(self, leave: Callable[[Subscription], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._queue: asyncio.Queue[Event] = asyncio.Queue()
        self._leave = leave

    def feed(self, event: Event) -> None:
        """Hand an event over, from any thread. A listener that does not listen loses what is no end."""
        with contextlib.suppress(RuntimeError):  # the loop has closed
            self._loop.call_soon_threadsafe(self._put, event)

    def _put(self, event: Event) -> None:
        if self._queue.qsize() < _MOST_WAITING or event["event"] in FINAL:
            self._queue.put_nowait(event)

    async def events(self, keep_alive: float) -> AsyncIterator[Event]:
        """Events until the job has ended; a keep-alive after every ``keep_alive`` seconds of silence."""
        try:
            while True:
                try:
                    event = await asyncio.wait_for(self._queue.get(), keep_alive)
                except TimeoutError:
                    yield KEEP_ALIVE
                    continue
                yield event
                if event["event"] in FINAL:
                    return
        finally:
            self._leave(self)
