import json

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from synthetic_sets import synthetic

from faceset.aggregation.onnx_aggregator import OnnxAggregator
from faceset.errors import InputError, ModelFileError
from faceset.training import SetConfig, TrainConfig, export, exporting, fit
from faceset.training import runs as files
from faceset.training.aggregators import build, names
from faceset.training.exporting import TOLERANCE, to_onnx, write_onnx

torch.set_num_threads(1)

D = 16


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    path = tmp_path_factory.mktemp("run")
    data = synthetic(people=40, media=2, faces=4)[0]
    config = TrainConfig(sets=SetConfig(subjects=12), steps=10, validate_every=5, far=0.05, seed=3, learning_rate=0.1)
    fit(data, config, path, device="cpu", tensorboard=False)
    return path


def random_model(name):
    torch.manual_seed(0)
    u = np.random.default_rng(0).normal(size=(3, D))
    options = {"ers": {"centroid": u[0]}, "anchored": {"centroids": u, "hidden": 4, "norm_power": 0.3}}
    options["proxyfusion"] = {"proxies": 3, "select": 2}
    model = build(name, D, **options.get(name, {}))
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.5 * torch.randn_like(p))
    return model.eval()


@pytest.mark.parametrize("name", [n for n in names() if n not in ("mean", "norm")])
def test_graph_equals_torch_for_any_sizes_and_masks(name, tmp_path):
    model = random_model(name)
    path = write_onnx(model, tmp_path / "x.onnx", {"kind": name})
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(1)
    for B, N in ((1, 1), (1, 2), (2, 1), (3, 9), (7, 40), (40, 3)):
        x = (rng.normal(size=(B, N, D)) * rng.uniform(0.1, 20, (B, N, 1))).astype(np.float32)
        mask = rng.random((B, N)) < 0.5
        mask[np.arange(B), rng.integers(N, size=B)] = True
        x[~mask] = np.nan
        template, weights = session.run(["template", "weights"], {"features": x, "mask": mask})
        mine = [t.detach().numpy() for t in model(torch.from_numpy(x), torch.from_numpy(mask))]
        np.testing.assert_allclose(template, mine[0], atol=TOLERANCE)
        np.testing.assert_allclose(weights, mine[1], atol=TOLERANCE)
    ragged = OnnxAggregator(path)
    x = rng.normal(size=(9, D)).astype(np.float32)
    out = ragged(x, [0, 1, 4, 9])
    alone, share = model(torch.from_numpy(x[None, 4:]), torch.ones(1, 5, dtype=torch.bool))
    np.testing.assert_allclose(out.templates[2], alone[0].detach().numpy(), atol=TOLERANCE)
    np.testing.assert_allclose(out.weights[4:], share[0].detach().numpy(), atol=TOLERANCE)


def test_the_file_tells_what_it_is(run, tmp_path):
    path = export(run, tmp_path / "sub" / "nan.onnx", licence="MIT", training_data="synthetic people")
    aggregator = OnnxAggregator(path)
    assert aggregator.kind == "nan"
    assert aggregator.embedder_id == "synthetic"
    assert aggregator.metadata["licence"] == "MIT"
    assert aggregator.metadata["training_data"] == "synthetic people"
    assert aggregator.metadata["seed"] == "3"
    assert json.loads(aggregator.metadata["metrics"])["steps"] == 10
    assert not onnx.load(path).graph.sparse_initializer
    assert [p.name for p in path.parent.iterdir()] == ["nan.onnx"]


def test_training_data_is_named_by_its_fingerprint_unless_told(run, tmp_path):
    path = export(run, tmp_path / "nan.onnx")
    metadata = OnnxAggregator(path).metadata
    assert "people" in metadata["training_data"]
    assert files.read_config(run)["data"]["fingerprint"][:16] in metadata["training_data"]
    assert metadata["licence"] == "unknown"


def test_export_is_the_same_every_time(run, tmp_path):
    assert export(run, tmp_path / "a.onnx").read_bytes() == export(run, tmp_path / "b.onnx").read_bytes()


def test_a_graph_that_differs_is_not_written(tmp_path, monkeypatch):
    wrong = to_onnx(random_model("mean"), {"kind": "nan"})
    monkeypatch.setattr(exporting, "to_onnx", lambda *a: wrong)
    with pytest.raises(InputError, match="differs from torch by"):
        write_onnx(random_model("nan"), tmp_path / "x.onnx", {"kind": "nan"})
    assert not list(tmp_path.iterdir())


def test_export_refuses_what_is_no_run_and_no_file(run, tmp_path):
    with pytest.raises(ModelFileError, match="is not a training run"):
        export(tmp_path, tmp_path / "x.onnx")
    with pytest.raises(InputError, match="is a folder; name a file"):
        export(run, tmp_path)


def test_a_file_tells_nothing_of_the_machine_it_was_made_on(tmp_path):
    data = write_onnx(random_model("anchored"), tmp_path / "x.onnx", {"kind": "anchored"}).read_bytes()
    assert b'File "' not in data
    assert b"site-packages" not in data
    assert str(tmp_path).encode() not in data
