"""Convolutions called in other ways, and weights held by others: every score is the same, or refused by name."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from .networks import ConvNet, Residual
from .rewritings import ALL, CONVOLUTIONS, FEW, ROWS, Pairs, compare

PAIRS = Pairs()


def kernel_copy(net, x):
    weight = net.conv2.weight.clone().to(x.dtype).contiguous()
    return F.conv2d(x, weight, net.conv2.bias, 2, 1)


def low_level(net, x):
    given = (net.conv2.weight, net.conv2.bias, (2, 2), (1, 1), (1, 1), False, (0, 0), 1)
    return torch.convolution(x, *given)


def operator(net, x):
    return torch.ops.aten.conv2d(x, net.conv2.weight, net.conv2.bias, [2, 2], [1, 1])


def padded(net, x):
    return F.conv2d(F.pad(x, (1, 1, 1, 1)), net.conv2.weight, net.conv2.bias, 2)


def bias_later(net, x):
    return F.conv2d(x, net.conv2.weight, None, 2, 1) + net.conv2.bias.view(1, -1, 1, 1)


def keywords(net, x):
    return F.conv2d(stride=2, padding=1, bias=net.conv2.bias, weight=net.conv2.weight, input=x)


def called(net, x):
    return torch.func.functional_call(net.conv2, dict(net.conv2.named_parameters()), (x,))


def largest_subnet(net, x):
    return F.conv2d(x, net.conv2.weight[:16, :8], net.conv2.bias[:16], 2, 1)


def unfolded(net, x):
    columns = F.unfold(x, 3, padding=1, stride=2)
    return (net.conv2.weight.flatten(1) @ columns + net.conv2.bias[:, None]).unflatten(2, (8, 8))


def unfolded_linear(net, x):
    columns = F.unfold(x, 3, padding=1, stride=2).transpose(1, 2)
    return F.linear(columns, net.conv2.weight.flatten(1), net.conv2.bias).transpose(1, 2).reshape(len(x), 16, 8, 8)


#: The second convolution in other words, the proxies that may differ, and whether it is in the usual run.
CONVOLVE = {
    "functional": (lambda net, x: F.conv2d(x, net.conv2.weight, net.conv2.bias, 2, 1), {}, True),
    "functional by keyword": (keywords, {}, True),
    "forward called": (lambda net, x: nn.Conv2d.forward(net.conv2, x), {}, True),
    "_conv_forward": (lambda net, x: net.conv2._conv_forward(x, net.conv2.weight, net.conv2.bias), {}, False),
    "torch.convolution": (low_level, {}, True),
    "aten": (operator, {}, True),
    "padded before": (padded, {}, True),
    "bias added later": (bias_later, {}, True),
    "functional_call": (called, {}, True),
    "slices of everything": (largest_subnet, {}, True),
    "a copy of the weights": (kernel_copy, {}, True),
    "images in two halves": (lambda net, x: torch.cat([net.conv2(half) for half in x.chunk(2)]), {}, True),
    "one image at a time": (lambda net, x: torch.stack([net.conv2(image) for image in x]), {}, True),
    "unfold, product": (unfolded, CONVOLUTIONS | ROWS, True),
    "unfold, linear": (unfolded_linear, CONVOLUTIONS | ROWS, True),
    "channels-last images": (lambda net, x: net.conv2(x.contiguous(memory_format=torch.channels_last)), {}, False),
}
for name, (step, exempt, quick) in CONVOLVE.items():
    PAIRS.rewrite(name, ConvNet, exempt, quick, convolve2=step)
PAIRS.rewrite(
    "all modules by keyword",
    ConvNet,
    quick=True,
    convolve1=lambda net, x: net.conv1(input=x),
    normalise1=lambda net, x: net.norm1(input=x),
    convolve2=lambda net, x: net.conv2(input=x),
    normalise2=lambda net, x: net.norm2(input=x),
    head=lambda net, x: net.linear(input=x),
)
PAIRS.rewrite("padding='same'", ConvNet, convolve1=lambda net, x: F.conv2d(x, net.conv1.weight, padding="same"))

# Groups


def group_by_group(net, x):
    parts = zip(x.chunk(2, 1), net.a.weight.chunk(2), net.a.bias.chunk(2))
    return torch.cat([F.conv2d(part, weight, bias, padding=1) for part, weight, bias in parts], 1)


def into_zeros(net, x):
    out = torch.zeros(len(x), 8, x.shape[2], x.shape[3], dtype=x.dtype)
    for half in (slice(0, 4), slice(4, 8)):
        out[:, half] = F.conv2d(x[:, half], net.a.weight[half], net.a.bias[half], padding=1)
    return out


PAIRS.rewrite("groups joined", Residual, CONVOLUTIONS | ROWS, True, grouped=group_by_group)
PAIRS.rewrite("groups written into zeros", Residual, CONVOLUTIONS | ROWS, True, grouped=into_zeros)

# Holders of the weights


class OwnConv(nn.Module):
    """A convolution that is no nn.Conv2d, with other names of its weights."""

    def __init__(self, inputs, outputs, stride, bias):
        super().__init__()
        self.kernel = nn.Parameter(torch.empty(outputs, inputs, 3, 3))
        self.shift = nn.Parameter(torch.empty(outputs)) if bias else None
        self.stride = stride

    def forward(self, x):
        return F.conv2d(x, self.kernel, self.shift, self.stride, 1)


class OwnLinear(nn.Module):
    """A linear map that is no nn.Linear."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.matrix, self.offset = nn.Parameter(torch.empty(outputs, inputs)), nn.Parameter(torch.empty(outputs))

    def forward(self, x):
        return F.linear(x, self.matrix, self.offset)


