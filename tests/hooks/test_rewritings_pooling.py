"""Poolings and flattenings in other words: every score is the same, or refused by name."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from .networks import ConvNet
from .rewritings import ALL, CONVOLUTIONS, FEW, Pairs, because, compare, copy_in_order

PAIRS = Pairs()
PRODUCT = because("a product with ones is a product", "macs", "az_complexity")


def area(x):
    """Number of positions of a map."""
    return x.shape[2] * x.shape[3]


def by_product(net, x):
    return (x.flatten(2) @ x.new_full((area(x), 1), 1 / area(x))).squeeze(-1)


#: Global average poolings of a map (B, C, H, W).
AVERAGES = {
    "mean over negative axes": lambda net, x: x.mean((-1, -2)),
    "one axis after the other": lambda net, x: x.mean(-1).mean(-1),
    "torch.mean by keyword": lambda net, x: torch.mean(input=x, dim=[2, 3], keepdim=True)[:, :, 0, 0],
    "sum divided": lambda net, x: x.sum((2, 3)) / area(x),
    "einsum": lambda net, x: torch.einsum("bchw->bc", x) / area(x),
    "avg_pool2d of the full size": lambda net, x: F.avg_pool2d(x, kernel_size=x.shape[-2:]).view(len(x), -1),
    "view, mean": lambda net, x: x.view(x.size(0), x.size(1), -1).mean(2),
    "channels last, mean": lambda net, x: x.permute(0, 2, 3, 1).mean((1, 2)),
    "two adaptive pools": lambda net, x: F.adaptive_avg_pool2d(F.adaptive_avg_pool2d(x, (1, None)), 1).flatten(1),
    "interpolate by area": lambda net, x: F.interpolate(x, size=(1, 1), mode="area").squeeze(3).squeeze(2),
    "unfold": lambda net, x: F.unfold(x, x.shape[-2:]).view(len(x), x.shape[1], -1).mean(-1),
    "loop over rows": lambda net, x: sum(row.mean(-1) for row in x.unbind(2)) / x.shape[2],
    "halves, stacked": lambda net, x: torch.stack([half.flatten(2).mean(2) for half in x.chunk(2, 3)]).mean(0),
    "avg_pool1d": lambda net, x: F.avg_pool1d(x.flatten(2), area(x)).flatten(1),
    "cumsum": lambda net, x: x.flatten(2).cumsum(-1)[..., -1] / area(x),
    "var_mean": lambda net, x: torch.var_mean(x, (2, 3))[1],
    "adaptive_avg_pool3d": lambda net, x: F.adaptive_avg_pool3d(x.unsqueeze(2), 1).flatten(1),
    "nanmean": lambda net, x: torch.nanmean(x.flatten(2), -1),
    "strided, then the rest": lambda net, x: F.avg_pool2d(x, 2).mean((2, 3)),
    "tokens, mean": lambda net, x: x.flatten(2).transpose(1, 2).mean(1),
    "axis in place of dim": lambda net, x: x.mean(axis=(2, 3)),
    "by a float32 constant": lambda net, x: x.sum((2, 3)) * torch.tensor(1 / area(x)),
    "squeeze of all axes": lambda net, x: F.adaptive_avg_pool2d(x, 1).squeeze(),
}
QUICK = ("one axis after the other", "sum divided", "einsum", "channels last, mean", "interpolate by area", "unfold")
for name, average in AVERAGES.items():
    quick = name in (*QUICK, "loop over rows", "cumsum", "var_mean", "strided, then the rest", "squeeze of all axes")
    PAIRS.rewrite(f"at the end: {name}", ConvNet, quick=quick, pool=average)
    PAIRS.rewrite(f"of the gate: {name}", ConvNet, quick=name in QUICK, squeeze=average)
    PAIRS.rewrite(f"of both: {name}", ConvNet, pool=average, squeeze=average)
PAIRS.rewrite("at the end: product with ones", ConvNet, PRODUCT, True, pool=by_product)
PAIRS.rewrite("of the gate: product with ones", ConvNet, PRODUCT, True, squeeze=by_product)
PAIRS.rewrite("of both: product with ones", ConvNet, PRODUCT, pool=by_product, squeeze=by_product)


class MaxNet(ConvNet):
    """The largest entry of each channel instead of the mean."""

    def pool(self, x):
        return F.adaptive_max_pool2d(x, 1).flatten(1)


PAIRS.rewrite("maximum: amax", MaxNet, quick=True, pool=lambda net, x: x.amax((2, 3)))
PAIRS.rewrite("maximum: max over an axis", MaxNet, pool=lambda net, x: x.flatten(2).max(-1).values)
PAIRS.rewrite("maximum: max_pool2d of the full size", MaxNet, pool=lambda net, x: F.max_pool2d(x, 8).flatten(1))
PAIRS.rewrite("maximum: topk", MaxNet, quick=True, pool=lambda net, x: x.flatten(2).topk(1, -1).values[..., 0])


class GeneralisedMean(ConvNet):
    """The third root of the mean of cubes."""

    def pool(self, x):
        return F.avg_pool2d(x.clamp(min=1e-6).pow(3), x.shape[-2:]).pow(1 / 3).flatten(1)


def cubes(net, x):
    return x.clamp_min(1e-6).pow(3).mean((2, 3)).pow(1 / 3)


PAIRS.rewrite("generalised mean: mean", GeneralisedMean, pool=cubes)


class Flat(ConvNet):
    """The map flattened, as in VGG."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(16 * 4 * 4, 10)

    def small(self, x):
        return F.max_pool2d(x, 2)

    def pool(self, x):
        return torch.flatten(self.small(x), 1)


