"""How faceset.detection.landmarks foretells dlib's HOG box from five points: fits the constants, and what they cost.

    python -m benchmarks.landmark_boxes [--every 15]

The median over LFW faces that both dlib's HOG detector (upsampling once) and MTCNN (and YuNet, with FACESET_MODELS)
find gives SIDE and SHIFT, from every second face; the others are used to measure. Beside the landmarks' distance from
those on HOG's own box stands that of the predictor's own noise: HOG's box moved by 3 % and scaled by 6 % at random,
which is how coarse HOG's boxes are. The cosine is that of dlib's descriptors of the two crops of one picture.
"""

from __future__ import annotations

import argparse
import os
from typing import Any, NamedTuple

import cv2
import numpy as np

from benchmarks.common import ROOT, data_dir, finish
from faceset import detection
from faceset.alignment import align
from faceset.detection import landmarks
from faceset.detection.base import Detector
from faceset.embedding import Embedder
from faceset.types import Face


class Pair(NamedTuple):
    """One face as HOG and as another detector found it."""

    image: np.ndarray
    hog: Face
    other: Face


def main() -> None:
    """Fit, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--every", type=int, default=15, help="take every n-th picture of LFW")
    every = parser.parse_args().every
    images = [cv2.imread(str(p))[..., ::-1].copy() for p in sorted((data_dir() / "lfw").glob("*/*.jpg"))[::every]]
    hog = [_central(faces) for faces in detection.get("hog", upsample=1).detect(images)]
    detectors: list[Detector] = [detection.get("mtcnn")]
    yunet = (ROOT / os.environ.get("FACESET_MODELS", "../shared/models")) / "yunet_n_dynamic.onnx"
    if yunet.is_file():
        detectors.append(detection.get("yunet", path=yunet))
    figures: dict[str, Any] = {"in use": {"side": landmarks.SIDE, "shift": landmarks.SHIFT}}
    checks = []
    for detector in detectors:
        found = [_central(faces) for faces in detector.detect(images)]
        pairs = [Pair(i, a, b) for i, a, b in zip(images, hog, found, strict=True) if a and b and _same(a, b)]
        figures[detector.name] = {"faces": len(pairs), **_fit(pairs[::2]), **_cost(pairs[1::2])}
        print(detector.name, figures[detector.name])
        cosine = figures[detector.name]["cosine, median"]
        checks.append(
            (f"{detector.name}: cosine to the descriptor of HOG's box (>= 0.99)", f"{cosine:.4f}", cosine >= 0.99)
        )
    finish("landmark_boxes", figures, checks)


def _fit(pairs: list[Pair]) -> dict[str, Any]:
    """Side and shift of HOG's box in spreads of the points, and what is left unexplained."""
    points = np.array([pair.other.landmarks for pair in pairs], float)
    boxes = np.array([pair.hog.box for pair in pairs])
    mean = points.mean(axis=1)
    spread = np.sqrt(((points - mean[:, None]) ** 2).sum(axis=2).mean(axis=1))
    side = (boxes[:, 2] - boxes[:, 0]) / spread
    shift = ((boxes[:, :2] + boxes[:, 2:]) / 2 - mean) / spread[:, None]
    middle = np.median(shift, axis=0)
    return {
        "side": round(float(np.median(side)), 3),
        "shift": np.round(middle, 3).tolist(),
        "side, median residual": round(float(np.median(np.abs(side / np.median(side) - 1))), 4),
        "shift, median residual in sides": round(float(np.median(np.linalg.norm(shift - middle, axis=1) / side)), 4),
    }


def _cost(pairs: list[Pair]) -> dict[str, float]:
    """Distance of the landmarks in inter-ocular distances, and cosine of the descriptors."""
    predict, rng = landmarks.Dlib5(), np.random.default_rng(0)
    wanted = _points(predict, pairs, [pair.hog for pair in pairs])
    ours = _points(predict, pairs, [pair.other for pair in pairs])
    shaken = []
    for pair in pairs:
        x0, y0, x1, y1 = pair.hog.box
        x, y = np.array([x0 + x1, y0 + y1]) / 2 + rng.normal(0, 0.03, 2) * (x1 - x0)
        half = (x1 - x0) / 2 * np.exp(rng.normal(0, 0.06))
        shaken.append(Face((x - half, y - half, x + half, y + half), 1.0))
    noise = _points(predict, pairs, shaken)
    eyes = np.linalg.norm((wanted[:, 0] + wanted[:, 1] - wanted[:, 2] - wanted[:, 3]) / 2, axis=1)
    distance = np.linalg.norm(ours - wanted, axis=2).mean(axis=1) / eyes
    of_noise = np.linalg.norm(noise - wanted, axis=2).mean(axis=1) / eyes
    embedder = Embedder.load()
    a, b = (
        embedder.embed([align(p.image, x, embedder.geometry, scheme="dlib5") for p, x in zip(pairs, all_, strict=True)])
        for all_ in (wanted, ours)
    )
    cosine = (a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    return {
        "distance, median": round(float(np.median(distance)), 4),
        "distance, 90 %": round(float(np.quantile(distance, 0.9)), 4),
        "distance of noise, median": round(float(np.median(of_noise)), 4),
        "distance of noise, 90 %": round(float(np.quantile(of_noise, 0.9)), 4),
        "cosine, median": round(float(np.median(cosine)), 4),
        "cosine, 10 %": round(float(np.quantile(cosine, 0.1)), 4),
    }


def _points(predict: landmarks.Dlib5, pairs: list[Pair], faces: list[Face]) -> np.ndarray:
    found = [predict.landmark(pair.image, [face])[0].landmarks for pair, face in zip(pairs, faces, strict=True)]
    return np.array(found, dtype=np.float32)


def _central(faces: list[Face]) -> Face | None:
    """The face nearest the middle of an LFW picture, which is the person it is named after."""
    return min(faces, key=lambda f: np.hypot(f.box[0] + f.box[2] - 250, f.box[1] + f.box[3] - 250), default=None)


def _same(a: Face, b: Face) -> bool:
    inside = max(a.box[0], b.box[0]), max(a.box[1], b.box[1]), min(a.box[2], b.box[2]), min(a.box[3], b.box[3])
    shared = max(inside[2] - inside[0], 0) * max(inside[3] - inside[1], 0)
    return bool(shared > 0.3 * (a.area + b.area - shared))


if __name__ == "__main__":
    main()
