"""PiT, the pooling-based vision transformer, as a search space.

Heo et al., "Rethinking Spatial Dimensions of Vision Transformers", ICCV 2021, arXiv:2103.16302; the search space is
that of Wei et al., "Auto-Prox", AAAI 2024, arXiv:2312.09059.
"""

from collections.abc import Sequence
from itertools import combinations_with_replacement, pairwise

import torch
from torch import Tensor, nn

from zcbench.spaces.base import ImageShape
from zcbench.spaces.product import ProductSpace, Site
from zcbench.spaces.registry import space
from zcbench.spaces.transformers.layer import DEVIATION, EPSILON, TransformerLayer

PATCH = 16
STRIDE = 8


class Pooling(nn.Module):
    """Between two stages: for patches a 3x3 convolution of stride 2 per channel, for the class token a linear layer."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, groups=inputs)
        self.linear = nn.Linear(inputs, outputs)

    def forward(self, patches: Tensor, token: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, H, W) and (B, 1, C) to (B, C', H/2, W/2), rounded up, and (B, 1, C')."""
        return self.conv(patches), self.linear(token)


class PiTNetwork(nn.Module):
    """Transformer in three stages with pooling between them: images (B, C, H, W) in, logits (B, N) out.

    Args:
        head_channels: channels of each attention head; a stage of h heads is h times as wide.
        ratio: width between the two linear layers of a layer, as a multiple of the stage's.
        depths: layers of each stage.
        heads: heads of each stage; each number divides the next.
        image_shape: (C, H, W), with H and W at least 16.
        num_classes: N.
    """

    def __init__(
        self,
        head_channels: int,
        ratio: int,
        depths: Sequence[int],
        heads: Sequence[int],
        image_shape: ImageShape,
        num_classes: int,
    ) -> None:
        super().__init__()
        widths = [head_channels * count for count in heads]
        rows, columns = ((side - PATCH) // STRIDE + 1 for side in image_shape[1:])
        self.patches = nn.Conv2d(image_shape[0], widths[0], PATCH, stride=STRIDE)
        self.positions = nn.Parameter(torch.empty(1, widths[0], rows, columns))
        self.class_token = nn.Parameter(torch.empty(1, 1, widths[0]))
        self.stages = nn.ModuleList(
            nn.Sequential(*(TransformerLayer(width, count, head_channels, width * ratio) for _ in range(depth)))
            for width, count, depth in zip(widths, heads, depths)
        )
        self.poolings = nn.ModuleList(Pooling(*pair) for pair in pairwise(widths))
        self.norm = nn.LayerNorm(widths[-1], eps=EPSILON)
        self.classifier = nn.Linear(widths[-1], num_classes)
        for weight in (self.positions, self.class_token):
            nn.init.trunc_normal_(weight, std=DEVIATION)

    def forward(self, images: Tensor) -> Tensor:
        """Logits of the class token."""
        patches = self.patches(images) + self.positions
        token = self.class_token.expand(images.shape[0], -1, -1)
        for number, stage in enumerate(self.stages):
            if number:
                patches, token = self.poolings[number - 1](patches, token)
            tokens = stage(torch.cat([token, patches.flatten(2).transpose(1, 2)], dim=1))
            token, patches = tokens[:, :1], tokens[:, 1:].transpose(1, 2).reshape(patches.shape)
        return self.classifier(self.norm(token)[:, 0])


@space
class PiT(ProductSpace):
    """Pooling-based transformers of three stages: 4,320 of them.

    A string is ``base/ratio/d-d-d/h-h-h``: channels per head (16, 24, 32, 40), MLP ratio (2, 4, 6, 8), layers of the
    three stages (1 to 3; 4, 6, 8; 2, 4, 6) and their heads (2, 4 or 8, never fewer than in the stage before, since the
    pooling between them multiplies channels by a whole number). PiT-Ti is ``32/4/2-6-4/2-4-8``, and ``pit_ti``.

    Example:
        >>> len(PiT()), PiT().params("32/4/2-6-4/2-4-8", 1000, (3, 224, 224))
        (4320, 4847272)

    Note:
        Without dropout and stochastic depth.
    """

    name = spec = "pit"
    label = "PiT"
    example = "32/4/2-6-4/2-4-8"
    sites = (
        Site("the channels per head", ("16", "24", "32", "40")),
        Site("the MLP ratio", ("2", "4", "6", "8")),
        Site("the depth of stage 1", ("1", "2", "3")),
        Site("the depth of stage 2", ("4", "6", "8")),
        Site("the depth of stage 3", ("2", "4", "6")),
        Site("the heads of the stages", tuple(map("-".join, combinations_with_replacement("248", 3)))),
    )
    separators = ("/", "/", "-", "-", "/")
    aliases = {"pit_ti": "32/4/2-6-4/2-4-8"}  # noqa: RUF012
    multiple = STRIDE
    smallest = PATCH

    def network(self, values: Sequence[str], image_shape: ImageShape, num_classes: int) -> nn.Module:
        """PiT of these widths, depths and heads."""
        depths, heads = list(map(int, values[2:5])), list(map(int, values[5].split("-")))
        return PiTNetwork(int(values[0]), int(values[1]), depths, heads, image_shape, num_classes)
