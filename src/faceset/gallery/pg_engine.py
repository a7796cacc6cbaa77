"""Connections to a PostgreSQL server."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from faceset.errors import GalleryError, MissingExtraError
from faceset.gallery.failures import BUSY_SECONDS
from faceset.gallery.place import Server

_KEPT = 8
_CONNECTIONS = 32
"""Connections one process opens at most; a request beyond waits."""


def make(place: Server) -> sa.Engine:
    """A pool of connections to the server of ``place``; none is opened yet.

    Raises:
        GalleryError: the URL has a parameter that libpq does not know.
        MissingExtraError: psycopg is not installed.
    """
    try:
        import psycopg
    except ImportError as error:
        raise MissingExtraError(
            f"{place}: a gallery on a PostgreSQL server needs psycopg, which is not installed ({error}); install it "
            "with `pip install 'faceset[postgres]'`"
        ) from error
    known = {option.keyword.decode() for option in psycopg.pq.Conninfo.get_defaults()}
    for key in place.url.query:
        if key not in known:
            raise GalleryError(
                f"{place}: the URL has an unknown parameter {key!r}; there are schema, index, vacuum and those of "
                "libpq, such as host and sslmode"
            )
    own: dict[str, Any] = {"connect_timeout": 10, "application_name": "faceset"}
    return sa.create_engine(
        place.url,
        connect_args={key: value for key, value in own.items() if key not in place.url.query},
        pool_size=_KEPT,
        max_overflow=_CONNECTIONS - _KEPT,
        pool_timeout=BUSY_SECONDS,
        pool_pre_ping=True,  # a server that was restarted in between is not an error
        hide_parameters=True,  # no features and names in tracebacks
    )
