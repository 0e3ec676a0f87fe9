"""WideResNets for CIFAR.

Zagoruyko and Komodakis, "Wide Residual Networks", BMVC 2016, arXiv:1605.07146, without dropout, as the distillation
literature uses them (HobbitLong/RepDistiller, ``models/wrn.py``).
"""

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from zcbench.spaces.base import ImageShape
from zcbench.spaces.classifying import classifying
from zcbench.spaces.product import ProductSpace, Site
from zcbench.spaces.registry import space


class PreActivationBlock(nn.Module):
    """Normalisation and ReLU before each of two 3x3 convolutions: (B, C, H, W) to (B, C', H/s, W/s) for stride s.

    Where the width changes, the shortcut is a 1x1 convolution of the activated input, without normalisation.
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.relu1 = nn.ReLU()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.relu2 = nn.ReLU()
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.shortcut = nn.Conv2d(inputs, outputs, 1, stride, bias=False) if inputs != outputs else None

    def forward(self, images: Tensor) -> Tensor:
        """Sum of both paths."""
        active = self.relu1(self.bn1(images))
        direct = images if self.shortcut is None else self.shortcut(active)
        return direct + self.conv2(self.relu2(self.bn2(self.conv1(active))))


def wide_resnet(depth: int, widen: int, image_channels: int, num_classes: int) -> nn.Sequential:
    """WideResNet of ``depth`` = 6n + 4 layers: n blocks in each of three stages, ``widen`` times as wide as a ResNet's.

    Images (B, image_channels, H, W) in, logits (B, num_classes) out.
    """
    widths, blocks = (16, 16 * widen, 32 * widen, 64 * widen), (depth - 4) // 6
    layers: dict[str, nn.Module] = {"stem": nn.Conv2d(image_channels, 16, 3, padding=1, bias=False)}
    for number, (inputs, outputs) in enumerate(pairwise(widths), 1):
        first = PreActivationBlock(inputs, outputs, stride=1 if number == 1 else 2)
        others = (PreActivationBlock(outputs, outputs, 1) for _ in range(blocks - 1))
        layers[f"stage{number}"] = nn.Sequential(first, *others)
    layers["last"] = nn.Sequential(nn.BatchNorm2d(widths[-1]), nn.ReLU())
    return classifying(layers, widths[-1], num_classes)


@space
class WideResNet(ProductSpace):
    """WideResNets of 10 to 40 layers, up to 10 times as wide as a ResNet.

    A string is ``depth-widen``, as in ``40-2``; the literature's ``wrn_40_2``, ``wrn_40_1``, ``wrn_16_2`` and
    ``wrn_16_1`` are understood.

    Example:
        >>> WideResNet().params("40-2", num_classes=100)
        2255156
    """

    name = spec = "wrn"
    label = "WideResNet for CIFAR"
    example = "40-2"
    sites = (
        Site("depth", ("10", "16", "22", "28", "34", "40")),
        Site("widening factor", ("1", "2", "3", "4", "6", "8", "10")),
    )
    separators = ("-",)
    aliases = {f"wrn_{depth}_{widen}": f"{depth}-{widen}" for depth in (16, 40) for widen in (1, 2)}  # noqa: RUF012
    multiple = 4

    def network(self, values: Sequence[str], image_shape: ImageShape, num_classes: int) -> nn.Module:
        """WideResNet of this depth and widening factor."""
        return wide_resnet(int(values[0]), int(values[1]), image_shape[0], num_classes)
