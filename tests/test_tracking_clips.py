"""Tracks of real people, found and embedded by other networks than the default, with and without a known score."""

from __future__ import annotations

import hashlib

import av
import labels
import pytest

from faceset import detection
from faceset.embedding import Embedder
from faceset.packs.manifest import Manifest
from faceset.pipeline import Pipeline
from faceset.tracking import Tracker, TrackerOptions
from faceset.types import Frame

pytestmark = pytest.mark.data

CLIPS = ("people_walking", "short_hamilton_clip")
STEP = 5  # 5 and 6 frames a second; every second one is labelled


@pytest.fixture(scope="module")
def seen(data_dir, models_dir):
    """Every fifth frame of each clip with its faces."""
    path = models_dir / "mobilefacenet_arcface_112.onnx"
    manifest = Manifest(
        id="arcface-test",
        role="embedder",
        licence="research",
        commercial="no",
        file=path.name,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        crop="arcface112",
        colour="RGB",
        width=128,
    )
    yunet = detection.get("yunet", path=models_dir / "yunet_n_dynamic.onnx")
    pipeline = Pipeline(yunet, None, Embedder(manifest, path))
    found = {}
    for clip in CLIPS:
        with av.open(str(data_dir / "clips" / f"{clip}.mp4")) as container:
            frames = [
                Frame(f.to_ndarray(format="rgb24"), i, float(f.time), clip)
                for i, f in enumerate(container.decode(video=0))
                if i % STEP == 0
            ]
        found[clip] = [
            pair
            for k in range(0, len(frames), 8)
            for pair in zip(frames[k : k + 8], pipeline.faces(frames[k : k + 8]), strict=True)
        ]
    return found


@pytest.mark.parametrize("clip", CLIPS)
@pytest.mark.parametrize("same_score", [0.3, None])
def test_no_track_changes_from_one_person_to_another(seen, clip, same_score):
    tracker = Tracker("m", options=TrackerOptions(same_score=same_score))
    sets = [s for frame, faces in seen[clip] for s in tracker.update(frame, faces)] + tracker.finish()
    known = labels.load(clip)
    boxes = {s.track: {face.frame: face.box for face in s.faces} for s in sets}
    counts = labels.id_switches(known, boxes)
    assert counts.switches == 0, counts
    assert counts.matched >= 40, counts
    for one in sets:
        assert {known.shot(face.frame) for face in one.faces} == {one.shot}
    assert sum(len(s) for s in sets) == sum(len(faces) for _, faces in seen[clip])
