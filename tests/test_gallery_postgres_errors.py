"""What can go wrong with a gallery on a server, what is said then, and what forgetting leaves."""

# ruff: noqa: S608 - statements hold names that these tests made up

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psycopg
import pytest
from gallery_faces import MEAN, digest, faces, probe
from postgres_server import TestServer, database, server, url

from faceset.errors import DuplicateMediaError, GalleryError, MissingExtraError
from faceset.gallery import Gallery
from faceset.gallery.place import is_url, shown

__all__ = ["database", "server", "url"]

SECRET = "geheim%40pass"  # noqa: S105 - what may stand nowhere: written, and as it is meant
WORDS = ("geheim", "%40pass", "@pass")


def refused(given: object, *, create: bool = True) -> str:
    with pytest.raises(GalleryError) as caught:
        Gallery(given, create=create)  # type: ignore[arg-type]
    message = str(caught.value)
    assert not any(word in message for word in WORDS)
    return message


# --------------------------------------------------------------------------------------------------------------- URLs


def test_urls_and_paths_are_told_apart() -> None:
    assert is_url("postgresql://h/d")
    assert is_url("postgresql+psycopg://h/d")
    assert not is_url("people.db")
    assert not is_url("postgresql")
    assert not is_url("mysql://h/d")
    assert shown("people.db") == "people.db"
    assert shown(f"postgresql://u:{SECRET}@h:5/d?password={SECRET}&sslmode=require") == "postgresql://u:***@h:5/d"
    assert shown("postgresql://u:geheim@h:x/d") == "postgresql://..."


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (f"postgresql://u:{SECRET}@h:port/d", "the URL of the gallery cannot be read; write it as postgresql://user@"),
        (f"postgresql://u:{SECRET}@h/d?index=ivf", "index='ivf'; it takes exact or hnsw"),
        (f"postgresql://u:{SECRET}@h/d?schema=pg_catalog", "does not begin with pg_"),
        (f"postgresql://u:{SECRET}@h/d?schema=" + "x" * 64, "at most 63 bytes"),
        (f"postgresql://u:{SECRET}@h/d?sslmod=off", "unknown parameter 'sslmod'; there are schema, index, vacuum"),
        (f"mysql://u:{SECRET}@h/d", "got a URL of 'mysql'; give the path of one, such as people.db, or as text"),
        (Path(f"postgresql://u:{SECRET}@h/d"), "got a URL of 'postgresql'; .* as text \\(str\\)"),
    ],
)
def test_urls_that_are_refused(given: object, message: str) -> None:
    with pytest.raises(GalleryError, match=message) as caught:
        Gallery(given)  # type: ignore[arg-type]
    assert not any(word in str(caught.value) for word in WORDS)


