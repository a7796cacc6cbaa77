"""Folders, paths and arrays become media; what is no medium is said to be none."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import tempfile
from collections import UserString
from pathlib import Path

import numpy as np
import pytest
from media_files import level_frame, write_video
from PIL import Image

import faceset.media
from faceset.errors import InputError, MediaError
from faceset.media import find_media, open_media, scan


def picture(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (4, 4), (9, 9, 9)).save(path)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "grace"
    for name in ("10.png", "2.png", "b/1.jpg", "b/c/3.bmp", ".hidden/4.png", ".5.png", "a10/6.png", "a9/7.png"):
        picture(root / name)
    write_video(root / "Clip.mp4", [level_frame(0)] * 3)
    (root / "clip.txt").write_text("a note")
    (root / ".DS_Store").write_bytes(b"\0\0\0\1Bud1")
    (root / "Thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600))
    (root / "empty.jpg").touch()
    return root


def test_a_folder(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "faceset.media"):
        found = scan(folder)
    names = ["2.png", "10.png", "Clip.mp4", "a9/7.png", "a10/6.png", "b/1.jpg", "b/c/3.bmp"]
    assert [m.name for m in found.media] == names
    assert [m.kind for m in found.media] == ["still", "still", "video"] + ["still"] * 4
    assert [s.split(":")[0] for s in found.skipped] == ["clip.txt", "empty.jpg", "Thumbs.db"]
    assert "clip.txt: holds text" in found.skipped[0]
    assert "empty.jpg: the file is empty" in found.skipped[1]
    assert [r.levelname for r in caplog.records] == ["INFO", "WARNING", "WARNING"]
    assert caplog.records[1].getMessage().startswith("skipped empty.jpg: the file is empty")
    assert [m.name for m in find_media(folder, name="Grace")] == [f"Grace/{n}" for n in names]
    assert [f.media for m in find_media(folder) for f in m.frames(1)] == names


def test_loops_of_links_end(tmp_path: Path) -> None:
    picture(tmp_path / "a" / "1.png")
    try:
        (tmp_path / "a" / "loop").symlink_to(tmp_path, target_is_directory=True)
        (tmp_path / "b").symlink_to(tmp_path / "a", target_is_directory=True)
        (tmp_path / "a" / "2.png").symlink_to(tmp_path / "nowhere")
    except OSError:
        pytest.skip("links cannot be made here")
    found = scan(tmp_path)
    assert [m.name for m in found.media] == ["a/1.png"]
    assert found.skipped == ("a/2.png: no such file or folder; check the path",)


def test_folders_without_media(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="the folder holds no picture and no video; check the path"):
        find_media(tmp_path)
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(MediaError, match=r"no picture and no video \(1 file was looked at: a\.txt: holds text"):
        find_media(tmp_path)
    with pytest.raises(InputError, match="a folder, where one picture or video is needed; name one file in it"):
        open_media(tmp_path)
    with pytest.raises(MediaError, match="nowhere: no such folder; check the path"):
        scan(tmp_path / "nowhere")


AS_NOBODY = """
import os, sys
from faceset.errors import FacesetError
from faceset.media import find_media, scan
find_media(sys.argv[2] + "/a.png")  # loads what another user may not reach
if os.geteuid() == 0:
    os.setuid(65534)
for source in sys.argv[1:]:
    try:
        found = find_media(source)
        print([m.name for m in found], scan(source).skipped)
    except FacesetError as error:
        print(error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="permissions as POSIX knows them")
def test_folders_and_files_without_permission() -> None:
    # Not tmp_path: pytest closes its folders to other users, and root is refused nothing.
    with tempfile.TemporaryDirectory() as made:
        root = Path(made)
        root.chmod(0o755)
        picture(root / "a.png")
        picture(root / "closed" / "b.png")
        (root / "closed").chmod(0)
        sources = [root / "closed", root, root / "closed" / "b.png"]
        done = subprocess.run(
            [sys.executable, "-c", AS_NOBODY, *map(str, sources)], capture_output=True, text=True, check=False
        )
        (root / "closed").chmod(0o755)
    assert done.returncode == 0, done.stderr
    cure = "the folder cannot be read: Permission denied; make it readable for this user"
    assert done.stdout.splitlines() == [
        f"{sources[0]}: {cure}",
        f"['a.png'] ('closed: {cure}',)",
        f"{sources[2]}: cannot be read: Permission denied; check the path and its permissions",
    ]


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names there are Unicode")
def test_names_that_are_not_utf_8(tmp_path: Path) -> None:
    picture(tmp_path / "a.png").rename(tmp_path / os.fsdecode(b"caf\xe9.png"))
    write_video(tmp_path / "b.mp4", [level_frame(0)] * 3).rename(tmp_path / os.fsdecode(b"caf\xe9.mp4"))
    (tmp_path / os.fsdecode(b"\xff.txt")).write_text("text")
    found = scan(tmp_path)
    assert [m.name for m in found.media] == [r"caf\xe9.mp4", r"caf\xe9.png"]
    assert [f.media for m in found.media for f in m.frames(1)] == [r"caf\xe9.mp4", r"caf\xe9.png"]
    assert found.skipped[0].startswith(r"\xff.txt: holds text")
    assert open_media(tmp_path / os.fsdecode(b"caf\xe9.png")).name == r"caf\xe9.png"
    assert open_media(level_frame(0), name="a\ud834b").name == r"a\ud834b"


def test_kind_is_told_by_content_not_by_name(tmp_path: Path) -> None:
    picture(tmp_path / "a.png").rename(tmp_path / "a.mp4")
    write_video(tmp_path / "b.mp4", [level_frame(0)] * 3).rename(tmp_path / "b.jpg")
    assert [m.kind for m in find_media(tmp_path)] == ["still", "video"]


