"""Features over crop and mirror image, faces placed where none was detected, and the media that are asked for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from media_files import write_video
from portraits import collins, hopper, varied, write

from faceset import features
from faceset.alignment import align_face
from faceset.detection.landmarks import Dlib5
from faceset.detection.mtcnn import Mtcnn
from faceset.embedding import Embedder
from faceset.errors import FeatureTableError, InputError, MediaError
from faceset.extraction import CENTRE_RULE, ExtractConfig, central_face, degraded_crops, extract
from faceset.extraction import found as notes
from faceset.extraction.crops import generator
from faceset.extraction.found import Note
from faceset.extraction.placed import PLACES, box_around, central_box, check_placeable, placed
from faceset.feature_table import FeatureTable, table_of
from faceset.media import open_media
from faceset.packs.store import import_model
from faceset.pipeline import Pipeline
from faceset.recognizer import Recognizer
from faceset.types import Face, Image

GREY = np.full((48, 64, 3), 128, np.uint8)


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    return Recognizer().pipeline


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two people; a picture, a folder of frames and a video without a face."""
    root = tmp_path_factory.mktemp("root")
    write(collins()[:400, :400], root / "Collins" / "0.png")
    write(hopper()[:500], root / "Hopper" / "0.png")
    write(varied(hopper(), 1)[:500], root / "Hopper" / "walk" / "0.png")
    write(GREY, root / "Hopper" / "walk" / "1.png")
    write(GREY, root / "Hopper" / "blank.png")
    write_video(root / "Hopper" / "blank.mp4", [GREY] * 3, rate=5)
    return root


def row(table: FeatureTable, medium: str, kind: str = "clean") -> FeatureTable:
    return table.take(table.medium.is_in([medium]) & table.kind.is_in([kind]))


def test_flip_takes_the_mean_of_crop_and_mirror_image(root: Path, pipeline: Pipeline, tmp_path: Path) -> None:
    config = ExtractConfig(flip=True, degrade=2, seed=5)
    table, _ = extract(root, tmp_path / "f.parquet", pipeline, config)
    assert table.settings["flip"] is True
    for name in ("Collins/0.png", "Hopper/0.png"):
        image = next(iter(open_media(root / name).frames())).image
        face = central_face(pipeline.detector.detect([image])[0], image)
        assert face is not None
        assert pipeline.landmarker is not None
        (face,) = pipeline.landmarker.landmark(image, [face])
        drawn = degraded_crops(image, face, pipeline.embedder, config, generator(5, name, 0))
        crops = [align_face(image, face, pipeline.embedder.geometry), *(crop for _, _, crop in drawn)]
        assert len(crops) == 3
        a, b = (pipeline.embedder.embed([np.fliplr(c) if m else c for c in crops]) for m in (False, True))
        assert np.abs(a - b).max() > 0.01  # the network is not the same left and right, so there is something to mean
        found = table.take(table.medium.is_in([name])).vectors
        np.testing.assert_allclose(found, (a.astype(float) + b) / 2, rtol=0, atol=1e-7)


def test_tables_from_before_flip_and_undetected_are_gone_on_with(
    root: Path, pipeline: Pipeline, tmp_path: Path
) -> None:
    # The settings that version 0.3 wrote, word for word.
    config = ExtractConfig()
    before = {"detector": "mtcnn", "degrade": 0, "kinds": list(config.kinds), "low": 0.0, "high": 1.0, "seed": 0}
    before |= {"fps": 5.0, "found": {"Hopper/blank.png": {"empty": True, "without_face": [], "failed": []}}}
    output = tmp_path / "f.parquet"
    e = pipeline.embedder
    features.write(output, table_of([], e.model_id, width=e.width, scheme="dlib5", settings=before))
    with pytest.raises(
        FeatureTableError, match="flip was None and is now True; undetected was None and is now 'centre'"
    ):
        extract(root, output, pipeline, ExtractConfig(flip=True, undetected="centre"))
    table, report = extract(root, output, pipeline, config)
    assert (report.done_before, report.added) == (1, 4)
    assert {k: v for k, v in table.settings.items() if k != "found"} == {
        k: v for k, v in before.items() if k != "found"
    }


def test_picture_without_a_face_gets_one_in_its_centre(root: Path, pipeline: Pipeline, tmp_path: Path) -> None:
    config = ExtractConfig(undetected="centre")
    table, report = extract(root, tmp_path / "f.parquet", pipeline, config)
    blank = row(table, "Hopper/blank.png")
    # 64 x 48: 0.37 and 0.50 of 48 are 17.76 and 24, around (32, 24).
    np.testing.assert_allclose(blank.box, [[23.12, 12, 40.88, 36]], rtol=1e-6)
    assert blank.score.tolist() == [0]
    assert blank.norm[0] > 0
    inside = (blank.landmarks >= [23, 12]) & (blank.landmarks <= [41, 36])
    assert inside.all()
    assert report.fallback == ["Hopper/blank.png"]
    assert report.fallback_rule == CENTRE_RULE
    assert "0.37 wide and 0.50 high" in CENTRE_RULE
    # Frames of videos are passed over as before.
    assert report.without_face == ["Hopper/blank.mp4", "Hopper/walk/1.png"]
    assert row(table, "Hopper/walk").frame.tolist() == [0]
    assert (table.score[~table.medium.is_in(["Hopper/blank.png"])] > 0.9).all()
    again, told = extract(root, tmp_path / "f.parquet", pipeline, config)
    assert len(again) == len(table) == 4
    assert told.to_dict() == {**report.to_dict(), "done_before": 5, "added": 0}
    skipped, report = extract(root, tmp_path / "s.parquet", pipeline)
    assert (report.fallback, report.fallback_rule) == ([], "")
    assert "Hopper/blank.png" in report.without_face
    np.testing.assert_array_equal(skipped.vectors, table.take(table.score > 0).vectors)


