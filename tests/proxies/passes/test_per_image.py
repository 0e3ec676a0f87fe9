"""Proxies of single images and of half batches: zico, gradsign and TE-NAS."""

import copy
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import zcbench
from zcbench.hooks.usage import record_usage
from zcbench.proxies import REGISTRY, evaluate
from zcbench.proxies.passes.per_image import image_gradients
from zcbench.proxies.passes.thin import CROPS, _crops
from zcbench.proxies.signals.borrowing import borrowed
from zcbench.proxies.signals.signals import Minibatch

from ...oracles.proxies import backward, layers
from ..conftest import make_network


def linear(inputs: int = 48, classes: int = 5) -> nn.Sequential:
    return nn.Sequential(nn.Flatten(), nn.Linear(inputs, classes, bias=False)).double()


def doubled(batch):
    return batch[0].double(), batch[1]


def residuals(network, batch):
    """P − Y of a linear softmax classifier."""
    return network(batch[0]).detach().softmax(1) - F.one_hot(batch[1], 5)


def value(name, network, batch, **options):
    (score,) = evaluate(network, batch, [name], **options)
    assert score.status == "ok", score
    return score.value


def test_zico_of_a_linear_classifier(make_batch):
    """Closed form: softmax regression has the gradient (P − Y)ᵀX / B in each half; the ratio is in the docstring."""
    network, batch = linear(), doubled(make_batch(size=6, side=4))
    halves = residuals(network, batch), batch[0].flatten(1)
    one, two = (halves[0][part].T @ halves[1][part] / 3 for part in (slice(3), slice(3, 6)))
    expected = math.log(((one.abs() + two.abs()) / (one - two).abs()).sum())
    assert value("zico", network, batch) == pytest.approx(expected)


def test_zico_equals_the_slow_reference(batch):
    """Slow reference: NumPy's mean and standard deviation of the gradients of two networks that saw half each."""
    network, (images, labels) = make_network().double(), doubled(batch)
    twins = [backward(network, (images[part], labels[part])) for part in (slice(8), slice(8, 16))]
    expected = 0.0
    for pair in zip(*map(layers, twins)):
        stack = np.stack([layer.weight.grad.numpy().ravel() for layer in pair])
        mean, deviation = np.abs(stack).mean(0), stack.std(0)
        expected += np.log((mean[deviation > 0] / deviation[deviation > 0]).sum())
    assert value("zico", network, (images, labels)) == pytest.approx(expected)


def test_zico_needs_two_halves_that_differ(make_batch):
    """Three images are too few; two equal halves have no spread."""
    assert evaluate(make_network(), make_batch(3), ["zico"])[0].status == "not_applicable"
    images, labels = make_batch(4)
    twice = torch.cat([images, images]), torch.cat([labels, labels])
    assert evaluate(make_network(), twice, ["zico"])[0].status == "singular"


def weighted(network):
    """Convolutions and linear layers by name."""
    return {n: m for n, m in network.named_modules() if isinstance(m, nn.Conv1d | nn.Conv2d | nn.Linear)}


def alone(network, image, label):
    """Weight gradients of one image that is a batch of its own."""
    return [layer.weight.grad for layer in weighted(backward(network, (image[None], label[None]))).values()]


class Twice(nn.Module):
    """A block that is called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.head = nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.Linear(8, 5)
        self.block = nn.Sequential(nn.Conv2d(8, 8, 3, padding="same", dilation=2), nn.BatchNorm2d(8), nn.ReLU(True))

    def forward(self, x):
        return self.head(self.block(self.block(self.stem(x))).mean((2, 3)))


def smooth() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1, padding_mode="circular"), nn.GELU(), nn.Conv2d(6, 6, 3, groups=6),
        nn.Flatten(2), nn.Conv1d(6, 4, 3, stride=2), nn.LayerNorm(17), nn.Flatten(), nn.Linear(68, 5),
    )  # fmt: skip


@pytest.mark.parametrize("make", [make_network, lambda: make_network(inplace=True), Twice, smooth])
def test_image_gradients_equal_a_loop(make, batch):
    """Slow reference: a loop over images, each in training mode and by itself; the score is the loop's too."""
    network, (images, labels) = make().double(), doubled(batch)
    expected = [torch.stack(g) for g in zip(*(alone(network, x, y) for x, y in zip(images, labels)))]
    with borrowed(network):
        found = image_gradients(network, Minibatch(images, labels), record_usage(network, images), 0)["image_gradients"]
    assert list(found) == [f"{name}.weight" for name in weighted(network)]
    assert all(torch.allclose(*pair, atol=1e-12) for pair in zip(found.values(), expected))


def test_gradsign_equals_a_loop(batch):
    """Slow reference: signs collected image by image."""
    network, (images, labels) = make_network().double(), doubled(batch)
    signs = [torch.cat([g.sign().flatten() for g in alone(network, x, y)]) for x, y in zip(images, labels)]
    assert value("gradsign", network, (images, labels)) == torch.stack(signs).sum(0).abs().sum().item()


