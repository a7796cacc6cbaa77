"""Faces cut out of pictures for the page: the right place of the right picture, and never an error."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from portraits import write
from sample_reports import report

from faceset.evaluation.thumbnails import SIZE, Place, names_of, places, thumbnails
from faceset.evaluation.trials import FaceList, TemplateList, Verification
from faceset.feature_table import FeatureRow, table_of


def picture(address: str) -> np.ndarray:
    assert address.startswith("data:image/jpeg;base64,")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2]))))


def experiment(faces: FaceList) -> Verification:
    n = len(faces)
    templates = TemplateList.of([f"t{i}" for i in range(n)], ["A"] * n, [[i] for i in range(n)], list(range(n)))
    return Verification("folder", "", faces, templates, np.zeros(1, int), np.zeros(1, int), np.ones(1, bool))


def square(colour: tuple[int, int, int]) -> np.ndarray:
    """A grey picture of 200 x 300 with a square of one colour at (100, 50) to (160, 110)."""
    image = np.full((200, 300, 3), 128, np.uint8)
    image[50:110, 100:160] = colour
    return image


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write(square((250, 0, 0)), tmp_path / "Ann" / "0.png")
    for k, colour in enumerate([(0, 250, 0), (0, 0, 250)]):
        write(square(colour), tmp_path / "Ann" / "video" / f"{k}.png")
    (tmp_path / "Ann" / "broken.png").write_bytes(b"\x89PNG no more")
    (tmp_path.parent / "outside.png").write_bytes((tmp_path / "Ann" / "0.png").read_bytes())
    return tmp_path


def row(medium: str, score: float, frame: int = 0, kind: str = "clean", box=(100, 50, 160, 110)) -> FeatureRow:
    return FeatureRow("Ann", medium, np.ones(4, np.float32), box, score, frame=frame, kind=kind)


def test_the_box_of_the_table_is_cut_out_with_a_margin(root: Path) -> None:
    table = table_of([row("Ann/0.png", 0.5, box=(0, 0, 9, 9)), row("Ann/0.png", 0.9)], "e:1")
    wanted = places(["Ann/0.png"], [], table)
    shown = picture(thumbnails(wanted, root)["Ann/0.png"])
    assert shown.shape == (90, 90, 3)  # 60 and a quarter of it on each side, below the limit
    assert shown[45, 45, 0] > 200
    assert shown[45, 45, 1] < 60
    assert abs(int(shown[5, 5, 0]) - 128) < 30


def test_the_frame_with_the_best_face_of_a_folder_of_frames(root: Path) -> None:
    table = table_of(
        [row("Ann/video", 0.5, 0), row("Ann/video", 0.9, 1), row("Ann/video", 0.99, 0, kind="noise")], "e:1"
    )
    shown = picture(thumbnails(places(["Ann/video"], [], table), root)["Ann/video"])
    assert shown[45, 45, 2] > 200  # the second frame, which is blue; degraded copies do not count


def test_files_and_boxes_of_the_protocol_where_the_table_has_none(root: Path) -> None:
    faces = FaceList(("Ann/0.png#7",), ("Ann/0.png",), np.array([[100.0, 50, 160, 110]]))
    empty = table_of([], "e:1", width=4)
    for table in (None, empty):
        wanted = places(["Ann/0.png#7"], [experiment(faces)], table)
        assert picture(thumbnails(wanted, root)["Ann/0.png#7"]).shape == (90, 90, 3)
    whole = places(["Ann/0.png"], [experiment(FaceList(("Ann/0.png",)))], None)
    assert picture(thumbnails(whole, root)["Ann/0.png"]).shape == (SIZE * 2 // 3, SIZE, 3)


def test_what_cannot_be_shown_is_left_out(root: Path) -> None:
    names = ["no.png", "Ann", "Ann/broken.png", "../outside.png", str(root / "Ann" / "0.png"), "a\x00b", "x" * 5000]
    assert (root / "../outside.png").is_file()
    assert thumbnails({n: Place(n, 9 if n == "Ann" else 0) for n in names}, root) == {}
    assert set(thumbnails({"Ann/0.png": Place("Ann/0.png", 0, np.array([900.0, 900, 950, 950]))}, root)) == {
        "Ann/0.png"
    }


def test_names_of_a_report_are_each_there_once() -> None:
    assert names_of(report()) == ["Ann/0.jpg", "Ann/1.jpg", "Bob/0.jpg", "Ann/2.jpg"]
