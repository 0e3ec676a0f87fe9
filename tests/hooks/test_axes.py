"""Where the recorder says that images and channels lie, against what changes if one image or channel changes.

Brute force: every image, and every channel, is exchanged in turn. An entry of the result that then changes depends on
it, and must lie where the recorder says; or the recorder says that it does not know.
"""

import random

import pytest
import torch
import torch.nn.functional as F

from zcbench.hooks.axes import Images
from zcbench.hooks.recorder import Recorder
from zcbench.hooks.trace import trace_of

#: Sizes that differ, and sizes that nobody can tell axes apart by.
SHAPES = [(6, 5, 3, 4), (4, 4, 4, 4), (2, 4, 2, 4)]


def weight(*shape, learned=False):
    stream = torch.Generator().manual_seed(sum(shape))
    return torch.rand(shape, generator=stream).add(0.5).requires_grad_(learned)


def claims(function, x):
    """Result of a function, and what the recorder says of it."""
    with torch.no_grad(), Recorder({}, x):
        result = function(x)
    trace = trace_of(result)
    return result, trace and trace.images, trace and trace.channels


def moved_by(function, x, axis, place):
    """Which entries of the result change when one image or channel changes, by much or by little."""
    found = None
    for seed in range(3):
        other = x.clone()
        part = other.select(axis, place)
        part += torch.rand(part.shape, generator=torch.Generator().manual_seed(seed)).sub(0.3) * 10**seed
        with torch.no_grad():
            changed = function(other) != function(x)
        found = changed if found is None else found | changed
    return found


def assert_images(function, x, images):
    for image in range(len(x)):
        changed = moved_by(function, x, 0, image)
        own = torch.arange(changed.shape[images.axis]) // images.inner % len(x) == image
        others = changed.movedim(images.axis, 0)[~own]
        assert not others.any(), f"image {image} is elsewhere than {images} says"
        assert changed.any(), "an image without an effect checks nothing"


def assert_channels(function, x, channels):
    for channel in range(x.shape[1]):
        changed = moved_by(function, x, 1, channel).movedim(channels, 0)
        assert len(changed) == x.shape[1]
        rest = torch.arange(len(changed)) != channel
        assert not changed[rest].any(), f"channel {channel} is elsewhere than axis {channels}"


