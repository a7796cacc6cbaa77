"""A folder of two people with all that can be wrong in one, and a store of generated faces; shared by several tests."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from media_files import write_video
from portraits import both, collins, hopper, varied, write

from faceset.feature_table import Labels
from faceset.training.faces import FaceStore, PrepareReport, records
from faceset.training.faces.padding import padded_size
from faceset.training.faces.search import growing_crops

GEOMETRIES = ("arcface96", "dlib150")


def people(root: Path) -> Path:
    """Stills, a folder of frames, a video; a person with one picture, with none, with damaged ones; one left out."""
    for i in range(2):
        write(varied(collins(), i)[:400, 40:440], root / "Collins" / f"{i}.png")
    for i in range(2):
        write(varied(collins(), 10 + i)[:400, :400], root / "Collins" / "walk" / f"{i}.png")
    write(np.full((64, 64, 3), 128, np.uint8), root / "Collins" / "walk" / "2.png")
    half = varied(hopper(), 3)
    still = [half[:480:2, :480:2]] * 12
    (root / "Hopper").mkdir(parents=True)
    write_video(root / "Hopper" / "0.mp4", still, rate=10)
    write(both()[:, :300], root / "Single" / "0.jpg")
    (root / "Empty").mkdir()
    write(np.full((64, 64, 3), 128, np.uint8), root / "Nobody" / "blank.png")
    whole = write(varied(hopper(), 5)[:300, :300], root / "Nobody" / "cut.jpg")
    whole.write_bytes(whole.read_bytes()[:3000])
    (root / "Nobody" / "empty.jpg").write_bytes(b"")
    (root / "Nobody" / "read me.txt").write_text("no picture")
    (root / "Nobody" / ".hidden").write_text("")
    (root / "Left").mkdir()
    (root / "Left" / "0.jpg").write_bytes(b"would be listed as damaged, were it ever opened")
    (root / "stray.txt").write_text("")
    return root


def toy(folder: Path, people: int = 8, each: int = 5, geometries: tuple[str, ...] = ("dlib32", "dlib48")) -> FaceStore:
    """A store of generated "faces": a person is a pattern of colours, a picture is that pattern with some noise."""
    rng = np.random.default_rng(0)
    M = people * each
    names = [f"p{k // each}" for k in range(M)]
    media = [f"p{k // each}/{k % each}.png" for k in range(M)]
    patterns = rng.integers(40, 216, (people, 6, 6, 3))
    coarse = np.clip(patterns[np.arange(M) // each] + rng.normal(0, 12, (M, 6, 6, 3)), 0, 255).astype(np.uint8)
    folder.mkdir(parents=True)
    for name in geometries:
        height, width = padded_size(name)
        with growing_crops(folder, name) as crops:
            for picture in coarse:
                crops.append(cv2.resize(picture, (width, height), interpolation=cv2.INTER_CUBIC))
            crops.publish()
    points = np.tile(np.array([[30, 30], [50, 30], [40, 40], [32, 50], [48, 50]], np.float32), (M, 1, 1))
    records.write(
        folder,
        records.Records(
            subject=Labels.of(names),
            medium=Labels.of(media),
            file=Labels.of(media),
            frame=np.zeros(M, np.int64),
            score=np.ones(M, np.float32),
            box=np.tile(np.array([10, 10, 70, 70], np.float32), (M, 1)),
            landmarks={"arcface5": points, "dlib5": points},
            media=tuple(sorted(media)),
            settings={"detector": "mtcnn", "labelled": True, "left_out": [], "fps": 5.0},
            report=PrepareReport(people=people, media=M, pictures=M, faces=M),
        ),
    )
    return FaceStore.open(folder)
