"""Random networks with all their steps written in random ways: every score is the same, or refused by name."""

import random

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .rewritings import ALL, CONVOLUTIONS, FEW, ROWS, Pair, compare


class Plan:
    """The sizes of a random network, and a way to write each of its steps; ``ways`` is empty for the plain writing."""

    def __init__(self, seed: int, plain: bool) -> None:
        draws = random.Random(seed)
        self.width, self.depth = draws.choice([4, 6, 8]), draws.choice([1, 2, 3])
        self.kernels = [draws.choice([1, 3]) for _ in range(self.depth)]
        self.strides = [draws.choice([1, 1, 2]) for _ in range(self.depth)]
        self.gated = [draws.random() < 0.5 for _ in range(self.depth)]
        self.shortcut = [draws.random() < 0.5 for _ in range(self.depth)]
        self._draws = None if plain else draws

    def way(self, ways):
        """The first of several functions for the plain writing, else any."""
        return ways[0] if self._draws is None else self._draws.choice(ways)


class Held(nn.Module):
    """A weight and a bias under names of their own."""

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.kernel, self.shift = nn.Parameter(torch.randn(shape) * 0.2), nn.Parameter(torch.zeros(shape[0]))


CONVOLVE = [
    lambda x, w, b, s: F.conv2d(x, w, b, s, w.shape[-1] // 2),
    lambda x, w, b, s: F.conv2d(stride=s, padding=w.shape[-1] // 2, weight=w, bias=b, input=x),
    lambda x, w, b, s: F.conv2d(F.pad(x, (w.shape[-1] // 2,) * 4), w, b, s),
    lambda x, w, b, s: torch.cat([F.conv2d(part, w, b, s, w.shape[-1] // 2) for part in x.chunk(2)]),
    lambda x, w, b, s: F.conv2d(x, w[:], b[:], s, w.shape[-1] // 2),
    lambda x, w, b, s: F.conv3d(x[:, :, None], w[:, :, None], b, (1, s, s), (0, *[w.shape[-1] // 2] * 2))[:, :, 0],
]
#: All with the derivative 0 at 0, which a clip and a maximum do not have.
RELUS = [
    F.relu,
    torch.relu,
    lambda x: F.relu(input=x),
    lambda x: torch.where(x > 0, x, 0.0),
    lambda x: x.relu_(),
    lambda x: x * (x > 0),
    lambda x: x.masked_fill(x <= 0, 0.0),
    lambda x: F.threshold(x, 0.0, 0.0),
    lambda x: F.relu(x.transpose(0, 1)).transpose(0, 1),
    lambda x: F.relu(x.flatten(2)).view_as(x),
    lambda x: F.relu(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2),
    lambda x: F.relu(x.permute(2, 0, 3, 1).flatten(0, 1)).unflatten(0, (-1, len(x))).permute(1, 3, 0, 2),
    lambda x: torch.cat([F.relu(half) for half in x.chunk(2, 2)], 2) if x.shape[2] > 1 else F.relu(x),
]
POOLS = [
    lambda x: x.mean((2, 3)),
    lambda x: x.mean(3).mean(2),
    lambda x: F.adaptive_avg_pool2d(x, 1).flatten(1),
    lambda x: x.flatten(2).mean(-1),
    lambda x: x.sum((-1, -2)) / (x.shape[2] * x.shape[3]),
    lambda x: x.permute(0, 2, 3, 1).mean((1, 2)),
    lambda x: torch.einsum("bchw->bc", x) / (x.shape[2] * x.shape[3]),
    lambda x: F.avg_pool2d(x, x.shape[-2:])[:, :, 0, 0],
    lambda x: torch.mean(dim=(2, 3), input=x, keepdim=True).view(len(x), -1),
    lambda x: x.flatten(2).transpose(1, 2).mean(1),
]
LINEAR = [
    lambda x, w, b: F.linear(x, w, b),
    lambda x, w, b: x @ w.T + b,
    lambda x, w, b: torch.addmm(b, x, w.t()),
    lambda x, w, b: F.linear(weight=w, bias=b, input=x),
    lambda x, w, b: torch.einsum("bi,oi->bo", x, w) + b,
    lambda x, w, b: F.linear(x[:, None], w, b)[:, 0],
    lambda x, w, b: F.linear(x[None], w, b).squeeze(0),
    lambda x, w, b: torch.nn.functional.conv2d(x[:, :, None, None], w[:, :, None, None], b).flatten(1),
]
GATES = [
    lambda x, g: x * g[..., None, None],
    lambda x, g: g.view(*g.shape, 1, 1) * x,
    lambda x, g: torch.mul(x, g[:, :, None, None].expand_as(x)),
    lambda x, g: (x.flatten(2) * g.unsqueeze(-1)).view_as(x),
    lambda x, g: (x.movedim(1, -1) * g[:, None, None]).movedim(-1, 1),
]
SUMS = [
    lambda x, y: x + y,
    lambda x, y: torch.add(y, x),
    lambda x, y: sum((x, y)),
    lambda x, y: y.clone().add_(x),
]


class RandomNet(nn.Module):
    """Convolutions with gates and shortcuts, all steps functions that the plan draws."""

    def __init__(self, seed: int, plain: bool) -> None:
        super().__init__()
        plan = Plan(seed, plain)
        width = plan.width
        self.plan, self.stem = plan, Held(width, 3, 3, 3)
        self.convs = nn.ModuleList([Held(width, width, kernel, kernel) for kernel in plan.kernels])
        self.norms = nn.ModuleList([nn.BatchNorm2d(width) for _ in plan.kernels])
        self.gates = nn.ModuleList([Held(width, width) for _ in plan.kernels])
        self.head = Held(10, width)
        steps = ("convolve", CONVOLVE), ("relu", RELUS), ("pool", POOLS), ("linear", LINEAR), ("gate", GATES)
        kinds = dict((*steps, ("add", SUMS)))
        self.ways = [{name: plan.way(ways) for name, ways in kinds.items()} for _ in range(plan.depth + 1)]

    def block(self, place: int, x: Tensor) -> Tensor:
        plan, way, conv = self.plan, self.ways[place], self.convs[place]
        y = way["relu"](self.norms[place](way["convolve"](x, conv.kernel, conv.shift, plan.strides[place])))
        if plan.gated[place]:
            gate = self.gates[place]
            y = way["gate"](y, torch.sigmoid(way["linear"](way["pool"](y), gate.kernel, gate.shift)))
        return way["add"](y, x) if plan.shortcut[place] and plan.strides[place] == 1 else y

    def forward(self, x: Tensor) -> Tensor:
        way = self.ways[-1]
        x = way["relu"](way["convolve"](x, self.stem.kernel, self.stem.shift, 1))
        for place in range(self.plan.depth):
            x = self.block(place, x)
        return way["linear"](way["pool"](x), self.head.kernel, self.head.shift)


#: A linear layer may be written as a convolution, and a map in another layout.
EXEMPT = CONVOLUTIONS | ROWS


def random_pair(seed: int) -> Pair:
    return Pair(str(seed), lambda: RandomNet(seed, True), lambda: RandomNet(seed, False), EXEMPT, True)


@pytest.mark.parametrize("seed", range(20))
def test_a_random_network_in_random_words_keeps_some_scores(seed):
    """Invariance: one function, two writings; proxies of each kind of signal."""
    assert compare(random_pair(seed), FEW) == []


@pytest.mark.long
@pytest.mark.parametrize("seed", range(200))
def test_a_random_network_in_random_words_keeps_all_scores(seed):
    """Invariance: one function, two writings; every proxy."""
    assert compare(random_pair(seed), ALL) == []
