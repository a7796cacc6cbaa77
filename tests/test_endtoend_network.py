"""Backbone and aggregator in one graph: places, gradients, batch normalisation, arithmetic."""

from __future__ import annotations

import functools
from typing import Any

import pytest
import torch
from torch import nn

from faceset.errors import EmptySetError, InputError
from faceset.training import aggregators, backbones, losses
from faceset.training.device import autocast
from faceset.training.endtoend import EndToEnd
from faceset.training.endtoend.network import placed

torch.set_num_threads(1)

DIM, SIDE = 6, 16
MASK = torch.tensor([[True, True, False], [False, True, True], [True, False, False], [True, True, True]])
SUBJECTS = torch.tensor([0, 0, 1, 1])


def network(name: str = "mobilefacenet", aggregator: str = "nan", **options: Any) -> EndToEnd:
    torch.manual_seed(3)
    backbone = backbones.build(name, dim=DIM, size=SIDE)
    for module in backbone.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):  # statistics that are not those of any batch here
            module.running_mean.uniform_(-0.2, 0.2)
            module.running_var.uniform_(0.5, 1.5)
    pooling = aggregators.build(aggregator, DIM)
    for parameter in pooling.parameters():
        nn.init.normal_(parameter, std=0.7)
    return EndToEnd(backbone, pooling, **options).train()


def faces(dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(int(MASK.sum()), 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1)).to(dtype)


def gradients(net: EndToEnd) -> dict[str, torch.Tensor]:
    net = net.double()
    losses.build("contrast", DIM, 2, temperature=0.3)(net(faces(), MASK)[0], SUBJECTS).backward()
    return {name: p.grad.clone() for name, p in net.named_parameters()}


@functools.cache
def plain_gradients(name: str) -> dict[str, torch.Tensor]:
    return gradients(network(name))


def test_features_go_to_the_places_of_the_mask() -> None:
    found = placed(torch.tensor([[1.0, 10.0], [2.0, 20.0], [3.0, 30.0]]), torch.tensor([[True, False], [True, True]]))
    assert found.tolist() == [[[1.0, 10.0], [0.0, 0.0]], [[2.0, 20.0], [3.0, 30.0]]]


def test_templates_are_those_of_one_set_after_the_other() -> None:
    net, x = network().double(), faces()
    templates, weights = net(x, MASK)
    first = 0
    for b, real in enumerate(MASK):
        n = int(real.sum())
        alone = net.backbone(x[first : first + n])[None]
        template, weight = net.aggregator(alone, torch.ones(1, n, dtype=torch.bool))
        assert torch.allclose(templates[b], template[0], atol=1e-12, rtol=0)
        assert torch.allclose(weights[b][real], weight[0], atol=1e-12, rtol=0)
        assert weights[b][~real].abs().sum() == 0
        first += n


def test_padding_is_never_embedded() -> None:
    net, seen = network(chunk=3), []
    net.backbone.register_forward_hook(lambda module, inputs, output: seen.append(len(inputs[0])))
    net(faces(torch.float32), MASK)
    assert seen == [3, 3, 2]
    with pytest.raises(InputError, match="the mask has 8 faces, but there are 7 pictures"):
        net(faces(torch.float32)[1:], MASK)
    with pytest.raises(EmptySetError):
        net(faces(torch.float32)[2:], MASK & (torch.arange(4) > 0)[:, None])


@pytest.mark.parametrize(
    ("name", "chunk", "checkpoint"),
    [
        ("googlenet", 3, "stages"),
        ("googlenet", 3, "chunks"),
        ("mobilefacenet", 3, "none"),
        ("mobilefacenet", 0, "stages"),
        ("mobilefacenet", 1, "chunks"),
    ],
)
def test_chunks_and_checkpoints_change_no_gradient(name: str, chunk: int, checkpoint: str) -> None:
    plain = plain_gradients(name)
    other = gradients(network(name, chunk=chunk, checkpoint=checkpoint))
    assert plain.keys() == other.keys()
    assert max(float(g.abs().max()) for g in plain.values()) > 1e-3
    gaps = {k: float((plain[k] - other[k]).abs().max()) for k in plain}
    assert max(gaps.values()) < 1e-10, gaps


