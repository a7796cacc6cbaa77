"""Who is forgotten leaves no bytes behind."""

from __future__ import annotations

import logging
import os
import random
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from gallery_faces import MEAN, check_whole, digest, faces, probe
from gallery_traces import plain, says, stored, traces, windows
from sqlalchemy import event

from faceset import aggregation
from faceset.gallery import Gallery
from faceset.gallery.folder import GalleryFolder

TESTS = Path(__file__).parent
KEY = "00112233445566778899aabbccddeeff0123456789abcdef0f1e2d3c4b5a6978"
both = pytest.mark.parametrize("key", ["", KEY], ids=["plain", "encrypted"])


def bytes_of(gallery: Gallery, name: str) -> list[bytes]:
    """What may not stay: pieces of every vector of the person, their name, and names and digests of their media."""
    vectors = [gallery.template(name).vector, *(f.feature for s in gallery.features(name) for f in s.faces)]
    pieces = [v.tobytes()[i : i + 16] for v in vectors for i in range(0, 128, 16)]
    texts = [name, *(t for m in gallery.person(name).media for t in (m.name, m.digest))]
    return pieces + [t.encode() for t in texts]


def left(path: Path, pieces: list[bytes]) -> int:
    """How many of the pieces are in the file or beside it."""
    data = b"\n".join(p.read_bytes() for p in sorted(path.parent.glob(f"{path.name}*")))
    return sum(piece in data for piece in pieces)


def enrol(gallery: Gallery, name: str, number: int, count: int = 6) -> None:
    gallery.add(
        name, [faces(number, f"media of {name}.mp4", count=count, crops=True)], aggregator=MEAN, keep_crops=True
    )


def test_forget(tmp_path: Path) -> None:
    path = tmp_path / "people.db"
    with Gallery(path) as gallery, Gallery(path) as other:
        for i in range(8):
            enrol(gallery, f"person number {i}", i)
        other.search([probe(1)])
        pieces, rest = bytes_of(gallery, "person number 3"), bytes_of(gallery, "person number 4")
        assert left(path, pieces) == len(pieces)
        gone = gallery.forget("person number 3")
        assert (gone.name, gone.faces, gone.media[0].digest) == (
            "person number 3",
            6,
            digest("media of person number 3.mp4"),
        )
        assert left(path, pieces) == 0  # while both galleries are open
        assert left(path, rest) == len(rest)
        for one in (gallery, other):
            assert len(one) == 7
            assert "person number 3" not in one
            assert one.holds(gone.media[0].digest) is None
            assert gone.name not in {c.name for c in one.search([probe(3)], 9)[0]}
        other.add("person number 3", [faces(3, "media of person number 3.mp4")], aggregator=MEAN)  # may come again
    check_whole(path)


def test_a_removed_medium_and_an_old_name_leave_nothing(tmp_path: Path) -> None:
    path = tmp_path / "people.db"
    with Gallery(path) as gallery:
        enrol(gallery, "Grace", 1)
        before = gallery.template("Grace").vector.tobytes()
        gallery.add("Grace", [faces(2, "the wrong person.mp4")], aggregator=MEAN)
        pieces = [f.feature.tobytes()[:16] for s in gallery.features("Grace")[-1:] for f in s.faces]
        mixed = gallery.template("Grace").vector.tobytes()
        gone = [*pieces, b"the wrong person.mp4", mixed[:16], mixed[-16:]]
        assert left(path, gone) == len(gone)
        gallery.remove_media("Grace", "the wrong person.mp4", aggregator=MEAN)
        assert left(path, gone) == 0
        assert gallery.template("Grace").vector.tobytes() == before
        gallery.rename("Grace", "Hopper")
        assert left(path, [b"Grace\x00", b"Hopper"]) == 1
    check_whole(path)


