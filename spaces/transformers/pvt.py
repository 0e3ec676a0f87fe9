"""PVT, the pyramid vision transformer, as a search space.

Wang et al., "Pyramid Vision Transformer", ICCV 2021, arXiv:2102.12122, section 3 and table 1.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from zcbench.spaces.base import ImageShape
from zcbench.spaces.cost import Cost
from zcbench.spaces.options import positive
from zcbench.spaces.product import ProductSpace, Site
from zcbench.spaces.registry import space
from zcbench.spaces.transformers.costs import (
    attention,
    convolution,
    layer,
    linear,
    norm,
    plus,
    products,
    times,
    weights,
)
from zcbench.spaces.transformers.layer import TransformerLayer, draw, patch_tokens, with_token

PATCH = 4
#: Stride of the convolution before keys and values, in each of the four stages.
REDUCTIONS = (8, 4, 2, 1)
NORM = 1e-5  # epsilon of the normalisations behind embeddings and reductions


class Stage(NamedTuple):
    """One stage: channels before and in it, patch, rows and columns, reduction, and its layers."""

    inputs: int
    width: int
    patch: int
    rows: int
    columns: int
    reduction: int
    heads: int
    ratio: int
    depth: int

    @property
    def positions(self) -> int:
        """Number of patches."""
        return self.rows * self.columns


def stages(values: Sequence[str], patch: int, image_shape: ImageShape) -> Iterator[Stage]:
    """The four stages of an architecture; each but the first halves rows and columns."""
    base, ratios = int(values[0]), list(map(int, values[1].split("-")))
    depths, heads = list(map(int, values[2:6])), list(map(int, values[6].split("-")))
    inputs, (rows, columns) = image_shape[0], image_shape[1:]
    for number, (count, ratio, depth, reduction) in enumerate(zip(heads, ratios, depths, REDUCTIONS)):
        step = 2 if number else patch
        rows, columns = rows // step, columns // step
        yield Stage(inputs, base * count, step, rows, columns, reduction, count, ratio, depth)
        inputs = base * count


class ReducedAttention(nn.Module):
    r"""Multi-head attention whose keys and values are those of fewer positions: (B, T, C) in and out.

    .. math::  A = \operatorname{softmax}(Q K^\top / \sqrt{d}) V, \qquad
               K, V = \operatorname{linear}(\operatorname{LayerNorm}(\operatorname{conv}_{R \times R}(x)))

    per head. The convolution has the stride R; with R = 1 there is none.

    Args:
        channels: C.
        heads: number of heads.
        reduction: R.
        grid: rows and columns of the tokens, which are their product, or one more with a class token where R is 1.
    """

    def __init__(self, channels: int, heads: int, reduction: int, grid: tuple[int, int]) -> None:
        super().__init__()
        self.heads, self.grid = heads, grid
        self.query, self.key_value = nn.Linear(channels, channels), nn.Linear(channels, 2 * channels)
        self.projection = nn.Linear(channels, channels)
        self.reduction = self.norm = None
        if reduction > 1:
            self.reduction = nn.Conv2d(channels, channels, reduction, stride=reduction)
            self.norm = nn.LayerNorm(channels, eps=NORM)

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, T, C) to (B, T, C)."""
        batch, count, channels = tokens.shape
        query = self.query(tokens).reshape(batch, count, self.heads, -1).transpose(1, 2)
        keys = self.key_value(self._reduced(tokens)).reshape(batch, -1, 2, self.heads, channels // self.heads)
        key, value = keys.permute(2, 0, 3, 1, 4).unbind(0)
        weights = (query @ key.transpose(-2, -1) * (channels // self.heads) ** -0.5).softmax(dim=-1)
        return self.projection((weights @ value).transpose(1, 2).reshape(batch, count, channels))

    def _reduced(self, tokens: Tensor) -> Tensor:
        if self.reduction is None or self.norm is None:
            return tokens
        maps = tokens.transpose(1, 2).reshape(tokens.shape[0], tokens.shape[2], *self.grid)
        return self.norm(patch_tokens(self.reduction(maps)))


class Embedding(nn.Module):
    """Patches of maps (B, C, H, W) as tokens (B, T, C'), normalised.

    Args:
        inputs: C.
        outputs: C'.
        patch: side of a patch.
    """

    def __init__(self, inputs: int, outputs: int, patch: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, patch, stride=patch)
        self.norm = nn.LayerNorm(outputs, eps=NORM)

    def forward(self, maps: Tensor) -> Tensor:
        """(B, C, H, W) to (B, T, C')."""
        return self.norm(patch_tokens(self.conv(maps)))


class PVTNetwork(nn.Module):
    """Transformer in four stages of falling resolution: images (B, C, H, W) in, logits (B, N) of the class token out.

    The class token joins in the last stage.

    Args:
        built: the stages.
        num_classes: N.
    """

    def __init__(self, built: Sequence[Stage], num_classes: int) -> None:
        super().__init__()
        width = built[-1].width
        self.grids = [(stage.rows, stage.columns) for stage in built]
        self.embeddings = nn.ModuleList(Embedding(stage.inputs, stage.width, stage.patch) for stage in built)
        self.positions = nn.ParameterList(
            torch.empty(1, stage.positions + (stage is built[-1]), stage.width) for stage in built
        )
        self.class_token = nn.Parameter(torch.empty(1, 1, width))
        self.stages = nn.ModuleList(map(_layers, built))
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.classifier = nn.Linear(width, num_classes)
        draw(self, (*self.positions, self.class_token))

    def forward(self, images: Tensor) -> Tensor:
        """Logits of the class token."""
        maps, last = images, len(self.stages) - 1
        for number, (embedding, layers) in enumerate(zip(self.embeddings, self.stages)):
            tokens = embedding(maps)
            if number == last:
                tokens = with_token(self.class_token, tokens)
            tokens = layers(tokens + self.positions[number])
            if number < last:
                maps = tokens.transpose(1, 2).reshape(images.shape[0], -1, *self.grids[number])
        return self.classifier(self.norm(tokens)[:, 0])


def _layers(stage: Stage) -> nn.Sequential:
    width, grid = stage.width, (stage.rows, stage.columns)
    return nn.Sequential(
        *(
            TransformerLayer(
                width,
                stage.heads,
                width // stage.heads,
                width * stage.ratio,
                attention=ReducedAttention(width, stage.heads, stage.reduction, grid),
            )
            for _ in range(stage.depth)
        )
    )


@space
class PVT(ProductSpace):
    """Pyramid transformers of four stages, whose keys and values are those of a reduced map: 5,184 of them.

    A string is ``base/r-r-r-r/d-d-d-d/h-h-h-h``: channels per head (16, 32, 48, 64), MLP ratios, layers and heads of
    the four stages. PVT-Tiny is ``64/8-8-4-4/2-2-2-2/1-2-5-8``, and ``pvt_ti``; PVT-Small is ``pvt_s``.

    Args:
        patch: side of the first patches in pixels; each later stage halves the map, so that the sides of an image are
            multiples of 8·patch. 4 as published, for images of 224x224 and 32x32; 1 or 2 for small images.

    Raises:
        SpaceError: ``patch`` is no whole number from 1 to 16.

    Example:
        >>> PVT().params("pvt_ti", 1000, (3, 224, 224)), PVT().params("pvt_ti", 100)
        (13229288, 12386660)

    Note:
        Without dropout and stochastic depth. The reductions are 8, 4, 2 and 1 in the four stages, as published.
    """

    name = "pvt"
    label = "PVT"
    example = "64/8-8-4-4/2-2-2-2/1-2-5-8"
    analytic = True
    sites = (
        Site("the channels per head", ("16", "32", "48", "64")),
        Site("the MLP ratios of the stages", ("2-2-2-2", "4-4-4-4", "8-8-4-4")),
        Site("the depth of stage 1", ("1", "2", "3")),
        Site("the depth of stage 2", ("1", "2", "3", "4")),
        Site("the depth of stage 3", ("1", "2", "4", "6")),
        Site("the depth of stage 4", ("1", "2", "3")),
        Site("the heads of the stages", ("1-1-2-4", "1-2-4-8", "1-2-5-8")),
    )
    separators = ("/", "/", "-", "-", "-", "/")
    aliases = {"pvt_ti": "64/8-8-4-4/2-2-2-2/1-2-5-8", "pvt_s": "64/8-8-4-4/3-4-6-3/1-2-5-8"}  # noqa: RUF012

    def __init__(self, patch: int = PATCH) -> None:
        self.patch = positive("patch", patch, most=16)
        self.multiple = 8 * self.patch
        self.spec = f"{self.name}(patch={self.patch})"

    def network(self, values: Sequence[str], image_shape: ImageShape, num_classes: int) -> nn.Module:
        """PVT of these widths, depths and heads."""
        return PVTNetwork(list(stages(values, self.patch, image_shape)), num_classes)

    def _size(self, values: tuple[str, ...], num_classes: int, image_shape: ImageShape) -> Cost:
        built = list(stages(values, self.patch, image_shape))
        width = built[-1].width
        return plus(
            *(_stage(stage, stage is built[-1]) for stage in built),
            weights(width),
            norm(width),
            linear(width, num_classes, 1)._replace(depth=0),
        )


def _stage(stage: Stage, last: bool) -> Cost:
    width, tokens = stage.width, stage.positions + last
    before = max(stage.rows, stage.columns) * stage.patch
    return plus(
        convolution(stage.patch, stage.inputs, width, stage.positions, side=before),
        norm(width),
        weights(tokens * width),
        times(stage.depth, layer(width, width * stage.ratio, tokens, _attention(stage, tokens))),
    )


def _attention(stage: Stage, tokens: int) -> Cost:
    width, reduction = stage.width, stage.reduction
    if reduction == 1:
        return attention(width, width, tokens)
    kept = (stage.rows // reduction) * (stage.columns // reduction)
    reducing = convolution(reduction, width, width, kept, side=max(stage.rows, stage.columns))
    queries = linear(width, width, tokens)._replace(depth=0)  # beside the longer path of keys and values
    return plus(
        queries,
        reducing,
        norm(width),
        linear(width, 2 * width, kept),
        products(2 * tokens * kept * width),
        linear(width, width, tokens),
    )
