"""swap, near, meco and dextr against slow references, closed forms and invariances."""

import copy
import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import zcbench
from zcbench.proxies import evaluate
from zcbench.proxies.dextr import curvature, inverse_conditions
from zcbench.proxies.meco import smallest_eigenvalues
from zcbench.proxies.near import effective_ranks
from zcbench.proxies.swap import count_patterns
from zcbench.streams import seeded, torch_stream

from ..conftest import make_network
from ..test_values import Functional

NEAR_LAYERS = (nn.Conv2d, nn.Linear, nn.BatchNorm2d, nn.ReLU)


def outputs(network: nn.Module, images: Tensor, kinds: tuple[type, ...] = (nn.Module,)) -> list[Tensor]:
    """What every call of a module of ``kinds`` gives, in order, by hooks on a copy."""
    twin, kept = copy.deepcopy(network).train(), []
    for module in twin.modules():
        if isinstance(module, kinds):
            module.register_forward_hook(lambda m, inputs, output: kept.append(output.detach().clone()))
    twin(images.clone())
    return kept


def one(network, batch, name, **options):
    return zcbench.score(network, batch, proxies=[name], **options)[name]


@pytest.mark.parametrize("size", [1, 3, 16, 40])
@pytest.mark.parametrize("inplace", [False, True])
def test_swap_equals_a_set_of_tuples(size, inplace, make_batch):
    """Slow reference: one tuple of activities per unit, in a Python set; of 40 images the first 16 count."""
    batch = make_batch(size)
    active = [(output[:16] > 0).flatten(1) for output in outputs(make_network(), batch[0], (nn.ReLU,))]
    columns = {tuple(unit) for code in active for unit in code.T.tolist()}
    assert one(make_network(inplace=inplace), batch, "swap") == len(columns)


def test_swap_by_hand():
    """Closed form: the units see + −, − +, + + and + − in two images: three different patterns."""
    network = nn.Sequential(nn.Flatten(), nn.ReLU(), nn.Linear(4, 2))
    images = torch.tensor([[1.0, -1.0, 1.0, 1.0], [-1.0, 1.0, 1.0, -1.0]]).reshape(2, 1, 2, 2)
    assert one(network, (images, torch.tensor([0, 1])), "swap") == 3


def test_patterns_are_counted_over_all_calls():
    """Closed form: all 2^8 patterns of 8 of 16 images in one call, and their complements in another."""
    patterns = torch.tensor([[i >> b & 1 for i in range(256)] for b in range(8)]).bool()
    code = torch.cat([torch.zeros(8, 256).bool(), patterns])
    assert count_patterns([code, code.clone(), code]) == 256
    assert count_patterns([code, ~code]) == 512


def test_swap_does_not_know_the_order_of_the_images(network, batch):
    """Invariance: permuted images permute every pattern alike."""
    order = torch.randperm(16, generator=torch_stream("order"))
    assert one(network, batch, "swap") == one(network, (batch[0][order], batch[1][order]), "swap")


def test_swap_reg_is_a_bell_over_the_parameters(network, batch):
    """Closed form: logarithm of swap, minus (Θ − 1.5)² / 1.5 with Θ in millions of parameters."""
    scores = zcbench.score(network, batch, proxies=["swap", "params", "swap_reg"])
    expected = math.log(scores["swap"]) - (scores["params"] / 1e6 - 1.5) ** 2 / 1.5
    assert scores["swap_reg"] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("matrix", "rank"),
    [
        (torch.eye(5), 5),
        (torch.ones(4, 4), 1),
        (torch.zeros(3, 3), 0),
        (torch.eye(6)[:2], 2),
        (torch.diag(torch.tensor([3.0, 1.0])), math.exp(-0.75 * math.log(0.75) - 0.25 * math.log(0.25))),
    ],
)
def test_effective_ranks_by_hand(matrix, rank):
    """Closed form: k equal singular values have rank k; 3 and 1 the exponential of the entropy of (3/4, 1/4)."""
    turned = torch.linalg.qr(torch.randn(len(matrix), len(matrix), generator=torch_stream("turn")))[0] @ matrix
    assert effective_ranks([matrix, turned]) == pytest.approx([rank, rank], abs=1e-5)


def near_reference(network: nn.Module, images: Tensor, seed: int = 0) -> float:
    """Row by row in lists, singular values by NumPy; the same stream chooses where the block starts."""
    stream, total = torch_stream("activation_matrices", seed), 0.0
    for output in outputs(network, images, NEAR_LAYERS):
        channels, width = output.shape[1], output.shape[3] if output.ndim == 4 else 1
        rows = [row.tolist() for image in output for row in (image.flatten(1).T if output.ndim == 4 else [image])]
        starts = [start for start in range(0, len(rows), width) if start + channels <= len(rows)] or [0]
        start = starts[int(torch.randint(len(starts), (), generator=stream))]
        values = np.linalg.svd(np.array(rows[start : start + channels]), compute_uv=False)
        shares = values[values > 0] / values.sum()
        total += float(np.exp(-(shares * np.log(shares)).sum()))
    return total


