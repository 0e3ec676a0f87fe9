"""The AZ-NAS parts, and what counts as a block."""

import copy
import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import zcbench
from zcbench.proxies import evaluate
from zcbench.proxies.az_nas import entropies, spectral_norm
from zcbench.proxies.passes.blocks import block_modules
from zcbench.streams import torch_stream

from ..conftest import Residual, make_network

SMALL = {"image_shape": (3, 16, 16)}
CELL = "|nor_conv_3x3~0|+|none~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_1x1~1|none~2|"
EMPTY = "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|"
SKIP = "|none~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|"
PARTS = ["az_expressivity", "az_progressivity", "az_trainability"]


def cell_network(arch: str = CELL, cells: int = 2) -> nn.Module:
    return zcbench.spaces.get("nasbench201", channels=4, cells=cells).build(arch, **SMALL)


@pytest.fixture
def pictures(make_batch):
    return make_batch(size=6, side=16)


def reference_blocks(network: nn.Module) -> list[nn.Module]:
    """Stem, cells and residual blocks, one by one, of a NAS-Bench-201 network."""
    parts = [network.stem, *network.stage1, network.reduction1, *network.stage2, network.reduction2, *network.stage3]
    return [copy.deepcopy(part).train() for part in parts]


def draws(shapes: list[torch.Size], images: Tensor, seed: int = 0) -> tuple[Tensor, list[Tensor]]:
    stream = torch_stream("blocks", seed)
    noise = torch.empty_like(images).normal_(generator=stream)
    bits = [torch.randint(2, shape, dtype=torch.int8, generator=stream) for shape in shapes]
    return noise, [2.0 * one - 1 for one in bits]


def forward(network: nn.Module, noise: Tensor) -> list[Tensor]:
    maps = [noise]
    for block in reference_blocks(network):
        maps.append(block(maps[-1]).detach())
    return maps[1:]


def entropy_by_numpy(one: Tensor) -> float:
    rows = one.movedim(1, -1).reshape(-1, one.shape[1]).double().numpy()
    values = np.linalg.eigvalsh(np.cov(rows, rowvar=False, bias=True)).clip(0)
    shares = values[values > 0] / values.sum()
    return float(-(shares * np.log(shares)).sum())


def test_entropies_equal_numpy(pictures):
    """Slow reference: block after block on copies, np.cov and np.linalg.eigvalsh; the authors' two formulas."""
    network = cell_network()
    noise, _ = draws([], pictures[0])
    expected = [entropy_by_numpy(one) for one in forward(network, noise)]
    scores = zcbench.score(network, pictures, proxies=PARTS[:2])
    assert len(expected) == 1 + 3 * 2 + 2
    assert list(scores.values()) == pytest.approx([sum(expected), np.diff(expected).min()], rel=1e-4)


def outer_products(pulled: Tensor, signs: Tensor) -> np.ndarray:
    """Mean over images and output positions of the outer product, one by one; s×s positions are s² channels."""
    step, products = pulled.shape[2] // signs.shape[2], []
    for source, target in zip(pulled.numpy(), signs.numpy()):
        for i in range(target.shape[1]):
            for j in range(target.shape[2]):
                under = source[:, i * step : (i + 1) * step, j * step : (j + 1) * step]
                products.append(np.outer(under.reshape(-1), target[:, i, j]))
    return np.mean(products, axis=0)


def test_trainability_equals_one_backward_per_block(pictures):
    """Slow reference: each block by itself, an outer product per position, the largest singular value by NumPy."""
    network, terms = cell_network(), []
    noise, _ = draws([], pictures[0])
    maps = forward(network, noise)
    _, signs = draws([one.shape for one in maps[1:]], pictures[0])
    for block, before, sign in zip(reference_blocks(network)[1:], maps, signs):
        source = before.clone().requires_grad_()
        block(source).backward(sign)
        norm = np.linalg.svd(outer_products(source.grad, sign), compute_uv=False)[0]
        terms.append(2 - norm - 1 / (norm + 1e-6))
    assert zcbench.score(network, pictures, proxies=PARTS)["az_trainability"] == pytest.approx(np.mean(terms), rel=1e-4)


class Matrix(nn.Module):
    """A block that multiplies the channels by a matrix."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.conv = nn.Conv2d(weight.shape[1], weight.shape[0], 1, bias=False)
        self.conv.weight.data = weight[..., None, None].clone()

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


def stack(*blocks: nn.Module, channels: int = 4) -> nn.Module:
    return nn.Sequential(*blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 5))


def test_trainability_of_a_matrix(make_batch):
    """Closed form: the Jacobian of W at a position is W, so σ is the spectral norm of W, up to sampling."""
    weight = torch.randn(4, 4, generator=torch_stream("weight"))
    sigma = torch.linalg.matrix_norm(weight, 2).item()
    network = stack(Matrix(torch.randn(4, 3)), Matrix(weight))
    score = zcbench.score(network, make_batch(size=64, side=16), proxies=PARTS)["az_trainability"]
    assert score == pytest.approx(2 - sigma - 1 / sigma, rel=0.02)


def test_expressivity_of_a_matrix(make_batch):
    """Closed form: noise through W has the covariance W Wᵀ; here its eigenvalues are as 9, 4 and 1."""
    network = stack(Matrix(torch.diag(torch.tensor([3.0, 2.0, 1.0]))), Matrix(torch.eye(3)), channels=3)
    scores = zcbench.score(network, make_batch(size=64, side=16), proxies=PARTS)
    entropy = -sum(p * math.log(p) for p in (9 / 14, 4 / 14, 1 / 14))
    assert scores["az_expressivity"] == pytest.approx(2 * entropy, rel=0.01)
    assert scores["az_progressivity"] == pytest.approx(0, abs=1e-6)


def test_blocks_of_nasbench201():
    """The authors' list: stem, 15 cells and 2 residual blocks, for an empty cell and one of skips alone too."""
    for arch in (CELL, EMPTY, SKIP):
        network = cell_network(arch, cells=5)
        blocks = block_modules(network, torch.zeros(1, 3, 16, 16))
        expected = [network.stem, *network.stage1, network.reduction1, *network.stage2]
        assert blocks == [*expected, network.reduction2, *network.stage3]
        assert len(blocks) == 18


