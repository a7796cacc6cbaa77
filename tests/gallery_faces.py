"""Random faces for the tests of the gallery, also used by the processes that those tests start."""

from __future__ import annotations

import hashlib
import sqlite3
from pathlib import Path

import numpy as np

from faceset import aggregation
from faceset.gallery import Gallery
from faceset.types import Face, FaceSet, Template

WIDTH = 32
MODEL = "sha256:test-embedder"
MEAN = aggregation.get("mean")


def centre(person: int, width: int = WIDTH) -> np.ndarray:
    """The unit vector around which the features of a person lie."""
    vector = np.random.default_rng(10_000 + person).standard_normal(width)
    return vector / np.linalg.norm(vector)


def digest(name: str) -> str:
    """A sha256 that stands for the bytes of a file."""
    return hashlib.sha256(name.encode()).hexdigest()


def faces(
    person: int,
    media: str,
    *,
    count: int = 4,
    track: int = 0,
    kind: str = "video",
    model_id: str = MODEL,
    width: int = WIDTH,
    known: bool = True,
    crops: bool = False,
) -> FaceSet:
    """One track of ``count`` faces of a person; the same arguments give the same bits."""
    seed = int.from_bytes(hashlib.sha256(f"{person}/{media}/{track}".encode()).digest()[:8], "little")
    rng = np.random.default_rng(seed)
    found = []
    for i in range(count):
        feature = centre(person, width) + 0.6 * rng.standard_normal(width) / np.sqrt(width)
        x, y, size = rng.uniform(0, 500, 3) + 20
        found.append(
            Face(
                box=(x, y, x + size, y + size),
                score=float(rng.uniform(0.8, 1)),
                landmarks=rng.uniform(0, 500, (5, 2)),
                scheme="arcface5",
                frame=6 * i,
                time=i / 5,
                media=media,
                feature=1.4 * feature,
                crop=rng.integers(0, 256, (12, 10, 3), dtype=np.uint8) if crops else None,
            )
        )
    return FaceSet(tuple(found), model_id, media=media, track=track, digest=digest(media) if known else "", kind=kind)


def probe(person: int, *, width: int = WIDTH, model_id: str = MODEL) -> Template:
    """The template of a video of a person that no test enrols."""
    return aggregation.aggregate_set(MEAN, faces(person, "probe.mp4", width=width, model_id=model_id))


def check_whole(path: Path) -> None:
    """Every row fits the others, and every template is what the features held give."""
    with sqlite3.connect(path) as raw:
        assert raw.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert raw.execute("PRAGMA foreign_key_check").fetchall() == []
    raw.close()
    with Gallery(path, create=False) as gallery:
        for person in gallery.people():
            sets = gallery.features(person.name)
            stored = gallery.template(person.name)
            again = aggregation.aggregate_set(aggregation.get(stored.aggregator), sets)
            np.testing.assert_array_equal(stored.vector, again.vector)
            np.testing.assert_array_equal(stored.weights, again.weights)
            assert person.faces == sum(map(len, sets)) == sum(m.faces for m in person.media) == len(stored)
