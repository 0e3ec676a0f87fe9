"""Classifiers in other words: every score is the same, or refused by name."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from .networks import ConvNet
from .rewritings import (
    ALL,
    CONVOLUTIONS,
    FEW,
    TENSORS,
    Pairs,
    because,
    compare,
    copy_named,
    rewritten,
)

PAIRS = Pairs()


class ConvolvedHead(ConvNet):
    """A 1x1 convolution as classifier."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Conv2d(16, 10, 1)

    def pool(self, x):
        return F.adaptive_avg_pool2d(x, 1)

    def head(self, x):
        return self.linear(x).flatten(1)


class Conv1dHead(ConvNet):
    """A convolution of one axis as classifier."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Conv1d(16, 10, 1)

    def head(self, x):
        return self.linear(x.unsqueeze(-1)).squeeze(-1)


#: How the logits (B, N, 1, 1) lose their last axes.
ENDS = {
    "flatten": lambda net, x: net.linear(x).flatten(1),
    "squeeze twice": lambda net, x: net.linear(x).squeeze(-1).squeeze(-1),
    "index": lambda net, x: net.linear(x)[:, :, 0, 0],
    "mean": lambda net, x: net.linear(x).mean((2, 3)),
}
for name, end in ENDS.items():
    convolved = rewritten(ConvolvedHead, head=end)
    PAIRS.add(f"1x1 convolution, {name}", ConvNet, convolved, CONVOLUTIONS, True)
EVERYWHERE = because("the classifier works on every position", "macs", "az_complexity", "near")
PAIRS.add(
    "1x1 convolution, averaged where its outputs are",
    ConvNet,
    rewritten(ConvolvedHead, pool=lambda net, x: x, head=lambda net, x: net.linear(x).mean((2, 3))),
    CONVOLUTIONS | EVERYWHERE,
    True,
)
PAIRS.add("conv1d", ConvNet, Conv1dHead, CONVOLUTIONS, True)


def side_branch(net, x):
    return net.linear(x) + 0 * F.linear(x, net.linear.weight.detach())


HEADS = {
    "matrix product": lambda net, x: x @ net.linear.weight.t() + net.linear.bias,
    "product from the left": lambda net, x: (net.linear.weight @ x.T).T + net.linear.bias,
    "addmm": lambda net, x: torch.addmm(net.linear.bias, x, net.linear.weight.t()),
    "einsum": lambda net, x: torch.einsum("bc,nc->bn", x, net.linear.weight) + net.linear.bias,
    "F.linear by keyword": lambda net, x: F.linear(input=x, weight=net.linear.weight, bias=net.linear.bias),
    "bias added later": lambda net, x: F.linear(x, net.linear.weight) + net.linear.bias,
    "on a sequence of one": lambda net, x: net.linear(x.unsqueeze(1)).squeeze(1),
    "on a sequence of one, images second": lambda net, x: net.linear(x.unsqueeze(0)).squeeze(0),
    "forward": lambda net, x: net.linear.forward(x),
    "dropout of 0": lambda net, x: F.dropout(net.linear(F.dropout(x, 0.0, net.training)), 0.0).clone().contiguous(),
}
for name, head in HEADS.items():
    PAIRS.rewrite(name, ConvNet, quick=name != "F.linear by keyword", head=head)
DEAD = because("one layer more is called", "macs", "az_complexity", "near")
PAIRS.rewrite("a side branch of the classifier's width", ConvNet, DEAD, head=side_branch)


class Cosine(ConvNet):
    """Logits are cosines."""

    def head(self, x):
        return F.linear(F.normalize(x), F.normalize(self.linear.weight)) + self.linear.bias


def unit(rows):
    return rows / rows.norm(dim=1, keepdim=True).clamp_min(1e-12)


PAIRS.rewrite("cosines", Cosine, quick=True, head=lambda net, x: unit(x) @ unit(net.linear.weight).T + net.linear.bias)


class TwoHeads(ConvNet):
    """The classifier in two halves whose logits are joined."""

    def __init__(self):
        super().__init__()
        del self.linear
        self.low, self.high = nn.Linear(16, 5), nn.Linear(16, 5)

    def take(self, other):
        copy_named(other, self, skip="linear.")
        for half, rows in ((self.low, slice(0, 5)), (self.high, slice(5, 10))):
            half.weight.data, half.bias.data = other.linear.weight[rows].detach(), other.linear.bias[rows].detach()

    def head(self, x):
        return torch.cat([self.low(x), self.high(x)], 1)


MORE = because("one layer more is called", "near")
PAIRS.add("two halves joined", ConvNet, TwoHeads, TENSORS | MORE, True)


@pytest.mark.parametrize("pair", PAIRS.quick(), ids=lambda pair: pair.name)
def test_a_rewritten_classifier_keeps_some_scores(pair):
    """Invariance: one function, two writings; proxies of each kind of signal."""
    assert compare(pair, FEW) == []


@pytest.mark.long
@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.name)
def test_a_rewritten_classifier_keeps_all_scores(pair):
    """Invariance: one function, two writings; every proxy."""
    assert compare(pair, ALL) == []
