"""People without media, opaque ids, and galleries written by the first version."""

from __future__ import annotations

import logging
import multiprocessing
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from gallery_faces import MEAN, faces, probe

from faceset.errors import GalleryError, UnknownPersonError
from faceset.gallery import Gallery

VERSION_1 = """
CREATE TABLE meta (
    id INTEGER NOT NULL CHECK (id = 1), schema_version INTEGER NOT NULL, created TEXT NOT NULL,
    generation INTEGER NOT NULL, reset_generation INTEGER NOT NULL, purge INTEGER NOT NULL,
    model_id TEXT, width INTEGER, PRIMARY KEY (id));
CREATE TABLE person (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, created TEXT NOT NULL, updated TEXT NOT NULL,
    UNIQUE (name));
CREATE TABLE template (
    person_id INTEGER NOT NULL, generation INTEGER NOT NULL, aggregator TEXT NOT NULL, consistency FLOAT NOT NULL,
    vector BLOB NOT NULL, weights BLOB NOT NULL, PRIMARY KEY (person_id),
    FOREIGN KEY(person_id) REFERENCES person (id) ON DELETE CASCADE);
CREATE INDEX ix_template_generation ON template (generation);
CREATE TABLE medium (
    id INTEGER NOT NULL, person_id INTEGER NOT NULL, digest TEXT NOT NULL, name TEXT NOT NULL, kind TEXT NOT NULL,
    faces INTEGER NOT NULL, added TEXT NOT NULL, PRIMARY KEY (id),
    FOREIGN KEY(person_id) REFERENCES person (id) ON DELETE CASCADE);
CREATE INDEX ix_medium_person_id ON medium (person_id);
CREATE UNIQUE INDEX medium_digest ON medium (digest) WHERE digest != '';
CREATE TABLE face (
    id INTEGER NOT NULL, medium_id INTEGER NOT NULL, track INTEGER NOT NULL, shot INTEGER NOT NULL,
    frame INTEGER NOT NULL, time FLOAT NOT NULL, x0 FLOAT NOT NULL, y0 FLOAT NOT NULL, x1 FLOAT NOT NULL,
    y1 FLOAT NOT NULL, score FLOAT NOT NULL, scheme TEXT, landmarks BLOB, norm FLOAT NOT NULL, feature BLOB NOT NULL,
    crop BLOB, PRIMARY KEY (id), FOREIGN KEY(medium_id) REFERENCES medium (id) ON DELETE CASCADE);
CREATE INDEX ix_face_medium_id ON face (medium_id);
PRAGMA application_id = 0x46534554;
PRAGMA user_version = 1;
"""
"""The tables as the first version made them."""


def filled(path: Path) -> Gallery:
    gallery = Gallery(path)
    gallery.add("Grace", [faces(1, "a.mp4"), faces(1, "b.mp4")], aggregator=MEAN)
    gallery.add("Ada", [faces(2, "c.mp4", crops=True)], aggregator=MEAN, keep_crops=True)
    return gallery


def as_version_1(path: Path, old: Path) -> None:
    """Write what ``path`` holds as the first version would have."""
    with closing(sqlite3.connect(old)) as raw:
        raw.executescript(VERSION_1)
        raw.execute("ATTACH ? AS new", (str(path),))
        for table in ("meta", "person", "template", "medium", "face"):
            columns = ", ".join(row[1] for row in raw.execute(f"PRAGMA main.table_info({table})"))
            raw.execute(f"INSERT INTO main.{table} ({columns}) SELECT {columns} FROM new.{table}")  # noqa: S608
        raw.execute("UPDATE main.meta SET schema_version = 1")
        raw.commit()


def told(gallery: Gallery) -> list[object]:
    """All that is held, but for ids."""
    out: list[object] = []
    for person in gallery.people():
        plain = person.to_dict()
        plain.pop("id")
        for medium in plain["media"]:
            medium.pop("id")
        template = gallery.template(person.name)
        out.append((plain, template.vector.tobytes(), template.weights.tobytes(), template.to_dict()))
        out += [(s.features.tobytes(), [f.to_dict() for f in s.faces]) for s in gallery.features(person.name)]
    return out