#: Functions of x (B, C, H, W) that move axes. For these the recorder knows where the images are, in every shape.
MOVES = {
    "permute": lambda x: x.permute(2, 0, 3, 1),
    "permute, list": lambda x: x.permute([3, 1, 0, 2]),
    "permute, keyword": lambda x: torch.permute(input=x, dims=(-1, 1, -4, 2)),
    "transpose": lambda x: x.transpose(0, 1),
    "transpose, negative": lambda x: x.transpose(-4, -1),
    "transpose, keyword": lambda x: torch.transpose(x, dim0=0, dim1=3),
    "swapaxes": lambda x: torch.swapaxes(x, 0, 2),
    "movedim": lambda x: x.movedim(0, -1),
    "movedim, several": lambda x: torch.movedim(x, (0, 1), (2, 3)),
    "moveaxis": lambda x: torch.moveaxis(x, 1, 0),
    "mT": lambda x: x.mT,
    "T": lambda x: x.flatten(1).T,
    "t": lambda x: x.flatten(1).t(),
    "flatten 2": lambda x: x.flatten(2),
    "flatten, keyword": lambda x: torch.flatten(x, start_dim=1),
    "flatten the middle": lambda x: x.flatten(1, 2),
    "view": lambda x: x.view(len(x), -1),
    "view_as": lambda x: x.reshape(len(x), -1).view_as(x),
    "unflatten": lambda x: x.unflatten(1, (2, -1)) if x.shape[1] % 2 == 0 else x.unflatten(1, (1, -1)),
    "images and channels joined": lambda x: x.flatten(0, 1),
    "channels and images joined": lambda x: x.transpose(0, 1).flatten(0, 1),
    "joined and cut": lambda x: x.flatten(0, 1).unflatten(0, (x.shape[0], x.shape[1])),
    "unsqueeze in front": lambda x: x.unsqueeze(0),
    "unsqueeze inside": lambda x: x.unsqueeze(2),
    "squeeze": lambda x: x[:, :, :1].squeeze(2),
    "None in front": lambda x: x[None],
    "None at the end": lambda x: x[..., None],
    "None inside": lambda x: x[:, None, ..., None, :],
    "one channel": lambda x: x[:, 0],
    "one column": lambda x: x[..., 0],
    "one position": lambda x: x[:, :, 1, -1],
    "rows from the second": lambda x: x[:, :, 1:],
    "select": lambda x: x.select(2, 1),
    "select, keyword": lambda x: torch.select(x, dim=-1, index=0),
    "narrow": lambda x: x.narrow(2, 0, 1),
    "unbind": lambda x: x.unbind(2)[1],
    "unbind, keyword": lambda x: torch.unbind(x, dim=-1)[0],
    "chunk of rows": lambda x: x.chunk(2, 2)[0],
    "split of columns": lambda x: x.split(2, -1)[1],
    "stack in front": lambda x: torch.stack([x, x]),
    "stack at the end": lambda x: torch.stack([x, 2 * x], -1),
    "stack of rows": lambda x: torch.stack(x.unbind(2), 2),
    "cat of channels": lambda x: torch.cat([x, x], 1),
    "expand": lambda x: x[:, :, :1].expand(-1, -1, 7, -1),
    "expand in front": lambda x: x.expand(2, *x.shape),
    "unfold rows": lambda x: x.unfold(2, 2, 1),
    "unfold twice": lambda x: x.unfold(2, 2, 1).unfold(3, 2, 2),
    "mean of positions": lambda x: x.mean((2, 3)),
    "mean, kept": lambda x: x.mean((-1, -2), keepdim=True),
    "mean, axis": lambda x: x.mean(axis=(2, 3), keepdims=True),
    "sum of channels": lambda x: x.sum(1),
    "sum, keyword": lambda x: torch.sum(input=x, dim=[1, 3]),
    "amax": lambda x: x.amax(-1),
    "max": lambda x: x.max(2).values,
    "max, kept": lambda x: torch.max(x, 3, True)[0],
    "logsumexp": lambda x: x.logsumexp((2, 3)),
    "norm": lambda x: x.norm(dim=(2, 3)),
    "vector norm": lambda x: torch.linalg.vector_norm(x, 2, (1, 2)),
    "sequence of tokens": lambda x: x.flatten(2).transpose(1, 2),
    "sequence first": lambda x: x.flatten(2).permute(2, 0, 1),
    "channels last": lambda x: x.permute(0, 2, 3, 1),
    "windows": lambda x: x.flatten(2).transpose(1, 2).reshape(-1, x.shape[3], x.shape[1]),
    "windows of rows": lambda x: x.permute(2, 0, 3, 1).reshape(-1, x.shape[3], x.shape[1]),
}  # fmt: skip

