"""dlib's network rebuilt as ONNX: the reader by hand-made records, the graph against dlib itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import dlib
import numpy as np
import onnx
import pytest
from oracles import dat_writer as w

from faceset.errors import ModelFileError
from faceset.packs.dlib_dat import DatReader
from faceset.packs.dlib_resnet import CONVERTER_VERSION, convert, dlib_resnet_file
from faceset.packs.installed import DLIB_RESNET, installed_file
from faceset.packs.registry import registry
from faceset.packs.session import open_session

RNG = np.random.default_rng(5)


@pytest.fixture(scope="module")
def dat() -> bytes:
    return installed_file(*DLIB_RESNET).read_bytes()


@pytest.fixture(scope="module")
def session() -> Any:
    return open_session(dlib_resnet_file(), what="dlib-resnet")


@pytest.fixture(scope="module")
def chips() -> Iterator[np.ndarray]:
    """Noise, black, white, stripes and smooth colour: nothing that needs the data folder."""
    y, x = np.mgrid[:150, :150]
    smooth = np.stack([x + y, 255 - x, 2 * np.abs(75 - y)], axis=2).clip(0, 255)
    stripes = np.repeat((x // 7 % 2 * 255)[..., None], 3, axis=2)
    made = [RNG.integers(0, 256, (150, 150, 3)), np.zeros((150, 150, 3)), np.full((150, 150, 3), 255), smooth, stripes]
    return np.stack(made).astype(np.uint8)


def run(session: Any, chips: np.ndarray) -> np.ndarray:
    return session.run(None, {"image": chips.transpose(0, 3, 1, 2).astype(np.float32)})[0]


def test_the_graph_gives_what_dlib_gives(session: Any, chips: np.ndarray) -> None:
    network = dlib.face_recognition_model_v1(str(installed_file(*DLIB_RESNET)))
    expected = np.array([network.compute_face_descriptor(c) for c in chips])
    assert np.abs(expected).max() > 0.05
    np.testing.assert_allclose(run(session, chips), expected, rtol=0, atol=1e-5)


def test_red_and_blue_are_not_the_same_to_it(session: Any, chips: np.ndarray) -> None:
    assert np.abs(run(session, chips[3:4]) - run(session, chips[3:4, :, :, ::-1])).max() > 1e-3


def test_the_graph_says_what_it_takes_and_gives() -> None:
    model = onnx.load(str(dlib_resnet_file()))
    dims = [
        [d.dim_param or d.dim_value for d in v.type.tensor_type.shape.dim]
        for v in (*model.graph.input, *model.graph.output)
    ]
    assert dims == [["n", 3, 150, 150], ["n", 128]]
    assert [model.graph.input[0].name, model.graph.output[0].name] == ["image", "feature"]
    assert sum(node.op_type == "Conv" for node in model.graph.node) == 29


def test_the_registry_names_this_converter() -> None:
    assert registry()["dlib-resnet"].converter == CONVERTER_VERSION


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b"\x01\x00", 0),
        (b"\x01\x7f", 127),
        (b"\x81\x11", -17),
        (b"\x02\x80\x12", 0x1280),
        (b"\x03\x00\x01\x09", 0x090100),
    ],
)
def test_packed_integers_by_hand(raw: bytes, value: int) -> None:
    assert DatReader(raw, "x")._int() == value
    assert w.packed(value) == raw


def test_packed_floats_by_hand() -> None:
    # 0xf59062 * 2^-17 = 16093282 / 131072, the mean red of the network
    reader = DatReader(w.tag("input_rgb_image_sized") + bytes.fromhex("0362 90f5 8111 0101 0102 8103 8101"), "x")
    assert reader.colour_means() == (16093282 / 131072, 4.0, -1.5)


def test_records_are_read_back() -> None:
    weights, bias = RNG.normal(size=(4, 2, 3, 3)).astype(np.float32), RNG.normal(size=4).astype(np.float32)
    gamma, beta = RNG.normal(size=(2, 4)).astype(np.float32)
    matrix = RNG.normal(size=(4, 6)).astype(np.float32)
    data = b"".join([b"110", w.conv(weights, bias, 2, 1), b"\x01\x01", w.affine(gamma, beta), w.dense(matrix)])
    reader = DatReader(data, "x")
    conv = reader.conv(2)
    assert np.array_equal(conv.weights, weights)
    assert np.array_equal(conv.bias, bias)
    assert (conv.stride, conv.padding) == (2, 1)
    found = reader.affine(4)
    assert np.array_equal(found[0], gamma)
    assert np.array_equal(found[1], beta)
    assert np.array_equal(reader.dense(4), matrix)


ONE = np.ones((1, 1, 1, 1), np.float32)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "no further con_4 layer"),
        (w.tag("con_4"), "it ends at byte 7, in the middle of a value"),
        (w.tag("con_4") + b"\x00", "is no packed integer"),
        (w.tag("con_4") + b"\x79" + b"\x01" * 9, "is no packed integer"),
        (w.tag("con_4") + w.packed(1), "a tensor has version 1"),
        (w.tag("con_4") + b"".join(map(w.packed, (2, -1))), "a tensor dimension before byte .* is -1"),
        (w.tag("con_4") + b"".join(map(w.packed, (2, 10**12))), "a tensor dimension before byte .* is 10{12}"),
        (w.conv(ONE * np.nan, ONE.ravel(), 1, 0), "NaN or infinity"),
        (w.conv(np.ones((1, 2, 1, 1), np.float32), ONE.ravel(), 1, 0), "does not go with 3 parameters"),
        (w.conv(ONE, ONE.ravel(), 1, 0)[:-2] + w.packed(1), "uneven stride"),
    ],
)
def test_a_bad_record_is_named(data: bytes, reason: str) -> None:
    with pytest.raises(ModelFileError, match=rf"x\.dat is not dlib's face recognition network.*{reason}.*reinstall"):
        DatReader(data, "x.dat").conv(1)


@pytest.mark.parametrize("share", [0, 1e-6, 1e-4, 0.1, 0.5, 0.95, 0.9999])
def test_a_truncated_file_is_refused(dat: bytes, share: float) -> None:
    with pytest.raises(ModelFileError, match=r"some\.dat is (not|another)"):
        convert(dat[: int(len(dat) * share)], "some.dat")


def test_another_network_is_refused(dat: bytes) -> None:
    with pytest.raises(
        ModelFileError, match=r"some\.dat is another network: it subtracts the colour \(1\.0, 1\.0, 1\.0\)"
    ):
        convert(w.tag("input_rgb_image_sized") + w.packed_float(1, 0) * 3, "some.dat")
    head = w.tag("input_rgb_image_sized") + dat[dat.find(b"image_sized") + 11 :][:18]
    small = head + w.conv(RNG.normal(size=(8, 3, 7, 7)), np.zeros(8), 2, 0) + w.affine(np.ones(8), np.zeros(8))
    with pytest.raises(ModelFileError, match=r"a convolution is \(8, 3, 7, 7\) with stride 2.*not \(32, 3, 7, 7\)"):
        convert(small, "some.dat")
    with pytest.raises(ModelFileError, match="more con_4 layers"):
        convert(dat + w.tag("con_4"), "some.dat")
