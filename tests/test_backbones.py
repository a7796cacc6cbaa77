"""The networks themselves: shapes, preprocessing, stages, gradients against finite differences; and they learn."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 (its usual name)
from torch import nn

from faceset.errors import InputError
from faceset.packs.dlib_resnet import dlib_resnet_file
from faceset.packs.session import open_session
from faceset.training import backbones
from faceset.training.backbones import iresnet, vgg16

torch.set_num_threads(1)

TINY: dict[str, dict[str, Any]] = {
    "dlib-resnet": {"size": 103},
    "googlenet": {"size": 32},
    "iresnet100": {"size": 16},
    "iresnet18": {"size": 16},
    "iresnet34": {"size": 16},
    "iresnet50": {"size": 16},
    "mobilefacenet": {"size": 32},
    "vgg16": {"size": 32, "hidden": 16, "dropout": 0.0},
    "vgg16_bn": {"size": 32, "hidden": 16, "dropout": 0.0},
}
"""Every network at a size that is quick."""


@pytest.fixture(autouse=True)
def _narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer filters: 65 million parameters take minutes. The true widths are held against the published lists."""
    monkeypatch.setattr(iresnet, "_FILTERS", (16, 16, 32, 32))
    monkeypatch.setattr(vgg16, "_BLOCKS", ((16, 16), (16, 16), (32,) * 3, (32,) * 3, (32, 32, 512)))


def tiny(name: str, dim: int = 8, seed: int = 0) -> Any:
    torch.manual_seed(seed)
    return backbones.build(name, dim=dim, **TINY[name])


def patterns(side: int, seed: int = 1) -> Any:
    """(8, 3, side, side) a random colour pattern with noise for each of eight identities, 0..255."""
    g = torch.Generator().manual_seed(seed)
    coarse = 255 * torch.rand(8, 3, 4, 4, generator=g)
    x = F.interpolate(coarse, size=(side, side), mode="bilinear")
    return (x + 25 * torch.randn(x.shape, generator=g)).clamp(0, 255)


def test_all_are_tried_here() -> None:
    assert sorted(TINY) == backbones.names()


@pytest.mark.parametrize("name", backbones.names())
def test_twenty_steps_fit_eight_identities(name: str) -> None:
    network, classifier = tiny(name, dim=16), nn.Linear(16, 8)
    x, y = network.normalised(patterns(network.size[0])), torch.arange(8)
    groups = [{"params": [p for p in network.parameters() if p.requires_grad]}]
    rate = 1e-4 if name.startswith("vgg16") else 1e-3
    optimiser = torch.optim.Adam([*groups, {"params": classifier.parameters(), "lr": 0.03}], lr=rate)

    def logits() -> Any:  # what all pictures share is taken off, as the networks without batch norm do not do it
        return classifier(F.batch_norm(network(x), None, None, training=True))

    loss = torch.tensor(torch.inf)
    for _ in range(20):
        if float(loss) < 0.3:
            break  # it has learnt before
        optimiser.zero_grad()
        loss = F.cross_entropy(logits(), y)
        loss.backward()
        optimiser.step()
        loss = loss.detach()
    with torch.no_grad():
        right = logits().argmax(1) == y
    assert right.float().mean() > 0.95


@pytest.mark.parametrize("name", backbones.names())
def test_a_training_step_agrees_with_finite_differences(name: str) -> None:
    """In float64 and training mode: along a random direction through all parameters, and along a step of SGD."""
    network = tiny(name).double()
    for module in network.modules():
        if hasattr(module, "gamma"):  # the branches that a fresh network starts at zero take part
            nn.init.uniform_(module.gamma, 0.3, 0.6)
    x = network.normalised(patterns(network.size[0])[:4].double())
    towards = torch.randn(4, 8, dtype=torch.float64)

    def loss() -> Any:
        features = network(x)
        return ((features / features.norm(dim=1, keepdim=True) - towards) ** 2).sum()

    trained = [p for p in network.parameters() if p.requires_grad]
    loss().backward()
    assert all(p.grad is not None and bool(torch.isfinite(p.grad).all()) for p in trained)
    directions = [torch.randn_like(p) * p.detach().abs().mean().clamp_min(0.01) for p in trained]
    expected = sum(float((p.grad * v).sum()) for p, v in zip(trained, directions, strict=True))
    step, values = 1e-8, []
    with torch.no_grad():
        for amount in (step, -2 * step, step):
            for p, v in zip(trained, directions, strict=True):
                p.add_(v, alpha=amount)
            values.append(float(loss()))
        assert (values[0] - values[1]) / (2 * step) == pytest.approx(expected, rel=1e-4)
        squared = sum(float(p.grad.square().sum()) for p in trained)
        rate = 1e-7 / squared**0.5
        torch.optim.SGD(trained, lr=rate).step()
        fallen = values[2] - float(loss())
    assert squared > 0
    assert fallen / rate == pytest.approx(squared, rel=1e-3)