class Wrapped(nn.Module):
    """A classifier inside another module."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x)


def test_blocks_of_other_networks():
    """By hand: bare convolutions and composite modules, also inside wrappers; none in a linear classifier."""
    network, image = make_network(), torch.zeros(1, 3, 8, 8)
    assert block_modules(network, image) == [network[i] for i in (0, 2, 3, 6)]
    assert block_modules(Wrapped(Wrapped(network)), image) == [network[i] for i in (0, 2, 3, 6)]
    nested = nn.Sequential(nn.Sequential(nn.Conv2d(3, 8, 1), nn.ReLU()), nn.Sequential(Residual(8, inplace=True)))
    assert block_modules(nested, image) == [nested[0], nested[1][0]]
    assert block_modules(nn.Sequential(nn.Flatten(), nn.Linear(192, 5)), image) == []


def test_networks_without_blocks_are_named(make_batch):
    """No block: no part applies; one block: nothing to compare it with."""
    linear, single = nn.Sequential(nn.Flatten(), nn.Linear(192, 5)), stack(Matrix(torch.randn(4, 3)))
    assert [s.status for s in evaluate(linear, make_batch(), PARTS)] == ["not_applicable"] * 3
    assert [s.status for s in evaluate(single, make_batch(), PARTS)] == ["ok", "not_applicable", "not_applicable"]


def test_cells_that_pass_nothing_or_everything(pictures):
    """Closed form: zeros have entropy 0; both kinds of cell count as σ = 0, 2 − 10^6 for 6 of 8 blocks."""
    empty, skip = (zcbench.score(cell_network(arch), pictures, proxies=PARTS) for arch in (EMPTY, SKIP))
    assert empty["az_expressivity"] == pytest.approx(-empty["az_progressivity"])
    assert [one["az_trainability"] for one in (empty, skip)] == pytest.approx([6 / 8 * (2 - 1e6)] * 2, abs=5)
    assert skip["az_expressivity"] > empty["az_expressivity"]


@pytest.mark.parametrize("value", [0.0, 0.1, 1000.3])
def test_a_constant_map_has_entropy_zero(value):
    """Closed form: nothing varies, whatever the mean rounds to."""
    assert entropies([torch.full((3, 5, 7, 7), value)]) == [0.0]


def test_maps_that_are_no_numbers_are_named(make_batch):
    """A map with not-a-numbers has no spectrum, and is not taken for a constant one."""
    network = stack(Matrix(torch.full((4, 3), math.nan)), Matrix(torch.eye(4)))
    assert [s.status for s in evaluate(network, make_batch(), PARTS[:2])] == ["singular"] * 2


def test_spectral_norm_of_maps_that_are_no_multiples():
    """Invariance: 7 positions over 4 are 8 with a zero at the end; 9 over 4 are 8 of them."""
    stream = torch_stream("shapes")
    signs, seven = torch.randn(2, 3, 4, 4, generator=stream), torch.randn(2, 5, 7, 7, generator=stream)
    eight = nn.functional.pad(seven, (0, 1, 0, 1))
    nine = nn.functional.pad(eight, (0, 1, 0, 1), value=3.0)
    expected = np.linalg.svd(outer_products(eight, signs), compute_uv=False)[0]
    assert [spectral_norm(one, signs) for one in (seven, eight, nine)] == pytest.approx([expected] * 3, rel=1e-5)


def test_in_place_operations_do_not_reach_over_a_border(batch):
    """Invariance: in-place ReLUs behind and between blocks change nothing."""
    one, two = (zcbench.score(make_network(inplace=inplace), batch, proxies=PARTS) for inplace in (False, True))
    assert one == pytest.approx(two, rel=1e-6)


def test_another_seed_draws_other_images_and_signs(network, batch):
    """Same seed, same bits; the labels and the pixels of the batch do not matter."""
    other = torch.zeros_like(batch[0]), batch[1].roll(1)
    runs = [zcbench.score(network, given, proxies=PARTS, seed=s) for given, s in ((batch, 0), (other, 0), (batch, 1))]
    assert runs[0] == runs[1]
    assert all(runs[0][name] != runs[2][name] for name in PARTS)


def test_complexity_is_macs(network, batch):
    """Independent count: the baseline."""
    scores = zcbench.score(network, batch, proxies=["az_complexity", "macs"])
    assert scores["az_complexity"] == scores["macs"] > 0