def test_a_gallery_of_version_1_is_brought_up_and_says_the_same(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with filled(tmp_path / "new.db") as new:
        expected = told(new)
    as_version_1(tmp_path / "new.db", tmp_path / "old.db")
    with caplog.at_level(logging.INFO, logger="faceset"), Gallery(tmp_path / "old.db") as old:
        assert "brought from gallery version 1 to 2" in caplog.text
        assert told(old) == expected
        ids = {p.uid for p in old.people()} | {m.uid for p in old.people() for m in p.media}
        assert len(ids) == 5
        assert all(len(one) == 32 for one in ids)
        old.add("Eve", [faces(3, "d.mp4")], aggregator=MEAN)  # the next row gets an id of its own too
        assert old.person("Eve").uid not in ids
    caplog.clear()
    with caplog.at_level(logging.INFO, logger="faceset"), Gallery(tmp_path / "old.db") as again:
        assert not caplog.text
        assert len(again) == 3


def _open(path: str) -> None:
    Gallery(path).close()


def test_many_processes_may_open_an_old_gallery_at_once(tmp_path: Path) -> None:
    filled(tmp_path / "new.db").close()
    as_version_1(tmp_path / "new.db", tmp_path / "old.db")
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_open, args=(str(tmp_path / "old.db"),)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    with Gallery(tmp_path / "old.db") as gallery:
        assert len(gallery) == 2


def test_a_migration_that_fails_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    filled(tmp_path / "new.db").close()
    as_version_1(tmp_path / "new.db", tmp_path / "old.db")
    with closing(sqlite3.connect(tmp_path / "old.db")) as raw:
        raw.execute("ALTER TABLE medium ADD COLUMN uid TEXT")  # what the second half of the step will trip over
        raw.commit()
    for _ in range(2):
        with pytest.raises(GalleryError, match="duplicate column name"):
            Gallery(tmp_path / "old.db")
    with closing(sqlite3.connect(tmp_path / "old.db")) as raw:
        assert raw.execute("PRAGMA user_version").fetchone() == (1,)
        assert "uid" not in [row[1] for row in raw.execute("PRAGMA table_info(person)")]


def test_ids_outlive_a_rename_and_find_their_person(tmp_path: Path) -> None:
    with filled(tmp_path / "people.db") as gallery:
        uid = gallery.person("Grace").uid
        gallery.rename("Grace", "Grace Hopper")
        assert gallery.name_of(uid) == "Grace Hopper"
        assert gallery.person("Grace Hopper").uid == uid
        gallery.forget("Grace Hopper")
        with pytest.raises(UnknownPersonError, match="nobody has the id"):
            gallery.name_of(uid)


def test_a_person_may_exist_before_their_media(tmp_path: Path) -> None:
    with Gallery(tmp_path / "people.db") as gallery:
        made = gallery.create(" Grace ")
        assert (made.name, made.faces, made.media, made.consistency) == ("Grace", 0, (), None)
        with pytest.raises(GalleryError, match="'Grace' is enrolled already"):
            gallery.create("Grace")
        with pytest.raises(GalleryError, match="nothing is held of 'Grace' yet"):
            gallery.template("Grace")
        assert gallery.search([probe(1)]) == [()]
        assert gallery.model_id is None
        assert gallery.features("Grace") == []
        held = gallery.add("Grace", [faces(1, "a.mp4")], aggregator=MEAN)
        assert held.uid == made.uid
        assert [c.name for c in gallery.search([probe(1)])[0]] == ["Grace"]
        gallery.create("Ada")
        assert [p.name for p in gallery.people()] == ["Ada", "Grace"]
        gallery.forget("Grace")
        assert gallery.model_id is None  # nobody left has a vector


def test_templates_by_medium(tmp_path: Path) -> None:
    with filled(tmp_path / "people.db") as gallery:
        found = gallery.media_templates("Grace", aggregator=MEAN)
        assert [m.name for m, _ in found] == ["a.mp4", "b.mp4"]
        for medium, template in found:
            unit = np.stack([f / np.linalg.norm(f) for f in faces(1, medium.name).features.astype(np.float64)])
            mean = unit.mean(axis=0)
            np.testing.assert_allclose(template.vector, mean / np.linalg.norm(mean), atol=1e-6)
            assert len(template) == medium.faces == 4


def test_one_medium_is_removed_by_its_id(tmp_path: Path) -> None:
    with filled(tmp_path / "people.db") as gallery:
        going, staying = gallery.person("Grace").media
        left = gallery.remove_media("Grace", going.uid, aggregator=MEAN)
        assert [m.uid for m in left.media] == [staying.uid]
