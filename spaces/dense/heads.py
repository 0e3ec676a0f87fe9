"""Heads of semantic segmentation: maps (B, C, H, W) in, logits (B, N, H, W) out.

Each head takes the channels C of its maps, its own width, the number of classes N, and the rates of its dilated
convolutions, which only DeepLabV3 has.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

#: Rates of the dilated convolutions of DeepLabV3 at output stride 8.
RATES = (12, 24, 36)

_POOLS = (1, 2, 3, 6)


def _conv(inputs: int, outputs: int, kernel: int, dilation: int = 1) -> nn.Sequential:
    """Convolution that keeps the size, batch normalisation, ReLU."""
    layer = nn.Conv2d(inputs, outputs, kernel, padding=dilation * (kernel // 2), dilation=dilation, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(outputs), nn.ReLU())


def fcn(inputs: int, width: int, num_classes: int, rates: Sequence[int] = ()) -> nn.Sequential:
    """FCN head: one 3x3 convolution, dropout, and the classifier.

    Long, Shelhamer, Darrell, "Fully Convolutional Networks for Semantic Segmentation", CVPR 2015, arXiv:1411.4038, in
    the form of torchvision.
    """
    return nn.Sequential(_conv(inputs, width, 3), nn.Dropout(0.1), nn.Conv2d(width, num_classes, 1))


class Pyramid(nn.Module):
    """Pyramid pooling: the maps beside their averages over a 1x1, 2x2, 3x3 and 6x6 grid, (B, C, H, W) to (B, 2C, H, W).

    Each average goes through a 1x1 convolution to C/4 channels and is brought to H x W (bilinear, aligned corners).
    """

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.pools = nn.ModuleList(
            nn.Sequential(nn.AdaptiveAvgPool2d(side), _conv(inputs, inputs // 4, 1)) for side in _POOLS
        )

    def forward(self, maps: Tensor) -> Tensor:
        """The maps and the four averages, one after the other."""
        size = maps.shape[-2:]
        means = [interpolate(pool(maps), size=size, mode="bilinear", align_corners=True) for pool in self.pools]
        return torch.cat([maps, *means], 1)


def pspnet(inputs: int, width: int, num_classes: int, rates: Sequence[int] = ()) -> nn.Sequential:
    """PSPNet head: pyramid pooling, one 3x3 convolution, dropout, and the classifier.

    Zhao et al., "Pyramid Scene Parsing Network", CVPR 2017, arXiv:1612.01105.
    """
    convolution = _conv(inputs + len(_POOLS) * (inputs // 4), width, 3)
    return nn.Sequential(Pyramid(inputs), convolution, nn.Dropout(0.1), nn.Conv2d(width, num_classes, 1))


class Atrous(nn.Module):
    """Atrous spatial pyramid pooling: 1x1 and dilated 3x3 convolutions, and the mean over all pixels, in parallel.

    (B, C, H, W) to (B, width, H, W).
    """

    def __init__(self, inputs: int, width: int, rates: Sequence[int]) -> None:
        super().__init__()
        self.branches = nn.ModuleList([_conv(inputs, width, 1), *(_conv(inputs, width, 3, rate) for rate in rates)])
        self.mean = nn.Sequential(nn.AdaptiveAvgPool2d(1), _conv(inputs, width, 1))
        self.project = nn.Sequential(_conv((len(rates) + 2) * width, width, 1), nn.Dropout(0.5))

    def forward(self, maps: Tensor) -> Tensor:
        """All branches one after the other, narrowed to the width."""
        mean = interpolate(self.mean(maps), size=maps.shape[-2:], mode="bilinear", align_corners=False)
        return self.project(torch.cat([*(branch(maps) for branch in self.branches), mean], 1))


def deeplabv3(inputs: int, width: int, num_classes: int, rates: Sequence[int] = RATES) -> nn.Sequential:
    """DeepLabV3 head: atrous spatial pyramid pooling, one 3x3 convolution, and the classifier.

    Chen et al., "Rethinking Atrous Convolution for Semantic Image Segmentation", 2017, arXiv:1706.05587, in the form of
    torchvision.
    """
    return nn.Sequential(Atrous(inputs, width, rates), _conv(width, width, 3), nn.Conv2d(width, num_classes, 1))


#: Heads by name.
HEADS: dict[str, Callable[[int, int, int, Sequence[int]], nn.Sequential]] = {
    "fcn": fcn,
    "pspnet": pspnet,
    "deeplabv3": deeplabv3,
}
