import math

import pytest
import torch

from faceset.errors import InputError
from faceset.training.losses import build, names

torch.set_num_threads(1)


def on_circle(*degrees):
    radians = torch.tensor(degrees) * math.pi / 180
    return torch.stack([radians.cos(), radians.sin()], dim=1)


def test_verification_by_hand():
    # Same: 0 and 60 degrees, d^2 = 1 (twice, both orders). Others: 0-90: 2, 60-90: 2 - sqrt 3.
    loss = build("verification", 2, 2)(on_circle(0.0, 60.0, 90.0), torch.tensor([0, 0, 1]))
    expected = 1.0 + (0.0 + math.sqrt(3)) / 2
    assert loss.item() == pytest.approx(expected, abs=1e-6)


def test_verification_averages_the_kinds_apart():
    # Far more strangers change nothing as long as they are alike.
    few = build("verification", 2, 3)(on_circle(0.0, 0.0, 60.0), torch.tensor([0, 0, 1]))
    many = build("verification", 2, 9)(
        on_circle(0.0, 0.0, *[60.0] * 6, 120.0), torch.tensor([0, 0, 1, 1, 1, 1, 1, 1, 1])
    )
    assert few.item() == pytest.approx(1.0, abs=1e-6)
    assert many.item() > 0


def test_margin_is_of_the_squared_distance():
    pair = on_circle(0.0, 60.0), torch.tensor([0, 1])
    assert build("verification", 2, 2, margin=1.0)(*pair).item() == pytest.approx(0.0, abs=1e-6)
    assert build("verification", 2, 2, margin=1.5)(*pair).item() == pytest.approx(0.5, abs=1e-6)


def test_contrast_by_hand():
    # Cosines: same 0.5, strangers of the first 0, of the second sqrt(3)/2; temperature 1.
    loss = build("contrast", 2, 2, temperature=1.0)(on_circle(0.0, 60.0, 90.0), torch.tensor([0, 0, 1]))
    e = math.exp
    terms = [e(0.5) / (e(0.5) + e(0.0)), e(0.5) / (e(0.5) + e(math.sqrt(3) / 2))]
    assert loss.item() == pytest.approx(-(math.log(terms[0]) + math.log(terms[1])) / 2, abs=1e-6)


def test_classification_by_hand():
    loss = build("classification", 2, 2)
    with torch.no_grad():
        loss.layer.weight.copy_(torch.eye(2))
        loss.layer.bias.zero_()
    value = loss(on_circle(0.0), torch.tensor([0]))
    assert value.item() == pytest.approx(math.log(1 + math.exp(-1)), abs=1e-6)


@pytest.mark.parametrize("margin", [0.0, 0.5])
def test_angular_by_hand(margin):
    loss = build("angular", 2, 2, scale=2.0, margin_rad=margin)
    with torch.no_grad():
        loss.weight.copy_(3 * torch.eye(2))  # scaled to unit length
    value = loss(on_circle(30.0), torch.tensor([0]))
    own, other = 2 * math.cos(math.pi / 6 + margin), 2 * math.cos(math.pi / 3)
    assert value.item() == pytest.approx(math.log(1 + math.exp(other - own)), abs=1e-5)


@pytest.mark.parametrize("name", names())
@pytest.mark.parametrize("subjects", [[0, 0, 0], [0, 1, 2], [0, 0, 1]])
def test_every_batch_gives_a_finite_loss_and_gradient(name, subjects):
    templates = on_circle(0.0, 0.0, 180.0).requires_grad_()
    loss = build(name, 2, 3)(templates, torch.tensor(subjects))
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(templates.grad).all()


@pytest.mark.parametrize("name", names())
def test_a_better_embedding_costs_less(name):
    torch.manual_seed(0)
    loss = build(name, 2, 2)
    if name == "classification":
        with torch.no_grad():
            loss.layer.weight.copy_(torch.eye(2))
    if name == "angular":
        with torch.no_grad():
            loss.weight.copy_(torch.eye(2))
    subjects = torch.tensor([0, 0, 1, 1])
    good = loss(on_circle(0.0, 5.0, 90.0, 85.0), subjects)
    bad = loss(on_circle(0.0, 80.0, 90.0, 10.0), subjects)
    assert good < bad


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("triplet", {}, "no loss is called 'triplet'; take one of angular, classification, contrast, verification"),
        ("verification", {"m": 2}, "loss 'verification' has no option m; it has margin"),
        ("verification", {"margin": 5.0}, r"squared distance of unit vectors, in 0\.\.4, but got 5\.0"),
        ("contrast", {"temperature": 0.0}, "temperature must be > 0"),
        ("angular", {"margin_rad": 3.0}, r"margin_rad in 0\.\.pi/2"),
    ],
)
def test_bad_options_are_refused(name, options, words):
    with pytest.raises(InputError, match=words):
        build(name, 2, 2, **options)
