"""Checkpoints of others, key for key against the published lists, and everything that must be refused."""

from __future__ import annotations

import pickle
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from backbone_files import PUBLISHED, published, tensors, value_of
from oracles import dat_writer
from safetensors.torch import save_file

from faceset.errors import ModelFileError
from faceset.packs.installed import DLIB_RESNET, installed_file
from faceset.training import backbones, runs

torch.set_num_threads(1)

COUNTS = {  # of parameters, as torchvision states them, with a classifier of 1000 and without auxiliary ones
    "googlenet": 6_624_904,
    "vgg16": 138_357_544,
    "vgg16_bn": 138_365_992,
}
HEADS = {
    "googlenet": {"fc.weight", "fc.bias"},
    "vgg16": {"classifier.6.weight", "classifier.6.bias"},
    "vgg16_bn": {"classifier.6.weight", "classifier.6.bias"},
}


def shape_of(name: str, **options: Any) -> Any:
    """The network without memory for its parameters."""
    with torch.device("meta"):
        return backbones.build(name, **options)


def test_every_list_is_there() -> None:
    assert sorted([*PUBLISHED, "dlib-resnet"]) == backbones.names()
    assert len(published("googlenet")) == 364
    assert len(published("iresnet100")) == 925


@pytest.mark.parametrize("name", PUBLISHED)
def test_keys_and_shapes_are_the_published_ones(name: str) -> None:
    wanted = {k: v for k, v in published(name).items() if not k.startswith(("aux1.", "aux2."))}
    dim = 1000 if name in COUNTS else 512
    network = shape_of(name, dim=dim)
    assert {k: tuple(v.shape) for k, v in network.state_dict().items()} == wanted
    if name in COUNTS:
        assert sum(p.numel() for p in network.parameters()) == COUNTS[name]


@pytest.mark.parametrize("name", ["googlenet", "mobilefacenet", "iresnet18"])
def test_every_tensor_of_a_checkpoint_arrives(name: str, tmp_path: Path) -> None:
    shapes = published(name)
    torch.save(tensors(shapes), tmp_path / "weights.pth")
    network = backbones.from_pretrained(name, tmp_path / "weights.pth")
    state, order = network.state_dict(), list(shapes)
    fresh = HEADS.get(name, set())
    assert set(network.replaced) == fresh
    assert network.dim == (128 if fresh else 512)
    for key in set(state) - fresh:
        assert tuple(state[key].shape) == shapes[key]
        assert bool((state[key] == value_of(order.index(key), key)).all()), key
    assert all(state[key].std() > 0 for key in fresh if key.endswith("weight"))
    assert not [k for k in state if k.startswith("aux")]


@pytest.mark.parametrize("name", ["vgg16", "vgg16_bn"])
def test_a_vgg_arrives_also_without_the_counters_of_newer_files(name: str, tmp_path: Path) -> None:
    # The published files with their 4096 wide layers reduced to 8, which keeps 500 MB out of this test.
    shapes = {k: tuple(8 if n == 4096 else n for n in v) for k, v in published(name).items()}
    old = {k: v for k, v in tensors(shapes).items() if not k.endswith("num_batches_tracked")}
    torch.save({"state_dict": old}, tmp_path / "weights.pth", _use_new_zipfile_serialization=False)
    network = backbones.from_pretrained(name, tmp_path / "weights.pth", dim=5, hidden=8)
    state, order = network.state_dict(), list(shapes)
    assert network.name == name
    assert set(network.replaced) == HEADS[name]
    assert state["classifier.6.weight"].shape == (5, 8)
    for key in set(old) - HEADS[name]:
        assert bool((state[key] == value_of(order.index(key), key)).all()), key


def small() -> dict[str, Any]:
    """The weights of a MobileFaceNet of this package."""
    torch.manual_seed(3)
    return dict(backbones.build("mobilefacenet", dim=4).state_dict())


@pytest.mark.parametrize("wrap", ["bare", "state_dict", "module", "arcface", "safetensors", "half"])
def test_every_wrapping_is_read(wrap: str, tmp_path: Path) -> None:
    state = small()
    path = tmp_path / "weights.any"
    if wrap == "safetensors":
        save_file(state, path)
    else:
        changed = {
            "bare": state,
            "state_dict": {"state_dict": state, "epoch": 3, "arch": "mbf"},
            "module": {f"module.{k}": v for k, v in state.items()},
            "arcface": {"epoch": 1, "state_dict_backbone": state, "state_optimizer": {"state": {}}},
            "half": {k: v.half() if v.is_floating_point() else v for k, v in state.items()},
        }
        torch.save(changed[wrap], path)
    network = backbones.MobileFaceNet.from_pretrained(path)
    assert (network.dim, network.replaced) == (4, ())
    for key, value in network.state_dict().items():
        expected = state[key].half().float() if wrap == "half" and value.is_floating_point() else state[key]
        assert torch.equal(value, expected), key
        assert value.dtype == state[key].dtype


