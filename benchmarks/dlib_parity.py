"""This project beside dlib's own calls, as face_recognition makes them: HOG, 5 points, one descriptor a face.

    python -m benchmarks.dlib_parity [--faces 1000] [--rounds 5]

Prints parity (same crop, own crop), the speed of embedding and of video to template, and the faces found.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
from pathlib import Path
from typing import Any

import dlib
import numpy as np

from benchmarks.common import data_dir, finish, side_by_side, timed
from faceset import Recognizer, detection
from faceset.alignment import align
from faceset.embedding import Embedder
from faceset.media import find_media
from faceset.packs.installed import DLIB_POINTS, DLIB_RESNET, installed_file

CLIPS = ("people_walking.mp4", "short_hamilton_clip.mp4")
FPS = 5.0


class Dlib:
    """dlib's own calls, in the order in which face_recognition makes them."""

    def __init__(self) -> None:
        self.detector = dlib.get_frontal_face_detector()
        self.predictor = dlib.shape_predictor(str(installed_file(*DLIB_POINTS)))
        self.encoder = dlib.face_recognition_model_v1(str(installed_file(*DLIB_RESNET)))

    def boxes(self, image: np.ndarray, upsample: int = 0) -> list[Any]:
        """HOG boxes."""
        return list(self.detector(image, upsample))

    def describe(self, image: np.ndarray, box: Any) -> np.ndarray:
        """128 numbers of one face."""
        return np.array(self.encoder.compute_face_descriptor(image, self.predictor(image, box), 1))