def test_a_key_is_set(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACESET_KEY", "00" * 32)
    assert "the server must see the vectors to search them" in refused(url)


def test_without_psycopg(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(MissingExtraError, match=r"needs psycopg, .*pip install 'faceset\[postgres\]'"):
        Gallery("postgresql://h/d")


# -------------------------------------------------------------------------------------------------------- connections


def test_no_server() -> None:
    message = refused(f"postgresql://u:{SECRET}@127.0.0.1:1/d")
    assert "no connection to the server" in message
    assert "check that the server runs" in message


def test_no_such_database(server: TestServer) -> None:
    assert "`createdb NAME` makes a database" in refused(server.url("nowhere"))


def test_a_wrong_password(server: TestServer, database: str) -> None:
    server.run("CREATE ROLE grace LOGIN PASSWORD 'right'")
    rules = server.folder / "pg_hba.conf"
    before = rules.read_text()
    try:
        rules.write_text("local all grace scram-sha-256\n" + before)
        server.run("SELECT pg_reload_conf()")
        assert "check the password" in refused(server.url(database, user=f"grace:{SECRET}"))
        assert "give the password" in refused(server.url(database, user="grace"))
    finally:
        rules.write_text(before)
        server.run("SELECT pg_reload_conf()")
        server.run("DROP ROLE grace")


def test_the_connections_are_cut(server: TestServer, url: str) -> None:
    """A server that was restarted in between is no error; one that stops in the middle is one."""
    cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'faceset'"
    with Gallery(url) as gallery:
        gallery.add("Grace", [faces(1, "a.mp4")], aggregator=MEAN)
        server.run(cut)
        assert len(gallery) == 1

        class Cutting:
            name = "mean"

            def __call__(self, *arguments: object, **options: object) -> object:
                server.run(cut)
                return MEAN(*arguments, **options)  # type: ignore[arg-type]

        with pytest.raises(GalleryError, match=r"made whole or not at all: look before you repeat it"):
            gallery.add("Ada", [faces(2, "b.mp4")], aggregator=Cutting())  # type: ignore[arg-type]
        assert "Ada" not in gallery


def test_a_writer_that_never_ends(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("faceset.gallery.postgres.BUSY_SECONDS", 0.3)
    with Gallery(url) as one, Gallery(url) as other:
        one.add("Grace", [faces(1, "a.mp4")], aggregator=MEAN)
        with one._database.write():
            with pytest.raises(GalleryError, match="another process has kept the gallery locked for .*try again"):
                other.create("Ada")
            assert other.search([probe(1)], 1)[0][0].name == "Grace"  # readers never wait
        other.create("Ada")


def test_a_closed_gallery(url: str) -> None:
    gallery = Gallery(url)
    gallery.close()
    with pytest.raises(GalleryError, match="the gallery was closed; open it again"):
        len(gallery)


# ------------------------------------------------------------------------------------------------ what is in the schema


def test_no_gallery_there(url: str) -> None:
    assert "there is no gallery in schema" in refused(url, create=False)


def test_a_schema_of_another_program(server: TestServer, url: str) -> None:
    schema = url.rpartition("=")[2]
    server.run(f"CREATE SCHEMA {schema}; CREATE TABLE {schema}.meta (id int)", "shared")
    assert "holds tables of another program; it was left as it is: choose another with ?schema=NAME" in refused(url)
    assert server.run(f"SELECT count(*) FROM pg_tables WHERE schemaname = '{schema}'", "shared") == "1"


def test_versions(server: TestServer, url: str) -> None:
    schema = url.rpartition("=")[2]
    Gallery(url).close()
    server.run(f"UPDATE {schema}.meta SET schema_version = 99", "shared")
    assert "was written by a newer faceset (gallery version 99, this one knows" in refused(url)
    server.run(f"UPDATE {schema}.meta SET schema_version = 1", "shared")
    assert "gallery version 1 never existed on a server" in refused(url)
    server.run(f"DELETE FROM {schema}.meta", "shared")
    assert "damaged (its meta row is missing); put back a backup of the database" in refused(url)


def test_a_schema_with_an_odd_name(server: TestServer, database: str) -> None:
    odd = server.url(database, "schema=we%22ird%25s%20%C3%A9%3B")
    with Gallery(odd) as gallery:
        gallery.add("Grace", [faces(1, "a.mp4")], aggregator=MEAN)
        gallery.forget("Grace")
    assert server.run("SELECT count(*) FROM pg_tables WHERE schemaname = 'we\"ird%s é;'", database) == "5"


def test_two_schemas_are_two_galleries(server: TestServer, database: str) -> None:
    with Gallery(server.url(database)) as one, Gallery(server.url(database, "schema=two")) as other:
        one.add("Grace", [faces(1, "a.mp4")], aggregator=MEAN)
        other.add("Ada", [faces(1, "a.mp4")], aggregator=MEAN)
        assert [p.name for p in one.people()] == ["Grace"]
        with pytest.raises(DuplicateMediaError, match="schema=two: 'a.mp4' is enrolled for 'Ada' already"):
            other.add("Eve", [faces(1, "a.mp4")], aggregator=MEAN)


def test_no_pgvector_on_the_server(server: TestServer, database: str) -> None:
    server.run(f"ALTER DATABASE {database} SET extension_control_path = '/nowhere'")
    assert "the server has no pgvector" in refused(server.url(database))
    assert server.run("SELECT count(*) FROM pg_namespace WHERE nspname = 'faceset'", database) == "0"


def test_a_user_with_few_rights(server: TestServer, database: str) -> None:
    server.run("CREATE ROLE ada LOGIN")
    try:
        mine = server.url(database, user="ada")
        assert "have a superuser run `CREATE EXTENSION vector` in this database" in refused(mine)
        server.run("CREATE EXTENSION vector", database)
        assert "this user may not do that" in refused(mine)
        server.run(f"GRANT CREATE ON DATABASE {database} TO ada")
        with Gallery(mine) as gallery:
            gallery.add("Grace", [faces(1, "a.mp4")], aggregator=MEAN)
            assert gallery._database.purge()
    finally:
        server.run("DROP OWNED BY ada", database)
        server.run(f"REVOKE ALL ON DATABASE {database} FROM ada")
        server.run("DROP ROLE ada")


def test_a_database_that_cannot_hold_every_name(server: TestServer, database: str) -> None:
    other = f"{database}_latin"
    server.run(f"CREATE DATABASE {other} ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    try:
        assert "stores text as LATIN1, which cannot hold every name" in refused(server.url(other))
    finally:
        server.run(f"DROP DATABASE {other} WITH (FORCE)")


# ---------------------------------------------------------------------------------------------------------- forgetting


def traces(server: TestServer, schema: str, pieces: dict[str, bytes], only: str = "%") -> set[str]:
    """Which pieces lie in the files of the tables and indices of the schema, and of the catalogue's samples."""
    server.run("CHECKPOINT")
    paths = server.run(
        "SELECT pg_relation_filepath(c.oid) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE "
        f"pg_relation_filepath(c.oid) IS NOT NULL AND (nspname IN ('{schema}', 'pg_toast') OR relname LIKE "
        f"'pg_statistic%') AND relname LIKE '{only}'",
        "shared",
    ).splitlines()
    data = b"".join((server.folder / path).read_bytes() for path in paths)
    return {name for name, piece in pieces.items() if piece in data}


def big_endian(data: bytes) -> bytes:
    return np.frombuffer(data, "<f4").astype(">f4").tobytes()


@pytest.mark.parametrize("how", ["vacuum=full", "vacuum=full&index=hnsw", "vacuum=plain&index=hnsw"])
def test_forgetting(server: TestServer, url: str, how: str) -> None:
    schema = url.rpartition("=")[2]
    with Gallery(f"{url}&{how}") as gallery, Gallery(url) as other:
        for i in range(30):  # the last is forgotten: nobody's rows would be moved onto theirs
            gallery.add(f"person number {i}", [faces(i, f"of {i}.mp4")], aggregator=MEAN)
        other.search([probe(1)])
        server.run("ANALYZE", "shared")
        pieces = {
            "name": b"person number 29",
            "digest": digest("of 29.mp4").encode(),
            "template": gallery.template("person number 29").vector.tobytes()[:48],
            "feature": gallery.features("person number 29")[0].features[0].tobytes()[:48],
        }
        assert traces(server, schema, pieces) == set(pieces)
        assert traces(server, schema, pieces, "template_hnsw") == ({"template"} if "hnsw" in how else set())
        assert gallery.template("person number 29").vector.tobytes().startswith(pieces["template"])
        counted = "SELECT coalesce(sum(vacuum_count), 0) FROM pg_stat_all_tables WHERE schemaname = '{}'"
        before = int(server.run(counted.format(schema), "shared"))
        gallery.forget("person number 29")
        assert int(server.run(counted.format(schema), "shared")) >= before + 4  # person, medium, face, template
        columns = {"person": "p", "medium": "p", "face": "feature", "template": "vector_send(vector)"}
        rows = "\n".join(server.run(f"SELECT {c} FROM {schema}.{t} p", "shared") for t, c in columns.items())
        assert "person number 16" in rows
        assert not any(piece in rows for piece in ("person number 29", "of 29.mp4", digest("of 29.mp4")))
        assert pieces["feature"].hex() not in rows
        assert big_endian(pieces["template"]).hex() not in rows
        assert server.run(f"SELECT purge FROM {schema}.meta", "shared") == "0"
        assert "person number 29" not in [c.name for c in other.search([probe(29)], 99)[0]]
        assert traces(server, schema, pieces, "template_hnsw") == set()
        if "full" in how:
            assert traces(server, schema, pieces) == set()


def test_a_vacuum_that_is_put_off(server: TestServer, url: str, caplog: pytest.LogCaptureFixture) -> None:
    """Somebody still looks at the old rows: the gallery remembers, and the next opening vacuums."""
    schema = url.rpartition("=")[2]
    with Gallery(url) as gallery:
        for i in range(3):
            gallery.add(f"p{i}", [faces(i, f"{i}.mp4")], aggregator=MEAN)
        with psycopg.connect(server.url("shared")) as raw:
            raw.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            raw.execute(f"SELECT count(*) FROM {schema}.person")
            with caplog.at_level(logging.WARNING, "faceset"):
                gallery.forget("p1")
            assert "the server may still hold its rows" in caplog.text
        assert "p1" not in gallery
    assert server.run(f"SELECT purge FROM {schema}.meta", "shared") == "1"
    Gallery(url).close()
    assert server.run(f"SELECT purge FROM {schema}.meta", "shared") == "0"


# -------------------------------------------------------------------------------------------------------- command line


def test_the_commands_take_a_url(url: str) -> None:
    from typer.testing import CliRunner

    from faceset.cli.app import app

    with Gallery(url) as gallery:
        gallery.add("Grace", [faces(1, "a.mp4")], aggregator=MEAN)
    given = url.replace("postgres@", f"postgres:{SECRET}@")
    told = CliRunner().invoke(app, ["people", "--gallery", given], env={"COLUMNS": "200"})
    assert told.exit_code == 0, told.output
    assert "Grace" in told.output
    assert not any(word in told.output for word in WORDS)
    told = CliRunner().invoke(app, ["forget", "Grace", "--yes", "--gallery", given])
    assert "forgot Grace: 4 faces from 1 medium" in told.output
    with Gallery(url) as gallery:
        assert len(gallery) == 0


def test_threads_share_a_gallery(url: str) -> None:
    failures = []
    with Gallery(url) as gallery:

        def work(number: int) -> None:
            try:
                for i in range(3):
                    gallery.add(f"p{number}", [faces(number, f"{number}-{i}")], aggregator=MEAN)
                    assert gallery.search([probe(number)], 1)[0][0].name == f"p{number}"
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failures
        assert [len(p.media) for p in gallery.people()] == [3] * 6


def test_many_make_a_gallery_at_once(url: str) -> None:
    together = threading.Barrier(6)

    def make(number: int) -> str:
        together.wait(30)
        with Gallery(f"{url}&index=hnsw") as gallery:
            return gallery.add(f"p{number}", [faces(number, f"{number}")], aggregator=MEAN).name

    with ThreadPoolExecutor(6) as pool:
        assert sorted(pool.map(make, range(6))) == [f"p{n}" for n in range(6)]


def test_a_file_needs_no_driver() -> None:
    code = "import sys, faceset.gallery; print({'psycopg', 'pgvector'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
