"""Two public-domain portraits that come inside packages, and pictures made of them, for end-to-end tests."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import cv2
import numpy as np

from faceset.demo.portraits import portraits


@cache
def collins() -> np.ndarray:
    """Eileen Collins, RGB uint8."""
    return portraits()[0].image


@cache
def hopper() -> np.ndarray:
    """Grace Hopper, RGB uint8."""
    return portraits()[1].image


def both() -> np.ndarray:
    """The two side by side in one picture."""
    height = 500
    scaled = [cv2.resize(p, (int(p.shape[1] * height / p.shape[0]), height)) for p in (collins(), hopper())]
    return np.concatenate(scaled, axis=1)


def varied(image: np.ndarray, seed: int) -> np.ndarray:
    """The same portrait, a little turned, scaled and relit."""
    rng = np.random.default_rng(seed)
    height, width = image.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), rng.uniform(-8, 8), rng.uniform(0.8, 1.1))
    turned = cv2.warpAffine(image, turn, (width, height), flags=cv2.INTER_AREA)
    return np.clip(turned * rng.uniform(0.7, 1.2), 0, 255).astype(np.uint8)


def write(image: np.ndarray, path: Path) -> Path:
    """Write a picture; the format follows the suffix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), image[..., ::-1])
    return path


def six_people(root: Path, names: tuple[str, ...]) -> None:
    """root/<name>/<k>.png, two pictures for each of six names: mirrored, and without colour, two stand for six."""
    for i, name in enumerate(names):
        portrait = (collins(), hopper())[i % 2]
        for k in range(2):
            picture = varied(portrait, 10 * i + k)[:, :: -1 if i // 2 == 1 else 1]
            grey = np.repeat(picture.mean(axis=2, keepdims=True), 3, axis=2).astype(np.uint8)
            write(grey if i > 3 else picture, root / name / f"{k}.png")
