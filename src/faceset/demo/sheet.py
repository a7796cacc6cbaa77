"""One picture that shows the faces of a set and how much each of them counts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image as PillowImage
from PIL import ImageDraw, ImageFont

from faceset.errors import InputError, MediaError
from faceset.types import Face, Image, Template

TILE = 140
GAP = 14
TEXT = 15
TITLE = 22
COLUMNS = 6

_PAPER, _INK, _GREY, _BAR, _TRACK = "#ffffff", "#1a1a1a", "#6b6b6b", "#2b6cb0", "#e4e7eb"


def contact_sheet(template: Template, path: Path, title: str, *, most: int = 60) -> Path:
    """Write a PNG of a template's faces, the heaviest first.

    Under every face stand its weight in percent, its time in the medium, and a bar whose length is the weight as a
    share of the largest weight.

    Args:
        template: its faces must hold their crops (``Recognizer(keep_crops=True)``).
        path: the PNG file to write or replace; its folder is made when missing.
        title: first line of the sheet.
        most: of more faces than this, so many are shown, evenly spread over the order of weights.

    Returns:
        ``path``.

    Raises:
        InputError: no faces, or faces without crops.
        MediaError: the file cannot be written.
    """
    if most < 1:
        raise InputError(f"most must be at least 1, but got {most!r}")
    tiles = _ordered(template)
    shown = [tiles[i] for i in np.unique(np.linspace(0, len(tiles) - 1, min(most, len(tiles))).round().astype(int))]
    columns = min(COLUMNS, len(shown))
    rows = -(-len(shown) // columns)
    cell = (TILE + GAP, TILE + 2 * TEXT + GAP)
    head = 2 * GAP + TITLE + TEXT + 8
    lines = (title, _summary(template, len(shown)))
    fonts = (ImageFont.load_default(TITLE), ImageFont.load_default(TEXT))
    wide = max(int(font.getlength(line)) for font, line in zip(fonts, lines, strict=True)) + 2 * GAP
    sheet = PillowImage.new("RGB", (max(GAP + columns * cell[0], wide), head + rows * cell[1] + GAP), _PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((GAP, GAP), lines[0], _INK, fonts[0])
    draw.text((GAP, GAP + TITLE + 8), lines[1], _GREY, fonts[1])
    largest = float(template.weights.max())
    for i, (face, crop, weight) in enumerate(shown):
        x, y = GAP + i % columns * cell[0], head + i // columns * cell[1]
        sheet.paste(PillowImage.fromarray(crop).resize((TILE, TILE), PillowImage.Resampling.LANCZOS), (x, y))
        under = y + TILE + 5
        draw.rectangle((x, under, x + TILE - 1, under + 6), _TRACK)
        if weight > 0:
            draw.rectangle((x, under, x + max(0, round(TILE * weight / largest) - 1), under + 6), _BAR)
        draw.text((x, under + 10), f"{weight:.2%}", _INK if weight > 0 else _GREY, fonts[1])
        draw.text((x + TILE - 1, under + 10), f"{face.time:.2f} s", _GREY, fonts[1], anchor="ra")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        sheet.save(path, "PNG")
    except OSError as error:
        raise MediaError(f"{path} cannot be written: {error}") from error
    return path


def _ordered(template: Template) -> list[tuple[Face, Image, float]]:
    """Faces with crop and weight, heaviest first, equal weights in order of time."""
    if not template.faces:
        raise InputError("a contact sheet shows faces, but this template was made from bare features")
    tiles = []
    for face, weight in zip(template.faces, template.weights, strict=True):
        if face.crop is None:
            raise InputError("a contact sheet needs the faces' crops; use Recognizer(keep_crops=True)")
        tiles.append((face, face.crop, float(weight)))
    return sorted(tiles, key=lambda tile: (-tile[2], tile[0].time))


def _summary(template: Template, shown: int) -> str:
    count = len(template)
    faces = f"{count} {'face' if count == 1 else 'faces'}" + (f" ({shown} shown)" if shown < count else "")
    low, high = float(template.weights.min()), float(template.weights.max())
    if high - low <= 1e-6:
        spread = "every face weighs the same"
    elif low <= 0:
        none = int((template.weights <= 0).sum())
        spread = f"{none} of them {'counts' if none == 1 else 'count'} for nothing, the heaviest for {high:.2%}"
    else:
        spread = f"the heaviest counts {high / low:.2g} times the lightest"
    return f"{faces}, aggregator {template.aggregator}: {spread}"