@pytest.mark.parametrize("name", [n for n in backbones.names() if n not in ("iresnet34", "iresnet100")])
def test_stages_and_configuration_make_the_same_network(name: str) -> None:
    network = tiny(name, dim=5).train()
    x = torch.randn(4, 3, *network.size)
    with torch.no_grad():
        expected = network(x)
        assert (expected.shape, expected.dtype) == ((4, 5), torch.float32)
        y = x
        for stage in network.stages():
            y = stage(y)
        assert torch.equal(y, expected)
        assert torch.equal(x, torch.empty_like(x).copy_(x))
    assert {id(p) for s in network.stages() for p in s.parameters()} == {id(p) for p in network.parameters()}
    again = backbones.from_config(json.loads(json.dumps(network.config())))
    assert again.config() == network.config()
    assert again.preprocessing() == network.preprocessing()
    again.load_state_dict(network.state_dict())
    with torch.no_grad():
        assert torch.equal(again.eval()(x), network.eval()(x))


@pytest.mark.parametrize("name", ["googlenet", "vgg16_bn", "mobilefacenet", "iresnet18", "dlib-resnet"])
def test_checkpointing_changes_neither_gradients_nor_running_statistics(name: str) -> None:
    a, b = tiny(name), tiny(name)
    x = a.normalised(patterns(a.size[0]))
    for network, run in ((a, a.forward), (b, b.checkpointed)):
        run(x).square().sum().backward()
        assert network.training
    for (key, p), q in zip(a.named_parameters(), b.parameters(), strict=True):
        if p.requires_grad:
            assert torch.equal(p.grad, q.grad), key
    for key, value in a.state_dict().items():
        assert torch.equal(value, b.state_dict()[key]), key
        assert not key.endswith("num_batches_tracked") or value == 1
    assert all(m.momentum == 0.1 for m in b.modules() if hasattr(m, "momentum"))


def test_dlib_gives_what_the_graph_for_inference_gives() -> None:
    network = backbones.from_pretrained("dlib-resnet").eval()
    pictures = torch.cat([patterns(150), torch.zeros(1, 3, 150, 150), torch.full((1, 3, 150, 150), 255.0)])
    session = open_session(dlib_resnet_file(), what="dlib-resnet")
    expected = session.run(None, {"image": pictures.numpy()})[0]
    with torch.no_grad():
        found = network(network.normalised(pictures)).numpy()
    assert np.abs(expected).max() > 0.1
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def test_vgg_pools_as_adaptive_average_pooling_does() -> None:
    network = backbones.build("vgg16", hidden=4)
    for high, wide in ((1, 1), (2, 3), (7, 7), (7, 8), (14, 14), (10, 5)):
        x = torch.randn(2, 3, high, wide)
        torch.testing.assert_close(network.avgpool(x), F.adaptive_avg_pool2d(x, 7))


def test_preprocessing_by_hand() -> None:
    # torchvision: p / 255, ImageNet mean and deviation, then transform_input undoes them to (p - 0.5) / 0.5.
    pictures = torch.tensor([0.0, 127.5, 255.0]).view(3, 1, 1, 1).expand(3, 3, 1, 1)
    unit, mean, std = 150 / 255, 0.485, 0.229
    transformed = (unit - mean) / std * (std / 0.5) + (mean - 0.5) / 0.5
    google, vgg, dlib = (tiny(n) for n in ("googlenet", "vgg16", "dlib-resnet"))
    assert float(google.normalised(torch.full((1, 3, 1, 1), 150, dtype=torch.uint8))[0, 0, 0, 0]) == pytest.approx(
        transformed, abs=1e-6
    )
    assert google.normalised(pictures)[:, 0, 0, 0].tolist() == [-1.0, 0.0, 1.0]
    assert vgg.normalised(pictures)[2, :, 0, 0].tolist() == pytest.approx(
        [(1 - m) / s for m, s in ((0.485, 0.229), (0.456, 0.224), (0.406, 0.225))], rel=1e-5
    )
    assert dlib.normalised(pictures)[0, :, 0, 0].tolist() == pytest.approx(
        [-122.782 / 256, -117.001 / 256, -104.298 / 256]
    )
    assert google.preprocessing() == {"crop": "arcface32", "colour": "RGB", "mean": [127.5] * 3, "std": [127.5] * 3}


