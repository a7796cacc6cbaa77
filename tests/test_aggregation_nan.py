"""NAN's graph: the formula, the faults of public implementations, padding, overflow, foreign files."""

from __future__ import annotations

import threading

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper
from oracles.nan_oracle import nan

from faceset import aggregation
from faceset.aggregation import nan_graph as module
from faceset.aggregation import onnx_aggregator
from faceset.aggregation.nan_graph import nan_graph, zeros
from faceset.aggregation.onnx_aggregator import OnnxAggregator
from faceset.errors import EmbedderMismatchError, EmptySetError, InputError, ModelFileError
from faceset.packs.session import open_session
from faceset.types import Face, FaceSet


def parameters(D, seed=0, scale=3.0):
    rng = np.random.default_rng(seed)
    draw = lambda *shape: (scale * rng.standard_normal(shape)).astype(np.float32)  # noqa: E731
    return draw(D), draw(D, D), draw(D)


def run(model, features, mask):
    session = open_session(model.SerializeToString(), what="test graph")
    return session.run(["template", "weights"], {"features": features, "mask": mask})


def people(sizes, D, seed=1):
    rng = np.random.default_rng(seed)
    x = (rng.standard_normal((sum(sizes), D)) * rng.uniform(0.5, 4, (sum(sizes), 1))).astype(np.float32)
    return x, np.concatenate([[0], np.cumsum(sizes)])


def agrees(aggregator, x, offsets, q0, W, b):
    out = aggregator(x, offsets)
    for i in range(len(offsets) - 1):
        rows = slice(offsets[i], offsets[i + 1])
        template, weights, _ = nan(x[rows].astype(float), q0.astype(float), W.astype(float), b.astype(float))
        np.testing.assert_allclose(out.weights[rows], weights, atol=2e-5)
        np.testing.assert_allclose(out.templates[i], template, atol=2e-5)


@given(
    sizes=st.lists(st.integers(1, 20), min_size=1, max_size=6),
    D=st.sampled_from([1, 2, 5, 32]),
    seed=st.integers(0, 999),
)
@settings(deadline=None, max_examples=40)
def test_agrees_with_the_formula(sizes, D, seed):
    p = parameters(D, seed)
    x, offsets = people(sizes, D, seed + 1)
    if D == 1:
        x = np.abs(x)  # in one dimension faces of opposite sign cancel out
    agrees(OnnxAggregator(nan_graph(*p)), x, offsets, *p)


def test_by_hand():
    # Unit features e1 and e2. q0 = (ln 3, 0): a = 3/4, 1/4 = r0. W = [[0, 4], [0, 0]], b = 0: W r0 = (1, 0), so
    # q1 = (tanh 1, 0) and the weights are the softmax of (tanh 1, 0).
    q0, W = np.array([np.log(3), 0]), np.array([[0, 4], [0, 0]])
    a = 1 / (1 + np.exp(-np.tanh(1)))
    out = OnnxAggregator(nan_graph(q0, W, np.zeros(2)))(np.array([[2, 0], [0, 5]]), [0, 2])
    assert out.weights == pytest.approx([a, 1 - a], abs=1e-6)
    assert out.consistency[0] == pytest.approx(np.hypot(a, 1 - a), abs=1e-6)
    assert out.templates[0] == pytest.approx(np.array([a, 1 - a]) / np.hypot(a, 1 - a), abs=1e-6)


def test_zero_parameters_are_the_mean():
    x, offsets = people([1, 4, 9], 16)
    mean = aggregation.get("mean")(x, offsets)
    for aggregator in (OnnxAggregator(nan_graph(*zeros(16))), aggregation.get("nan")):
        out = aggregator(x, offsets)
        np.testing.assert_allclose(out.templates, mean.templates, atol=1e-6)
        np.testing.assert_allclose(out.weights, mean.weights, atol=1e-6)
        np.testing.assert_allclose(out.consistency, mean.consistency, atol=1e-6)


def test_second_block_is_alive():
    q0, W, b = parameters(16)
    x, offsets = people([12], 16)
    out = OnnxAggregator(nan_graph(q0, W, b))(x, offsets)
    _, _, block1 = nan(x.astype(float), q0, W, b)
    assert np.abs(out.weights - block1).max() > 0.05
    assert np.abs(out.weights - 1 / 12).max() > 0.05


