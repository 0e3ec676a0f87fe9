"""DeiT, the plain vision transformer of data-efficient training, as a search space.

Touvron et al., "Training Data-Efficient Image Transformers & Distillation through Attention", ICML 2021,
arXiv:2012.12877, table 1.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from zcbench.spaces.base import ImageShape
from zcbench.spaces.cost import Cost
from zcbench.spaces.options import positive
from zcbench.spaces.product import ProductSpace, Site
from zcbench.spaces.registry import space
from zcbench.spaces.transformers.costs import attention, convolution, layer, linear, norm, plus, times, weights
from zcbench.spaces.transformers.layer import EPSILON, TransformerLayer, draw, patch_tokens, with_token

PATCH = 16


class DeiTNetwork(nn.Module):
    """Vision transformer of equal layers: images (B, C, H, W) in, logits (B, N) of the class token out.

    Args:
        head_channels: channels of each head; h heads are h times as wide.
        ratio: width between the two linear layers of a layer, as a multiple of the network's.
        depth: number of layers.
        heads: heads of each layer.
        patch: side of a patch.
        image_shape: (C, H, W), with H and W multiples of the patch.
        num_classes: N.
    """

    def __init__(
        self,
        head_channels: int,
        ratio: int,
        depth: int,
        heads: int,
        patch: int,
        image_shape: ImageShape,
        num_classes: int,
    ) -> None:
        super().__init__()
        width = head_channels * heads
        count = (image_shape[1] // patch) * (image_shape[2] // patch)
        self.patches = nn.Conv2d(image_shape[0], width, patch, stride=patch)
        self.class_token = nn.Parameter(torch.empty(1, 1, width))
        self.positions = nn.Parameter(torch.empty(1, count + 1, width))
        self.layers = nn.Sequential(
            *(TransformerLayer(width, heads, head_channels, width * ratio) for _ in range(depth))
        )
        self.norm = nn.LayerNorm(width, eps=EPSILON)
        self.classifier = nn.Linear(width, num_classes)
        draw(self, (self.class_token, self.positions))

    def forward(self, images: Tensor) -> Tensor:
        """Logits of the class token."""
        tokens = with_token(self.class_token, patch_tokens(self.patches(images))) + self.positions
        return self.classifier(self.norm(self.layers(tokens)[:, 0]))


@space
class DeiT(ProductSpace):
    """Plain vision transformers of 2 to 14 equal layers: 1,248 of them.

    A string is ``base/ratio/depth/heads``: channels per head (16, 32, 48, 64), MLP ratio (1 to 4), layers (2 to 14) and
    heads (1 to 6). DeiT-Ti is ``64/4/12/3``, and ``deit_ti``; DeiT-S is ``64/4/12/6``, and ``deit_s``.

    Args:
        patch: side of a patch in pixels: 16 for images of 224x224, as published; 4 for images of 32x32.

    Raises:
        SpaceError: ``patch`` is no whole number from 1 to 64.

    Example:
        >>> DeiT().params("deit_ti", 1000, (3, 224, 224)), DeiT(patch=4).params("deit_ti", 100)
        (5717416, 5380132)

    Note:
        Without distillation token, dropout and stochastic depth.
    """

    name = "deit"
    label = "DeiT"
    example = "64/4/12/3"
    analytic = True
    sites = (
        Site("the channels per head", ("16", "32", "48", "64")),
        Site("the MLP ratio", ("1", "2", "3", "4")),
        Site("the depth", tuple(map(str, range(2, 15)))),
        Site("the heads", tuple(map(str, range(1, 7)))),
    )
    separators = ("/", "/", "/")
    aliases = {"deit_ti": "64/4/12/3", "deit_s": "64/4/12/6"}  # noqa: RUF012

    def __init__(self, patch: int = PATCH) -> None:
        self.patch = self.multiple = positive("patch", patch, most=64)
        self.spec = f"{self.name}(patch={self.patch})"

    def network(self, values: Sequence[str], image_shape: ImageShape, num_classes: int) -> nn.Module:
        """DeiT of this width, depth and these heads."""
        head_channels, ratio, depth, heads = map(int, values)
        return DeiTNetwork(head_channels, ratio, depth, heads, self.patch, image_shape, num_classes)

    def _size(self, values: tuple[str, ...], num_classes: int, image_shape: ImageShape) -> Cost:
        head_channels, ratio, depth, heads = map(int, values)
        width, sides = head_channels * heads, [side // self.patch for side in image_shape[1:]]
        patches = sides[0] * sides[1]
        tokens = patches + 1
        layers = layer(width, width * ratio, tokens, attention(width, width, tokens))
        return plus(
            convolution(self.patch, image_shape[0], width, patches, side=max(image_shape[1:])),
            weights(width + tokens * width),
            times(depth, layers),
            norm(width),
            linear(width, num_classes, 1)._replace(depth=0),
        )
