"""Activation functions, gates and normalisations in other words: every score is the same, or refused by name."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .networks import ConvNet, Swish
from .rewritings import ALL, CONVOLUTIONS, FEW, ROWS, Pairs, because, compare

PAIRS = Pairs()


class OwnRelu(torch.autograd.Function):
    """A ReLU with a backward pass of its own."""

    @staticmethod
    def forward(context, x: Tensor) -> Tensor:
        context.save_for_backward(x)
        return x.clamp(min=0)

    @staticmethod
    def backward(context, gradient: Tensor) -> Tensor:
        (x,) = context.saved_tensors
        return gradient * (x > 0)


def set_entries(x: Tensor) -> Tensor:
    x[x < 0] = 0
    return x


RELUS = {
    "in place": lambda net, x: F.relu_(x),
    "method, in place": lambda net, x: x.relu_(),
    "keyword": lambda net, x: F.relu(input=x, inplace=False),
    "torch.relu": lambda net, x: torch.relu(x),
    "threshold": lambda net, x: F.threshold(x, 0.0, 0.0),
    "clamp": lambda net, x: x.clamp(min=0),
    "maximum": lambda net, x: torch.maximum(x, torch.zeros_like(x)),
    "where": lambda net, x: torch.where(x > 0, x, torch.zeros((), dtype=x.dtype)),
    "product with the mask": lambda net, x: x * (x > 0),
    "leaky of slope 0": lambda net, x: F.leaky_relu(x, 0.0),
    "prelu of slope 0": lambda net, x: F.prelu(x, torch.zeros(1)),
    "elu of 0": lambda net, x: F.elu(x, alpha=0.0),
    "half of sum and absolute value": lambda net, x: (x + x.abs()) / 2,
    "less the negative part": lambda net, x: x - x.clamp(max=0),
    "minus the smaller of -x": lambda net, x: -torch.minimum(-x, torch.zeros_like(x)),
    "largest of a stack": lambda net, x: torch.stack([x, torch.zeros_like(x)]).max(0).values,
    "larger of two": lambda net, x: torch.max(x, torch.zeros_like(x)),
    "product with 1 less the mask": lambda net, x: x * (1 - (x < 0).float()),
    "product with the inverse mask": lambda net, x: x * ~(x < 0),
    "product by lerp": lambda net, x: torch.lerp(torch.zeros_like(x), x, (x > 0).float()),
    "product by einsum": lambda net, x: torch.einsum("bchw,bchw->bchw", x, (x > 0).float()),
    "inverse mask filled in place": lambda net, x: x.masked_fill_(~(x > 0), 0),
    "where of the inverse": lambda net, x: torch.where(torch.logical_not(x > 0), 0.0, x),
    "copied by keyword": lambda net, x: torch.empty_like(x).copy_(other=F.relu(x), non_blocking=True),
    "entries set": lambda net, x: set_entries(x),
    "entries of a copy set": lambda net, x: set_entries(x.clone()),
    "entries put": lambda net, x: x.index_put((x < 0,), torch.zeros(())),
    "aten": lambda net, x: torch.ops.aten.relu(x),
    "autograd function": lambda net, x: OwnRelu.apply(x),
}
for name, relu in RELUS.items():
    PAIRS.rewrite(f"relu: {name}", ConvNet, quick=True, activate=relu)


class LeakyNet(ConvNet):
    """With leaky ReLUs."""

    def activate(self, x):
        return F.leaky_relu(x, 0.1)


LEAKY = {
    "where": lambda net, x: torch.where(x > 0, x, 0.1 * x),
    "where by method": lambda net, x: x.where(x > 0, 0.1 * x),
    "larger of two": lambda net, x: torch.max(x, 0.1 * x),
    "maximum": lambda net, x: torch.maximum(0.1 * x, x),
    "largest of a stack": lambda net, x: torch.stack([x, 0.1 * x]).max(0)[0],
    "prelu": lambda net, x: F.prelu(x, torch.full((1,), 0.1)),
    "rrelu": lambda net, x: F.rrelu(x, 0.1, 0.1),
}
for name, relu in LEAKY.items():
    PAIRS.rewrite(f"leaky: {name}", LeakyNet, quick=True, activate=relu)


class Relu6Net(ConvNet):
    """With ReLU6."""

    def activate(self, x):
        return F.relu6(x)


PAIRS.rewrite("relu6: hardtanh", Relu6Net, quick=True, activate=lambda net, x: F.hardtanh(x, 0.0, 6.0))
PAIRS.rewrite(
    "relu6: hardtanh by keyword, in place",
    Relu6Net,
    activate=lambda net, x: F.hardtanh(input=x, min_val=0.0, max_val=6.0, inplace=True),
)
PAIRS.rewrite("relu6: clamp", Relu6Net, quick=True, activate=lambda net, x: x.clamp(0, 6))


class SiluNet(ConvNet):
    """With SiLU."""

    def activate(self, x):
        return F.silu(x)


class SwishOnce(Swish):
    """The same without a second derivative."""

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(context, gradient: Tensor) -> Tensor:
        return Swish.backward(context, gradient)


SIGMOID = because("a sigmoid is called where a SiLU was", "near")
PAIRS.rewrite("silu: in place", SiluNet, activate=lambda net, x: F.silu(x, inplace=True))
PAIRS.rewrite("silu: written out", SiluNet, SIGMOID, True, activate=lambda net, x: x * torch.sigmoid(x))
PAIRS.rewrite("silu: autograd function", SiluNet, SIGMOID, activate=lambda net, x: Swish.apply(x))
PAIRS.rewrite("silu: differentiable once", SiluNet, SIGMOID, True, activate=lambda net, x: SwishOnce.apply(x))


class HardNet(ConvNet):
    """The hard activation functions of MobileNetV3."""

    def activate(self, x):
        return F.hardswish(x)

    def excite(self, x):
        return F.hardsigmoid(self.widen(F.hardswish(self.narrow(self.squeeze(x)))))


RELU6 = because("a ReLU6 is called where a hardswish was", "near")
PAIRS.rewrite("hardswish: in place", HardNet, quick=True, activate=lambda net, x: F.hardswish(x, inplace=True))
PAIRS.rewrite("hardswish: by ReLU6", HardNet, RELU6, True, activate=lambda net, x: x * F.relu6(x + 3) / 6)

# Gates of squeeze-and-excitation


class ConvolvedGate(ConvNet):
    """Squeeze-and-excitation by 1x1 convolutions."""

    def __init__(self):
        super().__init__()
        self.narrow, self.widen = nn.Conv2d(8, 4, 1), nn.Conv2d(4, 8, 1)

    def gate(self, x):
        return x * torch.sigmoid(self.widen(F.relu(self.narrow(x.mean((2, 3), keepdim=True)))))


def expanded(net, x):
    gate = net.excite(x).view(x.size(0), x.size(1), 1, 1)
    return torch.mul(x, gate.expand_as(x))


PAIRS.rewrite("gate: in place", ConvNet, gate=lambda net, x: x.clone().mul_(net.excite(x).view(len(x), -1, 1, 1)))
PAIRS.rewrite("gate: expand_as", ConvNet, quick=True, gate=expanded)
PAIRS.rewrite("gate: einsum", ConvNet, quick=True, gate=lambda net, x: torch.einsum("bchw,bc->bchw", x, net.excite(x)))
PAIRS.rewrite(
    "gate: all in place",
    ConvNet,
    excite=lambda net, x: net.widen(F.relu(net.narrow(net.squeeze(x)), inplace=True)).sigmoid_(),
)
PAIRS.add("gate: 1x1 convolutions", ConvNet, ConvolvedGate, CONVOLUTIONS, True)

# Normalisations


class BatchStatistics(ConvNet):
    """Statistics of the batch in both modes."""

    def __init__(self):
        super().__init__()
        self.norm1 = nn.BatchNorm2d(8, track_running_stats=False)
        self.norm2 = nn.BatchNorm2d(16, track_running_stats=False)


def low_level(net, x):
    norm = net.norm1
    given = (norm.weight, norm.bias, norm.running_mean, norm.running_var)
    return torch.batch_norm(x, *given, net.training, 0.1, 1e-5, False)


def by_keyword(net, x):
    norm = net.norm1
    statistics = {"running_mean": norm.running_mean, "running_var": norm.running_var}
    return F.batch_norm(input=x, weight=norm.weight, bias=norm.bias, training=net.training, **statistics)


def on_flattened_map(net, x):
    norm = net.norm1
    given = (norm.running_mean, norm.running_var, norm.weight, norm.bias)
    return F.batch_norm(x.flatten(2), *given, net.training).view_as(x)


def affine_by_hand(net, x):
    norm = net.norm1
    x = F.batch_norm(x, norm.running_mean, norm.running_var, None, None, net.training)
    return x * norm.weight[:, None, None] + norm.bias[:, None, None]


def by_moments(net, x):
    mean, var = x.mean((0, 2, 3), keepdim=True), x.var((0, 2, 3), unbiased=False, keepdim=True)
    return (x - mean) / (var + 1e-5).sqrt() * net.norm1.weight[:, None, None] + net.norm1.bias[:, None, None]


PAIRS.rewrite("norm: torch.batch_norm", ConvNet, quick=True, normalise1=low_level)
PAIRS.rewrite("norm: by keyword", ConvNet, quick=True, normalise1=by_keyword)
PAIRS.rewrite("norm: on the flattened map", ConvNet, ROWS, True, normalise1=on_flattened_map)
PAIRS.rewrite("norm: scale and shift by hand", ConvNet, quick=True, normalise1=affine_by_hand)
BY_HAND = ROWS | {"width": "counts the normalisations of PyTorch, as its documentation says"}
PAIRS.rewrite("norm: mean and variance", BatchStatistics, BY_HAND, True, normalise1=by_moments)


@pytest.mark.parametrize("pair", PAIRS.quick(), ids=lambda pair: pair.name)
def test_a_rewritten_activation_keeps_some_scores(pair):
    """Invariance: one function, two writings; proxies of each kind of signal."""
    assert compare(pair, FEW) == []


@pytest.mark.long
@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.name)
def test_a_rewritten_activation_keeps_all_scores(pair):
    """Invariance: one function, two writings; every proxy."""
    assert compare(pair, ALL) == []
