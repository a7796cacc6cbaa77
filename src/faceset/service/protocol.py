"""Uvicorn's HTTP protocol with a clock on the head of a request: a client that dribbles it is cut off."""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol


def protocol_with_deadline(seconds: float) -> type[asyncio.Protocol]:
    """The protocol class that closes a connection on which no request is complete in its head after ``seconds``."""

    class Deadline(H11Protocol):
        _clock: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self._wind()

        def data_received(self, data: bytes) -> None:
            before = self.cycle
            super().data_received(data)
            if self.cycle is not before:  # a head was read; the body is timed by faceset.service.bodies
                self._stop()
            elif self._clock is None and (before is None or before.response_complete):
                self._wind()  # the head of the next request on this connection has begun

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop()
            super().connection_lost(exc)

        def _wind(self) -> None:
            self._clock = self.loop.call_later(seconds, self._cut)

        def _stop(self) -> None:
            if self._clock is not None:
                self._clock.cancel()
                self._clock = None

        def _cut(self) -> None:
            self._clock = None
            if not self.transport.is_closing():
                self.transport.close()

    return Deadline