@pytest.mark.parametrize("fault", ["block 1 twice", "W transposed", "no tanh", "no bias"])
def test_a_broken_second_block_is_noticed(fault):
    p = parameters(8)
    model = nan_graph(*p)
    nodes = {n.name: n for n in model.graph.node}
    if fault == "block 1 twice":
        nodes["weights"].input[0] = "a0"
        nodes["r"].input[0] = "r0"
    elif fault == "W transposed":
        nodes["W_r0"].input[1] = "W"
    elif fault == "no tanh":
        nodes["query1"].input[0] = "pre"
    else:
        nodes["q1"].input[0] = "W_r0"
    x, offsets = people([5, 3], 8)
    agrees(OnnxAggregator(nan_graph(*p)), x, offsets, *p)
    with pytest.raises(AssertionError):
        agrees(OnnxAggregator(model), x, offsets, *p)


def test_parameter_count():
    constants = {i.name: i for i in nan_graph(*parameters(12)).graph.initializer}
    assert sum(int(np.prod(constants[n].dims)) for n in ("q0", "W", "b")) == 12**2 + 2 * 12


@pytest.mark.parametrize("junk", [0.0, 1e30, -1e30, np.nan, np.inf, -np.inf])
def test_padding_changes_nothing(junk):
    model = nan_graph(*parameters(6))
    x, _ = people([3, 5], 6)
    features = np.full((2, 7, 6), junk, np.float32)
    mask = np.zeros((2, 7), bool)
    features[0, [0, 2, 6]], mask[0, [0, 2, 6]] = x[:3], True  # real faces need not come first
    features[1, :5], mask[1, :5] = x[3:], True
    template, weights = run(model, features, mask)
    for i, rows in enumerate((x[:3], x[3:])):
        alone_t, alone_w = run(model, rows[None], np.ones((1, len(rows)), bool))
        np.testing.assert_allclose(template[i], alone_t[0], atol=1e-6)
        np.testing.assert_allclose(weights[i][mask[i]], alone_w[0], atol=1e-6)
    assert (weights[~mask] == 0).all()


def test_padding_beside_faces_that_all_stand_against_the_query():
    # The padding's dot product would be 0 and the largest by far: all real weights would underflow.
    # Both logits are -8e3, r0 = (.8, 0), q1 = (0, tanh .8) and the second logits are .6 and -.6 times that.
    model = nan_graph(np.array([-1e4, 0]), np.array([[0, 0], [1, 0]]), np.zeros(2))
    features = np.zeros((1, 5, 2), np.float32)
    features[0, :2] = [[4, 3], [0.8, -0.6]]
    mask = np.array([[True, True, False, False, False]])
    _, weights = run(model, features, mask)
    a = 1 / (1 + np.exp(-1.2 * np.tanh(0.8)))
    assert weights[0] == pytest.approx([a, 1 - a, 0, 0, 0], abs=1e-6)


def test_all_padding_is_zero_in_the_graph_and_refused_outside():
    template, weights = run(nan_graph(*parameters(4)), np.full((1, 3, 4), np.nan, np.float32), np.zeros((1, 3), bool))
    assert not template.any()
    assert not weights.any()
    with pytest.raises(EmptySetError, match="set 1 of 2"):
        aggregation.get("nan")(np.ones((2, 4)), [0, 2, 2])


def test_logits_of_ten_thousand():
    q0 = np.array([1e4, 0, 0, 0])
    for W in (np.zeros((4, 4)), 1e4 * np.eye(4)):
        p = q0, W, np.zeros(4)
        x, offsets = people([6, 1], 4)
        agrees(OnnxAggregator(nan_graph(*p)), x, offsets, *map(np.asarray, p))
    # Faces that all stand against the query: every logit is -1e4.
    out = OnnxAggregator(nan_graph(-q0, np.zeros((4, 4)), np.zeros(4)))(np.eye(4)[[0, 0, 0]], [0, 3])
    assert out.weights == pytest.approx([1 / 3] * 3)


def test_layout_canary():
    # One-hot faces: the template may only have support where a face has, in proportion to that face's weight. A view
    # taken for a transpose would mix faces and dimensions.
    x = np.eye(7, dtype=np.float32)[[5, 0, 3]]
    out = OnnxAggregator(nan_graph(*parameters(7)))(np.vstack([x, x[::-1]]), [0, 3, 6])
    for template, weights, order in (
        (out.templates[0], out.weights[:3], [5, 0, 3]),
        (out.templates[1], out.weights[3:], [3, 0, 5]),
    ):
        assert np.flatnonzero(template).tolist() == [0, 3, 5]
        assert template[order] == pytest.approx(weights / np.linalg.norm(weights), abs=1e-6)
    assert len(set(np.round(out.weights[:3], 3))) == 3


