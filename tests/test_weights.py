"""The shipped aggregator files: what they say of themselves, the laws of aggregation, and real faces made worse."""

from __future__ import annotations

import json
from importlib.resources import files

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from faceset.aggregation.onnx_aggregator import OnnxAggregator
from faceset.degradations import KINDS
from faceset.demo.portraits import portraits
from faceset.errors import InputError
from faceset.extraction import ExtractConfig, central_face, degraded_crops
from faceset.packs.registry import registry
from faceset.recognizer import Recognizer
from faceset.training import TrainConfig, TrainData

D = 128
FOLDER = files("faceset.aggregation") / "weights"
NAMES = ("anchored", "ers", "nan")
TRAINED = {"anchored": D * D + 2 * D + 3, "nan": D * D + 2 * D}


def content(name: str) -> bytes:
    return (FOLDER / f"{name}.onnx").read_bytes()


@pytest.fixture(scope="module", params=NAMES)
def shipped(request: pytest.FixtureRequest) -> OnnxAggregator:
    return OnnxAggregator(content(request.param))


def real_like(rng: np.random.Generator, faces: int) -> np.ndarray:
    """Features of varied length around a common direction, as those of the embedder are."""
    x = np.eye(1, D) * 4 + rng.normal(size=(faces, D)) * 0.3
    return (x * rng.uniform(0.5, 2.0, (faces, 1))).astype(np.float32)


@pytest.mark.parametrize("name", NAMES)
def test_a_file_says_what_it_is_and_is_small(name: str) -> None:
    data = content(name)
    metadata = OnnxAggregator(data).metadata
    assert len(data) < 200_000
    assert metadata["kind"] == name
    assert metadata["embedder"] == registry()["dlib-resnet"].model_id
    assert metadata["licence"] == "MIT"
    assert metadata["seed"] == "0"
    assert "Labeled Faces in the Wild" in metadata["training_data"]
    assert "without the people of YouTube Faces" in metadata["training_data"]
    assert metadata["faceset"]


@pytest.mark.parametrize("name", TRAINED)
def test_the_parameters_and_the_figures_of_training_are_in_the_file(name: str) -> None:
    model = onnx.load_model_from_string(content(name))
    parameters = {
        numpy_helper.to_array(t).tobytes(): t for t in model.graph.initializer if t.data_type == onnx.TensorProto.FLOAT
    }
    distinct = sum(int(np.prod(t.dims)) for t in parameters.values())
    assert distinct >= TRAINED[name]
    metrics = json.loads(OnnxAggregator(content(name)).metadata["metrics"])
    assert metrics["resolved"] is True
    assert metrics["best_step"] > 0
    assert metrics["score"] > metrics["baseline"] + 0.1


def test_a_face_alone_is_returned_as_it_is(shipped: OnnxAggregator) -> None:
    x = real_like(np.random.default_rng(0), 3)
    out = shipped(x, [0, 1, 2, 3])
    np.testing.assert_allclose(out.templates, x / np.linalg.norm(x, axis=1, keepdims=True), atol=1e-6)
    np.testing.assert_array_equal(out.weights, 1.0)


def test_the_order_of_the_faces_does_not_matter(shipped: OnnxAggregator) -> None:
    rng = np.random.default_rng(1)
    x, order = real_like(rng, 9), rng.permutation(9)
    one, other = shipped(x, [0, 9]), shipped(x[order], [0, 9])
    np.testing.assert_allclose(other.templates, one.templates, atol=1e-5)
    np.testing.assert_allclose(other.weights, one.weights[order], atol=1e-5)


def test_neither_padding_nor_other_sets_matter(shipped: OnnxAggregator) -> None:
    x = real_like(np.random.default_rng(2), 12)
    offsets = np.array([0, 5, 7, 12])
    together = shipped(x, offsets)
    for b in range(3):
        part = slice(offsets[b], offsets[b + 1])
        alone = shipped(x[part], [0, part.stop - part.start])
        np.testing.assert_allclose(together.templates[b], alone.templates[0], atol=1e-5)
        np.testing.assert_allclose(together.weights[part], alone.weights, atol=1e-5)


