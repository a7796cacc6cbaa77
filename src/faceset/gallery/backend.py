"""Which store a gallery is held in: an SQLite file, or a PostgreSQL database."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, TypeAlias

from faceset.errors import InputError
from faceset.gallery import sealing
from faceset.gallery.database import Database
from faceset.gallery.files import check_path
from faceset.gallery.place import Place, Server, is_url, parse

if TYPE_CHECKING:
    from faceset.gallery.index import VectorIndex
    from faceset.gallery.pg_search import ServerSearch
    from faceset.gallery.postgres import PostgresDatabase

Store: TypeAlias = "Database | PostgresDatabase"


def locate(given: str | os.PathLike[str], *, create: bool) -> Place:
    """The file or the server that ``given`` names.

    Raises:
        InputError: ``given`` is neither a path nor a URL.
        GalleryError: there is no such file and ``create`` is false, it is a folder or a foreign file; or the URL cannot
            be used, or FACESET_KEY is set, which a server cannot work with.
    """
    if isinstance(given, str) and is_url(given):
        server = parse(given)
        sealing.refuse_for(str(server))
        return server
    return check_path(given, create=create)


def open_store(place: Place, *, create: bool) -> Store:
    """The store at ``place``, set up when it is new.

    Raises:
        GalleryError: it cannot be opened, or is missing and ``create`` is false.
        MissingExtraError: a package is missing that it needs.
    """
    if isinstance(place, Server):
        from faceset.gallery.postgres import PostgresDatabase  # psycopg

        return PostgresDatabase(place, create=create)
    return Database(place, create=create, key=sealing.current_key())


def server_search(place: Place, database: Store, index: VectorIndex | None) -> ServerSearch | None:
    """What searches on the server, where the URL asks for that; None: the templates are held in memory.

    Raises:
        InputError: ``index`` is given too.
    """
    if isinstance(database, Database) or not isinstance(place, Server) or place.index == "exact":
        return None
    if index is not None:
        database.close()
        raise InputError(f"{place}: the URL says ?index={place.index}, and another index was given; choose one of them")
    from faceset.gallery.pg_search import ServerSearch

    return ServerSearch(database)
