"""1x1 convolutions as products, and sums in other words: every score is the same, or refused by name."""

import pytest
import torch
import torch.nn.functional as F
from torch.utils.checkpoint import checkpoint

from .networks import Residual
from .rewritings import ALL, CONVOLUTIONS, FEW, ROWS, Pairs, because, compare

PAIRS = Pairs()


def linear_channels_last(net, x):
    return F.linear(x.permute(0, 2, 3, 1), net.b.weight.flatten(1), net.b.bias).permute(0, 3, 1, 2)


def matmul(net, x):
    y = torch.matmul(net.b.weight.flatten(1), x.flatten(2)).unflatten(2, x.shape[2:])
    return y + net.b.bias[:, None, None]


def baddbmm(net, x):
    weight = net.b.weight.flatten(1).expand(len(x), -1, -1)
    return torch.baddbmm(net.b.bias.view(1, -1, 1), weight, x.flatten(2)).view_as(x)


def bmm_repeated(net, x):
    weight = net.b.weight.flatten(1).repeat(len(x), 1, 1)
    return torch.bmm(weight, x.flatten(2)).view_as(x) + net.b.bias.view(1, -1, 1, 1)


def einsum(net, x):
    return torch.einsum("oi,bihw->bohw", net.b.weight.flatten(1), x) + net.b.bias[:, None, None]


def einsum_data_first(net, x):
    return torch.einsum("bihw,oi->bohw", x, net.b.weight[:, :, 0, 0]) + net.b.bias[:, None, None]


def tensordot(net, x):
    y = torch.tensordot(x, net.b.weight.flatten(1), dims=([1], [1])).permute(0, 3, 1, 2)
    return y + net.b.bias[:, None, None]


def conv1d(net, x):
    return F.conv1d(x.flatten(2), net.b.weight.flatten(2), net.b.bias).view_as(x)


def conv3d(net, x):
    return F.conv3d(x.unsqueeze(2), net.b.weight.unsqueeze(2), net.b.bias).squeeze(2)


def images_as_groups(net, x):
    weight, bias = net.b.weight.repeat(len(x), 1, 1, 1), net.b.bias.repeat(len(x))
    return F.conv2d(x.reshape(1, -1, *x.shape[2:]), weight, bias, groups=len(x)).view_as(x)


def transposed(net, x):
    return F.conv_transpose2d(x, net.b.weight.transpose(0, 1), net.b.bias)


#: The 1x1 convolution in other words, and the proxies that may differ.
POINTS = {
    "linear on channels last": (linear_channels_last, CONVOLUTIONS),
    "matmul": (matmul, CONVOLUTIONS),
    "baddbmm": (baddbmm, CONVOLUTIONS | ROWS),
    "bmm of a repeated weight": (bmm_repeated, CONVOLUTIONS),
    "einsum": (einsum, CONVOLUTIONS),
    "einsum, images first": (einsum_data_first, CONVOLUTIONS),
    "tensordot": (tensordot, CONVOLUTIONS),
    "transposed convolution": (transposed, {}),
    "conv1d of the flattened map": (conv1d, ROWS),
    "conv3d": (conv3d, {}),
    "images as groups of one convolution": (images_as_groups, {}),
}
for name, (point, exempt) in POINTS.items():
    PAIRS.rewrite(f"1x1: {name}", Residual, exempt, True, point=point)

#: The sum of a residual block in other words.
SUMS = {
    "add_": lambda net, x, y: x.add_(y),
    "+=": lambda net, x, y: x.__iadd__(y),
    "torch.add with alpha": lambda net, x, y: torch.add(x, y, alpha=1),
    "sum of a list": lambda net, x, y: sum([x, y]),
    "stacked": lambda net, x, y: torch.stack((x, y)).sum(0),
    "drop path of 0": lambda net, x, y: x * torch.ones(len(x), 1, 1, 1).bernoulli_(1.0) + y,
    "float32 constant": lambda net, x, y: x + y + torch.zeros(1, 8, 1, 1),
    "float32 scale": lambda net, x, y: x * torch.ones(8, 1, 1) + y,
}
for name, add in SUMS.items():
    PAIRS.rewrite(f"sum: {name}", Residual, quick=name in ("add_", "stacked", "float32 constant"), add=add)


def counted(net, x):
    net.calls = getattr(net, "calls", 0) + 1
    return net.a(x)


def with_side_branch(net, x):
    F.relu(x.mean((2, 3)))
    return net.a(x)


ONE_RELU_MORE = because("one ReLU more is called", "near", "wrcor")
PAIRS.rewrite("a side branch that nobody reads", Residual, ONE_RELU_MORE, grouped=with_side_branch)
PAIRS.rewrite(
    "control flow on values", Residual, quick=True, grouped=lambda net, x: net.a(x) if float(x.sum()) > -1e30 else x
)
PAIRS.rewrite("a counter of calls", Residual, grouped=counted)
PAIRS.rewrite("checkpoint", Residual, quick=True, grouped=lambda net, x: checkpoint(net.a, x, use_reentrant=False))
PAIRS.rewrite("activations in place", Residual, quick=True, activate=lambda net, x: F.relu_(x))
PAIRS.rewrite("float32 and back", Residual, quick=True, activate=lambda net, x: F.relu(x.float()).to(x.dtype))


@pytest.mark.parametrize("pair", PAIRS.quick(), ids=lambda pair: pair.name)
def test_a_rewritten_product_keeps_some_scores(pair):
    """Invariance: one function, two writings; proxies of each kind of signal."""
    assert compare(pair, FEW) == []


@pytest.mark.long
@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.name)
def test_a_rewritten_product_keeps_all_scores(pair):
    """Invariance: one function, two writings; every proxy."""
    assert compare(pair, ALL) == []
