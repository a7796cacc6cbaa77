"""A trained run as a pack: what is in it, that it gives torch's numbers, and what is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from command import here
from pack_files import aggregator_run, made_calibration, network_run, red_nan, small_pack
from portraits import collins, hopper, varied, write

import faceset
from faceset import calibration
from faceset.aggregation.onnx_aggregator import OnnxAggregator
from faceset.embedding import Embedder
from faceset.errors import CalibrationError, EmbedderMismatchError, InputError, LicenceError, ModelError, ModelFileError
from faceset.packs import store
from faceset.packs.pack import Pack, open_pack
from faceset.training import aggregators, backbones, onnx_files, packing
from faceset.training.backbones import vgg16
from faceset.training.licensing import terms
from faceset.training.onnx_files import TOLERANCE, largest_gap, write_backbone
from faceset.training.packing import export_pack

torch.set_num_threads(1)


def random_network(name: str, **options: object) -> backbones.Backbone:
    """An untrained network whose running statistics are those of pictures, as after training."""
    torch.manual_seed(0)
    network = backbones.build(name, **options)
    pictures = torch.rand(16, 3, *network.size, generator=torch.Generator().manual_seed(1)) * 255
    with torch.no_grad():
        for _ in range(3):
            network(network.normalised(pictures))
    return network.eval()


def random_nan(dim: int) -> torch.nn.Module:
    torch.manual_seed(1)
    network = aggregators.build("nan", dim)
    with torch.no_grad():
        for p in network.parameters():
            p.add_(0.3 * torch.randn_like(p))
    return network.eval()


@pytest.fixture(scope="module")
def network() -> backbones.Backbone:
    return random_network("googlenet", dim=16, size=32)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, network: backbones.Backbone) -> Path:
    return network_run(tmp_path_factory.mktemp("runs") / "tiny", network)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory, run: Path) -> Path:
    """The pack of ``run``; tests that change it take a copy."""
    return export_pack(run, tmp_path_factory.mktemp("packs") / "pack").folder


@pytest.fixture
def ready(exported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The graph of ``run`` is not traced anew, which takes seconds."""

    def copied(network: object, path: Path, **_: object) -> float:
        shutil.copyfile(exported / "embedder.onnx", path)
        return 0.0

    monkeypatch.setattr(packing, "write_backbone", copied)


def crops(n: int, side: int = 32) -> np.ndarray:
    """Real faces, cut out roughly."""
    faces = [varied(portrait, seed)[60:360, 60:360] for seed in range(n) for portrait in (collins(), hopper())]
    return np.stack([cv2.resize(face, (side, side), interpolation=cv2.INTER_AREA) for face in faces[:n]])


def test_a_pack_of_an_embedder_gives_torchs_features(exported: Path, network: backbones.Backbone) -> None:
    pack = open_pack(exported)
    manifest = pack.manifest
    assert (manifest.id, manifest.crop, manifest.width, manifest.colour) == ("tiny", "arcface32", 16, "RGB")
    assert (manifest.mean, manifest.std) == (network.mean, network.std)
    assert (manifest.licence, manifest.commercial) == ("not stated", "unknown")
    assert (manifest.threshold, manifest.threshold_source) == (0.4, "3 people of nowhere, FAR 1e-3")
    assert manifest.data == "7 people, 90 faces, 3 people held out"
    assert manifest.notes == "googlenet, trained with faceset 0.0"
    assert (pack.aggregator, pack.calibration) == (None, None)
    assert sorted(p.name for p in exported.iterdir()) == ["embedder.onnx", "manifest.toml"]
    assert not [p for p in exported.parent.iterdir() if p != exported]
    embedder = Embedder(manifest, pack.embedder)
    for n in (1, 3, 32, 33):
        faces = crops(n)
        with torch.no_grad():
            mine = network(network.normalised(torch.from_numpy(faces).permute(0, 3, 1, 2))).numpy()
        assert np.abs(mine).max() > 0.1
        np.testing.assert_allclose(embedder.embed(faces), mine, atol=1e-4 * np.abs(mine).max())


