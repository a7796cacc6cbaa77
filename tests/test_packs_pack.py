"""Packs: opening, importing and using one at once, and every way in which one can be damaged."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from command import here
from pack_files import made_calibration, red_nan, small_pack
from portraits import collins, hopper, write

import faceset
from faceset import aggregation, calibration
from faceset.embedding import Embedder
from faceset.errors import CalibrationError, EmbedderMismatchError, InputError, ModelError, ModelFileError
from faceset.packs import store
from faceset.packs.manifest import Manifest, read_manifest
from faceset.packs.pack import open_pack, stored_pack, stored_pack_of


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FACESET_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "models"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return small_pack(tmp_path / "pack", thresholds=True)


def test_a_pack_has_its_parts(folder: Path) -> None:
    for path in (folder, str(folder), folder / "manifest.toml"):
        pack = open_pack(path)
        assert (pack.embedder, pack.aggregator, pack.calibration) == (
            folder / "embedder.onnx",
            folder / "aggregator.onnx",
            folder / "calibration.json",
        )
    assert pack.aggregator_name == f"nan:{pack.manifest.aggregator_sha256[:8]}"
    said = pack.to_dict()
    assert (said["model_id"], said["aggregator_name"], said["data"]) == (
        pack.model_id,
        pack.aggregator_name,
        "no data at all",
    )
    assert Manifest(**{k: v for k, v in said.items() if k not in ("folder", "model_id", "aggregator_name")}) == (
        pack.manifest
    )


def test_the_parts_are_no_part_of_the_model_id(folder: Path) -> None:
    manifest = read_manifest(folder / "manifest.toml")
    bare = manifest.replace(aggregator="", aggregator_sha256="", calibration="", data="", threshold=None,
                            threshold_source="")  # fmt: skip
    assert bare.model_id == manifest.model_id
    # Weights rebuilt to another file keep the id of the published ones.
    assert manifest.replace(source_sha256=manifest.sha256, sha256="0" * 64).model_id == manifest.model_id


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"aggregator": "a.onnx"}, "aggregator and aggregator_sha256 come together"),
        ({"aggregator_sha256": "0" * 64}, "come together"),
        ({"aggregator": "../a.onnx", "aggregator_sha256": "0" * 64}, "aggregator must be a plain file name"),
        ({"aggregator": "a.onnx", "aggregator_sha256": "x"}, "aggregator_sha256 must be 64"),
        ({"aggregator": "embedder.onnx", "aggregator_sha256": "0" * 64}, "are different files"),
        ({"calibration": ".c"}, "calibration must be a plain file name"),
        ({"calibration": "c.json", "url": "https://x/y"}, "without url and package"),
        ({"calibration": "c.json", "role": "detector"}, "lie beside an embedder's file"),
        ({"source_sha256": "0" * 64, "package": "p"}, "source_sha256 is for the file"),
        ({"source_sha256": "abc"}, "source_sha256 must be 64"),
    ],
)
def test_impossible_manifests(changes: dict[str, str], reason: str) -> None:
    values = {"id": "x", "role": "embedder", "licence": "MIT", "commercial": "yes", "file": "embedder.onnx"}
    values |= {"sha256": "0" * 64, "crop": "dlib96", "colour": "RGB", "width": 3}
    with pytest.raises(ModelError, match=reason):
        Manifest(**{**values, **changes})


def test_a_recognizer_uses_everything_in_a_pack(folder: Path) -> None:
    recognizer = faceset.Recognizer(pack=folder)
    pack = open_pack(folder)
    assert (recognizer.model_id, recognizer.aggregator.name) == (pack.model_id, pack.aggregator_name)
    assert recognizer.embedder.geometry.size == (64, 64)
    assert recognizer.threshold.source == "by hand"
    # The aggregator is the one of the pack: the mean colour of the crops, weighted towards red.
    decision = recognizer.compare(collins(), hopper())
    assert (decision.threshold, decision.far) == (0.25, 1e-3)
    assert decision.threshold_source.endswith("nobody; templates of 1+ and 1+ faces; calibration of the pack")
    template = recognizer.template(collins())
    assert (template.model_id, template.aggregator) == (pack.model_id, pack.aggregator_name)
    assert template.vector.shape == (3,)


def test_what_is_asked_for_wins_over_the_pack(folder: Path, tmp_path: Path) -> None:
    mean = faceset.Recognizer(pack=str(folder), aggregator="mean", threshold=0.9)
    assert (mean.aggregator.name, mean.threshold.value) == ("mean", 0.9)
    # The pack's thresholds were measured with its own aggregator.
    assert faceset.Recognizer(pack=folder, aggregator="mean").thresholds.pair(("mean", "mean"), (1, 1)).value == 0.5
    pack = open_pack(folder)
    names = (pack.aggregator_name, pack.aggregator_name)
    own = made_calibration(pack.model_id, pack.aggregator_name, 0.75)
    assert faceset.Recognizer(pack=pack, calibration=own).thresholds.pair(names, (1, 1)).value == 0.75
    assert faceset.Recognizer(pack=pack, calibration="none").thresholds.pair(names, (1, 1)).value == 0.5
    assert faceset.Recognizer(pack=pack, calibration="shipped").thresholds.pair(names, (1, 1)).value == 0.25
    user = calibration.user_path(pack.model_id, pack.aggregator_name)
    user.parent.mkdir(parents=True, exist_ok=True)
    calibration.save(own, user)
    try:
        assert faceset.Recognizer(pack=pack).thresholds.pair(names, (1, 1)).value == 0.75
    finally:
        user.unlink()


def test_a_pack_excludes_another_embedder(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="give either pack or embedder"):
        faceset.Recognizer(pack=folder, embedder="dlib-resnet")
    with pytest.raises(InputError, match="pack must be a folder or a Pack, but got int"):
        faceset.Recognizer(pack=3)  # type: ignore[arg-type]
    other = faceset.Recognizer(pack=small_pack(tmp_path / "other", id="other"))
    with pytest.raises(InputError, match="is of embedder colours:.*, but the reader's is other:"):
        faceset.Recognizer(pack=folder, reader=other.reader)


def test_a_manifest_alone_is_the_embedder(folder: Path) -> None:
    recognizer = faceset.Recognizer(embedder=str(folder / "manifest.toml"))
    assert (recognizer.model_id, recognizer.aggregator.name) == (open_pack(folder).model_id, "mean")


def damage(folder: Path, how: str) -> None:
    manifest = read_manifest(folder / "manifest.toml")
    if how.startswith("no "):
        (folder / how.removeprefix("no ")).unlink()
    elif how.startswith("other "):
        path = folder / how.removeprefix("other ")
        path.write_bytes(path.read_bytes() + b"\0")
    elif how == "foreign aggregator":
        data = red_nan("someone:else")
        (folder / "aggregator.onnx").write_bytes(data)
        import hashlib

        digest = hashlib.sha256(data).hexdigest()
        (folder / "manifest.toml").write_text(manifest.replace(aggregator_sha256=digest).to_toml())
    elif how == "detector":
        (folder / "manifest.toml").write_text('id="x"\nrole="detector"\nlicence="MIT"\ncommercial="yes"\n')
    elif how == "text":
        (folder / "manifest.toml").write_text("nonsense")


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("no manifest.toml", r"is no pack: there is no .*manifest.toml; give the folder that `faceset export` wrote"),
        ("no embedder.onnx", r"pack 'colours': its file .*embedder.onnx is missing; write it anew"),
        ("no aggregator.onnx", r"its file .*aggregator.onnx is missing; write it anew with `faceset export`"),
        ("no calibration.json", r"its file .*calibration.json is missing"),
        ("other embedder.onnx", r"embedder.onnx is damaged or was exchanged \(sha256 .*; write it anew"),
        ("other aggregator.onnx", r"aggregator.onnx is damaged or was exchanged"),
        (
            "foreign aggregator",
            r"was trained for embedder someone:else, but the embedder of the pack is colours:.*anew",
        ),
        ("detector", "is the manifest of a detector; give the folder"),
        ("text", "is no pack that can be used: .*is no TOML file.*; write it anew"),
    ],
)
def test_damaged_packs(folder: Path, how: str, reason: str) -> None:
    damage(folder, how)
    for use in (open_pack, store.import_model, lambda path: faceset.Recognizer(pack=path)):
        with pytest.raises(ModelFileError, match=reason):
            use(folder)
    said = here("verify", "a.png", "b.png", "--pack", folder, code=2)
    assert "Traceback" not in said.stderr


def test_damaged_thresholds_are_named(folder: Path) -> None:
    (folder / "calibration.json").write_text("{}")
    with pytest.raises(CalibrationError, match=r"calibration.json is not a faceset calibration; make it anew"):
        faceset.Recognizer(pack=folder).compare(collins(), hopper())


def test_a_folder_that_is_not_there_is_no_pack(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="an imported pack goes by its name as the embedder"):
        faceset.Recognizer(pack=tmp_path / "none")


# --------------------------------------------------------------------------------------------------- the store


def test_an_imported_pack_is_used_by_its_name(folder: Path, cache: Path) -> None:
    pack = open_pack(folder)
    made = store.import_model(folder, name="mine")
    assert (made.name, made.state, made.folder) == ("mine", "available", cache / "mine")
    assert sorted(p.name for p in (cache / "mine").iterdir()) == sorted(p.name for p in folder.iterdir())
    assert store.import_model(folder, name="mine") == made  # the same again is no error
    recognizer = faceset.Recognizer(embedder="mine")
    assert (recognizer.model_id, recognizer.aggregator.name) == (pack.model_id, pack.aggregator_name)
    names = (pack.aggregator_name, pack.aggregator_name)
    assert recognizer.thresholds.pair(names, (1, 1)).value == 0.25
    # What knows the id of the features alone finds it too.
    assert aggregation.default(pack.model_id).name == pack.aggregator_name
    assert aggregation.default_name(pack.model_id) == "nan"
    assert aggregation.get("nan", model_id=pack.model_id).name == pack.aggregator_name
    with pytest.raises(InputError, match="aggregator 'ers' ships with weights for embedder dlib-resnet"):
        aggregation.get("ers", model_id=pack.model_id)
    assert faceset.Recognizer(embedder=Embedder.load("mine")).thresholds.pair(names, (1, 1)).value == 0.25
    assert stored_pack("colours") is None
    found = stored_pack_of(pack.model_id)
    assert found is not None
    assert found.folder == cache / "mine"
    with pytest.raises(EmbedderMismatchError):
        recognizer.compare(faceset.Recognizer().template(collins()), hopper())


def test_imported_packs_do_not_touch_the_others(folder: Path) -> None:
    before = faceset.Recognizer().aggregator.name
    store.import_model(folder)
    assert faceset.Recognizer().aggregator.name == before
    assert aggregation.default("someone:else").name == "mean"


def test_what_a_pack_does_not_bring_is_not_taken_from_an_imported_one(
    folder: Path, cache: Path, tmp_path: Path
) -> None:
    store.import_model(small_pack(tmp_path / "whole", thresholds=True))
    plain = small_pack(tmp_path / "plain")
    manifest = read_manifest(plain / "manifest.toml").replace(aggregator="", aggregator_sha256="")
    (plain / "manifest.toml").write_text(manifest.to_toml(), encoding="utf-8")
    assert faceset.Recognizer(embedder="colours").aggregator.name.startswith("nan:")
    recognizer = faceset.Recognizer(pack=plain)
    assert recognizer.aggregator.name == "mean"
    assert recognizer.thresholds.pair(("mean", "mean"), (1, 1)).value == 0.5


def test_an_imported_pack_that_was_damaged_is_an_error_and_never_the_mean(folder: Path, cache: Path) -> None:
    store.import_model(folder)
    damage(cache / "colours", "other aggregator.onnx")
    for use in (lambda: faceset.Recognizer(embedder="colours"), lambda: aggregation.default(open_id(folder))):
        with pytest.raises(ModelFileError, match="damaged or was exchanged"):
            use()
    damage(cache / "colours", "no aggregator.onnx")
    info = store.info("colours")
    assert (info.state, "aggregator.onnx is missing" in info.problem) == ("damaged", True)
    assert store.import_model(folder).state == "available"  # made whole again
    assert faceset.Recognizer(embedder="colours").aggregator.name.startswith("nan:")


def open_id(folder: Path) -> str:
    return open_pack(folder).model_id


def test_import_refuses(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has a manifest of its own; import it without crop, licence"):
        store.import_model(folder, crop="arcface112", licence="MIT")
    with pytest.raises(ModelError, match="belongs to a model of the registry; choose another for the pack"):
        store.import_model(folder, name="dlib-resnet")
    with pytest.raises(InputError, match="is the manifest of a pack; import its folder"):
        store.import_model(folder / "embedder.onnx", manifest=folder / "manifest.toml")
    wide = small_pack(tmp_path / "wide", width=4)
    with pytest.raises(ModelFileError, match="gives 3 numbers a face, but its manifest says 4"):
        store.import_model(wide)
    store.import_model(folder)
    with pytest.raises(ModelError, match="is taken by another model"):
        store.import_model(small_pack(tmp_path / "other", licence="ISC"))


def test_models_are_listed_with_their_aggregator(folder: Path) -> None:
    name = open_pack(folder).aggregator_name
    said = json.loads(here("models", "import", folder, "--json").stdout)
    assert (said["name"], said["aggregator_name"], said["calibration"]) == ("colours", name, "calibration.json")
    rows = {row["name"]: row for row in csv.DictReader(io.StringIO(here("models", "list", "--csv").stdout))}
    assert (rows["colours"]["aggregator"], rows["dlib-resnet"]["aggregator"]) == (name, "")
    assert name in here("models", "list").stdout
    assert json.loads(here("models", "info", "colours", "--json").stdout)["aggregator_name"] == name


# ---------------------------------------------------------------------------------------------------- commands


def test_the_commands_take_a_pack(folder: Path, tmp_path: Path) -> None:
    picture, other = write(collins(), tmp_path / "people" / "Ann" / "a.png"), write(hopper(), tmp_path / "b.png")
    pack = open_pack(folder)
    said = json.loads(here("template", picture, "-o", tmp_path / "t.npz", "--pack", folder, "--json").stdout)
    assert (said["model_id"], said["aggregator"]) == (pack.model_id, pack.aggregator_name)
    verified = here("verify", tmp_path / "t.npz", other, "--pack", folder, "--json")
    assert json.loads(verified.stdout)["threshold_source"].endswith("calibration of the pack")
    here("enroll", tmp_path / "people", "-g", tmp_path / "g.db", "--pack", folder)
    found = json.loads(here("identify", picture, "-g", tmp_path / "g.db", "--pack", folder, "--json").stdout)
    assert [match["name"] for match in found] == ["Ann"]
    here("extract", tmp_path / "people", "-o", tmp_path / "f.parquet", "--pack", folder)
    from faceset import features

    assert features.read(tmp_path / "f.parquet").embedder == pack.model_id
    with pytest.raises(EmbedderMismatchError):
        faceset.Recognizer().compare(faceset.load_template(tmp_path / "t.npz"), other)


@pytest.mark.parametrize(
    "words",
    [
        ("verify", "a", "b"),
        ("template", "a", "-o", "t.npz"),
        ("identify", "a", "-g", "{tmp}/g.db"),
        ("extract", "{tmp}", "-o", "{tmp}/f.parquet"),
        ("calibrate", "{tmp}"),
        ("serve", "--data", "{tmp}/data"),
    ],
)
def test_the_commands_refuse_a_pack_beside_an_embedder(folder: Path, tmp_path: Path, words: tuple[str, ...]) -> None:
    placed = [word.format(tmp=tmp_path) for word in words]
    said = here(*placed, "--pack", folder, "--embedder", "dlib-resnet", code=2)
    assert "its own embedder; give either" in said.stderr


def test_the_service_takes_a_pack(folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("fastapi", reason="the extra `service` is not installed")
    from service_app import parts, running

    pack = open_pack(folder)
    a, b = write(collins(), tmp_path / "a.png"), write(hopper(), tmp_path / "b.png")
    with running(tmp_path / "data", pack=str(folder)) as app:
        said = app.client.get("/v1/models").json()
        assert (said["embedder"], said["aggregator"]) == (pack.model_id, pack.aggregator_name)
        answer = app.client.post("/v1/verify", files=[*parts(a, name="a"), *parts(b, name="b")]).json()
    assert (answer["model_id"], answer["threshold"]) == (pack.model_id, 0.25)


def test_calibrate_refuses_features_of_another_embedder(folder: Path, tmp_path: Path) -> None:
    from faceset import features
    from faceset.feature_table import FeatureRow, table_of

    rows = [FeatureRow(f"P{i}", f"P{i}/0", np.ones(3, np.float32), (0, 0, 1, 1), 1.0) for i in range(3)]
    features.write(tmp_path / "f.parquet", table_of(rows, "someone:else", scheme="dlib5"))
    said = here("calibrate", "--features", tmp_path / "f.parquet", "--pack", folder, code=2)
    assert "the features are of embedder someone:else, but the pack" in said.stderr