@pytest.mark.parametrize(
    ("name", "dim", "size", "crop"),
    [
        ("googlenet", 128, (224, 224), "arcface224"),
        ("vgg16", 128, (224, 224), "arcface224"),
        ("iresnet50", 512, (112, 112), "arcface112"),
        ("mobilefacenet", 512, (112, 112), "arcface112"),
        ("dlib-resnet", 128, (150, 150), "dlib150"),
    ],
)
def test_defaults(name: str, dim: int, size: tuple[int, int], crop: str) -> None:
    with torch.device("meta"):
        network = backbones.build(name)
        assert (network.name, network.dim, network.size, network.crop) == (name, dim, size, crop)
        assert network(torch.zeros(2, 3, *size)).shape == (2, dim)


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("iresnet18", (112, 96)),
        ("iresnet18", 17),
        ("mobilefacenet", (112, 96)),
        ("mobilefacenet", 100),
        ("googlenet", 15),
        ("vgg16", 33),
        ("dlib-resnet", 103),
        ("dlib-resnet", 128),
    ],
)
def test_other_sizes_fit_too(name: str, size: Any) -> None:
    with torch.device("meta"):
        network = backbones.build(name, dim=3, size=size)
        assert network(torch.zeros(2, 3, *network.size)).shape == (2, 3)
    assert network.crop == ("sphere112x96" if size == (112, 96) else f"{network.form.crop}{size}")


def test_the_head_stays_in_full_precision_under_autocast() -> None:
    network = tiny("googlenet").eval()
    x = torch.randn(2, 3, 32, 32)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        features, before = network(x), x
        for stage in network.stages()[:-1]:
            before = stage(before)
        assert before.dtype == torch.bfloat16
        by_stages = network.stages()[-1](before)
    assert features.dtype == by_stages.dtype == torch.float32
    assert torch.equal(features, by_stages)
    assert torch.equal(features, network.fc(before.float()))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "resnet"}, "no backbone is called 'resnet'; take one of dlib-resnet, googlenet"),
        ({"name": "googlenet", "depth": 3}, "backbone 'googlenet' has no option depth; it has dropout"),
        ({"name": "iresnet18", "depth": 34}, "backbone 'iresnet18' has no option depth; it has dropout"),
        ({"name": "mobilefacenet", "wide": 1}, "backbone 'mobilefacenet' has no option wide; it has none"),
        ({"name": "googlenet", "dim": 0}, "googlenet: dim must be at least 1, but got 0"),
        ({"name": "vgg16", "size": 31}, r"vgg16: size must be .* of at least 32 pixels, but got 31"),
        ({"name": "dlib-resnet", "size": 102}, r"dlib-resnet: size must be .* of at least 103 pixels, but got 102"),
        ({"name": "googlenet", "size": [32, 32, 3]}, r"googlenet: size must be a side or \(height, width\)"),
        ({"name": "googlenet", "size": (64, 32)}, "no crop geometry gives pictures of 64 x 32; take a square size"),
        ({"name": "dlib-resnet", "size": (120, 112)}, "no crop geometry gives pictures of 120 x 112"),
        ({"name": "vgg16", "hidden": 0}, "vgg16: hidden must be at least 1, but got 0"),
        ({"name": "googlenet", "dropout": 1.5}, r"googlenet: dropout must be in 0\.\.1, but got 1\.5"),
    ],
)
def test_bad_arguments_are_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        backbones.build(**arguments)


def test_other_bad_arguments() -> None:
    with pytest.raises(InputError, match="depth must be one of 18, 34, 50, 100, but got 20"):
        backbones.IResNet(depth=20)
    with pytest.raises(InputError, match="a backbone is described by name and options"):
        backbones.from_config({"name": "googlenet"})
    with pytest.raises(AttributeError, match="no attribute 'ResNet'"):
        _ = backbones.ResNet


def test_normalisation_layers_are_those_of_the_originals() -> None:
    for name, eps in (("googlenet", 1e-3), ("vgg16_bn", 1e-5), ("iresnet18", 1e-5), ("mobilefacenet", 1e-5)):
        layers = [m for m in tiny(name).modules() if isinstance(m, nn.BatchNorm2d | nn.BatchNorm1d)]
        assert layers
        assert {(m.eps, m.momentum, m.affine) for m in layers} == {(eps, 0.1, True)}
    assert not tiny("iresnet18").features.weight.requires_grad