def test_the_graph_is_one_file_that_tells_nothing_of_the_machine(exported: Path) -> None:
    data = (exported / "embedder.onnx").read_bytes()
    model = onnx.load_from_string(data)
    (image,), (feature,) = model.graph.input, model.graph.output
    assert (image.name, feature.name, model.opset_import[0].version) == ("image", "feature", 18)
    assert [d.dim_param or d.dim_value for d in image.type.tensor_type.shape.dim] == ["n", 3, 32, 32]
    assert [d.dim_param or d.dim_value for d in feature.type.tensor_type.shape.dim] == ["n", 16]
    assert not any(node.op_type in ("BatchNormalization", "Dropout") for node in model.graph.node)
    assert not any(t.data_location == onnx.TensorProto.EXTERNAL for t in model.graph.initializer)
    for secret in (b'File "', b"site-packages", b"/work", b"pkg.torch"):
        assert secret not in data


def test_an_untrained_googlenet_goes_the_whole_way(exported: Path, tmp_path: Path) -> None:
    recognizer = faceset.Recognizer(pack=exported)
    template = recognizer.template(collins())
    assert (template.model_id, template.aggregator, len(template.vector)) == (open_pack(exported).model_id, "mean", 16)
    assert recognizer.compare(collins(), hopper()).threshold == 0.4
    write(collins(), tmp_path / "a.png")
    said = json.loads(
        here("template", tmp_path / "a.png", "-o", tmp_path / "t.npz", "--pack", exported, "--json").stdout
    )
    assert said["model_id"] == template.model_id
    np.testing.assert_allclose(faceset.load_template(tmp_path / "t.npz").vector, template.vector, atol=1e-5)


@pytest.mark.usefixtures("ready")
def test_an_aggregator_trained_on_its_features_goes_in(run: Path, exported: Path, tmp_path: Path) -> None:
    first = open_pack(exported)
    nan = random_nan(16)
    trained = aggregator_run(tmp_path / "agg", "nan", nan, first.model_id)
    pack = export_pack(run, tmp_path / "pack", aggregator=trained, licence="MIT", commercial="yes")
    assert pack.model_id == first.model_id
    assert (pack.manifest.licence, pack.manifest.commercial) == ("MIT", "yes")
    check_nan(pack, nan)
    # The same by the other road: the aggregator's run, with the pack as its embedder.
    other = export_pack(trained, tmp_path / "other", embedder=exported, accept_licence=True)
    assert (other.model_id, other.embedder.read_bytes()) == (pack.model_id, pack.embedder.read_bytes())
    check_nan(other, nan)
    metadata = OnnxAggregator(other.aggregator).metadata
    assert metadata["training_data"] == "7 people, 3 held out, table abababababababab"


def check_nan(pack: Pack, nan: torch.nn.Module) -> None:
    """The aggregator of a pack is that NAN."""
    assert pack.aggregator is not None
    found = OnnxAggregator(pack.aggregator)
    assert (found.kind, found.embedder_id) == ("nan", pack.model_id)
    x = np.random.default_rng(0).normal(size=(5, 16)).astype(np.float32)
    with torch.no_grad():
        mine = nan(torch.from_numpy(x[None]), torch.ones(1, 5, dtype=torch.bool))[0][0].numpy()
    np.testing.assert_allclose(found(x, [0, 5]).templates[0], mine, atol=1e-5)


