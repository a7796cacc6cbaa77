"""PostgreSQL's errors as ours: what happened to which gallery, and the cure. No message shows a password."""

from __future__ import annotations

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from faceset.errors import GalleryError
from faceset.gallery.failures import BUSY_SECONDS
from faceset.gallery.place import Server

_WHOLE = "nothing was changed"

# By SQLSTATE, the longest that fits first: https://www.postgresql.org/docs/current/errcodes-appendix.html
_BY_STATE = {
    "08": "the connection to the server was lost ({text}); the change was made whole or not at all: look before you "
    "repeat it",
    "22": "the server cannot store a value ({text}); {whole}",
    "25006": "the server takes no changes ({text}); {whole}: give the URL of the primary server",
    "25P03": "a change took too long between two of its steps ({text}); {whole}: try again",
    "3F000": "the schema was removed by somebody else ({text}); {whole}",
    "42501": "this user may not do that ({text}); {whole}: have the owner of the schema grant the rights "
    "(docs/gallery.md, section PostgreSQL)",
    "42": "the gallery is damaged ({text}): somebody changed its tables; put back a backup of the database",
    "53100": "the server's disk is full ({text}); {whole}: free some space there and try again",
    "53": "the server is short of something ({text}); {whole}: try again when it is less busy",
    "55P03": "another process has kept the gallery locked for {busy:g} s ({text}); {whole}: try again",
    "57014": "the server stopped a statement ({text}); {whole}: try again, or raise its statement_timeout",
    "57P": "the server was stopped ({text}); the change was made whole or not at all: look before you repeat it",
    "XX": "the database is damaged ({text}); put back a backup of the database",
}

# A refused connection has no SQLSTATE; these are the server's and libpq's own words.
_BY_WORDS = (
    ("password authentication failed", "check the password: in the URL, in PGPASSWORD or in ~/.pgpass"),
    ("no password supplied", "give the password: in the URL, in PGPASSWORD or in ~/.pgpass"),
    ("does not exist", "check the names of the database and the user; `createdb NAME` makes a database"),
    ("too many", "the server has no connection left; try again when it is less busy, or raise its max_connections"),
    ("no pg_hba.conf entry", "the server lets nobody in from here; have its pg_hba.conf extended"),
)
_ELSE = "check that the server runs, and the host, port, user and database of the URL"


def translate(place: Server, error: BaseException) -> GalleryError:
    """The :class:`~faceset.errors.GalleryError` for an error of psycopg, or of SQLAlchemy around one."""
    if isinstance(error, PoolTimeout):
        return GalleryError(f"{place}: all connections of this process are in use; try again, with fewer threads")
    cause = getattr(error, "orig", None) or error
    text = " ".join(str(cause).split())
    state = getattr(cause, "sqlstate", None)
    if not state:
        lost = isinstance(error, DBAPIError) and error.connection_invalidated
        return GalleryError(f"{place}: {_lost(text) if lost else _no_connection(text)}")
    for length in (5, 3, 2):
        sentence = _BY_STATE.get(state[:length])
        if sentence is not None:
            return GalleryError(f"{place}: {sentence.format(text=text, whole=_WHOLE, busy=BUSY_SECONDS)}")
    return GalleryError(f"{place}: the gallery cannot be used ({text}); {_WHOLE}")


def _lost(text: str) -> str:
    return _BY_STATE["08"].format(text=text)


def _no_connection(text: str) -> str:
    cure = next((cure for words, cure in _BY_WORDS if words in text), _ELSE)
    return f"no connection to the server ({text}); {cure}"
