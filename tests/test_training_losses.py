import math

import pytest
import torch
from torch import nn

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


@pytest.mark.parametrize("margin", [0.0, 0.35, 1.0])
def test_cosface_equals_a_naive_loop(margin):
    torch.manual_seed(3)
    loss = build("cosface", 5, 4, scale=7.0, margin=margin)
    with torch.no_grad():
        loss.weight.copy_(torch.randn(4, 5))  # of any length
    x, subjects = nn.functional.normalize(torch.randn(6, 5)), torch.tensor([0, 3, 1, 1, 2, 0])
    terms = []
    for i, own in enumerate(subjects.tolist()):
        logits = []
        for j in range(4):
            w = loss.weight[j].tolist()
            cosine = sum(a * b for a, b in zip(x[i].tolist(), w, strict=True)) / math.sqrt(sum(a * a for a in w))
            logits.append(7.0 * (cosine - margin if j == own else cosine))
        terms.append(math.log(sum(math.exp(v) for v in logits)) - logits[own])
    assert loss(x, subjects).item() == pytest.approx(sum(terms) / 6, abs=1e-5)


@pytest.mark.parametrize(("name", "option"), [("cosface", "margin"), ("angular", "margin_rad")])
def test_without_a_margin_it_is_the_normalised_softmax(name, option):
    torch.manual_seed(4)
    loss = build(name, 8, 5, scale=12.0, **{option: 0.0})
    x, subjects = nn.functional.normalize(torch.randn(7, 8)), torch.arange(7) % 5
    expected = nn.functional.cross_entropy(12.0 * x @ nn.functional.normalize(loss.weight).T, subjects)
    assert loss(x, subjects).item() == pytest.approx(expected.item(), abs=2e-5)


@pytest.mark.parametrize("name", ["classification", "angular", "cosface"])
def test_label_smoothing_spreads_a_share_over_all_people(name):
    torch.manual_seed(5)
    plain, smooth = build(name, 4, 3), build(name, 4, 3, label_smoothing=0.3)
    smooth.load_state_dict(plain.state_dict())
    x, subjects = nn.functional.normalize(torch.randn(1, 4)), torch.tensor([1])
    if name == "classification":
        logits = plain.layer(x)[0]
    else:
        cosines = (x @ nn.functional.normalize(plain.weight).T)[0]
        moved = cosines[1] - 0.35 if name == "cosface" else torch.cos(cosines[1].acos() + 0.2)
        logits = 30.0 * torch.stack([cosines[0], moved, cosines[2]])
    cost = logits.logsumexp(0) - logits
    assert plain(x, subjects).item() == pytest.approx(cost[1].item(), abs=1e-4)
    assert smooth(x, subjects).item() == pytest.approx((0.7 * cost[1] + 0.1 * cost.sum()).item(), abs=1e-4)


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
    if name in ("angular", "cosface"):
        with torch.no_grad():
            loss.weight.copy_(torch.eye(2))
    subjects = torch.tensor([0, 0, 1, 1])
    good = loss(on_circle(0.0, 5.0, 90.0, 85.0), subjects)
    bad = loss(on_circle(0.0, 80.0, 90.0, 10.0), subjects)
    assert good < bad


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        (
            "triplet",
            {},
            "no loss is called 'triplet'; take one of angular, classification, contrast, cosface, verification",
        ),
        ("verification", {"m": 2}, "loss 'verification' has no option m; it has margin"),
        ("verification", {"margin": 5.0}, r"squared distance of unit vectors, in 0\.\.4, but got 5\.0"),
        ("contrast", {"temperature": 0.0}, "temperature must be > 0"),
        ("angular", {"margin_rad": 3.0}, r"margin_rad is an angle in radians, in 0\.\.pi/2, but got 3\.0"),
        ("angular", {"scale": 0.0}, "scale must be > 0"),
        ("cosface", {"margin": 1.5}, r"margin is of a cosine, in 0\.\.1, but got 1\.5"),
        ("cosface", {"margin_rad": 0.5}, "has no option margin_rad; it has scale, margin, label_smoothing"),
        ("classification", {"label_smoothing": 1.5}, r"label_smoothing is a share, in 0\.\.1"),
    ],
)
def test_bad_options_are_refused(name, options, words):
    with pytest.raises(InputError, match=words):
        build(name, 2, 2, **options)
