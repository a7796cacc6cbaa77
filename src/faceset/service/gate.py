"""Who may come in: host, origin and key are looked at before a byte of the body is read."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import time
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from faceset.errors import InputError
from faceset.service.config import ServiceConfig
from faceset.service.keys import KeyStore
from faceset.service.meters import Meters
from faceset.service.problems import Problem, method_of, refused

log = logging.getLogger("faceset.service")

OPEN = frozenset({"/v1/health"})
"""Paths that need no key: whether the service is alive is no secret."""
_PAGE = ("/", "/page/")
_LINGER_SECONDS = 2.0

SECURITY_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


class Gate:
    """ASGI middleware: refuses strangers, adds the security headers, counts and times requests.

    A page of another site could send requests to a service on the visitor's own machine, and a host name under its
    control could be pointed here; so both ``Origin`` and, while no key is needed, ``Host`` are checked. There are no
    CORS headers at all.
    """

    def __init__(self, app: ASGIApp, *, config: ServiceConfig, keys: KeyStore, meters: Meters) -> None:
        self._app, self._config, self._keys, self._meters = app, config, keys, meters

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status, started = time.monotonic(), 500, False
        arriving = _has_body(scope)

        async def receiving() -> Message:
            nonlocal arriving
            message = await receive()
            if message["type"] == "http.request" and not message.get("more_body", False):
                arriving = False
            return message

        async def sending(message: Message) -> None:
            nonlocal status, started
            if message["type"] == "http.response.start":
                status, started = message["status"], True
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
                if scope["path"].startswith("/v1/"):
                    headers.setdefault("cache-control", "no-store")
                if arriving:  # nobody will read the rest, and nobody would time it
                    headers["connection"] = "close"
            elif arriving and not message.get("more_body", False):
                # A connection that is closed while the client still sends loses the answer on its way.
                await send({**message, "more_body": True})
                await _linger(receiving)
                message = {"type": "http.response.body"}
            await send(message)

        try:
            self._check(scope)
        except Problem as problem:
            self._meters.rejected.labels(problem.kind).inc()
            refused(scope, problem)
            await problem.response()(scope, receive, sending)
        else:
            try:
                await self._app(scope, receiving, sending)
            except Exception:
                log.exception("a fault of the service")
                if started:
                    raise
                fault = Problem(500, "this is a fault of the service; its log says more", kind="fault")
                await fault.response()(scope, receive, sending)
        finally:
            route = getattr(scope.get("route"), "path", "other")
            self._meters.requests.labels(method_of(scope), route, str(status)).inc()
            self._meters.seconds.labels(route).observe(time.monotonic() - began)

    def _check(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        needed = self._needed() or not self._config.local
        host = headers.get("host", "")
        if not needed and not _is_local(host):
            raise Problem(
                421,
                f"this service answers to localhost only, but was asked for as {host[:100]!r}; open it as "
                f"http://127.0.0.1:{self._config.port}/, or create an API key to use it under other names",
                kind="wrong-host",
            )
        origin = headers.get("origin")
        if origin is not None and _place(origin) != host.lower():
            raise Problem(
                403,
                f"requests from pages of other sites are refused (origin {origin[:100]!r}); use the service's own "
                "page, or a program",
                kind="wrong-origin",
            )
        scope.setdefault("state", {})["key"] = None
        path = scope["path"]
        if not needed or path in OPEN or path == _PAGE[0] or path.startswith(_PAGE[1]):
            return
        scheme, _, presented = headers.get("authorization", "").partition(" ")
        key = self._keys.check(presented.strip()) if scheme.lower() == "bearer" else None
        if key is None:
            given = "the key given is not valid" if presented else "no key was given"
            raise Problem(
                401,
                f"{given}; send the header 'Authorization: Bearer KEY' with a key of `faceset keys create`",
                kind="key-needed",
                headers={"www-authenticate": 'Bearer realm="faceset"'},
            )
        scope["state"]["key"] = key.id

    def _needed(self) -> bool:
        try:
            self._keys.valid()
            return self._keys.needed
        except InputError as error:
            log.error("%s", error)
            raise Problem(
                503, "the keys cannot be read, so nobody is let in; the log says more", kind="keys-unreadable"
            ) from error


def key_of(request: Request) -> str | None:
    """Id of the API key a request came with; None where none was needed."""
    found: str | None = request.scope.get("state", {}).get("key")
    return found


async def _linger(receive: Receive) -> None:
    """Pass over what a client still sends, for a moment."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_LINGER_SECONDS):
            while (message := await receive())["type"] == "http.request" and message.get("more_body", False):
                pass


def _has_body(scope: Scope) -> bool:
    headers = Headers(scope=scope)
    return headers.get("content-length", "0") != "0" or "transfer-encoding" in headers


def _place(origin: str) -> str | None:
    """Host and port of an origin; None where it is none."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return None


def _is_local(host: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
