"""Foreign, damaged and newer files, paths that cannot be, a full disk: what is said, and that nothing is lost."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from gallery_faces import MEAN, check_whole, digest, faces, probe
from sqlalchemy import event

from faceset import aggregation
from faceset.errors import GalleryError, InputError
from faceset.gallery import Gallery, clean_name

TESTS = Path(__file__).parent


def made(path: Path, people: int = 3) -> Path:
    with Gallery(path) as gallery:
        for i in range(people):
            gallery.add(f"p{i}", [faces(i, f"{i}.mp4", count=20)], aggregator=MEAN)
    return path


def refused(path: Path, *, create: bool = True) -> str:
    """The message with which ``path`` is refused; its folder stays as it was."""
    before = {p.name: p.read_bytes() for p in path.parent.iterdir() if p.is_file()} if path.parent.is_dir() else {}
    with pytest.raises(GalleryError) as caught:
        Gallery(path, create=create)
    after = {p.name: p.read_bytes() for p in path.parent.iterdir() if p.is_file()} if path.parent.is_dir() else {}
    assert after == before
    assert str(path) in str(caught.value)
    return str(caught.value)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(GalleryError, match="~nobody-of-this-name/people.db does not exist; check the path"):
        Gallery("~nobody-of-this-name/people.db", create=False)
    message = refused(tmp_path / "people.db", create=False)
    assert "does not exist; check the path, or enrol somebody to make the gallery" in message


def test_a_missing_folder(tmp_path: Path) -> None:
    message = refused(tmp_path / "none" / "people.db")
    assert f"cannot be made: there is no folder {tmp_path / 'none'}; make it first" in message


def test_a_folder(tmp_path: Path) -> None:
    assert "is a folder, not a gallery; give the path of a file in it, such as" in refused(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert "is neither a file nor a folder; give the path of a gallery file" in refused(tmp_path / "pipe")


@pytest.mark.parametrize("path", ["", " ", ":memory:", "mysql://host/people", "a\x00b", b"people.db"])
def test_what_is_no_path(path: str) -> None:
    with pytest.raises(GalleryError, match="a gallery is a file, but got .* give the path of one, such as people.db"):
        Gallery(path)


@pytest.mark.parametrize("path", [None, 3, ["people.db"]])
def test_what_cannot_be_a_path(path: object) -> None:
    with pytest.raises(InputError, match=f"a gallery is a file, but got {type(path).__name__}; give its path, such as"):
        Gallery(path)  # type: ignore[arg-type]


def test_a_name_that_is_not_utf_8() -> None:
    with pytest.raises(InputError, match=r"the name 'Ren.*xe9e' is not UTF-8 text; rename the folder, or give"):
        clean_name("Ren\udce9e")


def test_a_file_of_another_kind(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not a database\n" * 20)
    message = refused(path)
    assert "is not a gallery, nor any SQLite file" in message
    assert "it was left as it is: give the path of a gallery, or of a new file" in message
    path.write_bytes(b"SQLite format 3\x00")
    assert "nor any SQLite file" in refused(path)


@pytest.mark.parametrize("mode", ["DELETE", "WAL"])
def test_an_sqlite_file_of_another_program(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "other.db"
    with closing(sqlite3.connect(path)) as other:
        other.execute(f"PRAGMA journal_mode = {mode}")
        other.execute("CREATE TABLE person (id INTEGER PRIMARY KEY, name TEXT)")
        other.execute("PRAGMA application_id = 4711")
    message = refused(path)
    assert "is an SQLite file of another program (application id 0x1267)" in message
    assert "it was left as it is: give the path of a gallery, or of a new file" in message


def test_an_empty_file(tmp_path: Path) -> None:
    path = tmp_path / "people.db"
    path.touch()
    assert "is empty, not a gallery; it was left as it is" in refused(path, create=False)
    with Gallery(path) as gallery:
        assert len(gallery) == 0


def test_a_newer_gallery(tmp_path: Path) -> None:
    path = made(tmp_path / "people.db")
    with closing(sqlite3.connect(path)) as raw:
        raw.execute("PRAGMA user_version = 3")
    assert "was written by a newer faceset (gallery version 3, this one knows 2); upgrade faceset" in refused(path)


def test_a_version_that_never_was(tmp_path: Path) -> None:
    path = made(tmp_path / "people.db")
    with closing(sqlite3.connect(path)) as raw:
        raw.execute("PRAGMA user_version = 0")
    assert "the gallery is damaged (gallery version 0 never existed)" in refused(path)


def use(path: Path) -> None:
    """Everything that reads."""
    with Gallery(path, create=False) as gallery:
        for person in gallery.people():
            gallery.template(person.name)
            gallery.features(person.name)
        gallery.search([probe(1)], aggregator=MEAN)
        gallery.refresh(aggregation.get("medoid"))


def check_damage(path: Path) -> str:
    with pytest.raises(GalleryError) as caught:
        use(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: the gallery is damaged (")
    assert 'put back a backup, or save what can be read with: sqlite3 people.db ".recover"' in message
    return message


def test_a_truncated_file(tmp_path: Path) -> None:
    path = made(tmp_path / "people.db")
    data = path.read_bytes()
    for size in (len(data) // 2, len(data) - 4096, 5000, 4096, 120):
        path.write_bytes(data[:size])
        check_damage(path)


def told_of_damage(path: Path) -> bool:
    """Whether reading everything fails, which it may do in one way only."""
    try:
        use(path)
    except GalleryError as error:
        if "the gallery is damaged" not in str(error):
            raise
        return True
    return False


def test_overwritten_pages(tmp_path: Path) -> None:
    path = made(tmp_path / "people.db")
    data = path.read_bytes()
    used = range(4096, len(data), 4096)
    told = 0
    for start in used:
        path.write_bytes(data[:start] + os.urandom(64).replace(b"\x0d", b"\xff") + data[start + 64 :])
        told += told_of_damage(path)
    assert told >= len(used) // 2  # the others are pages of indices that this reading never visits


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("DROP TABLE face", "no such table: face"),
        ("DELETE FROM meta", "its meta row is missing"),
        ("DELETE FROM template", "a person with media and no template"),
        ("UPDATE template SET vector = x'0000'", "buffer size must be a multiple of element size"),
        ("UPDATE template SET vector = zeroblob(128)", "unit length"),
        ("UPDATE template SET weights = x'0000803f'", "a vector of 1 numbers where 20 were written"),
        ("UPDATE face SET feature = CAST(x'0000c07f' || substr(feature, 5) AS BLOB)", "a vector that is not finite"),
        ("UPDATE face SET feature = x'ff' || feature", "Could not decode to UTF-8 column 'feature'"),
        ("UPDATE face SET feature = x'00000000'", "a vector of 1 numbers where 32 were written"),
        ("UPDATE face SET x1 = x0", "box must have x1 > x0"),
        ("UPDATE face SET scheme = 'dlib68'", "'dlib68'"),
        ("UPDATE face SET crop = x'00'", "a stored crop is not a PNG picture"),
        ("UPDATE person SET created = 'yesterday'", "Invalid isoformat string: 'yesterday'"),
        ("UPDATE meta SET model_id = NULL", "a person with media and no template"),
    ],
)
def test_content_that_cannot_be_right(tmp_path: Path, statement: str, reason: str) -> None:
    path = made(tmp_path / "people.db")
    with closing(sqlite3.connect(path)) as raw, raw:
        raw.execute(statement)
    assert reason in check_damage(path)


def test_a_vector_of_another_width_meets_the_search(tmp_path: Path) -> None:
    path = made(tmp_path / "people.db")
    with closing(sqlite3.connect(path)) as raw, raw:
        raw.execute("UPDATE template SET vector = substr(vector, 1, 64)")
    with Gallery(path) as gallery, pytest.raises(GalleryError, match="damaged .a vector of 16 numbers where 32 were"):
        gallery.search([probe(1)])


def test_a_closed_gallery(tmp_path: Path) -> None:
    with Gallery(tmp_path / "people.db") as gallery:
        pass
    gallery.close()
    for call in (len, Gallery.people, lambda g: g.add("Grace", [faces(1, "a")], aggregator=MEAN)):
        with pytest.raises(
            GalleryError, match=r"people.db: the gallery was closed; open it again with Gallery\('people"
        ):
            call(gallery)


def test_removing_media(tmp_path: Path) -> None:
    with Gallery(tmp_path / "people.db") as gallery:
        gallery.add("Grace", [faces(1, "a.mp4"), faces(1, "b.mp4"), faces(1, "c.mp4")], aggregator=MEAN)
        with pytest.raises(GalleryError, match=r"'Grace' was not enrolled with 'd.mp4'; did you mean 'c.mp4' or "):
            gallery.remove_media("Grace", "d.mp4", aggregator=MEAN)
        with pytest.raises(
            GalleryError, match=r"was not enrolled with ''; see the media held: `faceset people --media`"
        ):
            gallery.remove_media("Grace", "", aggregator=MEAN)
        assert [m.name for m in gallery.remove_media("Grace", "a.mp4", aggregator=MEAN).media] == ["b.mp4", "c.mp4"]
        assert gallery.remove_media("Grace", digest("c.mp4"), aggregator=MEAN).faces == 4
        with pytest.raises(GalleryError, match="'Grace' is held by 'b.mp4' alone; forget the person instead"):
            gallery.remove_media("Grace", "b.mp4", aggregator=MEAN)
    check_whole(tmp_path / "people.db")


def test_renaming_onto_somebody(tmp_path: Path) -> None:
    with Gallery(made(tmp_path / "people.db")) as gallery:
        with pytest.raises(
            GalleryError, match="'p2' is enrolled already; choose another name, or forget one of the two"
        ):
            gallery.rename("p1", "p2")
        assert [p.name for p in gallery.people()] == ["p0", "p1", "p2"]


# ---------------------------------------------------------------------------------------- the disk, locks, permissions


def test_a_full_disk(tmp_path: Path) -> None:
    """SQLite's own limit of pages gives the very error that a full disk gives."""
    path = made(tmp_path / "people.db")
    with Gallery(path) as gallery:
        limit = 0

        def set_limit(connection: sqlite3.Connection, *_: object) -> None:
            connection.execute(f"PRAGMA max_page_count = {limit}")

        event.listen(gallery._database.engine, "checkout", set_limit)
        with gallery._database.read() as connection:
            limit = connection.exec_driver_sql("PRAGMA page_count").scalar_one() + 2
        before = gallery.people()
        with pytest.raises(GalleryError) as caught:
            gallery.add("late", [faces(9, "late.mp4", count=200)], aggregator=MEAN)
        message = str(caught.value)
        assert message.startswith(f"{path}: the disk is full (database or disk is full)")
        assert "nothing was changed: free some space and try again" in message
        assert gallery.people() == before
        limit = 10_000
        gallery.add("late", [faces(9, "late.mp4", count=200)], aggregator=MEAN)
    check_whole(path)


