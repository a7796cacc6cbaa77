"""Manifests and the registry."""

from __future__ import annotations

import dataclasses
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceset.errors import LicenceError, ModelError
from faceset.packs import installed
from faceset.packs.manifest import Manifest, check_commercial, manifest_from_dict, read_manifest
from faceset.packs.registry import registry

GOOD: dict[str, Any] = {
    "id": "mine",
    "role": "embedder",
    "licence": "MIT",
    "commercial": "yes",
    "file": "mine.onnx",
    "sha256": "ab" * 32,
    "crop": "arcface112",
    "colour": "BGR",
    "mean": [127.5, 127.5, 127.5],
    "std": [128, 128, 128],
    "width": 512,
}


def manifest(**changes: Any) -> Manifest:
    return manifest_from_dict({**GOOD, **changes}, "test")


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    made = manifest(threshold=0.25, threshold_source="LFW, 6,000 pairs", notes='says "hi"\nand \\ more \x7f é')
    path = tmp_path / "m.toml"
    path.write_text(made.to_toml(), encoding="utf-8")
    assert read_manifest(path) == made


@given(notes=st.text(st.characters(exclude_categories=["Cs"])), threshold=st.floats(-1, 1))
def test_any_text_and_number_survives_the_file(notes: str, threshold: float) -> None:
    made = manifest(notes=notes, threshold=threshold, threshold_source="x")
    assert manifest_from_dict(tomllib.loads(made.to_toml()), "test") == made


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"crops": 1}, "unknown key crops; the keys are id, role"),
        ({"role": "reranker"}, "role must be one of embedder, detector, quality, but is 'reranker'"),
        ({"commercial": "maybe"}, "commercial must be one of yes, no, unknown"),
        ({"licence": " "}, "licence is empty"),
        (
            {"crop": "square"},
            r"crop must be one of arcface112, sphere112x96, dlib150, .* N from 32 to 448\), but is 'square'",
        ),
        ({"colour": "GRB"}, "colour must be one of RGB, BGR"),
        ({"mean": [0, 0]}, r"mean must be three numbers, but is \[0, 0\]"),
        ({"mean": [0, 0, True]}, "mean must be finite numbers"),
        ({"std": [1, 1, float("nan")]}, "std must be finite numbers"),
        ({"std": [1, 0, 1]}, "std must not be 0"),
        ({"width": 1.5}, "width must be a whole number, but is 1.5"),
        ({"width": 0}, "an embedder needs file, sha256 and width"),
        ({"sha256": "AB" * 32}, "sha256 must be 64 lower-case hex digits"),
        ({"file": "../mine.onnx"}, "file must be a plain file name"),
        ({"file": "a\\b.onnx"}, "file must be a plain file name"),
        ({"id": "../x"}, "id '../x' cannot name a model"),
        ({"id": "a" * 65}, "cannot name a model"),
        ({"url": "ftp://x/y"}, "url must be http or https"),
        ({"url": "https://x/y", "package": "p"}, "url and package exclude each other"),
        ({"threshold": 0.5}, "threshold without a source is folklore"),
        ({"threshold_source": "x"}, "threshold and threshold_source come together"),
        ({"threshold": 1.5, "threshold_source": "x"}, r"threshold is a cosine in -1..1, but is 1.5"),
        ({"notes": 3}, "notes must be text, but is 3"),
        ({"bytes": -1}, "must be >= 0"),
    ],
)
def test_impossible_values_are_named(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(ModelError, match=rf"^test: .*{reason}"):
        manifest(**changes)


def test_missing_keys_and_broken_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="test: missing key licence, commercial"):
        manifest_from_dict({"id": "x", "role": "detector"}, "test")
    path = tmp_path / "m.toml"
    path.write_text("id = [")
    with pytest.raises(ModelError, match=r"m\.toml is no TOML file"):
        read_manifest(path)
    with pytest.raises(ModelError, match=r"none\.toml cannot be read: No such file"):
        read_manifest(tmp_path / "none.toml")