def test_a_head_of_another_width_or_size_is_replaced(tmp_path: Path) -> None:
    torch.save(small(), tmp_path / "w.pth")
    head = {k for k in small() if k.startswith("features.")}
    wider = backbones.from_pretrained("mobilefacenet", tmp_path / "w.pth", dim=6)
    assert (wider.dim, set(wider.replaced)) == (6, head)
    smaller = backbones.from_pretrained("mobilefacenet", tmp_path / "w.pth", size=64)
    assert (smaller.dim, smaller.size, set(smaller.replaced)) == (4, (64, 64), head)
    for network in (wider, smaller):
        assert torch.equal(network.state_dict()["conv_sep.layers.0.weight"], small()["conv_sep.layers.0.weight"])
    same = backbones.from_pretrained("mobilefacenet", tmp_path / "w.pth", size=112, dim=4)
    assert same.replaced == ()


def test_a_head_of_1000_is_a_classifier_only_in_files_of_others(tmp_path: Path) -> None:
    torch.manual_seed(0)
    state = dict(backbones.build("googlenet", dim=1000).state_dict())
    torch.save(state, tmp_path / "w.pth")
    runs.write_tensors(tmp_path / "w.safetensors", state, {"step": 1})
    assert backbones.from_pretrained("googlenet", tmp_path / "w.pth", dim=1000).replaced == ("fc.weight", "fc.bias")
    assert backbones.from_pretrained("googlenet", tmp_path / "w.safetensors").replaced == ()


def refused(path: Path, name: str = "mobilefacenet", **options: Any) -> str:
    with pytest.raises(ModelFileError) as caught:
        backbones.from_pretrained(name, path, **options)
    message = str(caught.value)
    assert str(path) in message or path.name in message
    assert "weights_only=False" not in message
    return message


def test_another_network_is_refused_by_its_first_three_keys_and_named(tmp_path: Path) -> None:
    torch.save(tensors(published("iresnet18")), tmp_path / "w.pth")
    message = refused(tmp_path / "w.pth")
    needed = [key for key in published("mobilefacenet") if not key.endswith("num_batches_tracked")]
    assert "; ".join(f"{key} is missing" for key in needed[:3]) in message
    assert f" and {len(needed) + 187 - 3} more; it is one of iresnet18" in message
    assert message.endswith("it is one of iresnet18: name that backbone")
    message = refused(tmp_path / "w.pth", "iresnet34")
    assert message.count("is missing") == 3
    assert "layer1.2.bn1.weight is missing; layer1.2.bn1.bias is missing" in message
    torch.save({"a.weight": torch.zeros(2), "b": torch.zeros(())}, tmp_path / "w.pth")
    assert refused(tmp_path / "w.pth").endswith("give one of mobilefacenet, or name the backbone that the file is of")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("missing", ": conv_sep.layers.0.weight is missing; give one"),
        ("extra", ": softmax.weight (8, 4) is too much; give one"),
        ("shape", ": layers.0.layers.0.weight is (128, 3, 5, 5), not (128, 3, 3, 3); give one"),
        ("order", ": layers.0.layers.0.weight is (3, 128, 3, 3), not (128, 3, 3, 3); give one"),
        ("type", ": layers.0.layers.0.weight is torch.int64, not torch.float32; give one"),
        ("nan", "is damaged: layers.0.layers.0.weight holds NaN or infinity; download or save it again"),
        ("no head", ": features.layers.2.weight is missing; give one"),
    ],
)
def test_a_checkpoint_that_differs_is_refused(change: str, reason: str, tmp_path: Path) -> None:
    state, first = small(), "layers.0.layers.0.weight"
    if change == "missing":
        del state["conv_sep.layers.0.weight"]
    elif change == "no head":
        del state["features.layers.2.weight"]
    elif change == "extra":
        state["softmax.weight"] = torch.zeros(8, 4)
    elif change == "shape":
        state[first] = torch.zeros(128, 3, 5, 5)
    elif change == "order":
        state[first] = state[first].transpose(0, 1)
    elif change == "type":
        state[first] = state[first].long()
    else:
        state[first] = state[first] * torch.nan
    torch.save(state, tmp_path / "w.pth")
    assert reason in refused(tmp_path / "w.pth", dim=4)


def test_nothing_is_loaded_when_anything_is_refused(tmp_path: Path) -> None:
    from faceset.training.backbones import checkpoints

    network = backbones.build("mobilefacenet", dim=4)
    before = {k: v.clone() for k, v in network.state_dict().items()}
    state = small()
    state["features.layers.3.bias"] = torch.full((4,), torch.inf)
    torch.save(state, tmp_path / "w.pth")
    with pytest.raises(ModelFileError, match=r"features\.layers\.3\.bias holds NaN or infinity"):
        checkpoints.load(network, checkpoints.read(tmp_path / "w.pth"))
    assert all(torch.equal(v, before[k]) for k, v in network.state_dict().items())


