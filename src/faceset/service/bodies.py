"""How much may be sent, and how slowly."""

from __future__ import annotations

import asyncio
import time

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from faceset.service.config import ServiceConfig
from faceset.service.meters import Meters
from faceset.service.problems import Problem, refused

_READING_AT_ONCE = 32
"""Bodies that may arrive at the same time: each may take disk space up to the limit."""
_SMALL = 1 << 16
_LONGEST_JSON = 8 << 20
"""Longest body that is no form: it is read into memory."""


class Bodies:
    """ASGI middleware: a body that is too long, or does not come, ends the request with a problem document."""

    def __init__(self, app: ASGIApp, *, config: ServiceConfig, meters: Meters) -> None:
        self._app, self._config, self._meters = app, config, meters
        self._arriving = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD"):
            await self._app(scope, receive, send)
            return
        large = True
        try:
            large = self._announced(scope) > _SMALL
            if large and self._arriving >= _READING_AT_ONCE:
                raise Problem(
                    503,
                    "too many uploads arrive at once; try again in a moment",
                    kind="busy",
                    headers={"retry-after": "5"},
                )
            self._arriving += large
            try:
                await self._app(scope, self._limited(receive, self._limit(scope)), send)
            finally:
                self._arriving -= large
        except Problem as problem:
            self._meters.rejected.labels(problem.kind).inc()
            refused(scope, problem)
            await problem.response()(scope, receive, send)

    def _announced(self, scope: Scope) -> int:
        """Length by the header, checked before anything is read; what cannot be known counts as large."""
        text = Headers(scope=scope).get("content-length")
        if text is None:
            return _SMALL + 1
        if not text.isascii() or not text.isdigit():
            raise Problem(400, f"Content-Length is {text[:50]!r}, no number of bytes", kind="bad-length")
        limit = self._limit(scope)
        if int(text) > limit:
            raise _too_large(int(text), limit)
        return int(text)

    def _limit(self, scope: Scope) -> int:
        kind = Headers(scope=scope).get("content-type", "").strip().lower()
        most = self._config.max_upload
        return most if kind.startswith("multipart/") else min(most, _LONGEST_JSON)

    def _limited(self, receive: Receive, limit: int) -> Receive:
        total, began = 0, time.monotonic()
        complete = False

        async def receiving() -> Message:
            nonlocal total, complete
            if complete:  # only to learn that the client left: that may take as long as it likes
                return await receive()
            left = began + self._config.upload_seconds - time.monotonic()
            try:
                message = await asyncio.wait_for(receive(), min(self._config.stall_seconds, max(left, 0.001)))
            except TimeoutError:
                self._meters.rejected.labels("too-slow").inc()
                raise Problem(
                    408,
                    f"the request did not arrive: {total} bytes came, then nothing for "
                    f"{self._config.stall_seconds:g} s, or not all within {self._config.upload_seconds:g} s; send it "
                    "again over a faster connection",
                    kind="too-slow",
                ) from None
            if message["type"] == "http.request":
                total += len(message.get("body", b""))
                complete = not message.get("more_body", False)
                if total > limit:
                    self._meters.rejected.labels("too-large").inc()
                    raise _too_large(total, limit)
            return message

        return receiving


def _too_large(size: int, limit: int) -> Problem:
    return Problem(
        413,
        f"the request has {size} bytes or more, but at most {limit} are taken; send fewer or smaller files, or start "
        "the service with a larger --max-upload",
        kind="too-large",
        limit=limit,
    )
