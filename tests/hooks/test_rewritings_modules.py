"""Modules nested, wrapped and called in other ways: every score is the same, or refused by name."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from .networks import ConvNet
from .rewritings import ALL, BLOCKS, FEW, MODULES, Pairs, compare

PAIRS = Pairs()


class Wrapped(nn.Module):
    """A network two dictionaries deep."""

    def __init__(self):
        super().__init__()
        self.outer = nn.ModuleDict({"inner": nn.ModuleDict({"network": ConvNet()})})

    def forward(self, x):
        return self.outer["inner"]["network"](x)


class WrappedByKeyword(Wrapped):
    """The same, called by keyword."""

    def forward(self, x):
        return self.outer["inner"]["network"](x=x)


PAIRS.add("wrapped twice", ConvNet, Wrapped, quick=True)
PAIRS.add("wrapped, called by keyword", ConvNet, WrappedByKeyword, quick=True)


def layers():
    return (
        *(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU()),
        *(nn.Conv2d(8, 16, 3, 2, 1), nn.BatchNorm2d(16), nn.ReLU()),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10)),
    )


class Layers(nn.Module):
    """A Sequential inside a module."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(*layers())

    def forward(self, x):
        return self.layers(x)


class Nested(nn.Module):
    """Sequentials inside Sequentials, with layers that change nothing."""

    def __init__(self):
        super().__init__()
        conv1, norm1, _, conv2, norm2, _, _, _, linear = layers()
        self.one = nn.Sequential(nn.Sequential(conv1, norm1), nn.ReLU(inplace=True))
        self.two = nn.Sequential(nn.Identity(), nn.Sequential(conv2, norm2), nn.ReLU(inplace=True), nn.Dropout(0.0))
        self.linear = linear

    def forward(self, x):
        return self.linear(torch.flatten(F.adaptive_avg_pool2d(self.two(self.one(x)), (1, 1)), 1))


class Loop(Layers):
    """The layers called one after the other."""

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return x


class OwnSequential(nn.Sequential):
    """A Sequential itself."""

    def __init__(self):
        super().__init__(*layers())


class Hooked(Layers):
    """With hooks that change nothing."""

    def __init__(self):
        super().__init__()
        self.layers[3].register_forward_hook(lambda module, inputs, output: None)
        self.layers[3].register_forward_pre_hook(lambda module, inputs: None)


class Called(Layers):
    """A call that goes past PyTorch's hooks."""

    def __call__(self, x):
        return self.forward(x)


def channels_last():
    return Layers().to(memory_format=torch.channels_last)


def frozen():
    return Layers().requires_grad_(False)


def lazy():
    network = nn.Sequential(
        *(nn.LazyConv2d(8, 3, padding=1), nn.LazyBatchNorm2d(), nn.ReLU()),
        *(nn.LazyConv2d(16, 3, 2, 1), nn.LazyBatchNorm2d(), nn.ReLU()),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.LazyLinear(10)),
    )
    with torch.no_grad():
        network(torch.zeros(2, 3, 16, 16))
    return network


PAIRS.add("nested, with identities", Layers, Nested, BLOCKS | MODULES, True)
PAIRS.add("a loop over layers", Layers, Loop)
PAIRS.add("a subclass of Sequential", Layers, OwnSequential, quick=True)
PAIRS.add("hooks that change nothing", Layers, Hooked, quick=True)
PAIRS.add("a call of its own", Layers, Called, quick=True)
PAIRS.add("channels-last weights", Layers, channels_last, quick=True)
PAIRS.add("lazy layers", Layers, lazy)
PAIRS.add("frozen weights", Layers, frozen, quick=True)


@pytest.mark.parametrize("pair", PAIRS.quick(), ids=lambda pair: pair.name)
def test_other_modules_keep_some_scores(pair):
    """Invariance: one function, two writings; proxies of each kind of signal."""
    assert compare(pair, FEW) == []


@pytest.mark.long
@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.name)
def test_other_modules_keep_all_scores(pair):
    """Invariance: one function, two writings; every proxy."""
    assert compare(pair, ALL) == []