def test_gradient_of_the_first_kernel_is_the_difference_quotient() -> None:
    net = network("mobilefacenet", chunk=3, checkpoint="chunks").double()
    loss = losses.build("verification", DIM, 2)
    value = loss(net(faces(), MASK)[0], SUBJECTS)
    value.backward()
    weight = next(net.backbone.parameters())
    place = int(weight.grad.abs().argmax())
    step, ends = 1e-6, []
    for sign in (1, -1):
        with torch.no_grad():
            weight.view(-1)[place] += sign * step
            ends.append(float(loss(net(faces(), MASK)[0], SUBJECTS)))
            weight.view(-1)[place] -= sign * step
    assert float(weight.grad.view(-1)[place]) == pytest.approx((ends[0] - ends[1]) / (2 * step), rel=1e-5)


@pytest.mark.parametrize("checkpoint", ["none", "stages", "chunks"])
def test_batch_normalisation_keeps_its_statistics_and_learns_its_scale(checkpoint: str) -> None:
    net = network("mobilefacenet", chunk=2, checkpoint=checkpoint)
    before = {k: v.clone() for k, v in net.state_dict().items()}
    optimiser = torch.optim.SGD(net.parameters(), lr=1.0)
    losses.build("contrast", DIM, 2)(net(faces(torch.float32), MASK)[0], SUBJECTS).backward()
    optimiser.step()
    running = [k for k in before if k.endswith(("running_mean", "running_var", "num_batches_tracked"))]
    assert running
    assert all(torch.equal(before[k], net.state_dict()[k]) for k in running)
    norms = [f"backbone.{k}.weight" for k, m in net.backbone.named_modules() if isinstance(m, nn.BatchNorm2d)]
    assert all(not torch.equal(before[k], net.state_dict()[k]) for k in norms)


def test_batch_statistics_are_of_all_faces_or_refused() -> None:
    net = network("mobilefacenet", batch_statistics=True)
    before = {k: v.clone() for k, v in net.state_dict().items() if k.endswith("running_mean")}
    net(faces(torch.float32), MASK)
    assert all(not torch.equal(v, net.state_dict()[k]) for k, v in before.items())
    for options in ({"chunk": 2}, {"checkpoint": "stages"}, {"checkpoint": "chunks"}):
        with pytest.raises(InputError, match="batch statistics need all faces at once"):
            network(batch_statistics=True, **options)


def test_aggregator_and_loss_compute_in_float32_under_autocast() -> None:
    cast = functools.partial(autocast, torch.device("cpu"), "bf16")
    net = network(chunk=3, checkpoint="chunks", cast=cast)
    inside = []
    net.backbone.parts()[0][0].register_forward_hook(lambda m, i, o: inside.append(o.dtype))
    net.aggregator.register_forward_hook(lambda m, i, o: inside.append(o[0].dtype))
    templates, _ = net(faces(torch.float32), MASK)
    templates.sum().backward()
    assert torch.bfloat16 in inside
    assert templates.dtype == torch.float32
    assert all(p.grad is None or p.grad.dtype == torch.float32 for p in net.parameters())


@pytest.mark.parametrize("name", losses.names())
def test_every_loss_reaches_the_first_layer(name: str) -> None:
    net = network(chunk=3, checkpoint="chunks")
    losses.build(name, DIM, 2)(net(faces(torch.float32), MASK)[0], SUBJECTS).backward()
    assert next(net.backbone.parameters()).grad.abs().sum() > 0
    assert all(p.grad is not None for p in net.aggregator.parameters())


def test_training_lowers_the_loss_through_the_cnn_alone() -> None:
    net, loss = network(chunk=4, checkpoint="chunks"), losses.build("contrast", DIM, 2)
    optimiser, values = torch.optim.Adam(net.backbone.parameters(), lr=1e-3), []
    for _ in range(12):
        optimiser.zero_grad()
        value = loss(net(faces(torch.float32), MASK)[0], SUBJECTS)
        value.backward()
        optimiser.step()
        values.append(float(value.detach()))
    assert values[-1] < 0.3 * values[0], values


def test_what_does_not_go_together_is_refused() -> None:
    with pytest.raises(InputError, match=r"the backbone gives 6 numbers a face, but the aggregator takes 7"):
        EndToEnd(backbones.build("mobilefacenet", dim=6, size=16), aggregators.build("nan", 7))
    with pytest.raises(InputError, match="checkpoint must be one of none, stages, chunks, but got 'all'"):
        network(checkpoint="all")
    with pytest.raises(InputError, match="chunk is a number of faces, or 0"):
        network(chunk=-1)