@pytest.mark.parametrize("size", [1, 5, 16])
@pytest.mark.parametrize("inplace", [False, True])
def test_near_equals_the_slow_reference(size, inplace, make_batch):
    """Slow reference: hooks, rows in lists, singular values by NumPy; 5 images do not fill the last layer."""
    images, labels = make_batch(size)
    expected = near_reference(make_network(), images)
    assert one(make_network(inplace=inplace), (images, labels), "near") == pytest.approx(expected, rel=1e-5)


def test_near_hears_functions_and_follows_the_seed(network, batch):
    """Invariance: torch.relu instead of nn.ReLU; another seed takes other positions."""
    assert one(network, batch, "near") == pytest.approx(one(Functional(network), batch, "near"), rel=1e-6)
    other = one(network, batch, "near", seed=1)
    assert other == pytest.approx(near_reference(network, batch[0], seed=1), rel=1e-5) != one(network, batch, "near")


def test_near_together_with_gradients_of_an_in_place_network(make_batch):
    """Invariance: the same bits where the shared pass starts over because outputs were overwritten."""
    network, batch = make_network(inplace=True), make_batch()
    assert evaluate(network, batch, ["near"])[0].value == evaluate(network, batch, ["fisher", "near"])[1].value


@pytest.mark.parametrize(
    ("layer", "count"),
    [(nn.GELU(), 4), (nn.SiLU(), 4), (nn.Tanh(), 4), (nn.Hardswish(), 4), (nn.PReLU(), 4), (nn.Identity(), 3)],
)
def test_near_counts_every_activation_function(layer, count, make_batch):
    """Closed form: with one channel or one image every matrix has rank 1, so the score counts the calls."""
    network = nn.Sequential(nn.Conv2d(3, 1, 3), nn.BatchNorm2d(1), layer, nn.Flatten(), nn.Linear(36, 5))
    assert one(network, make_batch(1), "near") == pytest.approx(count)


def correlated(r: float) -> Tensor:
    """Two rows whose correlation is r."""
    a, b = torch.tensor([[1.0, -1.0, 1.0, -1.0], [1.0, 1.0, -1.0, -1.0]])
    return torch.stack([a + 3, 5 * (r * a + math.sqrt(1 - r * r) * b) - 2])


def test_smallest_eigenvalues_by_hand():
    """Closed form: [[1, r], [r, 1]] has the eigenvalue 1 − |r|; uncorrelated rows 1; constants and C ≥ D give 0."""
    constant = torch.stack([torch.full((4,), 0.1), torch.arange(4.0)])
    square = torch.randn(4, 4, generator=torch_stream("square"))
    maps = [correlated(0.3), square, correlated(-0.8), constant, correlated(0.0), torch.arange(4.0)[None]]
    assert smallest_eigenvalues(maps) == pytest.approx([0.7, 0.0, 0.2, 0.0, 1.0, 1.0], abs=1e-6)
    assert smallest_eigenvalues([constant, square]) == [0.0, 0.0]


def gaussian_image(batch, seed: int = 0) -> Tensor:
    stream = torch_stream("channel_maps", seed)
    return torch.empty_like(batch[0][:1]).normal_(generator=stream)


@pytest.mark.parametrize("inplace", [False, True])
def test_meco_equals_the_slow_reference(inplace, make_batch):
    """Slow reference: np.corrcoef of what every module puts out, containers too."""
    batch, expected = make_batch(), 0.0
    for output in outputs(make_network(inplace=inplace), gaussian_image(batch)):
        if output.ndim == 4 and output[0, 0].numel() > output.shape[1]:
            expected += np.linalg.eigvalsh(np.corrcoef(output[0].flatten(1).double().numpy()))[0]
    assert one(make_network(inplace=inplace), batch, "meco") == pytest.approx(expected, rel=1e-4)


def test_meco_does_not_see_scales_and_shifts(batch):
    """Invariance: correlations do not change when batch norm scales and shifts each channel."""
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Flatten(), nn.Linear(288, 5))
    before = one(network, batch, "meco")
    nn.init.uniform_(network[1].weight, 1, 2)
    nn.init.uniform_(network[1].bias, -1, 1)
    assert one(network, batch, "meco") == pytest.approx(before, rel=1e-5)


def wide(channels: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, channels, 3, padding=1), nn.Sequential(nn.BatchNorm2d(channels)), nn.ReLU(), nn.Flatten(),
        nn.Linear(64 * channels, 5),
    )  # fmt: skip


def test_meco_opt_takes_eight_channels(batch):
    """Invariance: 8 channels are all taken; of 24 a third, scaled by 3, and other ones for each seed."""
    full, few = evaluate(wide(8), batch, ["meco", "meco_opt"])
    assert full.value == pytest.approx(few.value, rel=1e-6)
    network = wide(24)
    draws = [one(network, batch, "meco_opt", seed=seed) for seed in (0, 0, 1)]
    assert draws[0] == draws[1] != draws[2]
    assert one(network, batch, "meco") < draws[0] < 4 * 24 / 8
    for seed, value in ((0, draws[0]), (1, draws[2])):
        assert value == pytest.approx(meco_opt(network, batch, seed), rel=1e-5)


