"""AutoFormer's tiny search space.

Chen et al., "AutoFormer: Searching Transformers for Visual Recognition", ICCV 2021, arXiv:2107.00651, table 1; and as
it was trained for the public accuracies: Wei et al., "Auto-Prox", AAAI 2024, arXiv:2312.09059.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from zcbench.errors import unknown
from zcbench.spaces.base import ImageShape
from zcbench.spaces.product import ProductSpace, Site
from zcbench.spaces.registry import space
from zcbench.spaces.transformers.layer import EPSILON, TransformerLayer, draw, patch_tokens, with_token

PATCH = 16
#: Channels of each attention head; 0: the embedding divided among the heads.
HEAD_CHANNELS = {"auto-prox": 0, "paper": 64}


class AutoFormerNetwork(nn.Module):
    """Vision transformer whose layers differ: images (B, C, H, W) in, logits (B, N) out.

    Args:
        channels: width of the embedding.
        layers: (MLP ratio, heads) of each layer.
        head_channels: channels of each head; 0 divides the embedding among the heads.
        image_shape: (C, H, W), with H and W multiples of 16.
        num_classes: N.
    """

    def __init__(
        self,
        channels: int,
        layers: Sequence[tuple[float, int]],
        head_channels: int,
        image_shape: ImageShape,
        num_classes: int,
    ) -> None:
        super().__init__()
        patches = (image_shape[1] // PATCH) * (image_shape[2] // PATCH)
        self.patches = nn.Conv2d(image_shape[0], channels, PATCH, stride=PATCH)
        self.class_token = nn.Parameter(torch.empty(1, 1, channels))
        self.positions = nn.Parameter(torch.empty(1, patches + 1, channels))
        self.layers = nn.Sequential(
            *(
                TransformerLayer(channels, heads, head_channels or channels // heads, int(channels * ratio))
                for ratio, heads in layers
            )
        )
        self.norm = nn.LayerNorm(channels, eps=EPSILON)
        self.classifier = nn.Linear(channels, num_classes)
        draw(self, (self.class_token, self.positions))

    def forward(self, images: Tensor) -> Tensor:
        """Logits of the mean over the patches' tokens; the class token takes part in attention only."""
        tokens = with_token(self.class_token, patch_tokens(self.patches(images)))
        tokens = self.norm(self.layers(tokens + self.positions))
        return self.classifier(tokens[:, 1:].mean(dim=1))


def _layer_sites(layer: int) -> tuple[Site, Site]:
    return Site(f"the MLP ratio of layer {layer}", ("3.5", "4")), Site(f"the heads of layer {layer}", ("3", "4"))


@space
class AutoFormer(ProductSpace):
    """Transformers of 12 to 14 layers on patches of 16x16: width 192, 216 or 240, MLP ratio 3.5 or 4, 3 or 4 heads.

    A string is ``width/ratio x heads,ratio x heads,…`` without the spaces: one entry per layer, as many as there are
    layers. Two networks can be meant, and the option says which:

    Args:
        attention: ``"auto-prox"``, that of the published accuracies, whose heads share out the embedding, so that their
            number does not change the size; ``"paper"``, that of AutoFormer, with 64 channels for each head.

    Raises:
        UnknownNameError: ``attention`` is neither.

    Example:
        >>> space = AutoFormer()
        >>> len(space), space.params("192/" + ",".join(["4x3"] * 12), 1000, (3, 224, 224))
        (1056964608, 5717416)

    Note:
        Neither has dropout, stochastic depth or AutoFormer's relative positions: 7,680 parameters per layer.
    """

    name = "autoformer"
    label = "AutoFormer"
    example = "192/" + ",".join(["4x3"] * 12)
    sites = (
        Site("the width", ("192", "216", "240")),
        *(site for layer in range(1, 15) for site in _layer_sites(layer)),
    )
    separators = ("/", *("x", ",") * 13, "x")
    lengths = (25, 27, 29)
    multiple = PATCH

    def __init__(self, attention: str = "auto-prox") -> None:
        if attention not in HEAD_CHANNELS:
            raise unknown("attention of AutoFormer", attention, HEAD_CHANNELS)
        self.attention = attention
        self.spec = f"{self.name}(attention={attention!r})"

    def network(self, values: Sequence[str], image_shape: ImageShape, num_classes: int) -> nn.Module:
        """Transformer of this width and these layers."""
        layers = [(float(ratio), int(heads)) for ratio, heads in zip(values[1::2], values[2::2])]
        head_channels = HEAD_CHANNELS[self.attention]
        return AutoFormerNetwork(int(values[0]), layers, head_channels, image_shape, num_classes)
