"""What distillation training reads off a network does not depend on how the network is written."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from zcbench import distill
from zcbench.distill.reading import Reader

from .networks import ConvNet, Multihead
from .rewritings import BATCH, Pair, both, rewritten

EVERYTHING = frozenset(distill.OUTPUTS)


class ConvolvedHead(ConvNet):
    """A 1x1 convolution as classifier."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Conv2d(16, 10, 1)

    def head(self, x):
        return self.linear(x[..., None, None])[:, :, 0, 0]


def by_keyword(net, tokens):
    return net.attention(value=tokens, key=tokens, query=tokens)[0]


POOLS = {
    "one axis after the other": lambda net, x: x.mean(-1).mean(-1),
    "sum divided": lambda net, x: x.sum((2, 3)) / (x.shape[2] * x.shape[3]),
    "flattened": lambda net, x: x.flatten(2).mean(-1),
    "einsum": lambda net, x: torch.einsum("bchw->bc", x) / x[0, 0].numel(),
    "channels last": lambda net, x: x.permute(0, 2, 3, 1).mean((1, 2)),
    "strided, then the rest": lambda net, x: F.avg_pool2d(x, 2).mean((2, 3)),
    "by keyword": lambda net, x: torch.mean(input=x, dim=(2, 3)),
}
OTHERS = {
    "gate spelled out": {"squeeze": POOLS["flattened"]},
    "both spelled out": {"squeeze": POOLS["one axis after the other"], "pool": POOLS["channels last"]},
    "convolutions by keyword": {
        "convolve1": lambda net, x: net.conv1(input=x),
        "convolve2": lambda net, x: net.conv2(input=x),
        "normalise2": lambda net, x: net.norm2(input=x),
    },
    "classifier by keyword": {"head": lambda net, x: net.linear(input=x)},
    "classifier by function": {"head": lambda net, x: F.linear(x, weight=net.linear.weight, bias=net.linear.bias)},
    "classifier as a product": {"head": lambda net, x: x @ net.linear.weight.T + net.linear.bias},
    "ReLU in place": {"activate": lambda net, x: F.relu_(x)},
    "ReLU as a clip": {"activate": lambda net, x: x.clamp(min=0)},
}
WRITINGS = {
    **{f"pool: {name}": rewritten(ConvNet, pool=pool) for name, pool in POOLS.items()},
    **{name: rewritten(ConvNet, **steps) for name, steps in OTHERS.items()},
    "classifier as a convolution": ConvolvedHead,
}


def assert_read_alike(first, second, names):
    """Outputs and, through them, the gradients of all weights are the same."""
    gradients = []
    networks = both(Pair("", first, second, {}, True))
    read = [Reader(network.train(), names, "float32", BATCH[0][:1])(BATCH[0]) for network in networks]
    for name in names:
        one, other = (outputs.read(name) for outputs in read)
        assert len(one) == len(other)
        for a, b in zip(one, other):
            torch.testing.assert_close(a, b.view_as(a), rtol=1e-4, atol=1e-6)
    for network, outputs in zip(networks, read):
        loss = sum(tensor.square().mean() for name in sorted(names) for tensor in outputs.read(name))
        found = torch.autograd.grad(loss, list(network.parameters()))
        gradients.append(torch.cat([gradient.flatten() for gradient in found]))
    torch.testing.assert_close(*gradients, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", WRITINGS)
def test_training_reads_the_same_off_both_writings(name):
    """Invariance: features, embedding, classifier, stages and logits, and the gradients of a loss of them all."""
    assert_read_alike(ConvNet, WRITINGS[name], EVERYTHING)


def test_training_reads_the_same_off_an_attention_called_by_keyword():
    """Invariance: the attention called by position."""
    names = frozenset({"logits", "features", "embedding", "classifier"})
    assert_read_alike(Multihead, rewritten(Multihead, attend=by_keyword), names)
