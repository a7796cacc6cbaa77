"""Stills: every mode comes out as upright RGB of 8 bits, every fault as a message."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from media_files import write_png
from PIL import Image

from faceset.errors import MediaError, MediaLimitError
from faceset.media import Limits, find_media, open_media


def read(path: Path, **kwargs: object) -> np.ndarray:
    [frame] = open_media(path, **kwargs).frames()  # type: ignore[arg-type]
    assert (frame.index, frame.time, frame.media) == (0, 0.0, path.name)
    return frame.image


def photo(height: int = 240, width: int = 320) -> Image.Image:
    rng = np.random.default_rng(3)
    small = Image.fromarray(rng.integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8))
    return small.resize((width, height), Image.Resampling.BICUBIC)


# The four corners as a 2 x 2 picture: red, green / blue, white.
CORNERS = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [255, 255, 255]]], np.uint8)


@pytest.mark.parametrize("suffix", ["png", "tiff", "webp"])
@pytest.mark.parametrize(
    ("orientation", "stored"),
    [
        # What a camera stores when the upright picture is CORNERS (EXIF 2.3, tag 0x0112).
        (1, CORNERS),
        (2, CORNERS[:, ::-1]),
        (3, CORNERS[::-1, ::-1]),
        (4, CORNERS[::-1]),
        (5, CORNERS.transpose(1, 0, 2)),
        (6, np.rot90(CORNERS)),
        (7, CORNERS[::-1, ::-1].transpose(1, 0, 2)),
        (8, np.rot90(CORNERS, -1)),
    ],
)
def test_exif_orientation(tmp_path: Path, orientation: int, stored: np.ndarray, suffix: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"a.{suffix}"
    options = {"lossless": True} if suffix == "webp" else {}
    Image.fromarray(np.ascontiguousarray(stored)).save(path, exif=exif, **options)
    assert np.array_equal(read(path), CORNERS)


def test_damaged_exif_does_not_refuse_a_good_picture(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    photo().save(path, exif=exif)
    data = bytearray(path.read_bytes())
    at = data.index(b"Exif\0\0") + 6
    data[at : at + 8] = b"\xff" * 8
    path.write_bytes(data)
    assert read(path).shape == (240, 320, 3)


def test_grey(tmp_path: Path) -> None:
    path = write_png(tmp_path / "a.png", np.array([[0, 100, 255]], np.uint8))
    assert read(path).tolist() == [[[0] * 3, [100] * 3, [255] * 3]]


@pytest.mark.parametrize("suffix", ["png", "tiff", "pgm"])
def test_16_bit_grey_is_scaled_not_clipped(tmp_path: Path, suffix: str) -> None:
    values = np.array([[0, 257, 25700, 65535, 300]], np.uint16)
    path = tmp_path / f"a.{suffix}"
    if suffix == "png":
        write_png(path, values)
    elif suffix == "tiff":
        Image.fromarray(values).save(path)
    else:
        path.write_bytes(b"P5 5 1 65535\n" + values.astype(">u2").tobytes())
    assert read(path)[0, :, 0].tolist() == [0, 1, 100, 255, 1]


def test_16_bit_rgb(tmp_path: Path) -> None:
    path = write_png(tmp_path / "a.png", np.array([[[65535, 25700, 257]]], np.uint16))
    assert read(path).tolist() == [[[255, 100, 1]]]


def test_transparency_is_laid_over_white(tmp_path: Path) -> None:
    rgba = np.array([[[200, 0, 0, 255], [200, 0, 0, 0], [200, 0, 0, 51]]], np.uint8)
    path = write_png(tmp_path / "a.png", rgba)
    # 51 / 255 = 0.2 of the colour and 0.8 of white
    assert read(path).tolist() == [[[200, 0, 0], [255, 255, 255], [244, 204, 204]]]


def test_grey_with_transparency(tmp_path: Path) -> None:
    path = write_png(tmp_path / "a.png", np.array([[[7, 255], [7, 0]]], np.uint8))
    assert read(path)[0, :, 0].tolist() == [7, 255]


def test_palette_with_a_transparent_colour(tmp_path: Path) -> None:
    picture = Image.new("P", (3, 1))
    picture.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    picture.putdata([0, 1, 2])
    picture.save(tmp_path / "a.png", transparency=1)
    assert read(tmp_path / "a.png").tolist() == [[[10, 20, 30], [255, 255, 255], [70, 80, 90]]]


def test_cmyk_jpeg(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    Image.new("CMYK", (16, 16), (0, 255, 255, 0)).save(path, quality=95)
    assert np.abs(read(path).astype(int) - [255, 0, 0]).max() <= 3


def test_one_pixel(tmp_path: Path) -> None:
    path = tmp_path / "a.bmp"
    Image.new("RGB", (1, 1), (1, 2, 3)).save(path)
    assert read(path).tolist() == [[[1, 2, 3]]]


def test_a_huge_picture_is_refused_before_decoding(tmp_path: Path) -> None:
    path = write_png(tmp_path / "a.png", np.zeros((1, 1), np.uint8), size=(30_000, 30_000))
    with pytest.raises(MediaLimitError) as caught:
        open_media(path)
    assert str(caught.value) == (
        "a.png: 30000 x 30000 = 900,000,000 pixels is more than the limit of 100,000,000; "
        "scale it down, or raise FACESET_MAX_PIXELS"
    )


def test_the_limit_is_ours_not_pillows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)  # Pillow would warn from 11 pixels on and refuse 21
    path = tmp_path / "a.png"
    Image.new("RGB", (8, 8)).save(path)
    assert read(path).shape == (8, 8, 3)
    monkeypatch.setenv("FACESET_MAX_PIXELS", "63")
    with pytest.raises(MediaLimitError, match="8 x 8 = 64 pixels is more than the limit of 63"):
        open_media(path)


def test_limit_on_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    photo().save(path)
    with pytest.raises(MediaLimitError, match=r"a\.png: .* bytes is more than the limit of 1,000; give a smaller file"):
        open_media(path, limits=Limits(max_bytes=1000))


@pytest.mark.parametrize("keep", [0.3, 0.6, 0.95])
def test_truncated_jpeg(tmp_path: Path, keep: float) -> None:
    path = tmp_path / "a.jpg"
    photo().save(path)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * keep)])
    with pytest.raises(MediaError, match=r"a\.jpg: the picture is damaged or incomplete .*; copy or export it again"):
        read(path)


@pytest.mark.parametrize(
    ("damage", "options"),
    # Not (zeros, progressive): there zeros are a valid code, and only fine detail is lost.
    [(d, o) for d in ("closed", "overwritten", "zeros") for o in ({}, {"restart_marker_blocks": 4})]
    + [(d, {"progressive": True}) for d in ("closed", "overwritten")],
)
def test_jpeg_that_pillow_would_fill_with_grey(tmp_path: Path, damage: str, options: dict[str, object]) -> None:
    path = tmp_path / "a.jpg"
    photo().save(path, **options)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    if damage == "closed":
        data[middle:] = b"\xff\xd9"
    elif damage == "overwritten":
        data[middle : middle + 200] = bytes(byte ^ 0x5A for byte in data[middle : middle + 200])
    else:
        data[middle:-2] = bytes(len(data) - 2 - middle)
    path.write_bytes(data)
    with pytest.raises(MediaError, match=r"a\.jpg: the picture is damaged or incomplete \("):
        read(path)


@pytest.mark.parametrize(
    "options",
    [
        {"quality": 5},
        {"progressive": True},
        {"subsampling": 0},
        {"subsampling": 1},
        {"restart_marker_blocks": 3},
        {"optimize": True, "comment": b"x" * 50},
    ],
)
def test_good_jpegs_of_many_kinds_pass_the_check(tmp_path: Path, options: dict[str, object]) -> None:
    for mode in ("RGB", "L", "CMYK"):
        path = tmp_path / f"{mode}.jpg"
        photo(77, 53).convert(mode).save(path, **options)
        path.write_bytes(path.read_bytes() + b"trailing bytes")
        assert read(path).shape == (77, 53, 3)


def test_truncated_png_and_header(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    photo().save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(MediaError, match=r"a\.png: the picture is damaged or incomplete \(.*truncated"):
        read(path)
    path.write_bytes(whole[:12])
    with pytest.raises(MediaError, match=r"a\.png: the picture is damaged or incomplete"):
        open_media(path)


def test_float_tiff_is_refused_with_its_cure(tmp_path: Path) -> None:
    path = tmp_path / "a.tiff"
    Image.fromarray(np.ones((4, 4), np.float32)).save(path)
    with pytest.raises(MediaError) as caught:
        read(path)
    assert str(caught.value) == ("a.tiff: pictures of floating-point values are not read; convert it to 8 or 16 bits")
    Image.new("RGB", (4, 4)).save(path, tiffinfo={339: (3, 3, 3)})  # SampleFormat: floating point
    with pytest.raises(MediaError) as caught:
        open_media(path)
    assert str(caught.value) == (
        "a.tiff: its pixels are stored in a way that is not read here, such as floating-point or 24-bit values; "
        "convert it to 8 or 16 bits"
    )


def test_heic_without_its_plugin(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100))
    with pytest.raises(MediaError, match=r"a\.jpg: HEIF pictures cannot be read here; install pillow-heif"):
        open_media(path)


def test_a_still_is_taken_once_at_any_fps(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    photo().save(path)
    medium = open_media(path)
    assert (medium.kind, medium.duration, medium.path) == ("still", None, path)
    for fps in (None, 0.1, 100.0):
        assert len(list(medium.frames(fps))) == 1
    assert medium.report.to_dict() == {"frames_decoded": 1, "frames_sampled": 1, "frames_lost": 0, "notes": []}


@pytest.mark.parametrize("suffix", ["gif", "webp", "png"])
def test_animations_are_videos(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    levels = [20, 90, 160, 230]
    pictures = [Image.new("RGB", (16, 16), (v, v, v)) for v in levels]
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=[100, 300, 100, 100])
    medium = open_media(path)
    assert medium.kind == "video"
    frames = list(medium.frames())
    assert [f.time for f in frames] == pytest.approx([0, 0.1, 0.4, 0.5])
    assert [int(f.image[0, 0, 0]) for f in frames] == pytest.approx(levels, abs=3)
    assert [f.index for f in medium.frames(4)] == [0, 2, 3]  # ticks 0, 0.25, 0.5


def test_only_the_first_page_of_a_tiff(tmp_path: Path) -> None:
    path = tmp_path / "a.tiff"
    Image.new("L", (2, 2), 5).save(path, save_all=True, append_images=[Image.new("L", (2, 2), 9)])
    [medium] = find_media(path)
    [frame] = medium.frames()
    assert frame.image.max() == 5
    assert medium.report.notes == ("holds 2 pictures, of which the first is taken",)