def test_duplicates_add_up():
    p = *parameters(5)[:1], np.zeros((5, 5), np.float32), parameters(5)[2]  # W = 0: the query of block 2 is fixed
    x, _ = people([3], 5)
    once = OnnxAggregator(nan_graph(*p))(x, [0, 3]).weights
    twice = OnnxAggregator(nan_graph(*p))(x[[0, 1, 2, 2]], [0, 4]).weights
    ratio = (twice[2] + twice[3]) / (twice[0] + twice[1])
    assert ratio == pytest.approx(2 * once[2] / (once[0] + once[1]), rel=1e-4)


def test_buckets_change_nothing(monkeypatch):
    aggregator = OnnxAggregator(nan_graph(*parameters(8)))
    x, offsets = people([3, 50, 1, 1, 7, 20, 4, 4], 8)
    whole = aggregator(x, offsets)
    monkeypatch.setattr(onnx_aggregator, "PADDED", 8 * 5)
    alone = aggregator(x, offsets)
    for a, b in zip(whole, alone, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_threads_share_one():
    aggregator = aggregation.get("nan")
    x, offsets = people([3, 9, 5], 24)
    wanted = aggregator(x, offsets).templates
    got: list[np.ndarray] = []
    threads = [threading.Thread(target=lambda: got.append(aggregator(x, offsets).templates)) for _ in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(got) == 8
    assert all(np.array_equal(g, wanted) for g in got)


def test_file_and_metadata(tmp_path):
    path = tmp_path / "trained.onnx"
    p = parameters(8)
    onnx.save(nan_graph(*p, metadata={"embedder": "abc", "training data": "none"}), str(path))
    aggregator = aggregation.get("nan", model=path)
    assert (aggregator.name, aggregator.kind, aggregator.width, aggregator.embedder_id) == ("nan", "nan", 8, "abc")
    assert aggregator.metadata["training data"] == "none"
    x, offsets = people([4, 2], 8)
    agrees(aggregator, x, offsets, *p)
    with pytest.raises(InputError, match="takes features of width 8, but got width 9"):
        aggregator(np.ones((2, 9)), [0, 2])
    faces = FaceSet((Face((0, 0, 9, 9), 0.9, feature=x[0]),), "xyz", media="a.jpg")
    with pytest.raises(EmbedderMismatchError, match="trained for embedder 'abc', but the faces are of 'xyz'"):
        aggregation.aggregate_set(aggregator, faces)


def test_bad_parameters():
    with pytest.raises(InputError, match=r"W must have shape \(3, 3\), but got \(2, 2\)"):
        nan_graph(np.zeros(3), np.zeros((2, 2)), np.zeros(3))
    with pytest.raises(InputError, match="b holds NaN"):
        nan_graph(np.zeros(2), np.zeros((2, 2)), [0, np.nan])
    with pytest.raises(InputError, match="at least one"):
        nan_graph(np.zeros(0), np.zeros((0, 0)), np.zeros(0))


def identity(kind=True):
    graph = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["y"])],
        "other",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 3])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", module.OPSET)])
    model.ir_version = module.IR_VERSION
    return model


def test_foreign_and_damaged_files(tmp_path):
    with pytest.raises(ModelFileError, match="not an aggregator: it has x"):
        OnnxAggregator(identity())
    nameless = nan_graph(*zeros(3))
    del nameless.metadata_props[:]
    with pytest.raises(ModelFileError, match="does not name its 'kind'"):
        OnnxAggregator(nameless)
    with pytest.raises(ModelFileError, match="does not exist"):
        aggregation.get("nan", model=tmp_path / "none.onnx")
    (tmp_path / "text.onnx").write_text("no model")
    with pytest.raises(ModelFileError, match=r"text\.onnx"):
        aggregation.get("nan", model=tmp_path / "text.onnx")


@pytest.mark.parametrize("fault", ["negative weights", "sum 2", "NaN"])
def test_output_that_is_no_aggregate_is_refused(fault):
    model = nan_graph(*zeros(3))
    for constant in model.graph.initializer:
        if constant.name == "one" and fault == "negative weights":
            continue
    last = model.graph.node[-1]
    factor = {"negative weights": -1.0, "sum 2": 2.0, "NaN": np.nan}[fault]
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.float32(factor), "factor"))
    model.graph.node.append(helper.make_node("Mul", ["sound", "factor"], ["weights"]))
    last.output[0] = "sound"
    with pytest.raises(ModelFileError, match="its parameters are damaged"):
        OnnxAggregator(model)(np.ones((2, 3)), [0, 2])
