"""Where a gallery lies: in a file, or on a PostgreSQL server."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError

from faceset.errors import GalleryError

DEFAULT_SCHEMA = "faceset"
_SCHEMES = ("postgresql", "postgres", "postgresql+psycopg")
_OWN = {"schema": None, "index": ("exact", "hnsw"), "vacuum": ("plain", "full")}
"""Parameters that are ours; the others are those of libpq."""


@dataclass(frozen=True, slots=True)
class Server:
    """A gallery in a PostgreSQL database. ``str()`` of it never shows the password.

    Attributes:
        url: how to reach the database, for SQLAlchemy.
        schema: the schema that holds the gallery; several galleries of one database are several schemas.
        index: ``exact`` or ``hnsw``: how :meth:`~faceset.gallery.Gallery.search` finds the nearest templates.
        vacuum: ``plain`` or ``full``: what follows a removal.
    """

    url: sa.URL = field(repr=False)
    schema: str = DEFAULT_SCHEMA
    index: str = "exact"
    vacuum: str = "plain"

    @property
    def name(self) -> str:
        """What is given to open the gallery, with *** in place of a password."""
        return str(self)

    def __str__(self) -> str:
        shown = self.url.set(drivername="postgresql", query={})
        if "host" in self.url.query:
            shown = shown.update_query_dict({"host": self.url.query["host"]})
        if self.schema != DEFAULT_SCHEMA:
            shown = shown.update_query_dict({"schema": self.schema})
        return shown.render_as_string(hide_password=True)


Place: TypeAlias = Path | Server
"""Where a gallery lies; ``str()`` of it is fit for messages."""


def is_url(given: object) -> bool:
    """Whether this names a gallery on a server, not in a file."""
    return isinstance(given, str) and given.strip().partition("://")[0] in _SCHEMES and "://" in given


def shown(given: str) -> str:
    """What a user gave as a gallery, without a password; cannot fail."""
    try:
        return str(parse(given)) if is_url(given) else given
    except GalleryError:
        return "postgresql://..."


def parse(text: str) -> Server:
    """The server a URL names.

    Raises:
        GalleryError: the URL cannot be read; the message does not repeat it, because a password may stand in it.
    """
    example = "postgresql://user@host:5432/database?schema=faceset"
    try:
        url = sa.make_url(text.strip())
    except (ArgumentError, ValueError):
        raise GalleryError(
            f"the URL of the gallery cannot be read; write it as {example}, and special characters of a password as %XX"
        ) from None
    own: dict[str, str] = {}
    for key in _OWN.keys() & url.query.keys():
        value = url.query[key]
        allowed = _OWN[key]
        if not isinstance(value, str) or not value or (allowed is not None and value not in allowed):
            choice = " or ".join(allowed) if allowed else "the name of a schema"
            raise GalleryError(f"the URL of the gallery has {key}={value!r}; it takes {choice}")
        own[key] = value
    if len(own.get("schema", "").encode()) > 63 or own.get("schema", "").startswith("pg_") or "\x00" in text:
        raise GalleryError(
            "the name of a schema has at most 63 bytes and does not begin with pg_; choose another with ?schema="
        )
    query = {key: value for key, value in url.query.items() if key not in _OWN}
    return Server(url.set(drivername="postgresql+psycopg", query=query), **own)