def test_the_model_id_follows_the_numbers_and_nothing_else() -> None:
    base = manifest().model_id
    assert base.startswith("mine:")
    assert len(base) == len("mine:") + 16
    same = {"url": "https://x/y", "notes": "n", "licence": "other", "commercial": "no", "bytes": 5, "file": "o.onnx"}
    for key, value in same.items():
        assert manifest(**{key: value}).model_id == base, key
    other = {
        "sha256": "cd" * 32,
        "converter": 1,
        "crop": "sphere112x96",
        "colour": "RGB",
        "mean": [0, 127.5, 127.5],
        "std": [1, 128, 128],
        "output": "second",
    }
    ids = {manifest(**{key: value}).model_id for key, value in other.items()} | {base}
    assert len(ids) == len(other) + 1


def test_the_model_id_does_not_depend_on_how_numbers_are_written() -> None:
    assert manifest(std=[128, 128, 128]).model_id == manifest(std=(128.0, 128.0, 128.0)).model_id


def test_model_ids_stay_what_they_were() -> None:
    # Galleries and templates carry this id; a change makes all of them foreign.
    assert registry()["dlib-resnet"].model_id == "dlib-resnet:aae79f758fb292a9"


def test_commercial_use_is_enforced(monkeypatch: pytest.MonkeyPatch) -> None:
    for value in ("yes", "no", "unknown"):
        check_commercial(manifest(commercial=value))
    monkeypatch.setenv("FACESET_COMMERCIAL", "1")
    check_commercial(manifest())
    with pytest.raises(LicenceError, match=r"'mine' is refused because FACESET_COMMERCIAL is set.*forbidden.*MIT"):
        check_commercial(manifest(commercial="no"))
    with pytest.raises(LicenceError, match="not known to be allowed"):
        check_commercial(manifest(commercial="unknown"))


def test_a_manifest_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        manifest().width = 3  # type: ignore[misc]


def test_the_registry() -> None:
    known = registry()
    assert {m.id for m in known.values()} == set(known)
    assert {"dlib-resnet", "mtcnn", "yunet", "sface", "ediffiqa-t", "arcface-r50", "adaface-ir101", "edgeface-s"} < set(
        known
    )
    for entry in known.values():
        assert bool(entry.url) != bool(entry.package), entry.id
        assert not entry.url or (entry.url.startswith("https://") and entry.url.endswith(entry.file)), entry.id
        if "non-commercial" in entry.licence:
            assert entry.commercial == "no", entry.id
    shas = [m.sha256 for m in known.values() if m.sha256]
    assert len(set(shas)) == len(shas)
    assert {m.id for m in known.values() if m.colour == "BGR" and m.role == "embedder"} == {
        "adaface-ir18",
        "adaface-ir50",
        "adaface-ir101",
    }


def test_the_built_in_entries() -> None:
    dlib = registry()["dlib-resnet"]
    assert (dlib.sha256, dlib.package) == (installed.DLIB_RESNET.sha256, installed.DLIB_RESNET.package)
    assert installed.installed_file(*installed.DLIB_RESNET).stat().st_size == dlib.bytes
    files = (installed.MTCNN_PNET, installed.MTCNN_RNET, installed.MTCNN_ONET)
    assert sum(installed.installed_file(*f).stat().st_size for f in files) == registry()["mtcnn"].bytes


def test_the_threshold_of_dlib() -> None:
    # |a - b|^2 = 2 r^2 (1 - cos) for two vectors of norm r: 0.6^2 = 2 * 1.43^2 (1 - cos).
    entry = registry()["dlib-resnet"]
    assert entry.threshold == pytest.approx(1 - 0.6**2 / (2 * 1.43**2), abs=1e-12)
    assert entry.threshold_source == "dlib, single images, uncalibrated"