def test_the_same_parameters_give_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And so one model id under one name, whatever run they come from."""
    monkeypatch.setattr(vgg16, "_BLOCKS", ((8,), (8,), (8,), (8,), (512,)))
    for file in ("a", "b"):
        network = random_network("vgg16_bn", dim=4, size=32, hidden=8)
        write_backbone(network, tmp_path / file, mean=network.mean, std=network.std)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.usefixtures("ready")
def test_a_pack_of_an_end_to_end_run_has_both(network: backbones.Backbone, tmp_path: Path) -> None:
    nan = random_nan(16)
    run = network_run(
        tmp_path / "joint",
        network,
        aggregator=("nan", nan),
        licence="CC BY-NC 4.0",
        commercial="no",
        data={"text": "people of nowhere", "subjects": 7, "held_out": 3},
        result={},
    )
    pack = export_pack(run, tmp_path / "pack", name="both", threshold=0.3, threshold_source="by hand")
    assert (pack.manifest.id, pack.manifest.commercial, pack.manifest.threshold) == ("both", "no", 0.3)
    assert pack.manifest.data == "people of nowhere; 7 people, 3 people held out"
    check_nan(pack, nan)
    assert OnnxAggregator(pack.aggregator).metadata["licence"] == "CC BY-NC 4.0"
    assert faceset.Recognizer(pack=pack).template(collins()).aggregator == pack.aggregator_name
    with pytest.raises(InputError, match="a run of kind end-to-end has an aggregator of its own"):
        export_pack(run, tmp_path / "x", aggregator="mean")


def test_an_aggregator_of_dlib_keeps_the_id_of_dlib(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dlib = faceset.Recognizer(aggregator="mean")
    nan = random_nan(128)
    run = aggregator_run(tmp_path / "agg", "nan", nan, dlib.model_id)
    pack = export_pack(run, tmp_path / "pack", licence="MIT", data="people of nowhere")
    built_in = dlib.embedder.manifest
    assert pack.model_id == dlib.model_id
    assert (pack.manifest.source_sha256, pack.manifest.package) == (built_in.sha256, "")
    assert (pack.manifest.licence, pack.manifest.threshold) == (built_in.licence, built_in.threshold)
    metadata = OnnxAggregator(pack.aggregator).metadata
    assert (metadata["licence"], metadata["training_data"]) == ("MIT", "people of nowhere")
    packed = faceset.Recognizer(pack=pack)
    features = [next(r.face_sets(collins())).faces[0].feature for r in (packed, dlib)]
    assert features[0] is not None
    np.testing.assert_array_equal(*features)
    assert packed.aggregator.name.startswith("nan:")
    monkeypatch.setenv("FACESET_CACHE", str(tmp_path / "cache"))
    store.import_model(pack.folder, name="mine")
    assert faceset.Recognizer(embedder="mine").aggregator.name == packed.aggregator.name
    # What is built in stays as it was.
    assert faceset.Recognizer().aggregator.name.startswith("anchored:")
    # A pack of its own name is another embedder, and the aggregator says so.
    named = export_pack(run, tmp_path / "named", name="mine")
    assert named.model_id.startswith("mine:")
    assert OnnxAggregator(named.aggregator).embedder_id == named.model_id
    with pytest.raises(EmbedderMismatchError, match=r"features of embedder dlib-resnet:.*, but .* is colours:"):
        export_pack(run, tmp_path / "x", embedder=small_pack(tmp_path / "colours"))


def test_a_folder_called_like_an_embedder_is_not_taken_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    dlib = faceset.Recognizer(aggregator="mean")
    run = aggregator_run(tmp_path / "agg", "norm", aggregators.build("norm", 128), dlib.model_id)
    small_pack(tmp_path / "dlib-resnet")
    assert export_pack(run, tmp_path / "pack").model_id == dlib.model_id
    assert export_pack(run, tmp_path / "pack", embedder="dlib-resnet", force=True).model_id == dlib.model_id
    other = aggregator_run(tmp_path / "other", "norm", aggregators.build("norm", 16), "unheard-of:0123456789abcdef")
    (tmp_path / "unheard-of").mkdir()  # such as the run that the embedder came from
    with pytest.raises(
        ModelError, match=r"of embedder unheard-of:0123456789abcdef, which is not among .* --embedder FOLDER"
    ):
        export_pack(other, tmp_path / "x")


def test_a_copy_needs_a_licence_that_allows_it(tmp_path: Path) -> None:
    source = small_pack(tmp_path / "source", licence="CC BY-NC 4.0", commercial="no")
    run = aggregator_run(tmp_path / "agg", "nan", random_nan(3), open_pack(source).model_id)
    with pytest.raises(LicenceError, match=r"a copy of 'colours', whose licence is 'CC BY-NC 4.0'.*--accept-licence"):
        export_pack(run, tmp_path / "pack", embedder=source)
    assert not (tmp_path / "pack").exists()
    with pytest.raises(LicenceError, match="commercial use cannot be 'yes'"):
        export_pack(run, tmp_path / "pack", embedder=source, accept_licence=True, commercial="yes")
    pack = export_pack(run, tmp_path / "pack", embedder=source, accept_licence=True)
    assert (pack.manifest.licence, pack.manifest.commercial) == ("CC BY-NC 4.0", "no")
    assert pack.manifest.data == "no data at all"


@pytest.mark.parametrize(
    ("inherited", "given", "found"),
    [
        (("", "unknown"), {}, ("not stated", "unknown")),
        (("", ""), {"given_licence": "MIT", "given_commercial": "yes"}, ("MIT", "yes")),
        (("CC BY-NC", "no"), {}, ("CC BY-NC", "no")),
        (("CC BY-NC", "no"), {"given_licence": "mine"}, ("mine; made from work under: CC BY-NC", "no")),
        (("", "no"), {"given_licence": "mine"}, ("mine; made from work under: not stated", "no")),
        (("MIT", "yes"), {"given_commercial": "no"}, ("MIT", "no")),
        (("CC BY-NC", "no"), {"given_licence": "MIT", "given_commercial": "yes", "relicense": True}, ("MIT", "yes")),
        (("MIT", "unknown"), {"given_commercial": "unknown"}, ("MIT", "unknown")),
        (("CC BY-NC", "no"), {"given_commercial": "yes"}, LicenceError),
        (("CC BY-NC", "no"), {"given_commercial": "unknown"}, LicenceError),
        (("somewhere", "unknown"), {"given_commercial": "yes"}, LicenceError),
        (("", ""), {"given_commercial": "maybe"}, InputError),
    ],
)
def test_a_licence_is_never_loosened_unasked(inherited: tuple[str, str], given: dict, found: object) -> None:
    if isinstance(found, tuple):
        assert terms(*inherited, **given) == found
    else:
        with pytest.raises(found):  # type: ignore[call-overload]
            terms(*inherited, **given)


@pytest.mark.usefixtures("ready")
def test_options_of_a_pack(run: Path, exported: Path, tmp_path: Path) -> None:
    norm = export_pack(run, tmp_path / "norm", aggregator="norm", data="people of nowhere")
    assert norm.aggregator is not None
    assert norm.aggregator_name.startswith("norm:")
    assert norm.manifest.data == "people of nowhere"
    assert export_pack(run, tmp_path / "mean", aggregator="mean").aggregator is None
    (tmp_path / "file.onnx").write_bytes(norm.aggregator.read_bytes())
    again = export_pack(run, tmp_path / "file", aggregator=tmp_path / "file.onnx")
    assert again.aggregator_name == norm.aggregator_name
    measured = made_calibration(norm.model_id, norm.aggregator_name)
    calibration.save(measured, tmp_path / "c.json")
    pack = export_pack(
        run, tmp_path / "norm", aggregator=tmp_path / "file.onnx", calibration=tmp_path / "c.json", force=True
    )
    assert pack.calibration is not None
    assert calibration.load(pack.calibration) == measured
    assert sorted(p.name for p in pack.folder.iterdir()) == [
        "aggregator.onnx",
        "calibration.json",
        "embedder.onnx",
        "manifest.toml",
    ]
    with pytest.raises(CalibrationError, match=r"aggregator norm:.*, but the pack has tiny:.* and mean; .*--pack"):
        export_pack(run, tmp_path / "x", calibration=tmp_path / "c.json")
    assert not (tmp_path / "x").exists()


@pytest.mark.usefixtures("ready")
@pytest.mark.parametrize(
    ("options", "error", "reason"),
    [
        ({"embedder": "dlib-resnet"}, InputError, "a run of kind embedder has an embedder of its own"),
        ({"aggregator": "anchored"}, InputError, "anchored is no aggregator for a pack: give the folder"),
        ({"aggregator": "{tmp}/run-of-another"}, EmbedderMismatchError, "was trained for embedder someone:else, but"),
        ({"aggregator": "{tmp}/other.onnx"}, EmbedderMismatchError, "was trained for embedder someone:else, but"),
        ({"aggregator": "{tmp}/none.onnx"}, ModelFileError, "does not exist"),
        ({"threshold": 0.5}, InputError, "a threshold and its source come together"),
        ({"threshold": 2.0, "threshold_source": "x"}, ModelError, "threshold is a cosine"),
        ({"name": "../x"}, ModelError, "cannot name a model"),
        ({"commercial": "maybe"}, InputError, "commercial must be one of"),
        ({"calibration": "{tmp}/none.json"}, CalibrationError, "cannot be read"),
        ({"nonsense": 1}, InputError, "a pack has no option nonsense; it has embedder, aggregator"),
    ],
)
def test_bad_options(run: Path, tmp_path: Path, options: dict, error: type[Exception], reason: str) -> None:
    aggregator_run(tmp_path / "run-of-another", "nan", random_nan(16), "someone:else")
    (tmp_path / "other.onnx").write_bytes(red_nan("someone:else"))
    before = sorted(tmp_path.iterdir())
    placed = {k: v.format(tmp=tmp_path) if isinstance(v, str) else v for k, v in options.items()}
    with pytest.raises(error, match=reason):
        export_pack(run, tmp_path / "pack", **placed)
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.usefixtures("ready")
def test_a_folder_that_is_taken_is_left_alone(run: Path, tmp_path: Path) -> None:
    target = tmp_path / "pack"
    target.mkdir()
    export_pack(run, target)  # an empty folder is fine
    before = (target / "manifest.toml").read_text()
    with pytest.raises(InputError, match="holds a pack already; name another folder, or replace it: force=True"):
        export_pack(run, target, licence="MIT")
    assert (target / "manifest.toml").read_text() == before
    assert export_pack(run, target, licence="MIT", force=True).manifest.licence == "MIT"
    (target / "diary.txt").write_text("mine")
    with pytest.raises(InputError, match=r"holds diary.txt, which is no part of a pack"):
        export_pack(run, target, force=True)
    with pytest.raises(InputError, match="is a file; name a folder for the pack"):
        export_pack(run, target / "diary.txt")
    with pytest.raises(InputError, match="holds .*config.json"):
        export_pack(run, run, force=True)
    assert [p.name for p in tmp_path.iterdir()] == ["pack"]


def test_a_graph_that_differs_from_torch_is_not_written(
    run: Path, exported: Path, network: backbones.Backbone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = onnx.load(exported / "embedder.onnx")
    last = next(t for t in reversed(model.graph.initializer) if list(t.dims) == [16])
    values = onnx.numpy_helper.to_array(last) + np.float32(1e-3) * np.arange(16, dtype=np.float32)
    last.CopyFrom(onnx.numpy_helper.from_array(values, last.name))
    monkeypatch.setattr(onnx_files, "traced", lambda *_, **__: model)
    with pytest.raises(InputError, match="the ONNX file of googlenet differs from torch by .* more than 0.0001"):
        export_pack(run, tmp_path / "pack")
    assert not list(tmp_path.iterdir())
    assert largest_gap(network, exported / "embedder.onnx", mean=network.mean, std=network.std) <= TOLERANCE / 10


@pytest.mark.parametrize("value", [float("nan"), 0.0])
def test_a_network_that_gives_nothing_is_not_written(
    exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: float
) -> None:
    broken = random_network("googlenet", dim=16, size=32)
    monkeypatch.setattr(onnx_files, "traced", lambda *_, **__: onnx.load(exported / "embedder.onnx"))
    with torch.no_grad():
        for p in broken.parameters():
            p.fill_(value)
    with pytest.raises(InputError, match="googlenet gives features of NaN, infinity or zeros"):
        write_backbone(broken, tmp_path / "x.onnx", mean=broken.mean, std=broken.std)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda run: (run / "model.safetensors").unlink(), "there is no .*model.safetensors; train first"),
        (lambda run: (run / "model.safetensors").write_bytes(b"x"), "is damaged or not a file of faceset"),
        (lambda run: (run / "config.json").unlink(), "is not a training run"),
        (lambda run: change(run, kind="detector"), "is not the configuration of a training run"),
        (lambda run: change(run, backbone={"name": "googlenet", "options": {"dim": 8, "size": 32}}), "do not belong"),
        (lambda run: change(run, preprocessing={"crop": "arcface64", "colour": "RGB"}), "takes pictures of .32, 32."),
        (lambda run: change(run, backbone=["googlenet"]), "do not belong together"),
        (lambda run: change(run, result=[]), "config.json is damaged .preprocessing, data or result.: train again"),
    ],
)
def test_damaged_runs(run: Path, tmp_path: Path, spoil: Callable[[Path], object], reason: str) -> None:
    copy = shutil.copytree(run, tmp_path / "run")
    spoil(copy)
    with pytest.raises(ModelFileError, match=reason):
        export_pack(copy, tmp_path / "pack")
    assert not (tmp_path / "pack").exists()


def change(run: Path, **values: object) -> None:
    config = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps(config | values))


# ------------------------------------------------------------------------------------------------ the command


@pytest.mark.usefixtures("ready")
def test_the_command_writes_a_pack(run: Path, tmp_path: Path) -> None:
    words = ("export", run, "-o", tmp_path / "pack", "--licence", "MIT", "--training-data", "nobody")
    said = json.loads(here(*words, "--json").stdout)
    pack = open_pack(tmp_path / "pack")
    assert said == pack.to_dict()
    assert (said["licence"], said["data"], said["threshold"]) == ("MIT", "nobody", 0.4)
    assert "holds a pack already" in here(*words, code=2).stderr
    trained = aggregator_run(tmp_path / "agg", "nan", random_nan(16), pack.model_id)
    shown = here(*words, "--force", "--aggregator", trained).stdout
    assert "│ aggregator" in shown
    assert "nan:" in shown
    assert "-o pack/" in here("export", run, "-o", tmp_path / "x.onnx", "--aggregator", "norm", code=2).stderr
    assert (
        "is a run of kind embedder; give a folder: -o pack/"
        in here("export", run, "-o", tmp_path / "x.onnx", code=2).stderr
    )
    copy = shutil.copytree(run, tmp_path / "going")
    config = json.loads((copy / "config.json").read_text())
    del config["result"]
    (copy / "config.json").write_text(json.dumps(config))
    remarks = here("export", copy, "-o", tmp_path / "unfinished").stderr
    assert "has not ended" in remarks
    assert "the pack has no threshold" in remarks


def test_the_command_packs_an_aggregator_with_its_embedder(tmp_path: Path) -> None:
    model_id = faceset.Recognizer(aggregator="mean").model_id
    run = aggregator_run(tmp_path / "agg", "nan", random_nan(128), model_id)
    said = json.loads(here("export", run, "-o", tmp_path / "pack", "--embedder", "dlib-resnet", "--json").stdout)
    assert said["model_id"] == model_id
    assert said["aggregator_name"].startswith("nan:")
    onnxruntime.InferenceSession(tmp_path / "pack" / "aggregator.onnx", providers=["CPUExecutionProvider"])
