"""CIFAR ResNets with a depth per stage: the family ``resnet``, and DisWOT's space ``s0``.

He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, arXiv:1512.03385, section 4.2, with the shortcuts
of the distillation literature (HobbitLong/RepDistiller, ``models/resnet.py``, for arXiv:1910.10699): where a stage
begins with another width or size, a 1x1 convolution and batch normalisation, in place of the paper's zeros (its option
A). A ResNet-8x4 of 100 classes has 1.23 M parameters with the first, as distillation papers print, and 1.19 M with the
second.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from zcbench.spaces.base import ImageShape
from zcbench.spaces.classifying import classifying
from zcbench.spaces.product import ProductSpace, Site
from zcbench.spaces.registry import space

WIDTHS = "16-16-32-64"
WIDE = "32-64-128-256"


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut: (B, C, H, W) to (B, C', H/s, W/s) for stride s."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            projection = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            self.shortcut = nn.Sequential(projection, nn.BatchNorm2d(outputs))
        self.relu2 = nn.ReLU()

    def forward(self, images: Tensor) -> Tensor:
        """ReLU of the sum of both paths."""
        inner = self.relu1(self.bn1(self.conv1(images)))
        return self.relu2(self.bn2(self.conv2(inner)) + self.shortcut(images))


def resnet(depths: Sequence[int], widths: Sequence[int], image_channels: int, num_classes: int) -> nn.Sequential:
    """ResNet of three stages.

    Args:
        depths: residual blocks of each stage; the second and third stage halve the image.
        widths: channels of the stem and of each stage.
        image_channels: C of the images (B, C, H, W).
        num_classes: N of the logits (B, N).
    """
    stem, *stages = widths
    layers: dict[str, nn.Module] = {
        "stem": nn.Sequential(
            nn.Conv2d(image_channels, stem, 3, padding=1, bias=False), nn.BatchNorm2d(stem), nn.ReLU()
        )
    }
    for number, (depth, inputs, outputs) in enumerate(zip(depths, widths, stages), 1):
        first = ResidualBlock(inputs, outputs, stride=1 if number == 1 else 2)
        layers[f"stage{number}"] = nn.Sequential(first, *(ResidualBlock(outputs, outputs, 1) for _ in range(depth - 1)))
    return classifying(layers, widths[-1], num_classes)


@space
class ResNet(ProductSpace):
    """ResNets of three stages with 1 to 18 blocks each, and widths that are multiples of 8 up to 256.

    A string is ``d-d-d@w-w-w-w``: blocks of the three stages, then channels of the stem and of the stages. Without
    ``@…`` the channels are 16-16-32-64. ``resnet8``, ``14``, ``20``, ``32``, ``44``, ``56`` and ``110`` have equal
    depths and these widths; ``resnet8x4`` and ``resnet32x4`` have 32-64-128-256.

    Example:
        >>> ResNet().canonical("resnet20"), ResNet().params("resnet32x4", num_classes=100)
        ('3-3-3@16-16-32-64', 7433860)
    """

    name = spec = "resnet"
    label = "ResNet for CIFAR"
    example = f"3-3-3@{WIDTHS}"
    sites = (
        *(Site(f"depth of stage {stage}", tuple(map(str, range(1, 19)))) for stage in (1, 2, 3)),
        *(
            Site(f"width of {part}", tuple(map(str, range(8, 257, 8))))
            for part in ("the stem", "stage 1", "stage 2", "stage 3")
        ),
    )
    separators = ("-", "-", "@", "-", "-", "-")
    aliases = {  # noqa: RUF012
        **{f"resnet{6 * n + 2}": f"{n}-{n}-{n}@{WIDTHS}" for n in (1, 2, 3, 5, 7, 9, 18)},
        **{f"resnet{6 * n + 2}x4": f"{n}-{n}-{n}@{WIDE}" for n in (1, 5)},
    }
    multiple = 4

    def network(self, values: Sequence[str], image_shape: ImageShape, num_classes: int) -> nn.Module:
        """ResNet with these depths and widths."""
        depths, widths = list(map(int, values[:3])), list(map(int, values[3:]))
        return resnet(depths, widths, image_shape[0], num_classes)

    def _split(self, text: str) -> list[str]:
        return super()._split(text if "@" in text else f"{text}@{WIDTHS}")


@space
class S0(ProductSpace):
    """The 64 ResNets of DisWOT's study: 1, 3, 5 or 7 blocks in each of three stages of 16, 32 and 64 channels.

    A string is three digits, as in the published accuracies: ``557`` has 5, 5 and 7 blocks. Dong et al., "DisWOT",
    CVPR 2023, arXiv:2303.15678; the network is the released ``mutable_resnet20``, a ResNet-20 with these depths.

    Example:
        >>> len(S0()), S0()[0], S0().params("333", num_classes=100)
        (64, '111', 278324)
    """

    name = spec = "s0"
    label = "network of S0"
    example = "557"
    sites = tuple(Site(f"stage {stage}", ("1", "3", "5", "7")) for stage in (1, 2, 3))
    separators = ("", "")
    multiple = 4

    def network(self, values: Sequence[str], image_shape: ImageShape, num_classes: int) -> nn.Module:
        """ResNet with these depths and the widths of a ResNet-20."""
        return resnet(list(map(int, values)), (16, 16, 32, 64), image_shape[0], num_classes)

    def _split(self, text: str) -> list[str]:
        return [*text[:2], text[2:]] if len(text) > 2 else list(text) or [""]
