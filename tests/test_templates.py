"""Template files, similarity and thresholds."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest

from faceset import scoring, templates
from faceset.errors import EmbedderMismatchError, EmptySetError, TemplateFileError, ThresholdError
from faceset.templates import load_template, save_template, template_from_dict
from faceset.types import Face, Template


def template(vector=(0.6, 0.8), model_id="m1", **changes):
    faces = (
        Face((1, 2, 30.5, 40.25), 0.75, np.arange(10).reshape(5, 2), "arcface5", frame=7, time=1.5, media="Zoë.mp4"),
        Face((1, 2, 3, 4), 0.5, media="b.jpg"),
    )
    values = {"aggregator": "norm", "weights": [0.25, 0.75], "consistency": 0.9375, "faces": faces} | changes
    return Template(np.array(vector), model_id, **values)


@pytest.fixture(params=[".npz", ".json", ".NPZ"])
def path(request, tmp_path):
    return tmp_path / f"grace{request.param}"


def test_round_trip(path):
    rng = np.random.default_rng(0)
    vector = rng.standard_normal(128)
    before = template(vector / np.linalg.norm(vector), left_out=("one face left out: too small",))
    save_template(before, path)
    after = load_template(path)
    np.testing.assert_array_equal(after.vector, before.vector)
    np.testing.assert_array_equal(after.weights, before.weights)
    assert after.to_dict() == before.to_dict()
    assert after.faces[0].scheme == "arcface5"
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_half_surrogate_pairs_in_names_leave_a_valid_file(path):
    save_template(template(faces=(Face((1, 2, 3, 4), 0.5, media="caf\udce9.jpg"),) * 2, left_out=("\ud834",)), path)
    after = load_template(path)
    assert [f.media for f in after.faces] == ["caf?.jpg"] * 2
    assert after.left_out == ("?",)


def test_no_faces_behind_it(path):
    save_template(template(faces=()), path)
    assert load_template(path).faces == ()


def test_values_alone_read_back():
    before = template()
    assert template_from_dict(json.loads(json.dumps(before.to_dict()))).to_dict() == before.to_dict()


def test_a_file_is_replaced_whole(path, monkeypatch):
    save_template(template(), path)
    old = path.read_bytes()

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(TemplateFileError, match=r"grace\.\w+ cannot be written \(No space left on device\); free some"):
        save_template(template((0, 1)), path)
    assert path.read_bytes() == old
    assert [p.name for p in path.parent.iterdir()] == [path.name]


@pytest.mark.skipif(os.name == "nt", reason="POSIX permissions")
def test_a_new_file_has_the_permissions_of_any_other(path):
    other = path.with_name("other")
    other.touch()
    save_template(template(), path)
    assert path.stat().st_mode == other.stat().st_mode


def test_bad_targets(tmp_path):
    for name, words in (("a.pkl", r"ends in \.npz or \.json"), ("no/a.npz", "does not exist; make it first")):
        with pytest.raises(TemplateFileError, match=words):
            save_template(template(), tmp_path / name)
    (tmp_path / "folder.npz").mkdir()
    with pytest.raises(TemplateFileError, match="is a folder"):
        save_template(template(), tmp_path / "folder.npz")
    assert templates.is_template_path("x/y.JSON")
    assert not templates.is_template_path("x/y.mp4")


def test_missing_and_folder(path):
    with pytest.raises(TemplateFileError, match=r"cannot be read \(No such file or directory\); check the name"):
        load_template(path)
    path.mkdir()
    with pytest.raises(TemplateFileError, match="cannot be read"):
        load_template(path)
    with pytest.raises(TemplateFileError, match=r"ends in \.npz or \.json"):
        load_template(path.with_suffix(".txt"))


@pytest.mark.parametrize("keep", [0, 1, 10, 100, 0.5, 0.9, -1])
def test_cut_short(path, keep):
    save_template(template(), path)
    data = path.read_bytes()
    path.write_bytes(data[: keep if isinstance(keep, int) else int(keep * len(data))])
    if keep == -1 and path.suffix == ".json":
        load_template(path)  # nothing but the last line feed is gone
        return
    with pytest.raises(TemplateFileError, match="damaged"):
        load_template(path)


def test_every_flipped_byte_is_read_right_or_refused(path):
    save_template(template(), path)
    data = bytearray(path.read_bytes())
    for i in range(0, len(data), 11):
        damaged = data.copy()
        damaged[i] ^= 0xFF
        path.write_bytes(damaged)
        try:
            load_template(path)
        except TemplateFileError:
            continue


def write(path, values, **arrays):
    if path.suffix.lower() == ".json":
        path.write_text(json.dumps(values), encoding="utf-8")
    else:
        held = {k: np.array(values.pop(k)) for k in ("vector", "weights") if k in values}
        header = np.frombuffer(json.dumps(values).encode(), np.uint8)
        with path.open("wb") as file:
            np.savez(file, header=header, **held, **arrays)


def good():
    return {"format": templates.FORMAT, "version": 1, **template().to_dict()}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"version": 2}, r"has version 2, but this faceset reads up to 1; upgrade faceset"),
        ({"version": "new"}, "upgrade faceset"),
        ({"format": "other"}, r"is not a faceset template; make one with `faceset template"),
        ({"model_id": None}, "damaged template .*None"),
        ({"vector": [3.0, 4.0]}, r"damaged template \(a template has unit length, but this vector has length 5\)"),
        ({"vector": [float("nan"), 1.0]}, "damaged template .*NaN"),
        ({"weights": [0.5, 0.25]}, "sum to 0.75"),
        ({"weights": [1.0]}, "one weight a face: got 1 weights for 2 faces"),
        ({"faces": [{}]}, "'box' is missing"),
        ({"faces": 3}, "damaged template"),
        ({"consistency": "high"}, "damaged template"),
    ],
)
def test_foreign_newer_and_inconsistent(path, change, words):
    write(path, good() | change)
    with pytest.raises(TemplateFileError, match=words) as caught:
        load_template(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("gone", ["model_id", "weights", "faces", "left_out", "vector"])
def test_a_missing_part(path, gone):
    values = good()
    del values[gone]
    write(path, values)
    with pytest.raises(TemplateFileError, match=rf"'{gone}' is missing|is not a faceset template"):
        load_template(path)


def test_other_things(path):
    write(path, {"a": 1})
    with pytest.raises(TemplateFileError, match="is not a faceset template"):
        load_template(path)
    if path.suffix == ".json":
        path.write_text("[" * 100_000)
        with pytest.raises(TemplateFileError, match="no JSON"):
            load_template(path)
        path.write_bytes(b"\xff\xfe")
        with pytest.raises(TemplateFileError, match="no JSON"):
            load_template(path)
        path.write_text("[1]")
        with pytest.raises(TemplateFileError, match="not a faceset template"):
            load_template(path)
    else:
        with path.open("wb") as file:  # a plain array, and an archive that would need pickle
            np.save(file, np.ones(3))
        with pytest.raises(TemplateFileError, match=r"no \.npz file"):
            load_template(path)
        values = good()
        with path.open("wb") as file:
            header = np.frombuffer(json.dumps(values).encode(), np.uint8)
            np.savez(file, header=header, vector=np.array([object()], dtype=object), weights=np.ones(1))
        with pytest.raises(TemplateFileError, match="allow_pickle"):
            load_template(path)


# ---------------------------------------------------------------------------------------------------- scoring


def test_similarity_by_hand():
    a, b = template((1, 0)), template((0.6, 0.8))
    assert scoring.similarity(a, b) == pytest.approx(0.6)
    assert scoring.similarity(b, a) == scoring.similarity(a, b)
    assert scoring.similarity(a, template((-1, 0))) == -1
    vector = np.full(3, 1 / np.sqrt(3))
    assert scoring.similarity(template(vector), template(vector)) <= 1


def test_similarity_matrix():
    rows, columns = [template((1, 0)), template((0, 1))], [template((0.6, 0.8)), template((1, 0)), template((-1, 0))]
    matrix = scoring.similarity_matrix(rows, columns)
    assert matrix.dtype == np.float32
    np.testing.assert_allclose(matrix, [[0.6, 1, -1], [0.8, 0, 0]], atol=1e-6)
    np.testing.assert_allclose(scoring.similarity_matrix(rows), np.eye(2), atol=1e-6)
    with pytest.raises(EmptySetError, match="both sides"):
        scoring.similarity_matrix(rows, [])


def test_other_embedders_are_refused():
    with pytest.raises(EmbedderMismatchError, match="'m1' and 'm2'; make both with the same"):
        scoring.similarity(template(), template(model_id="m2"))
    with pytest.raises(EmbedderMismatchError, match="'m1' and 'm2'"):
        scoring.similarity_matrix([template()], [template(), template(model_id="m2")])
    with pytest.raises(EmbedderMismatchError, match="widths 2 and 3"):
        scoring.similarity(template(), template((1, 0, 0)))


def test_threshold():
    known = scoring.threshold_for(0.91, "dlib, single images, uncalibrated", None)
    assert known.to_dict() == {
        "threshold": 0.91,
        "threshold_source": "dlib, single images, uncalibrated",
        "far": None,
        "fpir": None,
    }
    assert scoring.Threshold(0.5, "x", far=0.001).to_dict()["far"] == 0.001
    assert scoring.threshold_for(0.91, "dlib", 0.5) == scoring.Threshold(0.5, "given by the caller")
    assert scoring.threshold_for(None, None, 0).value == 0
    assert "not stated" in scoring.threshold_for(0.3, None, None).source
    with pytest.raises(ThresholdError, match=r"pass threshold= .on the command line --threshold."):
        scoring.threshold_for(None, None, None)
    for wrong in (1.5, float("nan")):
        with pytest.raises(ThresholdError, match=r"cosine in -1\.\.1"):
            scoring.threshold_for(0.9, "x", wrong)
    with pytest.raises(ThresholdError, match="source"):
        scoring.Threshold(0.5, "")
