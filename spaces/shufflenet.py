"""ShuffleNet V1 and V2 for CIFAR.

Zhang et al., "ShuffleNet", CVPR 2018, arXiv:1707.01083, and Ma et al., "ShuffleNet V2", ECCV 2018, arXiv:1807.11164, as
the distillation literature uses them (HobbitLong/RepDistiller, ``models/ShuffleNetv1.py`` and ``ShuffleNetv2.py``): the
stem is one 1x1 convolution without stride or pooling. V1 is that of 3 groups.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from zcbench.spaces.base import ImageShape
from zcbench.spaces.classifying import classifying
from zcbench.spaces.mobilenetv2 import conv_bn
from zcbench.spaces.product import ProductSpace, Site
from zcbench.spaces.registry import space

STEM = 24
GROUPS = 3
V1_WIDTHS, V1_DEPTHS = (240, 480, 960), (4, 8, 4)
#: Channels of the three stages and of the last convolution.
V2_WIDTHS = {"v2-0.5": (48, 96, 192, 1024), "v2-1": (116, 232, 464, 1024), "v2-1.5": (176, 352, 704, 1024)}
V2_DEPTHS = (4, 8, 4)


class GroupedBlock(nn.Module):
    """V1: grouped 1x1, shuffle, 3x3 per channel, grouped 1x1; added to the input, or put beside it for stride 2."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        own = outputs - inputs if stride == 2 else outputs
        inner, groups = own // 4, 1 if inputs == STEM else GROUPS
        self.narrow = nn.Sequential(*conv_bn(inputs, inner, 1, groups=groups), nn.ReLU())
        self.shuffle = nn.ChannelShuffle(groups)
        self.filter = nn.Sequential(*conv_bn(inner, inner, 3, stride, groups=inner), nn.ReLU())
        self.widen = nn.Sequential(*conv_bn(inner, own, 1, groups=GROUPS))
        self.pool = nn.AvgPool2d(3, stride=2, padding=1) if stride == 2 else None
        self.relu = nn.ReLU()

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C', H/s, W/s) for stride s."""
        own = self.widen(self.filter(self.shuffle(self.narrow(images))))
        return self.relu(images + own if self.pool is None else torch.cat([own, self.pool(images)], 1))


class SplitBlock(nn.Module):
    """V2, stride 1: half of the channels pass, the others go through 1x1, 3x3 per channel and 1x1; then a shuffle."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.own = _branch(half, half, stride=1)
        self.shuffle = nn.ChannelShuffle(2)

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) in and out."""
        passed, rest = images.chunk(2, dim=1)
        return self.shuffle(torch.cat([passed, self.own(rest)], 1))


class DownBlock(nn.Module):
    """V2, stride 2: two paths that halve the image, side by side; then a shuffle."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        half = outputs // 2
        shrink = conv_bn(inputs, inputs, 3, stride=2, groups=inputs)
        self.direct = nn.Sequential(*shrink, *conv_bn(inputs, half, 1), nn.ReLU())
        self.own = _branch(inputs, half, stride=2)
        self.shuffle = nn.ChannelShuffle(2)

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C', H/2, W/2)."""
        return self.shuffle(torch.cat([self.direct(images), self.own(images)], 1))


def _branch(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        *conv_bn(inputs, outputs, 1),
        nn.ReLU(),
        *conv_bn(outputs, outputs, 3, stride, groups=outputs),
        *conv_bn(outputs, outputs, 1),
        nn.ReLU(),
    )


def shufflenet_v1(image_channels: int, num_classes: int) -> nn.Sequential:
    """ShuffleNet V1 of 3 groups; images (B, image_channels, H, W) in, logits (B, num_classes) out."""
    stages = [
        nn.Sequential(GroupedBlock(inputs, width, 2), *(GroupedBlock(width, width, 1) for _ in range(depth - 1)))
        for inputs, width, depth in zip((STEM, *V1_WIDTHS), V1_WIDTHS, V1_DEPTHS)
    ]
    return _network(image_channels, stages, {}, V1_WIDTHS[-1], num_classes)


def shufflenet_v2(widths: Sequence[int], image_channels: int, num_classes: int) -> nn.Sequential:
    """ShuffleNet V2 with these channels; images (B, image_channels, H, W) in, logits (B, num_classes) out."""
    *wide, last = widths
    stages = [
        nn.Sequential(DownBlock(inputs, width), *(SplitBlock(width) for _ in range(depth - 1)))
        for inputs, width, depth in zip((STEM, *wide), wide, V2_DEPTHS)
    ]
    end = {"last": nn.Sequential(*conv_bn(wide[-1], last, 1), nn.ReLU())}
    return _network(image_channels, stages, end, last, num_classes)


def _network(
    image_channels: int, stages: Sequence[nn.Module], end: dict[str, nn.Sequential], width: int, num_classes: int
) -> nn.Sequential:
    layers: dict[str, nn.Module] = {"stem": nn.Sequential(*conv_bn(image_channels, STEM, 1), nn.ReLU())}
    layers |= {f"stage{number}": stage for number, stage in enumerate(stages, 1)}
    return classifying({**layers, **end}, width, num_classes)


@space
class ShuffleNet(ProductSpace):
    """The networks ``v1``, ``v2-0.5``, ``v2-1`` and ``v2-1.5``.

    The literature's ``ShuffleV1`` and ``ShuffleV2`` are ``v1`` and ``v2-1``, and are understood.

    Example:
        >>> ShuffleNet().params("ShuffleV2", num_classes=100)
        1355528
    """

    name = spec = "shufflenet"
    label = "ShuffleNet for CIFAR"
    example = "v2-1"
    sites = (Site("the name", ("v1", *V2_WIDTHS)),)
    aliases = {"ShuffleV1": "v1", "ShuffleV2": "v2-1"}  # noqa: RUF012
    multiple = 8

    def network(self, values: Sequence[str], image_shape: ImageShape, num_classes: int) -> nn.Module:
        """ShuffleNet of this name."""
        if values[0] in V2_WIDTHS:
            return shufflenet_v2(V2_WIDTHS[values[0]], image_shape[0], num_classes)
        return shufflenet_v1(image_shape[0], num_classes)