class FlatChannelsLast(Flat):
    """Channels last before it is flattened, and the classifier's weights in that order."""

    def take(self, other):
        copy_in_order(other, self)
        weight = other.linear.weight.data.view(10, 16, 4, 4)
        self.linear.weight.data = weight.permute(0, 2, 3, 1).flatten(1).clone()

    def pool(self, x):
        return self.small(x).permute(0, 2, 3, 1).reshape(len(x), -1)


class ConvolvedHead(Flat):
    """A convolution of the map's size as classifier."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Conv2d(16, 10, 4)

    def pool(self, x):
        return self.small(x)

    def head(self, x):
        return self.linear(x).flatten(1)


ORDER = because(
    "compares the embedding with the teacher's, entry by entry, or what is drawn for one weight with another's",
    *("vkdnw", "vkdnw_released", "vkdnw_single", "diswot", "diswot_semantic", "kd:diswot", "kd:diswot_semantic"),
    *("kd:cc_neighbours", "kd:crd", "kd:fitnet_embedding", "kd:nd"),
)
PAIRS.rewrite("flatten: view", Flat, pool=lambda net, x: net.small(x).view(x.shape[0], -1))
PAIRS.rewrite("flatten: twice", Flat, quick=True, pool=lambda net, x: net.small(x).flatten(2).flatten(1))
PAIRS.rewrite(
    "flatten: unflatten, reshape", Flat, pool=lambda net, x: net.small(x).unflatten(1, (16, 1)).reshape(-1, 256)
)
PAIRS.add("flatten: channels last", Flat, FlatChannelsLast, ORDER, True)
PAIRS.add("flatten: a convolution as classifier", Flat, ConvolvedHead, CONVOLUTIONS, True)


@pytest.mark.parametrize("pair", PAIRS.quick(), ids=lambda pair: pair.name)
def test_a_rewritten_pooling_keeps_some_scores(pair):
    """Invariance: one function, two writings; proxies of each kind of signal."""
    assert compare(pair, FEW) == []


@pytest.mark.long
@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.name)
def test_a_rewritten_pooling_keeps_all_scores(pair):
    """Invariance: one function, two writings; every proxy."""
    assert compare(pair, ALL) == []