def test_after_a_long_history(tmp_path: Path) -> None:
    """SQLite moves rows between pages as they come and go; what the old places held must go too.

    With ``secure_delete`` alone, and SQLite 3.40, this very history leaves part of a vector in the file.
    """
    rng = random.Random(3)
    path = tmp_path / "people.db"
    pieces: list[bytes] = []
    held: list[str] = []
    with Gallery(path) as gallery:
        event.listen(gallery._database.engine, "checkout", lambda c, *_: c.execute("PRAGMA synchronous = OFF"))
        purge, gallery._database.purge = gallery._database.purge, lambda: None  # type: ignore[method-assign]
        for step in range(220):
            if len(held) < 5 or rng.random() < 0.55:
                name = f"person number {step:03}"
                few = faces(step, f"media of {name}.mp4", count=rng.randint(1, 9))
                gallery.add(name, [few], aggregator=MEAN)
                held.append(name)
            else:
                name = held.pop(rng.randrange(len(held)))
                pieces += bytes_of(gallery, name)
                gallery.forget(name)
        gallery._database.purge = purge  # type: ignore[method-assign]
        name = held.pop()
        pieces += bytes_of(gallery, name)
        gallery.forget(name)
        assert len(pieces) > 2000
        assert left(path, pieces) == 0
        assert left(path, bytes_of(gallery, held[0])) > 0
    check_whole(path)


def test_a_template_made_anew_leaves_no_older_one(tmp_path: Path) -> None:
    """A person who is forgotten had other templates before."""
    path = tmp_path / "people.db"
    with Gallery(path) as gallery:
        older = []
        for i in range(5):
            gallery.add("Grace", [faces(1, f"{i}.mp4")], aggregator=MEAN)
            older.append(gallery.template("Grace").vector.tobytes()[:16])
        gallery.refresh(aggregation.get("medoid"))
        gallery.add("Eileen", [faces(2, "e.mp4")], aggregator=MEAN)
        gallery.forget("Grace")
        assert left(path, older) == 0


def test_the_last_one_frees_the_gallery_from_its_embedder(tmp_path: Path) -> None:
    with Gallery(tmp_path / "people.db") as gallery:
        enrol(gallery, "Grace", 1)
        gallery.search([probe(1)])
        gallery.forget("Grace")
        assert gallery.model_id is None
        assert gallery.search([probe(1)]) == [()]
        gallery.add("Grace", [faces(1, "a", model_id="sha256:other", width=48)], aggregator=MEAN)
        assert gallery.model_id == "sha256:other"
        (found,) = gallery.search([probe(1, model_id="sha256:other", width=48)])
        assert [c.name for c in found] == ["Grace"]


