"""Doctor: nothing in a healthy gallery, and each kind of damage by its name; never a changed byte."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import pytest
from gallery_faces import MEAN, faces
from test_gallery_versions import as_version_1

from faceset import aggregation
from faceset.aggregation import shipped
from faceset.errors import GalleryError
from faceset.gallery import Gallery, doctor_faces, sealing
from faceset.gallery.doctor import Finding, examine
from faceset.gallery.migrations import SCHEMA_VERSION


def filled(path: Path) -> Path:
    with Gallery(path) as gallery:
        gallery.add("Grace", [faces(1, "a.mp4"), faces(1, "b.mp4")], aggregator=MEAN)
        gallery.create("Nobody yet")
        gallery.add("Ada", [faces(2, "c.mp4", crops=True)], aggregator=MEAN, keep_crops=True)
        gallery.add("Ada", [faces(2, "live", kind="stream", known=False)], aggregator=MEAN)
    return path


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return filled(tmp_path_factory.mktemp("doctor") / "people.db")


@pytest.fixture
def copied(healthy: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(healthy, tmp_path / "people.db"))


@contextmanager
def untouched(path: Path) -> Iterator[None]:
    """The file, and what lies beside it but for the index of the log, is byte by byte as it was."""

    def state() -> dict[str, bytes]:
        return {p.name: p.read_bytes() for p in path.parent.iterdir() if not p.name.endswith("-shm")}

    before = state()
    yield
    assert state() == before


def looked(path: Path) -> list[Finding]:
    with untouched(path):
        return examine(path)


def damage(path: Path, *statements: str) -> None:
    """Change a file as no program of ours does; the log is folded in."""
    with closing(sqlite3.connect(path)) as raw:
        raw.create_function("damaged", 1, damaged)
        for one in statements:
            raw.execute(one)
        raw.commit()
        raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def damaged(vector: bytes) -> bytes:
    """Another vector of the same length, its sign changed at one place."""
    values = np.frombuffer(vector, "<f4").copy()
    values[np.abs(values).argmax()] *= -1
    return values.tobytes()


# -------------------------------------------------------------------------------------------------- nothing to be found


def test_a_healthy_gallery(healthy: Path) -> None:
    assert looked(healthy) == []
    assert sorted(p.name for p in healthy.parent.iterdir()) == ["people.db"]


def test_an_empty_one_and_one_after_forgetting(tmp_path: Path) -> None:
    Gallery(tmp_path / "empty.db").close()
    assert looked(tmp_path / "empty.db") == []
    with Gallery(filled(tmp_path / "people.db")) as gallery:
        gallery.rename("Ada", "Ada Lovelace")
        gallery.remove_media("Grace", "a.mp4", aggregator=MEAN)
        assert looked(tmp_path / "people.db") == []  # while it is open
        gallery.forget("Grace")
        gallery.forget("Ada Lovelace")
    assert looked(tmp_path / "people.db") == []


@pytest.mark.parametrize("name", ["norm", "norm-score", "medoid", "best", "media-first", "media-first+norm", "trimmed"])
def test_templates_of_every_aggregator(tmp_path: Path, name: str) -> None:
    with Gallery(tmp_path / "people.db") as gallery:
        gallery.add("Grace", [faces(1, "a.mp4"), faces(1, "b.mp4")], aggregator=aggregation.get(name))
    assert doctor_faces.aggregator_of(name, "") is not None
    assert looked(tmp_path / "people.db") == []
    damage(tmp_path / "people.db", "UPDATE template SET vector = damaged(vector)")
    assert [f.check for f in looked(tmp_path / "people.db")] == ["template"]


def test_templates_of_a_shipped_aggregator_and_of_one_that_is_not(tmp_path: Path) -> None:
    model_id = shipped._load("anchored").embedder_id
    maker = aggregation.get("anchored", model_id=model_id)
    assert maker.name.startswith("anchored:")
    with Gallery(tmp_path / "people.db") as gallery:
        gallery.add("Grace", [faces(1, "a.mp4", width=128, model_id=model_id)], aggregator=maker)
    assert looked(tmp_path / "people.db") == []
    damage(tmp_path / "people.db", "UPDATE template SET vector = damaged(vector)")
    assert [f.check for f in looked(tmp_path / "people.db")] == ["template"]
    damage(tmp_path / "people.db", "UPDATE template SET aggregator = 'anchored:00000000'")  # of another version
    assert looked(tmp_path / "people.db") == []


def test_a_gallery_brought_up_from_the_first_version(healthy: Path, tmp_path: Path) -> None:
    as_version_1(healthy, tmp_path / "old.db")
    (tmp_path / "old.db").chmod(0o600)
    (found,) = looked(tmp_path / "old.db")
    assert (found.severity, found.check) == ("warning", "version")
    assert f"it is of gallery version 1, and this faceset writes {SCHEMA_VERSION}" in found.what
    Gallery(tmp_path / "old.db").close()
    assert looked(tmp_path / "old.db") == []


KILLED = """
import os, sys
sys.path.insert(0, {tests!r})
from gallery_faces import MEAN, faces
from faceset.gallery import Gallery
gallery = Gallery({path!r})
gallery.add("Eve", [faces(3, "e.mp4")], aggregator=MEAN)
with gallery._database.write() as connection:
    connection.exec_driver_sql("DELETE FROM template")
    os._exit(9)