def test_gradsign_of_a_linear_classifier(make_batch):
    """Closed form: the gradient of one image is (p − y)xᵀ; the images after the sixteenth are not read."""
    network, batch = linear(), doubled(make_batch(size=20, side=4))
    signs = (residuals(network, batch)[:16, :, None] * batch[0].flatten(1)[:16, None, :]).sign()
    assert value("gradsign", network, batch) == signs.sum(0).abs().sum().item()


def test_images_do_not_interact(batch):
    """Invariance: the gradient of an image is the same whatever else is in the batch."""
    network, (images, labels) = make_network().double(), doubled(batch)
    with borrowed(network):
        usage = record_usage(network, images)
        one, other = (
            image_gradients(network, Minibatch(torch.cat([images[:1], rest]), labels), usage, 0)["image_gradients"]
            for rest in (images[1:], images[1:] * 3 + 1)
        )
    assert all(torch.allclose(one[name][0], other[name][0]) for name in one)
    assert not torch.allclose(one["0.weight"][1], other["0.weight"][1])


def test_one_value_has_no_variance(batch):
    """A normalisation without positions cannot see an image by itself."""
    network = nn.Sequential(nn.Flatten(), nn.Linear(192, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 5))
    (score,) = evaluate(network, batch, ["gradsign"])
    assert (score.status, "one value per channel" in score.reason) == ("not_applicable", True)


def test_tangent_kernel_of_linear_networks(make_batch):
    """Closed form: Θ is N·xᵀx' for one layer, and N·(Vx)ᵀ(Vx') + ‖Wᵀ1‖²·xᵀx' for two."""
    images, labels = doubled(make_batch(size=6, side=4))
    x = images.flatten(1)
    assert value("te_nas_ntk", linear(), (images, labels)) == pytest.approx(np.linalg.cond(x @ x.T))

    v, w = nn.Linear(48, 7, bias=False).double(), nn.Linear(7, 5, bias=False).double()
    hidden, pull = v(x).detach(), w.weight.detach().sum(0)
    kernel = 5 * hidden @ hidden.T + pull.square().sum() * x @ x.T
    found = value("te_nas_ntk", nn.Sequential(nn.Flatten(), v, w), (images, labels))
    assert found == pytest.approx(np.linalg.cond(kernel))


def test_tangent_kernel_equals_a_loop(batch):
    """Slow reference: one backward pass for each image through one batch, and NumPy's condition number."""
    network, (images, labels) = make_network().double(), doubled(batch)
    twin = copy.deepcopy(network).train()
    totals = twin(images).sum(1)
    weights = [layer.weight for layer in layers(twin)]
    grads = (torch.autograd.grad(total, weights, retain_graph=True) for total in totals)
    rows = torch.stack([torch.cat([g.flatten() for g in each]) for each in grads])
    expected = np.linalg.cond((rows @ rows.T).numpy())
    assert value("te_nas_ntk", network, (images, labels)) == pytest.approx(expected, rel=1e-6)


def test_a_singular_kernel_is_refused(make_batch):
    """An image that is there twice makes two equal rows; one image has no condition number."""
    images, labels = make_batch(8)
    images[3] = images[5]
    statuses = [evaluate(make_network(), b, ["te_nas_ntk"])[0].status for b in ((images, labels), make_batch(1))]
    assert statuses == ["singular", "not_applicable"]


def test_regions_by_hand():
    """Closed form: crops of 3 columns out of 8, of which the last 4 are positive, have four patterns of one ReLU."""
    images = torch.full((2, 3, 8, 8), -1.0)
    images[..., 4:] = 1
    score = value("te_nas_regions", make_network(), (images, torch.tensor([0, 1])), thin=nn.ReLU)
    assert score == 4


def test_regions_equal_a_set_of_codes(batch):
    """Slow reference: module hooks on the thin network of a published cell, and a set of strings."""
    space = zcbench.spaces.get("nasbench201")
    arch = "|nor_conv_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|avg_pool_3x3~0|nor_conv_3x3~1|nor_conv_1x1~2|"
    codes, network = [""] * CROPS, space.thin(arch, seed=3)

    def hook(module, inputs):
        for i, row in enumerate((inputs[0].reshape(CROPS, -1) > 0).tolist()):
            codes[i] += "".join("01"[unit] for unit in row)

    for module in network.modules():
        if isinstance(module, nn.ReLU):
            module.register_forward_pre_hook(hook)
    network(_crops(batch[0], 7))
    found = value("te_nas_regions", make_network(), batch, thin=lambda: space.thin(arch, seed=3), seed=7)
    assert found == len(set(codes))
    assert 1 < found < CROPS


def test_regions_need_a_thin_network(batch):
    """A network alone, and a space that builds no thin one, are refused by name; so it is left out by default."""
    for options in ({}, {"thin": lambda: None}):
        assert evaluate(make_network(), batch, ["te_nas_regions"], **options)[0].status == "not_applicable"
    assert REGISTRY.get("te_nas_regions").needs_thin
    assert "te_nas_regions" not in zcbench.score(make_network(), batch)
