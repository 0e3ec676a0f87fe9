"""Tokens in other layouts, windows and patches: every score is the same, or refused by name."""

import pytest
import torch
import torch.nn.functional as F

from .networks import TokenNet
from .rewritings import ALL, CONVOLUTIONS, FEW, ROWS, Pairs, because, compare

PAIRS = Pairs()
mix = TokenNet.mix


def sequence_first(net, tokens):
    return mix(net, tokens.transpose(0, 1)).transpose(0, 1)


def windows(net, tokens):
    """Windows of 2 x 2 tokens on axis 0, image by image."""
    cut = tokens.view(len(tokens), 4, 2, 4, 2, 16).permute(0, 1, 3, 2, 4, 5).reshape(-1, 4, 16)
    return mix(net, cut).view(len(tokens), 4, 4, 2, 2, 16).permute(0, 1, 3, 2, 4, 5).reshape_as(tokens)


def windows_of_all_images(net, tokens):
    """Windows of four tokens on axis 0, window by window."""
    cut = tokens.view(len(tokens), 16, 4, 16).transpose(0, 1).reshape(-1, 4, 16)
    return mix(net, cut).view(16, len(tokens), 4, 16).transpose(0, 1).reshape_as(tokens)


def one_row_each(net, tokens):
    return mix(net, tokens.reshape(-1, 16)).view_as(tokens)


def one_after_another(net, tokens):
    return torch.stack([mix(net, tokens[:, place]) for place in range(tokens.shape[1])], 1)


def image_by_image(net, tokens):
    return torch.stack([mix(net, image) for image in tokens])


def mapped(net, tokens):
    return torch.vmap(lambda image: mix(net, image))(tokens)


def halves(net, tokens):
    return torch.cat([mix(net, half) for half in tokens.chunk(2)])


def as_map(net, tokens):
    x = tokens.transpose(1, 2).unflatten(2, (8, 8))
    x = F.relu(F.conv2d(x, net.up.weight[:, :, None, None], net.up.bias))
    return F.conv2d(x, net.down.weight[:, :, None, None], net.down.bias).flatten(2).transpose(1, 2)


def conv1d(net, tokens):
    x = F.relu(F.conv1d(tokens.transpose(1, 2), net.up.weight[..., None], net.up.bias))
    return F.conv1d(x, net.down.weight[..., None], net.down.bias).transpose(1, 2)


def with_two_axes(net, tokens):
    return mix(net, tokens.unflatten(1, (8, 8))).flatten(1, 2)


def products(net, tokens):
    return F.relu(tokens @ net.up.weight.T + net.up.bias) @ net.down.weight.T + net.down.bias


SINGLY = because("applies a layer to one position after another", "zico_bc")

#: The perceptron of the tokens in other words, the proxies that may differ, and whether it is in the usual run.
MIXES = {
    "sequence first": (sequence_first, {}, True),
    "windows": (windows, {}, True),
    "windows of all images": (windows_of_all_images, {}, True),
    "one row each": (one_row_each, {}, True),
    "one after another": (one_after_another, ROWS | SINGLY, True),
    "image by image": (image_by_image, {}, True),
    "vmap": (mapped, {}, True),
    "halves of the batch": (halves, {}, True),
    "1x1 convolutions": (as_map, CONVOLUTIONS | ROWS, True),
    "conv1d": (conv1d, CONVOLUTIONS, False),
    "(B, H, W, C)": (with_two_axes, ROWS, True),
    "matrix products": (products, {}, False),
}
for name, (step, exempt, quick) in MIXES.items():
    PAIRS.rewrite(name, TokenNet, exempt, quick, mix=step)

# Patches


def cut_and_linear(net, x):
    cut = x.view(len(x), 3, 8, 2, 8, 2).permute(0, 2, 4, 1, 3, 5).reshape(len(x), 64, 12)
    return F.linear(cut, net.embed.weight.flatten(1), net.embed.bias)


def unfolded(net, x):
    return F.linear(F.unfold(x, 2, stride=2).transpose(1, 2), net.embed.weight.flatten(1), net.embed.bias)


def unfolded_twice(net, x):
    cut = x.unfold(2, 2, 2).unfold(3, 2, 2).permute(0, 2, 3, 1, 4, 5).reshape(len(x), 64, 12)
    return cut @ net.embed.weight.flatten(1).T + net.embed.bias


def pixels_to_channels(net, x):
    weight = net.embed.weight.reshape(16, 12, 1, 1)
    return F.conv2d(F.pixel_unshuffle(x, 2), weight, net.embed.bias).flatten(2).transpose(1, 2)


PAIRS.rewrite("patches: linear", TokenNet, CONVOLUTIONS | ROWS, True, patches=cut_and_linear)
PAIRS.rewrite("patches: F.unfold", TokenNet, CONVOLUTIONS | ROWS, True, patches=unfolded)
PAIRS.rewrite("patches: Tensor.unfold", TokenNet, CONVOLUTIONS | ROWS, True, patches=unfolded_twice)
PAIRS.rewrite("patches: pixel_unshuffle", TokenNet, quick=True, patches=pixels_to_channels)


@pytest.mark.parametrize("pair", PAIRS.quick(), ids=lambda pair: pair.name)
def test_tokens_in_another_layout_keep_some_scores(pair):
    """Invariance: one function, two writings; proxies of each kind of signal."""
    assert compare(pair, FEW) == []


@pytest.mark.long
@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.name)
def test_tokens_in_another_layout_keep_all_scores(pair):
    """Invariance: one function, two writings; every proxy."""
    assert compare(pair, ALL) == []