def meco_opt(network, batch, seed):
    """Slow reference: hooks for the maps, permutations of the proxy's own stream, NumPy's correlations."""
    kept = []
    twin = copy.deepcopy(network).train()
    for module in twin.modules():
        module.register_forward_hook(lambda m, i, o: kept.append(o.detach()[0].clone()) if o.ndim == 4 else None)
    with torch.no_grad():
        twin(torch.randn(1, *batch[0].shape[1:], generator=torch_stream("channel_maps", seed)))
    total = 0.0
    with seeded("meco_opt", seed):
        for one in kept:
            rows = one.flatten(1)[torch.randperm(len(one))[:8]].double().numpy()
            total += len(one) / 8 * np.linalg.eigvalsh(np.corrcoef(rows))[0]
    return total


def test_meco_needs_a_map_that_one_image_can_normalise(make_batch):
    """No feature map, or batch normalisation of one position of one image: named."""
    flat = nn.Sequential(nn.Flatten(), nn.Linear(192, 5))
    point = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.BatchNorm2d(3), nn.Flatten())
    images, labels = make_batch()
    for network in (flat, point):
        score = evaluate(network, (images, labels % 3), ["meco"])[0]
        assert (score.status, bool(score.reason)) == ("not_applicable", True)


def smooth(*, inplace: bool) -> nn.Module:
    """A classifier with next to no kinks, so that finite differences see what derivatives see."""
    network = make_network()
    network[1] = nn.SELU(inplace=inplace)
    network[5] = nn.Softplus()
    network[2].relu = network[6].relu = nn.Tanh()
    return network


def plane_of(batch, seed=0) -> tuple[Tensor, Tensor]:
    """The two orthonormal images of the circle."""
    shape = batch[0][:1].shape
    normal = torch.randn(shape.numel(), 2, generator=torch_stream("circle", seed))
    return tuple(side.reshape(shape) for side in torch.linalg.qr(normal.double())[0].T)


@pytest.mark.parametrize("inplace", [False, True])
def test_dextr_equals_the_slow_reference(inplace, batch):
    """Slow reference: singular values of what every module puts out, and finite differences of the logits' angle."""
    network, ratios = smooth(inplace=inplace), 0.0
    for output in outputs(network, batch[0][:1]):
        if output.ndim == 4:
            values = np.linalg.svd(output[0].flatten(1).double().numpy(), compute_uv=False)
            ratios += values[-1] / values[0]
    (u, w), h = plane_of(batch), 1e-4
    twin = copy.deepcopy(network).double().train()
    before, here, after = (twin(u * math.cos(t) + w * math.sin(t))[0].detach().numpy() for t in (-h, 0, h))
    v, a = (after - before) / (2 * h), (after - 2 * here + before) / h**2
    bend = math.sqrt((v @ v) * (a @ a) - (v @ a) ** 2) / (v @ v) ** 1.5
    expected = math.log1p(ratios) * math.log1p(bend) / (math.log1p(ratios) + math.log1p(bend))
    assert one(network, batch, "dextr") == pytest.approx(expected, rel=1e-3)


def test_a_linear_network_draws_an_ellipse(batch):
    """Closed form: z = Wx has the velocity Wv and the acceleration -Wu; with W orthogonal, a circle of radius 1."""
    eye = nn.Linear(192, 192, bias=False)
    nn.init.eye_(eye.weight)
    network = nn.Sequential(nn.Identity(), nn.Flatten(), eye)
    values = np.linalg.svd(batch[0][0].flatten(1).double().numpy(), compute_uv=False)
    a, b = math.log1p(values[-1] / values[0]), math.log(2)
    assert one(network, batch, "dextr") == pytest.approx(a * b / (a + b), rel=1e-5)
    eye.weight.data *= 4  # a circle of radius 4
    b = math.log1p(1 / 4)
    assert one(network, batch, "dextr") == pytest.approx(a * b / (a + b), rel=1e-5)


def test_curvature_and_conditions_by_hand():
    """Closed form: only what is across the path bends it; a map of zeros, or of two equal rows, counts 0."""
    assert curvature(torch.tensor([2.0, 0.0]), torch.tensor([7.0, 12.0])) == pytest.approx(3)
    tall = torch.tensor([[3.0, 0.0], [0.0, 4.0], [0.0, 0.0]])
    assert inverse_conditions(torch.stack([tall, tall * 0])).tolist() == [0.75, 0]
    assert inverse_conditions(torch.ones(1, 2, 5)).item() == pytest.approx(0, abs=1e-7)


def test_dextr_says_what_it_cannot_bend(batch):
    """Logits that do not see the image have no path; a network without maps is not applicable."""
    still = make_network()
    nn.init.zeros_(still[9].weight)
    flat = nn.Sequential(nn.Flatten(), nn.Linear(192, 5))
    frozen = make_network().requires_grad_(False)
    found = [evaluate(network, batch, ["dextr"])[0] for network in (still, flat, frozen, make_network())]
    assert [score.status for score in found] == ["singular", "not_applicable", "ok", "ok"]
    assert found[2].value == found[3].value
    assert "do not move" in found[0].reason
