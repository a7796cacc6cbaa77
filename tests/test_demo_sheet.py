"""The contact sheet: every face once, heaviest first, bars as long as the weights say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage
from PIL import ImageColor

from faceset.demo import sheet
from faceset.demo.sheet import contact_sheet
from faceset.errors import InputError, MediaError
from faceset.types import Face, Template

COLOURS = [(200, 30, 30), (30, 160, 30), (30, 30, 200), (180, 160, 20)]


def template(weights: list[float], *, crops: bool = True, aggregator: str = "norm") -> Template:
    faces = tuple(
        Face(
            (0, 0, 9, 9),
            1.0,
            time=float(i),
            crop=np.full((150, 150, 3), COLOURS[i % 4], np.uint8) if crops else None,
        )
        for i in range(len(weights))
    )
    vector = np.eye(1, 4, dtype=np.float32)[0]
    return Template(vector, "model", aggregator, np.array(weights, np.float32), 1.0, faces)


def drawn(path: Path) -> np.ndarray:
    return np.asarray(PillowImage.open(path))


def tile(image: np.ndarray, place: int) -> tuple[np.ndarray, int]:
    """Colour in the middle of a tile, and the length of the bar under it."""
    head = 2 * sheet.GAP + sheet.TITLE + sheet.TEXT + 8
    x = sheet.GAP + place % sheet.COLUMNS * (sheet.TILE + sheet.GAP)
    y = head + place // sheet.COLUMNS * (sheet.TILE + 2 * sheet.TEXT + sheet.GAP)
    bar = image[y + sheet.TILE + 8, x : x + sheet.TILE]
    return image[y + 70, x + 70], int((bar == ImageColor.getrgb(sheet._BAR)).all(axis=1).sum())


def test_faces_come_heaviest_first_with_bars_in_proportion(tmp_path: Path) -> None:
    path = contact_sheet(template([0.1, 0.4, 0.0, 0.5]), tmp_path / "new" / "sheet.png", "Somebody")
    image = drawn(path)
    for place, (face, length) in enumerate([(3, 140), (1, 112), (0, 28), (2, 0)]):
        colour, bar = tile(image, place)
        assert tuple(colour) == COLOURS[face]
        assert bar == pytest.approx(length, abs=1)


def test_equal_weights_stand_in_order_of_time(tmp_path: Path) -> None:
    image = drawn(contact_sheet(template([0.25] * 4), tmp_path / "s.png", "Somebody"))
    assert [tuple(tile(image, i)[0]) for i in range(4)] == COLOURS
    assert {tile(image, i)[1] for i in range(4)} == {140}


def test_the_summary_says_what_the_weights_do() -> None:
    equal = sheet._summary(template([0.25] * 4, aggregator="mean"), 4)
    assert equal == "4 faces, aggregator mean: every face weighs the same"
    assert (
        sheet._summary(template([0.2, 0.8]), 2) == "2 faces, aggregator norm: the heaviest counts 4 times the lightest"
    )
    assert (
        sheet._summary(template([0.0, 1.0]), 1)
        == "2 faces (1 shown), aggregator norm: 1 of them counts for nothing, the heaviest for 100.00%"
    )
    assert sheet._summary(template([1.0]), 1).startswith("1 face, ")


def test_many_faces_are_thinned_evenly_and_both_ends_stay(tmp_path: Path) -> None:
    weights = np.arange(1, 41, dtype=float)
    image = drawn(contact_sheet(template(list(weights / weights.sum())), tmp_path / "s.png", "x", most=4))
    # 40 faces, heaviest first: places 0, 13, 26, 39 are shown, which are faces 39, 26, 13, 0
    assert [tuple(tile(image, i)[0]) for i in range(4)] == [COLOURS[f % 4] for f in (39, 26, 13, 0)]
    assert [tile(image, i)[1] for i in range(4)] == pytest.approx([140, 140 * 27 / 40, 140 * 14 / 40, 140 / 40], abs=1)


def test_a_long_title_fits(tmp_path: Path) -> None:
    image = drawn(contact_sheet(template([1.0]), tmp_path / "s.png", "W" * 60))
    assert (image[:, -sheet.GAP :] == 255).all()
    assert (image[sheet.GAP : sheet.GAP + sheet.TITLE, -4 * sheet.GAP :] < 128).any()


def test_what_cannot_be_drawn(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"needs the faces' crops; use Recognizer\(keep_crops=True\)"):
        contact_sheet(template([1.0], crops=False), tmp_path / "s.png", "x")
    bare = Template(np.eye(1, 4, dtype=np.float32)[0], "model", "norm", np.ones(1, np.float32), 1.0)
    with pytest.raises(InputError, match="made from bare features"):
        contact_sheet(bare, tmp_path / "s.png", "x")
    with pytest.raises(InputError, match="most must be at least 1, but got 0"):
        contact_sheet(template([1.0]), tmp_path / "s.png", "x", most=0)
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(MediaError, match=r"s\.png cannot be written"):
        contact_sheet(template([1.0]), tmp_path / "file" / "s.png", "x")