class OwnLayers(ConvNet):
    """Only layers of one's own."""

    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = OwnConv(3, 8, 1, False), OwnConv(8, 16, 2, True)
        self.narrow, self.widen, self.linear = OwnLinear(8, 4), OwnLinear(4, 8), OwnLinear(16, 10)


class BatchStatistics(ConvNet):
    """Statistics of the batch in both modes."""

    def __init__(self):
        super().__init__()
        self.norm1 = nn.BatchNorm2d(8, track_running_stats=False)
        self.norm2 = nn.BatchNorm2d(16, track_running_stats=False)


class Functional(nn.Module):
    """All weights in one list, and nothing but functions."""

    def __init__(self):
        super().__init__()
        self.held = self.hold([nn.Parameter(weight.detach().clone()) for weight in ConvNet().parameters()])

    def hold(self, weights):
        return nn.ParameterList(weights)

    def weights(self):
        return self.held

    def forward(self, x):
        conv1, scale1, shift1, narrow, low, widen, high, conv2, bias, scale2, shift2, linear, offset = self.weights()
        x = F.relu(F.batch_norm(F.conv2d(x, conv1, padding=1), None, None, scale1, shift1, True))
        gate = torch.sigmoid(F.linear(F.relu(F.linear(x.mean((2, 3)), narrow, low)), widen, high))
        x = F.conv2d(x * gate[..., None, None], conv2, bias, 2, 1)
        x = F.relu(F.batch_norm(x, None, None, scale2, shift2, True))
        return F.linear(x.mean((2, 3)), linear, offset)


class FunctionalDict(Functional):
    """All weights in one dictionary."""

    def hold(self, weights):
        return nn.ParameterDict({f"weight{place:02d}": weight for place, weight in enumerate(weights)})

    def weights(self):
        return self.held.values()


class Flags(ConvNet):
    """Attributes named as parameters are, which are none."""

    def __init__(self):
        super().__init__()
        self.bias, self.weight, self.conv1.has_bias = True, "he", True


PAIRS.add("own layers", ConvNet, OwnLayers, quick=True)
PAIRS.add("one ParameterList", BatchStatistics, Functional, quick=True)
PAIRS.add("one ParameterDict", BatchStatistics, FunctionalDict, quick=True)
PAIRS.add("flags named bias and weight", ConvNet, Flags, quick=True)


@pytest.mark.parametrize("pair", PAIRS.quick(), ids=lambda pair: pair.name)
def test_a_rewritten_convolution_keeps_some_scores(pair):
    """Invariance: one function, two writings; proxies of each kind of signal."""
    assert compare(pair, FEW) == []


@pytest.mark.long
@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.name)
def test_a_rewritten_convolution_keeps_all_scores(pair):
    """Invariance: one function, two writings; every proxy."""
    assert compare(pair, ALL) == []
