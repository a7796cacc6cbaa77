"""The server process: uvicorn with our limits."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

from faceset.errors import InputError, MissingExtraError
from faceset.service.alone import alone
from faceset.service.config import ServiceConfig

if TYPE_CHECKING:
    import uvicorn


def run(config: ServiceConfig, *, announce: Callable[[str], None]) -> None:
    """Serve until interrupted; ``announce`` is called with the URL once requests are taken.

    Raises:
        MissingExtraError: the extra ``service`` is not installed.
        InputError: the address cannot be listened on, or would be open to strangers; the data folder is served by
            another process, or cannot be written to.
    """
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    # After a search OpenBLAS keeps a thread spinning, which takes a core from the worker. It is read when numpy is
    # imported, so it must be set before anything here is; 4 is its least, meaning at once.
    os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")
    server = make_server(config)
    listening = listen(config)
    started = server.startup

    async def startup(sockets: list[socket.socket] | None = None) -> None:
        await started(sockets=sockets)
        if server.started:
            announce(url_of(config, listening))

    server.startup = startup  # type: ignore[method-assign]
    with alone(config.data):
        server.run(sockets=[listening])
    if not server.started:
        raise InputError("the service could not start; the lines above say why")


def make_server(config: ServiceConfig) -> uvicorn.Server:
    """The server with our limits; ``run(sockets=[...])`` serves.

    Raises:
        MissingExtraError, InputError: as :func:`run`.
    """
    try:
        import uvicorn

        from faceset.service.app import create_app
        from faceset.service.protocol import protocol_with_deadline
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"the service needs {error.name}; install the extra that brings it: pip install 'faceset[service]'"
        ) from error
    return uvicorn.Server(
        uvicorn.Config(
            create_app(config),
            http=protocol_with_deadline(config.stall_seconds),
            ws="none",
            lifespan="on",
            log_level="warning",
            access_log=False,
            server_header=False,
            limit_concurrency=config.connections,
            timeout_keep_alive=20,
            timeout_graceful_shutdown=10,
        )
    )


def url_of(config: ServiceConfig, listening: socket.socket) -> str:
    """Where the service is found."""
    host = f"[{config.host}]" if ":" in config.host else config.host
    return f"http://{host}:{listening.getsockname()[1]}/"


def listen(config: ServiceConfig) -> socket.socket:
    """A socket bound to the address; port 0 takes a free one.

    Raises:
        InputError: it cannot be had.
    """
    try:
        info = socket.getaddrinfo(config.host, config.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        # With its protocol named, asyncio sends on its connections at once; else every answer is 40 ms late.
        listening = socket.socket(*info[:3])
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(info[4])
    except OSError as error:
        raise InputError(
            f"cannot listen on {config.host}:{config.port} ({error.strerror or error}); choose another --host or --port"
        ) from error
    return listening