def lfw_faces(reference: Dlib, wanted: int) -> list[tuple[np.ndarray, Any]]:
    """The first face of every k-th LFW picture in which HOG finds one: (picture, dlib's 5 points)."""
    paths = sorted((data_dir() / "lfw").glob("*/*.jpg"))
    step = max(1, len(paths) // int(wanted * 1.05))
    faces = []
    for path in itertools.islice(paths, 0, None, step):
        (frame,) = find_media(path)[0].frames()
        found = reference.boxes(frame.image)
        if found:
            faces.append((frame.image, reference.predictor(frame.image, found[0])))
        if len(faces) == wanted:
            break
    return faces


def parity(reference: Dlib, embedder: Embedder, count: int) -> dict[str, float]:
    """Largest difference from the same crop; L2 distances from our own crop."""
    faces = lfw_faces(reference, count)
    chips = [dlib.get_face_chip(image, shape, 150, 0.25) for image, shape in faces]
    theirs = np.array([reference.encoder.compute_face_descriptor(chip) for chip in chips])
    ours = embedder.embed(chips)
    own_crops = [
        align(image, np.array([(p.x, p.y) for p in shape.parts()], np.float32), embedder.geometry, scheme="dlib5")
        for image, shape in faces
    ]
    distances = np.linalg.norm(embedder.embed(own_crops) - theirs, axis=1)
    return {
        "faces": len(faces),
        "same_crop_max": float(np.abs(ours - theirs).max()),
        "own_crop_median": float(np.median(distances)),
        "own_crop_p95": float(np.quantile(distances, 0.95)),
    }


def embedding_speed(reference: Dlib, embedder: Embedder, rounds: int) -> dict[str, float]:
    """Milliseconds a face: dlib one by one, ours in a batch of 32."""
    rng = np.random.default_rng(0)
    chips = [rng.integers(0, 256, (150, 150, 3), dtype=np.uint8) for _ in range(32)]
    embedder.embed(chips)
    theirs, ours, ratios = side_by_side(
        lambda: [reference.encoder.compute_face_descriptor(chip) for chip in chips],
        lambda: [embedder.embed(chips) for _ in range(4)],
        rounds,
    )
    return {
        "dlib_ms": theirs / 32 * 1e3,
        "faceset_ms": ours / 128 * 1e3,
        "ratio": statistics.median(ratios) * 4,
    }


def video(reference: Dlib, clip: Path, rounds: int, upsample: int) -> dict[str, float]:
    """Frames of one clip to templates, per frame, at the same detector; and how many of dlib's boxes we find."""
    recognizer = Recognizer(detector=detection.get("hog", upsample=upsample), fps=FPS)
    (medium,) = find_media(clip)
    frames = [frame.image for frame in medium.frames(FPS)]

    def theirs() -> list[list[Any]]:
        found = []
        features = []
        for frame in find_media(clip)[0].frames(FPS):
            boxes = reference.boxes(frame.image, upsample)
            features += [reference.describe(frame.image, box) for box in boxes]
            found.append(boxes)
        np.mean(features, axis=0)
        return found

    def ours() -> list[Any]:
        return [recognizer.aggregate([one]) for one in recognizer.face_sets(clip)]

    dlib_boxes = [reference.boxes(image, upsample) for image in frames]
    our_boxes = recognizer.detector.detect(frames)
    total = sum(map(len, dlib_boxes))
    matched = sum(
        any(iou((b.left(), b.top(), b.right() + 1, b.bottom() + 1), face.box) >= 0.5 for face in faces)
        for boxes, faces in zip(dlib_boxes, our_boxes, strict=True)
        for b in boxes
    )
    their_time, our_time, ratios = side_by_side(theirs, ours, rounds)
    return {
        "frames": len(frames),
        "dlib_ms": their_time / len(frames) * 1e3,
        "faceset_ms": our_time / len(frames) * 1e3,
        "ratio": statistics.median(ratios),
        "dlib_faces": total,
        "matched": matched,
    }


def default_pack(clip: Path) -> dict[str, float]:
    """The default pack on the same frames: time a frame, faces found, faces per minute of video."""
    recognizer = Recognizer(fps=FPS)
    (medium,) = find_media(clip)
    list(recognizer.face_sets(clip))
    seconds, sets = timed(lambda: list(recognizer.face_sets(clip)))
    frames = [frame.image for frame in medium.frames(FPS)]
    faces = sum(map(len, recognizer.detector.detect(frames)))
    return {
        "ms": seconds / len(frames) * 1e3,
        "faces": faces,
        "tracks": len(sets),
        "faces_per_minute": faces / (medium.duration or len(frames) / FPS) * 60,
    }


def iou(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    """Intersection over union of two xyxy boxes."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    common = max(width, 0.0) * max(height, 0.0)
    return common / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - common)


def main() -> None:
    """Run everything and print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faces", type=int, default=1000, help="LFW faces for the parity check")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of every timing")
    args = parser.parse_args()
    reference, embedder = Dlib(), Embedder.load("dlib-resnet")

    speed = embedding_speed(reference, embedder, args.rounds)
    print(f"embedding, ms a face: dlib {speed['dlib_ms']:.1f}, faceset {speed['faceset_ms']:.2f} (batch 32)")
    figures: dict[str, Any] = {"embedding": speed}
    checks = [("embedding at batch 32, times faster a face (>= 20)", f"{speed['ratio']:.1f}x", speed["ratio"] >= 20)]
    hog_faces = pack_faces = 0
    for name in CLIPS:
        clip = data_dir() / "clips" / name
        hog, pack = video(reference, clip, args.rounds, upsample=0), default_pack(clip)
        figures[name] = {"hog": hog, "default_pack": pack}
        hog_faces += int(hog["dlib_faces"])
        pack_faces += int(pack["faces"])
        print(
            f"{name}: {hog['frames']} frames; ms a frame: dlib {hog['dlib_ms']:.0f}, faceset with HOG "
            f"{hog['faceset_ms']:.0f}, default pack {pack['ms']:.0f}; faces: dlib {hog['dlib_faces']}, default pack "
            f"{pack['faces']} ({pack['faces_per_minute']:.0f} a minute of video) in {pack['tracks']} tracks"
        )
        checks += [
            (f"{name}: video to template, HOG, times faster a frame (>= 2)", f"{hog['ratio']:.2f}x", hog["ratio"] >= 2),
            (
                f"{name}: dlib's boxes matched at IoU >= .5 (all)",
                f"{hog['matched']} of {hog['dlib_faces']}",
                hog["matched"] == hog["dlib_faces"],
            ),
        ]
    ratio = pack_faces / max(hog_faces, 1)
    checks.append(
        ("default pack, times the faces of HOG (>= 1.8)", f"{pack_faces} / {hog_faces} = {ratio:.2f}x", ratio >= 1.8)
    )
    same = parity(reference, embedder, args.faces)
    figures["parity"] = same
    checks += [
        (
            f"same crop, {same['faces']} LFW faces: largest difference (<= 1e-5)",
            f"{same['same_crop_max']:.1e}",
            same["same_crop_max"] <= 1e-5,
        ),
        (
            "own crop: L2 to dlib's descriptor, median (<= 0.01)",
            f"{same['own_crop_median']:.4f} (p95 {same['own_crop_p95']:.4f})",
            same["own_crop_median"] <= 0.01,
        ),
    ]
    finish("dlib_parity", figures, checks)


if __name__ == "__main__":
    main()
