"""The weights that ship: for which embedder, under which name, and what a gallery of older ones does."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from portraits import collins, varied

import faceset
from faceset import aggregation
from faceset.aggregation import shipped
from faceset.errors import EmbedderMismatchError, InputError
from faceset.packs.registry import registry

DLIB = registry()["dlib-resnet"].model_id


def test_the_default_is_the_trained_one_for_its_embedder_and_the_mean_for_others() -> None:
    assert aggregation.default(DLIB).name.split(":")[0] == aggregation.DEFAULT
    assert aggregation.default("other:1").name == "mean"


@pytest.mark.parametrize("name", shipped.SHIPPED)
def test_the_name_tells_one_set_of_weights_from_the_next(name: str) -> None:
    found = aggregation.get(name, model_id=DLIB)
    kind, _, digest = found.name.partition(":")
    assert kind == name
    assert len(digest) == 8


@pytest.mark.parametrize("name", shipped.SHIPPED)
def test_weights_of_one_embedder_are_not_used_for_another(name: str) -> None:
    with pytest.raises(
        InputError, match=f"{name}.* ships with weights for embedder {DLIB}, not for other:1; train one"
    ):
        aggregation.get(name, model_id="other:1")


def test_without_an_embedder_nan_is_the_mean_and_the_others_ask_for_it() -> None:
    features = np.random.default_rng(0).normal(size=(5, 16)).astype(np.float32)
    nan, mean = (aggregation.get(n)(features, [0, 5]) for n in ("nan", "mean"))
    np.testing.assert_allclose(nan.templates, mean.templates, atol=1e-6)
    with pytest.raises(InputError, match="belong to one embedder; say which by model_id="):
        aggregation.get("anchored")
    with pytest.raises(InputError, match="does not take the options"):
        aggregation.get("anchored", model_id=DLIB, power=2)


def test_a_file_is_an_aggregator_too(tmp_path: Path) -> None:
    path = tmp_path / "mine.onnx"
    path.write_bytes((files("faceset.aggregation") / "weights" / "nan.onnx").read_bytes())
    assert aggregation.get(str(path), model_id=DLIB).name == "nan"
    with pytest.raises(
        EmbedderMismatchError, match=f"was trained for embedder {DLIB}, but the features are of other:1"
    ):
        aggregation.get(str(path), model_id="other:1")
    with pytest.raises(InputError, match="takes no options"):
        aggregation.get(str(path), power=2)


def test_a_gallery_of_an_older_default_aggregates_itself_anew(tmp_path: Path) -> None:
    now = faceset.Recognizer()
    before = faceset.Recognizer(detector=now.detector, embedder=now.embedder, aggregator="mean")
    with faceset.Gallery(tmp_path / "people.db") as gallery:
        before.enroll(gallery, "Collins", [varied(collins(), seed) for seed in range(3)])
        old = gallery.template("Collins")
        next(now.identify(gallery, varied(collins(), 9)))
        new = gallery.template("Collins")
        again = aggregation.aggregate_set(now.aggregator, gallery.features("Collins"))
    assert (old.aggregator, new.aggregator) == ("mean", now.aggregator.name)
    assert not np.array_equal(old.vector, new.vector)
    np.testing.assert_array_equal(new.vector, again.vector)
