"""Weights that are computed, pruned or shared: every score is the same, or refused by name."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrizations, prune

from .networks import ConvNet
from .rewritings import ALL, FEW, Pairs, compare, copy_named

PAIRS = Pairs()

# Computed weights


class Standardised(ConvNet):
    """Weight standardisation, as in BiT and NFNet."""

    def kernel(self):
        weight = self.conv2.weight
        mean, var = weight.mean((1, 2, 3), keepdim=True), weight.var((1, 2, 3), unbiased=False, keepdim=True)
        return (weight - mean) / (var + 1e-5).sqrt()

    def convolve2(self, x):
        return F.conv2d(x, self.kernel(), self.conv2.bias, 2, 1)


def by_batch_norm(net):
    weight = net.conv2.weight
    return F.batch_norm(weight.reshape(1, 16, -1), None, None, training=True, momentum=0.0).reshape_as(weight)


def by_layer_norm(net):
    return F.layer_norm(net.conv2.weight, net.conv2.weight.shape[1:], eps=1e-5)


PAIRS.rewrite("standardised by F.batch_norm", Standardised, quick=True, kernel=by_batch_norm)
PAIRS.rewrite("standardised by F.layer_norm", Standardised, quick=True, kernel=by_layer_norm)


class WeightNorm(ConvNet):
    """Length and direction of each filter as two parameters."""

    def __init__(self):
        super().__init__()
        parametrizations.weight_norm(self.conv2)


class OwnWeightNorm(ConvNet):
    """The same without a parametrisation."""

    def __init__(self):
        super().__init__()
        self.length, self.direction = nn.Parameter(torch.ones(16, 1, 1, 1)), nn.Parameter(torch.ones(16, 8, 3, 3))
        self.shift = self.conv2.bias
        del self.conv2

    def take(self, other):
        copy_named(other, self, skip="conv2.")
        inner = other.conv2.parametrizations.weight
        self.length.data, self.direction.data = inner.original0.detach().clone(), inner.original1.detach().clone()
        self.shift.data = other.conv2.bias.detach().clone()

    def convolve2(self, x):
        norms = self.direction.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
        return F.conv2d(x, self.length * self.direction / norms, self.shift, 2, 1)


PAIRS.add("weight norm by hand", WeightNorm, OwnWeightNorm, quick=True)

# Pruned weights

MASK = (torch.arange(16 * 72).view(16, 8, 3, 3) % 3 > 0).float()


class Pruned(ConvNet):
    """A third of the second convolution's weights pruned by PyTorch."""

    def __init__(self):
        super().__init__()
        prune.custom_from_mask(self.conv2, "weight", MASK)


class Masked(ConvNet):
    """A third of the second convolution's weights multiplied by 0."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mask", MASK.clone())

    def take(self, other):
        copy_named(other, self, skip="conv2.")
        self.conv2.weight.data = other.conv2.weight_orig.detach().clone()
        self.conv2.bias.data = other.conv2.bias.detach().clone()

    def convolve2(self, x):
        return F.conv2d(x, self.conv2.weight * self.mask, self.conv2.bias, 2, 1)


PAIRS.add("pruned by a mask", Pruned, Masked, quick=True)

# Shared weights


class Shared(nn.Module):
    """One convolution that is called twice."""

    def __init__(self):
        super().__init__()
        self.stem, self.conv = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)
        self.linear = nn.Linear(8, 10)

    def twice(self, x):
        return self.conv(F.relu(self.conv(x)))

    def forward(self, x):
        return self.linear(F.relu(self.twice(F.relu(self.stem(x)))).mean((2, 3)))


class Tied(Shared):
    """Two convolutions with the same parameters."""

    def __init__(self):
        super().__init__()
        self.second = nn.Conv2d(8, 8, 3, padding=1)
        self.second.weight, self.second.bias = self.conv.weight, self.conv.bias

    def twice(self, x):
        return self.second(F.relu(self.conv(x)))


class Aliased(Shared):
    """The same module under several names."""

    def __init__(self):
        super().__init__()
        self.again = nn.ModuleList([self.conv, self.conv])

    def twice(self, x):
        return self.again[1](F.relu(self.again[0](x)))


def functional(net, x):
    x = F.relu(F.conv2d(x, net.conv.weight, net.conv.bias, padding=1))
    return F.conv2d(x, net.conv.weight, net.conv.bias, padding=1)


PAIRS.add("two modules with one weight", Shared, Tied, quick=True)
PAIRS.add("a module under two names", Shared, Aliased, quick=True)
PAIRS.rewrite("shared by functions", Shared, quick=True, twice=functional)


@pytest.mark.parametrize("pair", PAIRS.quick(), ids=lambda pair: pair.name)
def test_other_holders_of_a_weight_keep_some_scores(pair):
    """Invariance: one function, two writings; proxies of each kind of signal."""
    assert compare(pair, FEW) == []


@pytest.mark.long
@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.name)
def test_other_holders_of_a_weight_keep_all_scores(pair):
    """Invariance: one function, two writings; every proxy."""
    assert compare(pair, ALL) == []
