import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from faceset.errors import EmptySetError, InputError
from faceset.training.aggregators import build, names
from faceset.training.aggregators.base import Faces, unit, weighted
from faceset.training.aggregators.closed import FLOOR, centroid_of
from faceset.training.aggregators.nan import Nan

torch.set_num_threads(1)

D = 8
CENTROIDS = np.random.default_rng(5).normal(size=(2, D)).astype(np.float32)
OPTIONS = {"ers": {"centroid": CENTROIDS[0]}, "anchored": {"centroids": CENTROIDS, "hidden": 3, "norm_power": 0.5}}
HULL = [
    "anchored",
    "conan",
    "ers",
    "mean",
    "multicolumn",
    "nan",
    "norm",
    "proxyfusion",
]  # answer = weighted sum of faces
LEARNED = ["anchored", "cfan", "conan", "ghostvlad", "multicolumn", "nan", "pma", "proxyfusion"]
START_AT_MEAN = ["cfan", "conan", "multicolumn", "nan", "proxyfusion"]


def made(name, dim=D, seed=0, spread=0.7, **options):
    """An aggregator with random parameters, in evaluation."""
    torch.manual_seed(seed)
    known = {} if dim != D else OPTIONS.get(name, {})
    model = build(name, dim, **(known | options)).eval()
    with torch.no_grad():
        for p in model.parameters():
            p.add_(spread * torch.randn_like(p))
    return model