def test_names_and_file_addresses(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a b.mp4", [level_frame(0)] * 3)
    assert open_media(path, name="Clip 1").name == "Clip 1"
    medium = open_media(path.as_uri())
    assert (medium.name, medium.kind, medium.path) == ("a b.mp4", "video", path)
    assert open_media(f"file:{path}").path == path
    with pytest.raises(InputError, match="a file address must name a file of this machine"):
        open_media("file://elsewhere/a.mp4")


def test_a_colon_in_a_name_is_no_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if sys.platform == "win32":
        pytest.skip("no colons in names there")
    write_video(tmp_path / "a.mp4", [level_frame(0)] * 3).rename(tmp_path / "tcp:1.mp4")
    monkeypatch.chdir(tmp_path)
    assert len(list(open_media("tcp:1.mp4").frames())) == 3


@pytest.mark.parametrize("source", [3, None, b"a.mp4", UserString("a"), {"a": 1}])
def test_sources_of_other_types(source: object) -> None:
    with pytest.raises(InputError, match=r"must be|holds no picture"):
        find_media(source)  # type: ignore[arg-type]


def test_empty_and_broken_paths() -> None:
    with pytest.raises(InputError, match="the source is empty"):
        find_media("")
    with pytest.raises(MediaError, match="cannot be read"):
        find_media("a\0b.jpg")
    with pytest.raises(MediaError, match="~nobody-of-this-name/a.jpg: no such file or folder; check the path"):
        find_media("~nobody-of-this-name/a.jpg")
    with pytest.raises(MediaError, match="cannot be read: File name too long; check the path"):
        find_media("x" * 5000)


def test_one_array() -> None:
    image = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    medium = open_media(image)
    assert (medium.name, medium.kind, medium.path, medium.duration) == ("array", "array", None, None)
    [frame] = medium.frames(5)
    assert np.array_equal(frame.image, image)
    assert medium.digest == open_media(image.copy()).digest != open_media(image.reshape(2, 8, 3)).digest


def test_a_sequence() -> None:
    images = np.stack([level_frame(i) for i in range(10)])
    for source in (images, list(images)):
        medium = open_media(source, array_fps=10, name="seq")
        assert medium.duration == 1.0
        assert [(f.index, f.time, f.media) for f in medium.frames(5)] == [
            (i, pytest.approx(i / 10), "seq") for i in (0, 2, 4, 6, 8)
        ]
    assert open_media(images).digest == open_media(list(images)).digest


def test_grey_arrays_and_sizes_that_differ() -> None:
    medium = open_media([np.full((2, 3), 7, np.uint8), np.full((4, 5, 3), 9, np.uint8)])
    assert [f.image.shape for f in medium.frames()] == [(2, 3, 3), (4, 5, 3)]
    assert [f.image.max() for f in medium.frames()] == [7, 9]


WANTED = "must be RGB uint8 (H, W, 3), or (T, H, W, 3) for a sequence, but got"


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (
            np.zeros((4, 4, 3)),
            f"array {WANTED} float64 (4, 4, 3); if its values go from 0 to 1, multiply by 255, round and cast to uint8",
        ),
        (
            np.full((2, 4, 3), np.nan, np.float32),
            f"array {WANTED} float32 (2, 4, 3), and 24 of its values are NaN or infinity; "
            "such a picture cannot be used",
        ),
        (
            [level_frame(0), np.full((1, 1, 3), np.nan)],
            f"array[1] {WANTED} float64 (1, 1, 3), and 3 of its values are NaN or infinity; "
            "such a picture cannot be used",
        ),
        (
            np.zeros((4, 4, 3), np.uint16),
            f"array {WANTED} uint16 (4, 4, 3); scale its values to 0..255 and cast to uint8",
        ),
        (np.zeros((4, 4, 4), np.uint8), f"array {WANTED} shape (4, 4, 4); drop the fourth channel: picture[..., :3]"),
        (
            np.zeros((3, 4, 5), np.uint8),
            f"array {WANTED} shape (3, 4, 5); the channels come last here: numpy.moveaxis(picture, 0, -1)",
        ),
        (np.zeros((2, 4, 5, 2), np.uint8), f"array[0] {WANTED} shape (4, 5, 2)"),
        (np.zeros(5, np.uint8), f"array {WANTED} shape (5,)"),
        (np.zeros((0, 4, 3), np.uint8), f"array {WANTED} shape (0, 4, 3), which holds no pixel"),
        (np.zeros((0, 4, 4, 3), np.uint8), "array holds no picture; give at least one"),
        ([], "array holds no picture; give at least one"),
        (
            ["a.jpg"],
            "array[0] must be a NumPy array, RGB uint8 (H, W, 3), or (T, H, W, 3) for a sequence, but got str; "
            "open the paths of a list one by one",
        ),
    ],
)
def test_arrays_that_cannot_be_used(array: object, message: str) -> None:
    with pytest.raises(InputError) as caught:
        open_media(array)  # type: ignore[arg-type]
    assert str(caught.value) == message


def test_array_fps_is_checked() -> None:
    with pytest.raises(InputError, match="array_fps must be a number greater than 0, but got 0"):
        open_media([level_frame(0)], array_fps=0)


def test_importing_the_package_loads_no_decoder() -> None:
    code = "import sys, faceset.media; print([m for m in ('av', 'PIL', 'cv2') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_public_names() -> None:
    assert faceset.media.__all__ == sorted(faceset.media.__all__)
    assert all(hasattr(faceset.media, name) for name in faceset.media.__all__)