def test_a_reader_that_will_not_end_puts_it_off(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "people.db"
    gallery = Gallery(path)
    enrol(gallery, "Grace", 1)
    enrol(gallery, "Eileen", 2)
    pieces = bytes_of(gallery, "Grace")
    event.listen(gallery._database.engine, "checkout", lambda c, *_: c.execute("PRAGMA busy_timeout = 50"))
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM face").fetchone()
        with caplog.at_level(logging.WARNING, logger="faceset"):
            gallery.forget("Grace")
        assert (
            "what was removed is out of the gallery, but its bytes may still be in the file; opening the "
            in caplog.text
        )
        assert str(path) in caplog.text
        assert "Grace" not in gallery
        assert left(path, pieces) > 0
    with Gallery(path):
        assert left(path, pieces) == 0
    gallery.close()


KILLED = """
import os, sys
from faceset.gallery import Gallery
from faceset.gallery.database import Database
Database.purge = lambda self: os._exit(9)
Gallery(sys.argv[1]).forget("Grace")
"""


def test_a_process_that_dies_between_removing_and_overwriting(tmp_path: Path) -> None:
    path = tmp_path / "people.db"
    with Gallery(path) as gallery:
        enrol(gallery, "Grace", 1, count=60)
        enrol(gallery, "Eileen", 2)
        pieces = bytes_of(gallery, "Grace")
        # This connection keeps the log of the process that dies.
        assert subprocess.run([sys.executable, "-c", KILLED, str(path)], cwd=TESTS, timeout=60).returncode == 9
        assert "Grace" not in gallery
        assert left(path, pieces) > 0
        with Gallery(path):
            assert left(path, pieces) == 0
    check_whole(path)


def held_of(gallery: Gallery, name: str) -> set[bytes]:
    """Every 16 bytes of what the files hold of a person, and of what the gallery gives out of them."""
    return windows(stored(gallery.path, name) + plain(gallery, name))


@both
def test_among_many_people_no_16_bytes_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    """Rows move between pages as people come and go; the log is full before each removal, and read by another."""
    monkeypatch.setenv("FACESET_KEY", key)
    rng = random.Random(7)
    path = tmp_path / "people.db"
    gone: set[bytes] = set()
    texts: list[str] = []
    with Gallery(path) as gallery, Gallery(path) as other:
        event.listen(gallery._database.engine, "checkout", lambda c, *_: c.execute("PRAGMA synchronous = OFF"))
        for i in range(40):
            enrol(gallery, f"person number {i:03}", i, count=rng.randint(1, 9))
        for i in rng.sample(range(40), 4):
            name = f"person number {i:03}"
            enrol(gallery, f"newcomer {i:03}", 100 + i, count=3)
            gallery.add(name, [faces(i, f"again {i:03}.mp4", count=3)], aggregator=MEAN)
            other.search([probe(i)])
            assert (tmp_path / "people.db-wal").stat().st_size > 0
            gone |= held_of(gallery, name) - windows(stored(path, name, others=True))
            feature = stored(path, name)[1][:16]
            assert traces(tmp_path, {feature})
            gallery.forget(name)
            texts += [name, f"again {i:03}.mp4"]
        assert len(gone) > 5_000
        assert traces(tmp_path, gone) == set()  # while both are open
        assert not [text for text in texts if says(tmp_path, text)]
    assert traces(tmp_path, gone) == set()
    check_whole(path)


@both
def test_a_removed_medium_and_an_old_name_leave_no_16_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setenv("FACESET_KEY", key)
    path = tmp_path / "people.db"
    with Gallery(path) as gallery:
        for i in range(20):
            enrol(gallery, f"person number {i}", i)
        wrong = [faces(99, "the wrong one.mp4", count=5, crops=True)]
        gallery.add("person number 7", wrong, aggregator=MEAN, keep_crops=True)
        mixed = held_of(gallery, "person number 7")
        gallery.remove_media("person number 7", "the wrong one.mp4", aggregator=MEAN)
        gone = mixed - held_of(gallery, "person number 7") - windows(stored(path, "person number 7", others=True))
        assert len(gone) > 2000
        assert traces(tmp_path, gone) == set()
        assert not says(tmp_path, "the wrong one.mp4")
        gallery.add("Admiral Hopper", [faces(98, "h.mp4")], aggregator=MEAN)
        assert says(tmp_path, "Admiral Hopper")
        gallery.rename("Admiral Hopper", "Grace")
        assert not says(tmp_path, "Admiral Hopper")
        assert says(tmp_path, "Grace")
    check_whole(path)


@both
def test_a_deleted_gallery_leaves_nothing_in_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setenv("FACESET_KEY", key)
    folder = GalleryFolder(tmp_path / "state")
    enrol(folder.create("friends"), "Eileen", 50)
    gallery = folder.create("people")
    for i in range(20):
        enrol(gallery, f"person number {i}", i)
    gone = set().union(*(held_of(gallery, p.name) for p in gallery.people()))
    gone -= windows(stored(folder.get("friends").path, "Eileen"))
    descriptor = os.open(gallery.path, os.O_RDONLY)  # sees what is in the file after its name has gone
    try:
        assert traces(folder.folder, gone)
        folder.delete("people")
        data = os.pread(descriptor, 1 << 24, 0)
    finally:
        os.close(descriptor)
    assert data.startswith(b"SQLite format 3")
    assert not windows([data]) & gone
    assert traces(folder.folder, gone) == set()
    assert not says(folder.folder, "person number")
    assert not [p.name for p in folder.folder.iterdir() if p.name.startswith("people")]
    assert folder.get("friends").search([probe(50)])[0][0].name == "Eileen"
    folder.close()