#: Functions after which the recorder need not know, but must not be wrong.
PERHAPS = {
    "all joined": lambda x: x.reshape(-1),
    "images cut": lambda x: x.unflatten(0, (2, -1)),
    "images and more, cut elsewhere": lambda x: x.reshape(x.shape[0] * 2, -1),
    "the wrong axes in one": lambda x: x.transpose(1, 2).reshape(len(x) * x.shape[2] // 2, -1),
    "view as another shape": lambda x: x.reshape(x.shape[1], x.shape[0], *x.shape[2:]),
    "rolled over": lambda x: x.permute(1, 0, 2, 3).reshape(x.shape),
    "one image": lambda x: x[1],
    "two images": lambda x: x[:2],
    "every second image": lambda x: x[::2],
    "images by a list": lambda x: x[[1, 0]],
    "channels by a tensor": lambda x: x[:, torch.tensor([1, 0])],
    "positions by a mask": lambda x: x[:, torch.arange(x.shape[1]) > 0],
    "unbind of images": lambda x: x.unbind(0)[1],
    "images stacked again": lambda x: torch.stack(x.unbind()),
    "images stacked elsewhere": lambda x: torch.stack(x.unbind(), 1),
    "channels stacked": lambda x: torch.stack(x.unbind(1)),
    "channels stacked again": lambda x: torch.stack(x.unbind(1), 1),
    "chunk of images": lambda x: x.chunk(2)[1],
    "chunks joined": lambda x: torch.cat(x.chunk(2)),
    "chunks joined elsewhere": lambda x: torch.cat(x.chunk(2), 1),
    "chunks stacked": lambda x: torch.stack(x.chunk(2)),
    "images doubled": lambda x: torch.cat([x, x]),
    "repeat of channels": lambda x: x.repeat(1, 2, 1, 1),
    "repeat of images": lambda x: x.repeat(2, 1, 1, 1),
    "repeat in front": lambda x: x.repeat(2, 1, 1, 1, 1),
    "tile": lambda x: x.tile(2, 1),
    "repeat_interleave of images": lambda x: x.repeat_interleave(2, 0),
    "repeat_interleave of rows": lambda x: x.repeat_interleave(2, 2),
    "unfold of images": lambda x: x.unfold(0, 2, 2),
    "F.unfold": lambda x: F.unfold(x, 2),
    "mean over images": lambda x: x.mean(0),
    "moments": lambda x: x.mean((0, 2, 3), keepdim=True),
    "mean of all": lambda x: x.mean(),
    "pixel_unshuffle": lambda x: F.pixel_unshuffle(x[..., :2, :2], 2),
    "adaptive pool": lambda x: F.adaptive_avg_pool2d(x, 1),
    "pad": lambda x: F.pad(x, (1, 1, 1, 1)),
}  # fmt: skip


#: Functions that make other channels of the old ones.
OTHER_CHANNELS = {
    *(
        "cat of channels",
        "chunks joined elsewhere",
        "repeat of channels",
        "repeat of images",
        "repeat in front",
        "tile",
    ),
    *("F.unfold", "pixel_unshuffle"),
}


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", [*MOVES, *PERHAPS])
def test_images_and_channels_lie_where_the_recorder_says(name, shape):
    """Brute force: entries that change with one image, or one channel, lie in its part of the axis."""
    x, function = weight(*shape), MOVES.get(name) or PERHAPS[name]
    _, images, channels = claims(function, x.clone())
    assert images is not None or name in PERHAPS
    if images is not None:
        assert_images(function, x, images)
    if channels is not None and name not in OTHER_CHANNELS:
        assert_channels(function, x, channels)


#: Products of x (B, C, H, W) with a matrix, in all positions of the two.
PRODUCTS = {
    "x @ w": lambda x, w: x @ w(x.shape[3], 7),
    "w @ x": lambda x, w: w(7, x.shape[2]) @ x,
    "x @ vector": lambda x, w: x @ w(x.shape[3]),
    "matrix @ vector": lambda x, w: x.flatten(1) @ w(x[0].numel()),
    "vector @ x": lambda x, w: w(x.shape[2]) @ x,
    "vector @ matrix of images": lambda x, w: w(x[0].numel()) @ x.flatten(1).T,
    "w @ images": lambda x, w: w(7, x[0].numel()) @ x.flatten(1).T,
    "mm": lambda x, w: torch.mm(x.flatten(1), w(x[0].numel(), 7)),
    "mm, keyword": lambda x, w: torch.mm(input=w(7, x[0].numel()), mat2=x.flatten(1).T),
    "bmm": lambda x, w: torch.bmm(x.flatten(2), w(1, x[0, 0].numel(), 7).expand(len(x), -1, -1)),
    "bmm from the left": lambda x, w: torch.bmm(w(1, 7, x.shape[1]).expand(len(x), -1, -1), x.flatten(2)),
    "bmm, channels in front": lambda x, w: torch.bmm(x.flatten(2).transpose(0, 1), w(x.shape[1], x[0, 0].numel(), 3)),
    "addmm": lambda x, w: torch.addmm(w(7), x.flatten(1), w(x[0].numel(), 7)),
    "baddbmm": lambda x, w: torch.baddbmm(w(1, 7, 1), w(1, 7, x.shape[1]).expand(len(x), -1, -1), x.flatten(2)),
    "linear": lambda x, w: F.linear(x, w(7, x.shape[3])),
    "linear on channels last": lambda x, w: F.linear(x.permute(0, 2, 3, 1), w(7, x.shape[1]), w(7)),
    "linear on sequence first": lambda x, w: F.linear(x.flatten(2).permute(2, 0, 1), w(7, x.shape[1])),
    "linear on images last": lambda x, w: F.linear(x.flatten(1).T, w(7, len(x))),
    "tensordot": lambda x, w: torch.tensordot(x, w(7, x.shape[1]), dims=([1], [1])),
    "tensordot from the left": lambda x, w: torch.tensordot(w(7, x.shape[1]), x, dims=([1], [1])),
    "tensordot over images": lambda x, w: torch.tensordot(w(7, len(x)), x, dims=([1], [0])),
    "einsum": lambda x, w: torch.einsum("bchw,oc->bohw", x, w(7, x.shape[1])),
    "einsum from the left": lambda x, w: torch.einsum("oc,bchw->bohw", w(7, x.shape[1]), x),
    "einsum, images last": lambda x, w: torch.einsum("bchw,oc->ohwb", x, w(7, x.shape[1])),
    "einsum over images": lambda x, w: torch.einsum("bchw,ob->ochw", x, w(7, len(x))),
    "einsum, implicit": lambda x, w: torch.einsum("bchw,oc", x, w(7, x.shape[1])),
    "einsum, list": lambda x, w: torch.einsum("bchw,wo->bcho", [x, w(x.shape[3], 7)]),
    "einsum, ellipsis": lambda x, w: torch.einsum("...w,ow->...o", x, w(7, x.shape[3])),
    "einsum of itself": lambda x, w: torch.einsum("bchw,bcij->bhwij", x, x),
    "attention scores": lambda x, w: x @ x.mT,
    "conv2d": lambda x, w: F.conv2d(x, w(7, x.shape[1], 1, 1)),
    "conv2d, keyword": lambda x, w: F.conv2d(weight=w(7, x.shape[1], 1, 1), input=x),
    "conv1d": lambda x, w: F.conv1d(x.flatten(2), w(7, x.shape[1], 1)),
    "conv of one image": lambda x, w: F.conv2d(x.flatten(0, 1)[None], w(2, x.shape[0] * x.shape[1], 1, 1)),
    "images as groups": lambda x, w: F.conv2d(x.flatten(0, 1)[None], w(len(x), x.shape[1], 1, 1), groups=len(x)),
}  # fmt: skip


#: Products after which the recorder need not know where the images are, or where they are summed over.
UNKNOWN = {
    *("linear on images last", "tensordot from the left", "tensordot over images", "einsum over images"),
    *("conv of one image", "images as groups"),
}


@pytest.mark.parametrize("learned", [False, True])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", PRODUCTS)
def test_images_lie_where_the_recorder_says_after_a_product(name, shape, learned):
    """Brute force: entries that change with one image lie in its part of the axis."""
    x = weight(*shape)

    def function(given):
        return PRODUCTS[name](given, lambda *sizes: weight(*sizes, learned=learned))

    _, images, _ = claims(function, x.clone())
    assert images is not None or name in UNKNOWN
    if images is not None:
        assert_images(function, x, images)


CHAIN = [name for name in MOVES if name in ("permute", "transpose", "movedim", "mT", "transpose, negative")]


def random_chain(seed):
    """Some steps that give a tensor of four axes another one of four."""
    draws = random.Random(seed)
    joins = {
        "join and cut": lambda x: x.flatten(0, 1).unflatten(0, (x.shape[0], x.shape[1])),
        "join and cut otherwise": lambda x: x.flatten(1, 2).unflatten(1, (x.shape[1], x.shape[2])),
        "double": lambda x: x.repeat(1, 1, 1, 2),
        "slice": lambda x: x[..., : max(1, x.shape[-1] // 2)],
        "sum": lambda x: x.sum(3, keepdim=True),
        "stack and join": lambda x: torch.stack([x, 2 * x], 2).flatten(1, 2),
    }
    steps = [draws.choice([*(MOVES[name] for name in CHAIN), *joins.values()]) for _ in range(4)]

    def function(x):
        for step in steps:
            x = step(x)
        return x

    return function


@pytest.mark.parametrize("seed", range(40))
def test_images_lie_where_the_recorder_says_after_several_steps(seed):
    """Brute force, for random chains of four functions."""
    x, function = weight(*SHAPES[seed % len(SHAPES)]), random_chain(seed)
    _, images, _ = claims(function, x.clone())
    if images is not None:
        assert_images(function, x, images)


def test_the_recorder_knows_after_most_chains():
    """Contract: so that the test above checks something; four of the 40 cut an image or lose it otherwise."""
    known = [claims(random_chain(seed), weight(*SHAPES[seed % len(SHAPES)]))[1] for seed in range(40)]
    assert sum(images is not None for images in known) >= 30


def test_first_puts_the_images_in_front():
    """Slow reference: the rows of each image, one by one, where they are joined with windows."""
    x, images = torch.arange(2 * 3 * 4 * 5).reshape(2 * 3 * 4, 5), Images(0, outer=2, inner=4)
    found = images.first(x, 3)
    for image in range(3):
        rows = [x[(outer * 3 + image) * 4 + inner] for outer in range(2) for inner in range(4)]
        assert torch.equal(found[image], torch.stack(rows))