FILL = """
import resource, signal, sys
from pathlib import Path
from faceset.errors import GalleryError
from faceset.gallery import Gallery
from gallery_faces import MEAN, faces
path, limit = Path(sys.argv[1]), int(sys.argv[2])
if limit:  # no file may grow beyond this: writes fail in the operating system
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
with Gallery(path) as gallery:
    done = 0
    try:
        while done < 500:
            gallery.add(f"p{done % 7}", [faces(done % 7, f"{done}.mp4", count=40)], aggregator=MEAN)
            done += 1
    except GalleryError as error:
        print(error)
        found = sum(len(p.media) for p in gallery.people())
        print(done, found)
"""


def fill(path: Path, limit: int = 0) -> tuple[str, int]:
    """Enrol until an error comes; the message, and the number of media enrolled."""
    done = subprocess.run(
        [sys.executable, "-c", FILL, str(path), str(limit)], cwd=TESTS, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    message, counts = done.stdout.strip().splitlines()
    added, found = map(int, counts.split())
    assert added == found > 0
    return message, added


@pytest.mark.skipif(sys.platform == "win32", reason="limits of file size are a matter of POSIX")
def test_writes_that_fail(tmp_path: Path) -> None:
    path = tmp_path / "people.db"
    message, added = fill(path, 600_000)
    assert message.startswith(
        f"{path}: the disk is full or failing (disk I/O error); nothing was changed: free some space"
    )
    check_whole(path)
    with Gallery(path) as gallery:
        assert sum(len(p.media) for p in gallery.people()) == added
        gallery.add("late", [faces(9, "late.mp4")], aggregator=MEAN)


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    folder.mkdir()
    mount = shutil.which("mount")
    if sys.platform != "linux" or os.geteuid() != 0 or mount is None:
        pytest.skip("a small disk can be mounted by root on Linux only")
    if subprocess.run([mount, "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], capture_output=True).returncode:
        pytest.skip("this root may not mount")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def test_a_disk_that_really_is_full(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        path = disk / "people.db"
        message, added = fill(path)
        assert message.startswith(f"{path}: the disk is full")
        assert "nothing was changed: free some space" in message
        shutil.copytree(disk, tmp_path / "copy")
    path = tmp_path / "copy" / "people.db"
    check_whole(path)
    with Gallery(path) as gallery:
        assert sum(len(p.media) for p in gallery.people()) == added
        gallery.add("late", [faces(9, "late.mp4")], aggregator=MEAN)


def test_no_room_for_a_new_gallery(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        with (disk / "filler").open("wb", buffering=0) as filler:
            while filler.write(bytes(1 << 12)) == 1 << 12 and shutil.disk_usage(disk).free:
                pass
        with pytest.raises(GalleryError, match="the disk is full"):
            Gallery(disk / "people.db")
        (disk / "filler").unlink()
        with Gallery(disk / "people.db") as gallery:
            gallery.add("Grace", [faces(1, "a")], aggregator=MEAN)


def test_a_lock_that_is_never_released(tmp_path: Path) -> None:
    path = made(tmp_path / "people.db")
    with Gallery(path) as gallery, closing(sqlite3.connect(path, isolation_level=None)) as other:
        event.listen(gallery._database.engine, "checkout", lambda c, *_: c.execute("PRAGMA busy_timeout = 50"))
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(GalleryError, match="another process has kept the gallery locked for 30 s .* try again"):
            gallery.add("late", [faces(9, "late.mp4")], aggregator=MEAN)
        assert gallery.search([probe(1)])[0][0].name == "p1"  # reading goes on
        other.execute("ROLLBACK")
        gallery.add("late", [faces(9, "late.mp4")], aggregator=MEAN)


AS_NOBODY = """
import os, sys
from faceset.errors import GalleryError
from faceset.gallery import Gallery
from gallery_faces import MEAN, faces
if os.geteuid() == 0:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
try:
    with Gallery(sys.argv[1]) as gallery:
        gallery.add("Grace", [faces(1, "a")], aggregator=MEAN)
except GalleryError as error:
    print(error)
"""


def as_nobody(path: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", AS_NOBODY, str(path)], cwd=TESTS, capture_output=True, text=True, timeout=60
    )
    if done.returncode and os.geteuid() == 0:
        pytest.skip("another user than root cannot reach this Python or this folder")
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="permissions as POSIX knows them")
def test_without_permission() -> None:
    # Not tmp_path: pytest closes its folders to other users, and root is refused nothing.
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o711)
        closed = Path(folder) / "closed"
        closed.mkdir()
        closed.chmod(0o555)
        message = as_nobody(closed / "people.db")
        assert "people.db: the gallery cannot be opened (unable to open database file)" in message
        assert "check that its folder exists and that this user may write there" in message
        closed.chmod(0o755)
        path = made(closed / "people.db")
        path.chmod(0o644)  # a gallery is made readable by its owner only
        closed.chmod(0o555)
        message = as_nobody(path)
        assert "people.db: the gallery cannot be opened to read it (" in message
        assert "its folder is read-only for this user, and SQLite needs to make two small files beside" in message
        assert "copy the gallery to a folder of your own, or make its folder writable" in message
        assert "nothing was changed" not in message
        closed.chmod(0o777)
        path.chmod(0o444)
        assert "the gallery cannot be written (attempt to write a readonly database)" in as_nobody(path)
        path.chmod(0o000)
        assert "people.db cannot be read (Permission denied); make it readable for this user" in as_nobody(path)
        closed.chmod(0o000)
        assert "people.db cannot be reached (Permission denied); check the path and its perm" in as_nobody(path)
        closed.chmod(0o755)


def test_a_name_too_long_for_a_file(tmp_path: Path) -> None:
    assert "cannot be reached (File name too long); check the path" in refused(tmp_path / ("x" * 300))