"""


def test_a_killed_writer(copied: Path) -> None:
    code = KILLED.format(tests=str(Path(__file__).parent), path=str(copied))
    assert subprocess.run([sys.executable, "-c", code]).returncode == 9
    assert copied.with_name("people.db-wal").stat().st_size > 0
    assert looked(copied) == []
    with Gallery(copied) as gallery:
        assert "Eve" in gallery
    assert looked(copied) == []


# ------------------------------------------------------------------------------------------------- nothing to look at


def test_what_cannot_be_looked_at(tmp_path: Path, copied: Path) -> None:
    with pytest.raises(GalleryError, match="does not exist"):
        examine(tmp_path / "none.db")
    (tmp_path / "text.db").write_text("hello")
    with pytest.raises(GalleryError, match="is not a gallery"):
        examine(tmp_path / "text.db")
    damage(copied, "PRAGMA user_version = 99")
    with pytest.raises(GalleryError, match=r"written by a newer faceset \(gallery version 99"):
        examine(copied)


# ----------------------------------------------------------------------------------------------------- each one finding

DAMAGE: dict[str, tuple[str, list[str]]] = {
    "gallery version 0 never existed": ("version", ["PRAGMA user_version = 0"]),
    "table template is missing": ("tables", ["DROP TABLE template"]),
    "index medium_digest is missing": ("tables", ["DROP INDEX medium_digest"]),
    "table person is not as this version makes it: it lacks column updated TEXT needed": (
        "tables",
        ["ALTER TABLE person RENAME COLUMN updated TO changed"],
    ),
    "table extra does not belong there": ("tables", ["CREATE TABLE extra (x)"]),
    "the meta table has 0 rows": ("meta", ["DELETE FROM meta"]),
    "it says schema version 7": ("meta", ["UPDATE meta SET schema_version = 7"]),
    "generation 1 is before 9": ("meta", ["UPDATE meta SET generation = 1, reset_generation = 9"]),
    "it holds a value that cannot be right": ("meta", ["UPDATE meta SET generation = 'x'"]),
    "the gallery has the time 'soon'": ("times", ["UPDATE meta SET created = 'soon'"]),
    "the removed bytes may still be in the file": ("purge", ["UPDATE meta SET purge = 1"]),
    "names embedder None with feature width 32": ("embedder", ["UPDATE meta SET model_id = NULL"]),
    "it holds 4 media and names no embedder": ("embedder", ["UPDATE meta SET model_id = NULL, width = NULL"]),
    "it holds no media and is bound to": (
        "embedder",
        ["DELETE FROM face", "DELETE FROM medium", "DELETE FROM template"],
    ),
    "row 1 of table medium belongs to no row of table person": (
        "links",
        ["PRAGMA foreign_keys = OFF", "UPDATE medium SET person_id = 99 WHERE id = 1"],
    ),
    "says 9 faces, and 4 are there": ("faces", ["UPDATE medium SET faces = 9 WHERE id = 1"]),
    "says 4 faces, and 3 are there": ("faces", ["DELETE FROM face WHERE id = 1"]),
    "has kind 'hologram'": ("media", ["UPDATE medium SET kind = 'hologram' WHERE id = 1"]),
    "and digest 'abc'": ("media", ["UPDATE medium SET digest = 'abc' WHERE id = 1"]),
    "the digest '": (
        "media",
        [
            "DROP INDEX medium_digest",
            "UPDATE medium SET digest = (SELECT digest FROM medium WHERE id = 1) WHERE id = 2",
        ],
    ),
    "medium 'a.mp4' of 'Grace' has the id 'X'": ("ids", ["UPDATE medium SET uid = 'X' WHERE id = 1"]),
    "'Grace' has the id ''": ("ids", ["UPDATE person SET uid = '' WHERE name = 'Grace'"]),
    "is there 3 times": (
        "ids",
        ["DROP INDEX person_uid", "UPDATE person SET uid = (SELECT min(uid) FROM person WHERE name <> 'Nobody yet')"],
    ),
    "the name ' Grace' is not as names are stored": ("people", ["UPDATE person SET name = ' Grace' WHERE id = 1"]),
    "'Grace' has media and no template": ("template", ["DELETE FROM template WHERE person_id = 1"]),
    "'Grace' has a template and no media": ("template", ["DELETE FROM medium WHERE person_id = 1"]),
    "a vector of 2 numbers where 32 were written": (
        "faces",
        ["UPDATE face SET feature = zeroblob(8) WHERE id = 1"],
    ),
    "its feature has length 0, not": ("faces", ["UPDATE face SET feature = zeroblob(128) WHERE id = 1"]),
    "a vector that is not finite": (
        "faces",
        ["UPDATE face SET feature = CAST(substr(feature, 1, 124) || x'0000807f' AS BLOB) WHERE id = 1"],
    ),
    "its landmark scheme 'x' is not known": ("faces", ["UPDATE face SET scheme = 'x' WHERE id = 1"]),
    "a stored crop is not a PNG picture": ("faces", ["UPDATE face SET crop = x'00' WHERE crop IS NOT NULL"]),
    "box must have x1 > x0": ("faces", ["UPDATE face SET x1 = x0 WHERE id = 1"]),
    "its length is 0, not 1": ("template", ["UPDATE template SET vector = zeroblob(128) WHERE person_id = 1"]),
    "a vector of 1 numbers where 8 were written": (
        "template",
        ["UPDATE template SET weights = zeroblob(4) WHERE person_id = 1"],
    ),
    "its weights add up to 0": ("template", ["UPDATE template SET weights = zeroblob(32) WHERE person_id = 1"]),
    "its consistency is 2": ("template", ["UPDATE template SET consistency = 2 WHERE person_id = 1"]),
    "is not what mean makes of their faces": (
        "template",
        ["UPDATE template SET vector = damaged(vector) WHERE person_id = 1"],
    ),
    "(off by 0.1)": ("template", ["UPDATE template SET consistency = consistency - 0.1 WHERE person_id = 1"]),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_each_kind_of_damage(what: str, copied: Path) -> None:
    check, statements = DAMAGE[what]
    damage(copied, *statements)
    found = looked(copied)
    hits = [f for f in found if f.check == check and what in f.what]
    assert hits, [(f.check, f.what) for f in found]
    assert all(f.severity == ("warning" if check == "purge" else "error") and f.cure for f in hits)


def test_bytes_that_were_overwritten(copied: Path) -> None:
    whole = copied.read_bytes()
    copied.write_bytes(whole[:8192] + b"\xa5" * 12288 + whole[20480:])
    found = looked(copied)
    assert found
    assert all(f.severity == "error" for f in found)
    assert "file" in {f.check for f in found}
    copied.write_bytes(whole[: len(whole) // 2])
    assert "file" in {f.check for f in looked(copied)}


def test_of_many_findings_of_one_kind_the_first_are_told(tmp_path: Path) -> None:
    with Gallery(tmp_path / "people.db") as gallery:
        gallery.add("Grace", [faces(1, "a.mp4", count=30)], aggregator=MEAN)
    damage(tmp_path / "people.db", "UPDATE face SET feature = zeroblob(128)")
    found = looked(tmp_path / "people.db")
    assert len([f for f in found if f.check == "faces"]) == 21
    assert "10 more of this kind" in [f.what for f in found]


@pytest.mark.skipif(os.name != "posix", reason="permissions as POSIX knows them")
def test_a_file_that_others_may_read(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copied.chmod(0o644)
    assert looked(copied) == []  # the folders above keep others out
    monkeypatch.setattr("faceset.gallery.doctor.stat.S_IXOTH", 0o700)  # as if each could be passed
    (found,) = looked(copied)
    assert (found.severity, found.check) == ("warning", "permissions")
    assert found.cure == "chmod o= people.db"
    copied.chmod(0o640)
    assert looked(copied) == []


@pytest.mark.skipif(os.name != "posix", reason="permissions as POSIX knows them")
def test_a_new_gallery_is_its_owners(tmp_path: Path) -> None:
    with Gallery(tmp_path / "people.db"):
        assert {p.stat().st_mode & 0o777 for p in tmp_path.iterdir()} == {0o600}


def test_a_journal_that_was_left(copied: Path) -> None:
    copied.with_name("people.db-journal").write_bytes(b"")
    (found,) = looked(copied)
    assert (found.severity, found.check) == ("warning", "journal")


# ---------------------------------------------------------------------------------------------------------- encrypted


def test_an_encrypted_gallery(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACESET_KEY", sealing.new_key())
    path = filled(tmp_path / "people.db")
    assert looked(path) == []
    damage(path, "UPDATE face SET feature = (SELECT feature FROM face WHERE id = 2) WHERE id = 1")
    assert "faces" in {f.check for f in looked(path)}
    monkeypatch.delenv("FACESET_KEY")
    (found,) = looked(path)
    assert (found.severity, found.check) == ("warning", "key")
    assert "this gallery is encrypted and no key was given" in found.what
    monkeypatch.setenv("FACESET_KEY", sealing.new_key())
    (found,) = looked(path)
    assert (found.severity, found.what) == ("error", "this gallery is encrypted with another key")


def test_a_plain_gallery_while_a_key_is_set(healthy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACESET_KEY", sealing.new_key())
    (found,) = looked(healthy)
    assert "but this gallery is not encrypted" in found.what
    assert "faceset gallery seal" in found.cure