def test_junk_in_the_padding_changes_nothing(shipped: OnnxAggregator) -> None:
    x = real_like(np.random.default_rng(3), 6)[None]
    mask = np.array([[True, True, False, True, False, True]])
    clean = shipped._session.run(None, {"features": np.where(mask[..., None], x, 0), "mask": mask})
    for junk in (np.nan, np.inf, 1e30):
        spoilt = np.where(mask[..., None], x, np.float32(junk)).astype(np.float32)
        for mine, theirs in zip(shipped._session.run(None, {"features": spoilt, "mask": mask}), clean, strict=True):
            np.testing.assert_array_equal(mine, theirs)


def test_the_template_is_the_direction_of_the_weighted_faces(shipped: OnnxAggregator) -> None:
    x = real_like(np.random.default_rng(4), 8)
    out = shipped(x, [0, 8])
    r = out.weights @ (x / np.linalg.norm(x, axis=1, keepdims=True))
    np.testing.assert_allclose(out.templates[0], r / np.linalg.norm(r), atol=1e-5)
    assert out.weights.min() >= 0
    assert out.weights.sum() == pytest.approx(1.0, abs=1e-5)
    assert out.weights.std() > 1e-3, "these weights are those of the mean"


STRENGTHS = (0.6, 0.8, 1.0)


@pytest.fixture(scope="module")
def faces() -> np.ndarray:
    """For each portrait and strength the features of the clean face, then of one of each kind of damage, (6, 9, D)."""
    pipeline = Recognizer().pipeline
    crops = []
    for portrait in portraits():
        (detected,) = pipeline.detector.detect([portrait.image])
        face = central_face(detected, portrait.image)
        assert face is not None
        if pipeline.landmarker is not None:
            (face,) = pipeline.landmarker.landmark(portrait.image, [face])
        for strength in STRENGTHS:
            for kind, s in (("motion_blur", 0.0), *((k, strength) for k in KINDS)):  # strength 0 changes nothing
                config = ExtractConfig(degrade=1, kinds=(kind,), low=s, high=s)
                rng = np.random.default_rng(0)
                crops += [crop for _, _, crop in degraded_crops(portrait.image, face, pipeline.embedder, config, rng)]
    return pipeline.embedder.embed(crops).reshape(2 * len(STRENGTHS), 1 + len(KINDS), D)


def test_a_clean_face_outweighs_each_kind_of_damage(faces: np.ndarray) -> None:
    default = OnnxAggregator(content("anchored"))
    weights = np.mean([default(x, [0, len(x)]).weights for x in faces], axis=0)
    units = faces / np.linalg.norm(faces, axis=2, keepdims=True)
    alike = (units * units[:, :1]).sum(axis=2).mean(axis=0)
    harmed = {k for k, cosine in zip(KINDS, alike[1:], strict=True) if cosine < 0.97}
    assert harmed >= set(KINDS) - {"under_exposure"}, "the pictures are not damaged enough to say anything"
    for kind, weight in zip(KINDS, weights[1:], strict=True):
        if kind in harmed:  # a dark picture without noise has nearly the feature of the bright one
            assert weights[0] > 1.5 * weight, f"{kind} weighs {weight:.3f}, a clean face {weights[0]:.3f}"


def test_damage_draws_the_template_away_less_than_it_draws_the_mean(faces: np.ndarray) -> None:
    default = OnnxAggregator(content("anchored"))
    for x in faces:
        units = x / np.linalg.norm(x, axis=1, keepdims=True)
        mean = units.mean(axis=0)
        kept = float(default(x, [0, len(x)]).templates[0] @ units[0])
        assert kept > float(mean @ units[0] / np.linalg.norm(mean))


def test_the_strength_that_training_sees_can_be_bounded() -> None:
    x = np.eye(4, dtype=np.float32)
    data = TrainData.of(x, list("aabb"), list("pqrs"), kinds=["clean", *["noise"] * 3], strength=[0, 0.2, 0.6, 3])
    assert data.only(max_strength=0.6).rows.tolist() == [0, 1, 2]
    assert data.only(max_strength=0.0).rows.tolist() == [0]
    assert data.only().rows.tolist() == [0, 1, 2, 3]
    with pytest.raises(InputError, match="max_strength must be at least 0, but got -1"):
        TrainConfig(max_strength=-1)


def test_the_files_tell_nothing_of_the_machine_they_were_made_on() -> None:
    for path in sorted((files("faceset.aggregation") / "weights").iterdir(), key=lambda p: p.name):
        assert b'File "' not in path.read_bytes(), path.name
