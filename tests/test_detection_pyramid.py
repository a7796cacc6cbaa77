"""Copies of a picture at smaller sizes, and windows cut out of them."""

from __future__ import annotations

import numpy as np
import pytest

from faceset.detection.pyramid import GREY, Pyramid, network_input


def slope(height: int, width: int) -> np.ndarray:
    """A picture whose red is x / 2 and whose green is y / 2 at the centre of each pixel."""
    y, x = np.mgrid[:height, :width] + 0.5
    return np.round(np.stack([x / 2, y / 2, np.full_like(x, 90)], axis=-1)).astype(np.uint8)


@pytest.mark.parametrize("side", [24, 48])
@pytest.mark.parametrize("width", [7.3, 24, 51.5, 133, 290])
def test_a_window_shows_its_place_at_any_size(side: int, width: float) -> None:
    """Every pixel of the window has the colour of the point its centre stands for, from whichever copy it is cut."""
    x0, y0 = 70.25, 61.5
    (window,) = Pyramid(slope(400, 480)).cut(np.array([[x0, y0, x0 + width, y0 + width]]), side)
    at = (np.arange(side) + 0.5) * width / side
    assert (
        np.abs(window[..., 0] - (x0 + at)[None, :] / 2).max() <= 1.6
    )  # every copy rounds to whole numbers, upwards on this slope
    assert np.abs(window[..., 1] - (y0 + at)[:, None] / 2).max() <= 1.6
    assert (window[..., 2] == 90).all()


def test_a_window_of_its_own_size_is_the_picture() -> None:
    image = np.random.default_rng(1).integers(0, 256, (60, 70, 3), dtype=np.uint8)
    (window,) = Pyramid(image).cut(np.array([[20.0, 10, 44, 34]]), 24)
    assert np.array_equal(window, image[10:34, 20:44])


def test_beyond_the_border_is_grey() -> None:
    (window,) = Pyramid(np.full((60, 60, 3), 255, np.uint8)).cut(np.array([[-24.0, 0, 24, 48]]), 24)
    assert (window[:, :11] == GREY).all()
    assert (window[:, 13:] == 255).all()
    (outside,) = Pyramid(np.full((60, 60, 3), 255, np.uint8)).cut(np.array([[200.0, 200, 230, 230]]), 24)
    assert (outside == GREY).all()


def test_fine_stripes_average_out() -> None:
    """Without averaging, every 15th row of black and white stripes would be black, or white."""
    image = np.zeros((720, 720, 3), np.uint8)
    image[::2] = 200
    pyramid = Pyramid(image)
    (window,) = pyramid.cut(np.array([[0.0, 0, 360, 360]]), 24)
    assert np.abs(window.astype(int) - 100).max() <= 2
    assert np.abs(pyramid.scaled(100, 61).astype(int) - 100).max() <= 10


@pytest.mark.parametrize("shape", [(1, 1), (12, 12), (66, 120), (49, 300), (511, 333)])
def test_any_size_is_taken(shape: tuple[int, int]) -> None:
    pyramid = Pyramid(np.full((*shape, 3), 7, np.uint8))
    assert (pyramid.height, pyramid.width) == shape
    assert pyramid.scaled(1, 1).tolist() == [[[7, 7, 7]]]
    assert pyramid.cut(np.empty((0, 4)), 24).shape == (0, 24, 24, 3)


def test_network_input_is_planes_of_float() -> None:
    image = np.arange(24, dtype=np.uint8).reshape(1, 2, 4, 3)
    planes = network_input(image)
    assert planes.shape == (1, 3, 2, 4)
    assert planes.dtype == np.float32
    assert planes[0, 2, 1, 3] == image[0, 1, 3, 2]