class Bomb:
    """Code that runs when it is unpickled."""

    ran = False

    def __reduce__(self) -> Any:
        return (setattr, (Bomb, "ran", True))


@pytest.mark.parametrize("new", [True, False])
def test_pickled_code_is_refused_and_never_run(new: bool, tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    torch.save({"state_dict": {"w": Bomb()}}, path, _use_new_zipfile_serialization=new)
    message = refused(path)
    assert "holds pickled code (" in message
    assert "setattr" in message
    assert message.endswith("save its tensors alone: torch.save(model.state_dict(), 'weights.pth')")
    torch.save(torch.nn.Linear(2, 2), path, _use_new_zipfile_serialization=new)  # a whole module, as people do
    assert "holds pickled code (torch.nn.modules.linear.Linear)" in refused(path)
    path.write_bytes(pickle.dumps(Bomb()))
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        assert refused(path).endswith("download or save it again")  # a pickle of another protocol than torch's
    assert not told
    assert not Bomb.ran


@pytest.mark.parametrize("kind", ["zip", "legacy", "safetensors"])
@pytest.mark.parametrize("share", [1e-6, 1e-4, 0.01, 0.5, 0.999])
def test_a_truncated_file_is_refused(kind: str, share: float, tmp_path: Path) -> None:
    path = tmp_path / "w"
    state = {"a.weight": torch.randn(200, 300), "a.bias": torch.randn(200)}
    if kind == "safetensors":
        save_file(state, path)
    else:
        torch.save(state, path, _use_new_zipfile_serialization=kind == "zip")
    data = path.read_bytes()
    path.write_bytes(data[: max(1, int(len(data) * share))])
    assert refused(path).endswith("download or save it again")


def test_what_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    assert "cannot be read (No such file or directory); check the path" in refused(path)
    assert "cannot be read (Is a directory)" in refused(tmp_path)
    path.write_bytes(b"")
    assert refused(path) == f"checkpoint {path} is empty; download or save it again"
    for junk in (b"<html>not found</html>" * 100, b"hello, this is text\n"):
        path.write_bytes(junk)
        assert refused(path).endswith("download or save it again")
        assert not re.search(r"\(\d*\)", refused(path))  # a bare number gives no reason
    path.rename(tmp_path / "net.onnx")
    assert "net.onnx is an ONNX graph, which cannot be trained on; give the checkpoint" in refused(
        tmp_path / "net.onnx"
    )
    for content, reason in (
        ({}, "holds nothing, not the tensors of a network"),
        ([torch.zeros(2)], "holds a list, not the tensors of a network"),
        (torch.zeros(2), "holds a Tensor, not the tensors of a network"),
        ({"epoch": 3, "w": torch.zeros(1)}, "is not a state_dict: 'epoch' is no dense tensor"),
        ({"w": torch.zeros(3, device="meta")}, "is not a state_dict: 'w' is no dense tensor"),
        ({"w": torch.zeros(3).to_sparse(), 3: 1}, "is not a state_dict: 'w', 3 are no dense tensors"),
    ):
        torch.save(content, path)
        message = refused(path)
        assert reason in message
        assert message.endswith("save model.state_dict()")
    with pytest.raises(ModelFileError, match="no weights of vgg16 are installed; give the path of a checkpoint"):
        backbones.from_pretrained("vgg16")


def test_dlib_is_read_from_dat_and_from_checkpoints(tmp_path: Path) -> None:
    installed = backbones.from_pretrained("dlib-resnet")
    assert (installed.dim, installed.replaced) == (128, ())
    torch.save(installed.state_dict(), tmp_path / "w.pth")
    again = backbones.DlibResNet.from_pretrained(tmp_path / "w.pth")
    assert all(torch.equal(v, again.state_dict()[k]) for k, v in installed.state_dict().items())
    wider = backbones.DlibResNet.from_pretrained(dim=256)
    assert (wider.dim, wider.replaced) == (256, ("fc.weight",))
    assert torch.equal(wider.blocks[3].first.weight, installed.blocks[3].first.weight)


def test_a_damaged_or_foreign_dat_is_refused(tmp_path: Path) -> None:
    data = installed_file(*DLIB_RESNET).read_bytes()
    path = tmp_path / "w.dat"
    for broken in (b"", data[:1000], data[: len(data) // 2], data[:-20_000], data + dat_writer.tag("con_4")):
        path.write_bytes(broken)
        assert "w.dat is not dlib's" in refused(path, "dlib-resnet")
    at = data.find(b"con_4") + 40  # inside the first tensor
    path.write_bytes(data[:at] + np.array([np.nan] * 4, "<f4").tobytes() + data[at + 16 :])
    assert "NaN or infinity" in refused(path, "dlib-resnet")
    assert "cannot be read" in refused(tmp_path / "none.dat", "dlib-resnet")
