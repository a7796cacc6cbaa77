"""Several galleries in one folder."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from gallery_faces import MEAN, faces

from faceset.errors import FacesetError, GalleryError, InputError
from faceset.gallery import Gallery
from faceset.gallery.folder import GalleryFolder


def test_create_get_and_names(tmp_path: Path) -> None:
    folder = GalleryFolder(tmp_path / "a" / "galleries")
    assert folder.names() == []
    made = folder.create("work")
    folder.create("home-2")
    made.add("Grace", [faces(1, "a.mp4")], aggregator=MEAN)
    assert folder.names() == ["home-2", "work"]
    assert folder.get("work") is made
    folder.close()
    with pytest.raises(GalleryError, match="was closed"):
        len(made)
    again = GalleryFolder(tmp_path / "a" / "galleries")
    assert [p.name for p in again.get("work").people()] == ["Grace"]
    again.close()


@pytest.mark.skipif(os.name != "posix", reason="permissions as POSIX knows them")
def test_the_folder_is_its_owners(tmp_path: Path) -> None:
    GalleryFolder(tmp_path / "galleries")
    assert (tmp_path / "galleries").stat().st_mode & 0o777 == 0o700


def test_files_that_are_no_galleries_of_the_folder(tmp_path: Path) -> None:
    for name in ("people.txt", "UPPER.db", ".hidden.db", "x.db-wal"):
        (tmp_path / name).touch()
    (tmp_path / "sub.db").mkdir()
    Gallery(tmp_path / "people.db").close()
    folder = GalleryFolder(tmp_path)
    assert folder.names() == ["people"]
    with pytest.raises(GalleryError, match=r"there is no gallery 'sub'; create it first \(there are: people\)"):
        folder.get("sub")
    with pytest.raises(GalleryError, match="there is a gallery 'sub' already"):
        folder.create("sub")


def test_none_twice_and_missing(tmp_path: Path) -> None:
    folder = GalleryFolder(tmp_path)
    with pytest.raises(GalleryError, match=r"there is no gallery 'work'; create it first \(there are: none yet\)"):
        folder.get("work")
    folder.create("work")
    with pytest.raises(GalleryError, match="there is a gallery 'work' already; choose another name"):
        folder.create("work")
    folder.close()


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../x", "a/b", "a\\b", "A", "-x", "_x", "x.db", "x\n", "x" * 65, "é", None, 3]
)
def test_names_that_could_be_paths(tmp_path: Path, name: str) -> None:
    folder = GalleryFolder(tmp_path / "galleries")
    for call in (folder.get, folder.create, folder.delete):
        with pytest.raises(InputError, match="a gallery is named by 1 to 64 of a-z"):
            call(name)
    assert [p.name for p in tmp_path.rglob("*")] == ["galleries"]


def test_delete_leaves_no_byte(tmp_path: Path) -> None:
    folder = GalleryFolder(tmp_path)
    gallery = folder.create("work")
    gallery.add("Grace", [faces(1, "a.mp4")], aggregator=MEAN)
    gallery.add("Ada", [faces(2, "b.mp4")], aggregator=MEAN)
    # A second name of the file shows what its bytes are after it is gone.
    os.link(tmp_path / "work.db", tmp_path / "kept")
    folder.delete("work")
    assert [p.name for p in tmp_path.iterdir()] == ["kept"]
    kept = (tmp_path / "kept").read_bytes()
    assert len(kept) > 4096
    for trace in (faces(1, "a.mp4").features[0].tobytes(), b"Grace", b"a.mp4"):
        assert trace not in kept
    with pytest.raises(GalleryError, match="was closed"):
        len(gallery)
    with pytest.raises(GalleryError, match="there is no gallery 'work'"):
        folder.get("work")
    assert len(folder.create("work")) == 0
    folder.close()


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(GalleryError, match="cannot be made .*choose a folder you may write to"):
        GalleryFolder(tmp_path / "file" / "galleries")


def test_threads_get_one_gallery(tmp_path: Path) -> None:
    GalleryFolder(tmp_path).create("work").close()
    folder, found, together = GalleryFolder(tmp_path), [], threading.Barrier(8)

    def get() -> None:
        together.wait()
        try:
            found.append(folder.get("work"))
        except FacesetError as error:  # pragma: no cover - told by the assertion
            found.append(error)

    threads = [threading.Thread(target=get) for _ in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert len(found) == 8
    assert {id(one) for one in found} == {id(folder.get("work"))}
    folder.close()