def test_placed_points_serve_an_embedder_that_takes_the_detectors_own(
    root: Path, models_dir: Path, tmp_path: Path
) -> None:
    path = models_dir / "mobilefacenet_arcface_112.onnx"
    import_model(path, name="placed-arcface", crop="arcface112", colour="RGB", mean=0.0, std=1.0)
    pipeline = Pipeline(Mtcnn(), None, Embedder.load("placed-arcface"))
    media = ["Hopper/blank.png"]
    table, _ = extract(root, tmp_path / "f.parquet", pipeline, ExtractConfig(undetected="centre"), media=media)
    assert table.scheme == "arcface5"
    want = np.array([23.12, 12]) + np.array(PLACES) * [17.76, 24]
    np.testing.assert_allclose(table.landmarks[0], want, rtol=1e-6)


def test_central_box_of_upright_and_lying_pictures() -> None:
    assert central_box(np.zeros((100, 200, 3), np.uint8)) == pytest.approx((81.5, 25, 118.5, 75))
    assert central_box(np.zeros((200, 100, 3), np.uint8)) == pytest.approx((31.5, 75, 68.5, 125))


def test_placed_points_lie_in_the_box_and_lead_back_to_it() -> None:
    face = placed((10, 20, 10 + 37, 20 + 50))
    assert face.scheme == "arcface5"
    assert face.score == 0
    assert face.landmarks is not None
    np.testing.assert_allclose(face.landmarks[2], [10 + 37 / 2, 20 + 0.58 * 50])  # the nose
    np.testing.assert_allclose(face.landmarks[0], [10 + 0.275 * 37, 20 + 0.384 * 50], rtol=1e-6)  # the eye at the left
    np.testing.assert_allclose(box_around(face.landmarks), face.box, atol=1e-4)


def test_models_for_which_no_face_can_be_placed(pipeline: Pipeline, root: Path, tmp_path: Path) -> None:
    class Own(Mtcnn):
        """A detector that brings dlib's points itself."""

        name = "own"
        scheme = "dlib5"

        def detect(self, images: list[Image]) -> list[list[Face]]:
            return [Dlib5().landmark(i, f) for i, f in zip(images, super().detect(images), strict=True)]

    own = replace(pipeline, detector=Own(), landmarker=None)
    with pytest.raises(InputError, match=r"detector 'own' gives 'dlib5'; choose the detector mtcnn or yunet, or skip"):
        extract(root, tmp_path / "f.parquet", own, ExtractConfig(undetected="centre"))
    check_placeable(pipeline)


def test_only_the_media_asked_for(root: Path, pipeline: Pipeline, tmp_path: Path) -> None:
    output = tmp_path / "f.parquet"
    asked = ["Hopper/walk", "Collins/0.png", "Nobody/1.png", "Hopper/7.png"]
    table, report = extract(root, output, pipeline, media=asked)
    assert table.medium.names == ("Collins/0.png", "Hopper/walk")
    assert (report.added, report.missing) == (2, ["Hopper/7.png", "Nobody/1.png"])
    _, report = extract(root, output, pipeline, media=asked)
    assert (report.done_before, report.added, report.missing) == (2, 0, ["Hopper/7.png", "Nobody/1.png"])
    _, report = extract(root, output, pipeline)  # without names the rest is added
    assert (report.done_before, report.added, report.missing) == (2, 3, [])
    with pytest.raises(MediaError, match=r"holds none of the 1 media asked for, such as Nobody/1.png; give the folder"):
        extract(root, output, pipeline, media=["Nobody/1.png"])


def test_sequences_of_a_video_can_be_asked_for(pipeline: Pipeline, tmp_path: Path) -> None:
    root = tmp_path / "root"
    for sequence, picture in (("0001", collins()[:400, :400]), ("0002", hopper()[:500])):
        for k in range(2):
            write(varied(picture, k), root / "0007" / "0003" / sequence / f"{k}.png")
    asked = ["0007/0003/0002", "0007/0003/0009", "0007/0003/000"]
    table, report = extract(root, tmp_path / "f.parquet", pipeline, media=asked)
    assert (table.medium.names, table.subject.names) == (("0007/0003/0002",), ("0007",))
    assert table.frame.tolist() == [0, 1]
    assert report.missing == ["0007/0003/000", "0007/0003/0009"]
    whole, _ = extract(root, tmp_path / "w.parquet", pipeline)
    np.testing.assert_array_equal(table.vectors, whole.vectors[2:])


def test_unknown_word_for_undetected() -> None:
    with pytest.raises(InputError, match=r"undetected must be one of skip, centre, but got 'left'"):
        ExtractConfig(undetected="left")


def test_notes_of_before_are_read(tmp_path: Path) -> None:
    (tmp_path / notes.NOTES).write_text('\n["Ann/1", {"empty": true, "without_face": ["Ann/1"], "failed": []}]')
    assert notes.read(tmp_path) == {"Ann/1": Note(True, ["Ann/1"])}
    notes.append(tmp_path, "Ann/2", Note(fallback=["Ann/2"]))
    assert notes.read(tmp_path)["Ann/2"].fallback == ["Ann/2"]
    assert Note(fallback=["Ann/2"])