def faces(B=3, N=5, dim=D, seed=0):
    """Raw features and a ragged mask with a real face in every set."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(B, N, dim)) * rng.uniform(0.2, 5, (B, N, 1))
    mask = rng.random((B, N)) < 0.7
    mask[np.arange(B), rng.integers(N, size=B)] = True
    return torch.tensor(x, dtype=torch.float32), torch.from_numpy(mask)


def nan_oracle(x, q0, W, b):
    """NAN of one set of raw features (N, D), in double precision: template and weights."""
    f = np.array([row / np.sqrt(sum(v * v for v in row)) for row in np.asarray(x, float)])

    def block(q):
        e = np.array([sum(q[j] * row[j] for j in range(len(q))) for row in f])
        p = np.exp(e - e.max())
        a = p / p.sum()
        return a, sum(a[k] * f[k] for k in range(len(f)))

    _, r0 = block(np.asarray(q0, float))
    a, r1 = block(np.tanh(np.asarray(W, float) @ r0 + np.asarray(b, float)))
    return r1 / np.linalg.norm(r1), a


def check_against_oracle(model):
    x, mask = faces(B=4, N=6)
    template, weights = model(x, mask)
    for i in range(len(x)):
        parameters = [p.detach().numpy() for p in (model.q0, model.W, model.b)]
        t, a = nan_oracle(x[i][mask[i]].numpy(), *parameters)
        np.testing.assert_allclose(template[i].detach().numpy(), t, atol=2e-6)
        np.testing.assert_allclose(weights[i][mask[i]].detach().numpy(), a, atol=2e-6)


def test_nan_equals_the_oracle():
    check_against_oracle(made("nan"))


class DeadSecondBlock(Nan):
    """The fault of a public implementation: the weights of block 2 are made and those of block 1 are used."""

    def pool(self, faces):
        a = torch.softmax(faces.units @ self.q0 + torch.where(faces.mask, 0.0, -1e9), dim=1)
        r = weighted(a, faces.units)
        torch.tanh(r @ self.W.T + self.b)
        return r, a


class Scrambled(Nan):
    """Another: features are viewed, not transposed, so that a column is no face."""

    def pool(self, faces):
        B, N, D = faces.units.shape
        scrambled = faces.units.reshape(B, D, N).transpose(1, 2)
        return super().pool(Faces(scrambled, faces.norms, faces.mask))


@pytest.mark.parametrize("fault", [DeadSecondBlock, Scrambled])
def test_known_faults_are_caught(fault):
    model = fault(D)
    model.load_state_dict(made("nan").state_dict())
    with pytest.raises(AssertionError):
        check_against_oracle(model)


def test_second_block_matters():
    x, mask = faces()
    two, one = made("nan"), build("nan", D, blocks=1)
    with torch.no_grad():
        one.q0.copy_(two.q0)
    results = [m(x, mask)[0] for m in (two, one, build("mean", D))]
    for a, b in ((0, 1), (0, 2), (1, 2)):
        assert (results[a] - results[b]).abs().amax() > 1e-3


@pytest.mark.parametrize(
    ("name", "options", "count"),
    [
        ("nan", {}, D**2 + 2 * D),
        ("nan", {"blocks": 1}, D),
        ("ghostvlad", {}, 5 * (D + 1) + 4 * D + 4 * D * D + D + 2 * D),
        ("ghostvlad", {"clusters": 2, "ghosts": 3, "batch_norm": False}, 5 * (D + 1) + 2 * D + 2 * D * D + D),
        ("multicolumn", {}, 3 * D + 2),
        ("cfan", {}, D**2),
        ("conan", {"hidden": 5}, 2 * D * 5 + 5 + 5 * D + D),
        ("proxyfusion", {"proxies": 3, "select": 2}, 3 * (12 * D * D + 5 * D) + 3 * 10 + 3 * D + 10 * D),
        ("pma", {}, 8 * D**2 + 12 * D),
        ("ers", {}, 0),
        ("mean", {}, 0),
        ("anchored", {"hidden": 0}, D**2 + 2 * D + 4),
        ("anchored", {"hidden": 3}, D**2 + 2 * D + 4 + 3 * (D + 4) + 2 * 3),
        ("anchored", {"hidden": 0, "blocks": 0, "use_norm": False, "consensus": False}, 2),
    ],
)
def test_number_of_parameters(name, options, count):
    model = build(name, D, **(OPTIONS.get(name, {}) | options))
    assert sum(p.numel() for p in model.parameters()) == count


def test_nan_at_the_published_widths():
    assert sum(p.numel() for p in build("nan", 128).parameters()) == 16_640
    assert sum(p.numel() for p in build("nan", 512).parameters()) == 263_168


@pytest.mark.parametrize("name", names())
def test_answers_are_unit_templates_and_shares(name):
    x, mask = faces()
    template, weights = made(name)(x, mask)
    assert template.shape == (3, D)
    assert weights.shape == mask.shape
    torch.testing.assert_close(template.norm(dim=1), torch.ones(3))
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(3))
    assert (weights >= 0).all()
    assert (weights[~mask] == 0).all()


@pytest.mark.parametrize("name", names())
@given(seed=st.integers(0, 10_000))
@settings(max_examples=8, deadline=None)
def test_order_of_the_faces_does_not_matter(name, seed):
    x, mask = faces(seed=seed)
    model = made(name, seed=seed)
    order = torch.from_numpy(np.random.default_rng(seed).permutation(x.shape[1]))
    a, wa = model(x, mask)
    b, wb = model(x[:, order], mask[:, order])
    torch.testing.assert_close(a, b, atol=2e-5, rtol=0)
    torch.testing.assert_close(wa[:, order], wb, atol=2e-5, rtol=0)


@pytest.mark.parametrize("name", names())
@pytest.mark.parametrize("junk", [0.0, 1e30, float("nan"), float("inf"), -float("inf")])
def test_padding_changes_nothing(name, junk):
    x, mask = faces()
    model = made(name)
    dirty = torch.where(mask[..., None], x, torch.tensor(junk))
    longer = torch.cat([dirty, torch.full((3, 2, D), junk)], dim=1)
    wider = torch.cat([mask, torch.zeros(3, 2, dtype=torch.bool)], dim=1)
    a, wa = model(x, mask)
    b, wb = model(longer, wider)
    torch.testing.assert_close(a, b, atol=1e-6, rtol=0)
    torch.testing.assert_close(wa, wb[:, :-2], atol=1e-6, rtol=0)
    for i in range(3):  # and the set alone, without any padding
        alone, share = model(x[i : i + 1, mask[i]], torch.ones(1, int(mask[i].sum()), dtype=torch.bool))
        torch.testing.assert_close(alone[0], a[i], atol=1e-6, rtol=0)
        torch.testing.assert_close(share[0], wa[i][mask[i]], atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", names())
def test_junk_in_the_padding_gives_the_same_gradients(name):
    grads = []
    for junk in (0.0, float("nan")):
        x, mask = faces()
        model = made(name)
        x = torch.where(mask[..., None], x, torch.tensor(junk)).requires_grad_()
        model(x, mask)[0].sum().backward()
        grads.append([x.grad[mask], *(p.grad for p in model.parameters() if p.grad is not None)])
    for a, b in zip(*grads, strict=True):
        assert torch.isfinite(b).all()
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("name", HULL)
def test_a_face_alone_is_returned(name):
    x, _ = faces(N=1)
    template, weights = made(name)(x, torch.ones(3, 1, dtype=torch.bool))
    torch.testing.assert_close(template, unit(x[:, 0]))
    torch.testing.assert_close(weights, torch.ones(3, 1))


@pytest.mark.parametrize("name", [n for n in names() if n not in HULL])
def test_weights_of_a_face_alone_are_one(name):
    x, _ = faces(N=1)
    torch.testing.assert_close(made(name)(x, torch.ones(3, 1, dtype=torch.bool))[1], torch.ones(3, 1))


@pytest.mark.parametrize("name", HULL)
def test_the_answer_is_in_the_convex_hull(name):
    x, mask = faces()
    template, weights = made(name)(x, mask)
    inside = weighted(weights, torch.where(mask[..., None], unit(x), torch.zeros(())))
    assert (inside.norm(dim=1) <= 1 + 1e-6).all()
    torch.testing.assert_close(template, unit(inside))


def test_per_dimension_attention_stays_between_the_faces():
    x, mask = faces()
    model = made("cfan")
    units = torch.where(mask[..., None], unit(x), torch.zeros(()))
    vector, _ = model.pool(Faces(units, x.norm(dim=2), mask))
    low = torch.where(mask[..., None], units, torch.tensor(9.0)).amin(dim=1)
    high = torch.where(mask[..., None], units, torch.tensor(-9.0)).amax(dim=1)
    assert ((vector >= low - 1e-6) & (vector <= high + 1e-6)).all()


@pytest.mark.parametrize("name", [n for n in HULL if n != "mean"])
def test_one_hot_faces_show_whose_weight_is_whose(name):
    # Face k is the k-th axis: the template is then proportional to the weights themselves, in order.
    N = D
    x = torch.diag_embed(torch.linspace(0.5, 3.0, N))[None]
    template, weights = made(name)(x, torch.ones(1, N, dtype=torch.bool))
    torch.testing.assert_close(template, unit(weights))
    assert weights.std() > 1e-3


@pytest.mark.parametrize("name", names())
def test_an_empty_set_is_refused(name):
    x, mask = faces()
    mask[1] = False
    with pytest.raises(EmptySetError, match="needs at least one real face"):
        made(name)(x, mask)
    with pytest.raises(EmptySetError):
        made(name)(x[:, :0], mask[:, :0])


@pytest.mark.parametrize("name", names())
def test_huge_parameters_and_features_overflow_nothing(name):
    x, mask = faces()
    model = made(name, spread=1e4)
    for features in (x, x * 1e35, x * 1e-30):
        template, weights = model(features, mask)
        assert torch.isfinite(template).all()
        assert torch.isfinite(weights).all()


def test_logits_of_ten_thousand_pick_the_first_choice():
    model = build("nan", D)
    with torch.no_grad():
        model.q0[0] = 1e4
        model.W[0, 0] = 1e4
    x = torch.eye(D)[None, :4]
    _, weights = model(x, torch.ones(1, 4, dtype=torch.bool))
    assert weights.argmax() == 0
    one = build("nan", D, blocks=1)
    with torch.no_grad():
        one.q0[0] = 1e4
    assert one(x, torch.ones(1, 4, dtype=torch.bool))[1].tolist() == [[1, 0, 0, 0]]


@pytest.mark.parametrize("name", START_AT_MEAN)
def test_untrained_is_the_mean(name):
    x, mask = faces()
    template, weights = build(name, D).eval()(x, mask)
    mean, shares = build("mean", D)(x, mask)
    torch.testing.assert_close(template, mean, atol=1e-6, rtol=0)
    torch.testing.assert_close(weights, shares, atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", ["ghostvlad", "pma"])
def test_untrained_is_near_the_mean(name):
    x, mask = faces(dim=64)
    torch.manual_seed(0)
    template, _ = build(name, 64).eval()(x, mask)
    assert ((template * build("mean", 64)(x, mask)[0]).sum(dim=1) > 0.9).all()


def test_duplicates_double_a_weight():
    x, _ = faces(B=1, N=3)
    model = made("nan", blocks=1)
    once = model(x, torch.ones(1, 3, dtype=torch.bool))[1][0]
    twice = model(x[:, [0, 0, 1, 2]], torch.ones(1, 4, dtype=torch.bool))[1][0]
    torch.testing.assert_close((twice[0] + twice[1]) / twice[2], 2 * once[0] / once[1])


@pytest.mark.parametrize("name", LEARNED)
def test_every_parameter_gets_a_gradient_by_the_second_step(name):
    torch.manual_seed(0)
    options = OPTIONS.get(name, {}) | ({"dropout": 0.0} if name == "proxyfusion" else {})
    model = build(name, D, **options)
    x, _ = faces(B=24, N=6)
    goal = unit(torch.randn(24, D))
    optimiser = torch.optim.RMSprop(model.parameters(), lr=0.01)
    mask = torch.ones(24, 6, dtype=torch.bool)
    for step in range(2):
        optimiser.zero_grad(set_to_none=True)
        (1 - (model(x, mask)[0] * goal).sum(dim=1)).mean().backward()
        if step == 0 and name == "nan":  # staged: q0 acts through W, which is still zero
            assert model.q0.grad.abs().max() == 0
            assert model.W.grad.abs().max() > 0
        if step == 0:
            optimiser.step()
    for key, p in model.named_parameters():
        assert p.grad is not None, key
        assert p.grad.abs().max() > 0, key
    assert set(dict(model.named_parameters())) <= set(model.state_dict())


@pytest.mark.parametrize("name", names())
def test_parameters_move_with_the_module(name):
    model = made(name).to(torch.float64)
    assert all(v.dtype == torch.float64 for v in model.state_dict().values() if v.is_floating_point())
    x, mask = faces()
    assert model(x.double(), mask)[0].dtype == torch.float64


def test_ers_by_hand():
    u = np.zeros(D, np.float32)
    u[0] = 2.0  # scaled to length 1
    x = torch.zeros(1, 3, D)
    x[0, 0, 0], x[0, 0, 1] = 3.0, 4.0  # cosine 0.6, distance 0.4
    x[0, 1, 1] = 5.0  # cosine 0, distance 1
    x[0, 2, 0] = -1.0  # cosine -1, distance capped at 1
    weights = build("ers", D, centroid=u, power=2.0)(x, torch.ones(1, 3, dtype=torch.bool))[1][0]
    torch.testing.assert_close(weights, torch.tensor([0.16, 1.0, 1.0]) / 2.16)


def test_ers_at_the_centroid_keeps_a_little_weight():
    u = np.eye(D, dtype=np.float32)[0]
    x = torch.from_numpy(u)[None, None].repeat(1, 2, 1)
    weights = build("ers", D, centroid=u)(x, torch.ones(1, 2, dtype=torch.bool))[1]
    torch.testing.assert_close(weights, torch.full((1, 2), 0.5))
    assert FLOOR > 0


def test_anchored_starts_at_the_closed_form():
    x, mask = faces()
    start = build("anchored", D, centroids=CENTROIDS[0], power=4.0, hidden=3)(x, mask)
    ers = build("ers", D, centroid=CENTROIDS[0], power=4.0)(x, mask)
    torch.testing.assert_close(start[1], ers[1])
    norm = build("anchored", D, centroids=CENTROIDS[0], power=0.0, norm_power=1.5)(x, mask)
    torch.testing.assert_close(norm[1], build("norm", D, power=1.5)(x, mask)[1])


def test_norm_by_hand():
    x = torch.eye(D)[None, :2] * torch.tensor([1.0, 3.0])[None, :, None]
    torch.testing.assert_close(build("norm", D)(x, torch.ones(1, 2, dtype=torch.bool))[1], torch.tensor([[0.25, 0.75]]))


def test_consensus_is_the_cosine_to_the_others():
    model = build("anchored", D, centroids=CENTROIDS, power=0.0)
    units = unit(faces(B=1, N=4)[0])
    phi = model.covariates(Faces(units, torch.ones(1, 4), torch.ones(1, 4, dtype=torch.bool)))
    for k in range(4):
        others = units[0, [j for j in range(4) if j != k]].mean(dim=0)
        torch.testing.assert_close(phi[0, k, -1], (units[0, k] * unit(others)).sum())
    alone = model.covariates(Faces(units[:, :1], torch.ones(1, 1), torch.ones(1, 1, dtype=torch.bool)))
    assert alone[0, 0, -1] == 0


def test_centroid_is_the_mean_direction():
    x = np.array([[3.0, 0.0], [0.0, 0.5]])
    np.testing.assert_allclose(centroid_of(x), [2**-0.5, 2**-0.5], atol=1e-7)
    with pytest.raises(InputError, match="cancel out"):
        centroid_of([[1.0, 0.0], [-1.0, 0.0]])
    with pytest.raises(InputError, match="non-zero length"):
        centroid_of([[0.0, 0.0]])


def test_bad_input_is_refused():
    model = build("nan", D)
    x, mask = faces()
    for features, m, words in (
        (x[..., :-1], mask, rf"features must be \(B, N, {D}\)"),
        (x, mask[:, :-1], "but got"),
        (x, mask.float(), "mask must be bool"),
        (torch.full_like(x, float("nan")), mask, "NaN or infinity"),
    ):
        with pytest.raises(InputError, match=words):
            model(features, m)


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("nan", {"blocks": 3}, "blocks must be 1 or 2, but got 3"),
        ("nan", {"block": 2}, "has no option block; it has blocks"),
        ("mean", {"x": 1}, "has no option x; it has none"),
        ("nam", {}, "no learned aggregator is called 'nam'; take one of anchored"),
        ("pma", {"heads": 3}, "heads must divide dim = 8"),
        ("proxyfusion", {"select": 9}, "select must be in 1..proxies"),
        ("anchored", {"blocks": 3}, "blocks must be 0, 1 or 2"),
    ],
)
def test_bad_options_are_refused(name, options, words):
    with pytest.raises(InputError, match=words):
        build(name, D, **options)
