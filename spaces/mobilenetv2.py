"""MobileNetV2 for CIFAR.

Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", CVPR 2018, arXiv:1801.04381, table 2, as the
distillation literature uses it (HobbitLong/RepDistiller, ``models/mobilenetv2.py``): the second stage does not halve
the image, activations are ReLU and not ReLU6, widths are cut off and not rounded to multiples of 8, and the block of
expansion 1 keeps its first convolution.
"""

from collections.abc import Iterator, Sequence

from torch import Tensor, nn

from zcbench.spaces.base import ImageShape
from zcbench.spaces.classifying import classifying
from zcbench.spaces.product import ProductSpace, Site
from zcbench.spaces.registry import space

LAST = 1280

#: Stage (maps of one size that a distillation compares), expansion (0: the space's), channels, blocks, stride.
BLOCKS = (
    (1, 1, 16, 1, 1),
    (1, 0, 24, 2, 1),
    (2, 0, 32, 3, 2),
    (3, 0, 64, 4, 2),
    (3, 0, 96, 3, 1),
    (4, 0, 160, 3, 2),
    (4, 0, 320, 1, 1),
)


def conv_bn(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> tuple[nn.Module, ...]:
    """Convolution that keeps the image size (but for its stride), and batch normalisation."""
    conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return conv, nn.BatchNorm2d(outputs)


class InvertedResidual(nn.Module):
    """Widen, filter each channel, narrow: (B, C, H, W) to (B, C', H/s, W/s), added to the input where shapes agree."""

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int, kernel: int = 3) -> None:
        super().__init__()
        inner = inputs * expansion
        self.layers = nn.Sequential(
            *conv_bn(inputs, inner, 1),
            nn.ReLU(),
            *conv_bn(inner, inner, kernel, stride, groups=inner),
            nn.ReLU(),
            *conv_bn(inner, outputs, 1),
        )
        self._residual = stride == 1 and inputs == outputs

    def forward(self, images: Tensor) -> Tensor:
        """The block's own path, and the images where their shape allows it."""
        return images + self.layers(images) if self._residual else self.layers(images)


def mobilenetv2(expansion: int, width: float, image_channels: int, num_classes: int) -> nn.Sequential:
    """MobileNetV2 with channels times ``width``; images (B, image_channels, H, W) in, logits (B, num_classes) out."""
    stem, last = int(32 * width), int(LAST * max(width, 1.0))
    layers: dict[str, nn.Module] = {"stem": nn.Sequential(*conv_bn(image_channels, stem, 3, stride=2), nn.ReLU())}
    stages: dict[int, list[nn.Module]] = {}
    for stage, block in _blocks(expansion, width, stem):
        stages.setdefault(stage, []).append(block)
    layers |= {f"stage{stage}": nn.Sequential(*blocks) for stage, blocks in stages.items()}
    layers["last"] = nn.Sequential(*conv_bn(int(BLOCKS[-1][2] * width), last, 1), nn.ReLU())
    return classifying(layers, last, num_classes)


def _blocks(expansion: int, width: float, inputs: int) -> Iterator[tuple[int, nn.Module]]:
    """Stage and module of each block in turn."""
    for stage, own, channels, count, stride in BLOCKS:
        outputs = int(channels * width)
        for place in range(count):
            yield stage, InvertedResidual(inputs, outputs, stride if place == 0 else 1, own or expansion)
            inputs = outputs


@space
class MobileNetV2(ProductSpace):
    """MobileNetV2 with an expansion of 1 to 6 and a width of a quarter to all of the channels.

    A string is ``expansion-width``. The literature's MobileNetV2 for CIFAR-100 has half the channels: ``mobilenetv2``
    and ``mobile_half`` stand for ``6-0.5``.

    Example:
        >>> MobileNetV2().params("mobilenetv2", num_classes=100)
        812836
    """

    name = spec = "mobilenetv2"
    label = "MobileNetV2 for CIFAR"
    example = "6-0.5"
    sites = (
        Site("the expansion", ("1", "2", "3", "4", "5", "6")),
        Site("the width", ("0.25", "0.5", "0.75", "1.0")),
    )
    separators = ("-",)
    aliases = {"mobilenetv2": "6-0.5", "mobile_half": "6-0.5"}  # noqa: RUF012
    multiple = 16

    def network(self, values: Sequence[str], image_shape: ImageShape, num_classes: int) -> nn.Module:
        """MobileNetV2 of this expansion and width."""
        return mobilenetv2(int(values[0]), float(values[1]), image_shape[0], num_classes)
