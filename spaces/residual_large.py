"""ResNets for images of the size of ImageNet's, with a block, a kernel, a width and a depth per stage.

He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, arXiv:1512.03385, table 1, with the stride of a
bottleneck on its spatial convolution, as the published weights have it. Searches for such networks under budgets of
parameters and multiply-accumulates are in DisWOT (arXiv:2303.15678, section 4.3) and Zen-NAS (arXiv:2102.01063).
"""

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from zcbench.spaces.base import ImageShape
from zcbench.spaces.classifying import classifying
from zcbench.spaces.product import ProductSpace, Site
from zcbench.spaces.registry import space

EXPANSION = {"b": 1, "n": 4}
"""Channels that a block gives, as a multiple of its width: of a basic block, and of a bottleneck."""

_BASES = (64, 128, 256, 512)
_QUARTERS = (1, 2, 3, 4, 5, 6)


def convolution(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """Convolution that keeps the size but for its stride, and batch normalisation."""
    layer = nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(outputs))


class Block(nn.Module):
    """A residual block: (B, C, H, W) to (B, e·width, H/s, W/s).

    Args:
        kind: ``b``, two convolutions; ``n``, a bottleneck, of whose three the middle one has the kernel.
        inputs: channels C.
        width: channels inside.
        kernel: side of the spatial convolutions.
        stride: s.
    """

    def __init__(self, kind: str, inputs: int, width: int, kernel: int, stride: int) -> None:
        super().__init__()
        outputs = EXPANSION[kind] * width
        if kind == "b":
            layers = [convolution(inputs, width, kernel, stride), convolution(width, outputs, kernel)]
        else:
            spatial = convolution(width, width, kernel, stride)
            layers = [convolution(inputs, width, 1), spatial, convolution(width, outputs, 1)]
        self.layers = nn.ModuleList(layers)
        self.relus = nn.ModuleList(nn.ReLU() for _ in layers)
        same = stride == 1 and inputs == outputs
        self.shortcut = nn.Identity() if same else convolution(inputs, outputs, 1, stride)

    def forward(self, images: Tensor) -> Tensor:
        """ReLU of the sum of both paths."""
        inner = images
        for layer, relu in zip(self.layers[:-1], self.relus):
            inner = relu(layer(inner))
        return self.relus[-1](self.layers[-1](inner) + self.shortcut(images))


@space
class ResNetLarge(ProductSpace):
    """ResNets of four stages behind a stem of stride 4.

    A string is ``stem/stage/stage/stage/stage``, a stage ``block kernel x width x depth`` without the spaces: ``b`` is
    a basic block, ``n`` a bottleneck, the kernel 3, 5 or 7, the width one to six quarters of 64, 128, 256 and 512, the
    depth 1 to 6 blocks. ``resnet18``, ``resnet34`` and ``resnet50`` are the published networks.

    Example:
        >>> space = ResNetLarge()
        >>> space.params("resnet50", num_classes=1000, image_shape=(3, 224, 224))
        25557032
        >>> space.canonical("resnet18")
        '64/b3x64x2/b3x128x2/b3x256x2/b3x512x2'
    """

    name = spec = "resnet_large"
    label = "large ResNet"
    example = "64/b3x64x2/b3x128x2/b3x256x2/b3x512x2"
    sites = (
        Site("the width of the stem", ("32", "48", "64")),
        *(
            site
            for stage, base in enumerate(_BASES, 1)
            for site in (
                Site(f"block and kernel of stage {stage}", ("b3", "b5", "b7", "n3", "n5", "n7")),
                Site(f"width of stage {stage}", tuple(str(base * quarter // 4) for quarter in _QUARTERS)),
                Site(f"depth of stage {stage}", tuple(map(str, range(1, 7)))),
            )
        ),
    )
    separators = ("/", "x", "x") * 4
    aliases = {  # noqa: RUF012
        "resnet18": "64/b3x64x2/b3x128x2/b3x256x2/b3x512x2",
        "resnet34": "64/b3x64x3/b3x128x4/b3x256x6/b3x512x3",
        "resnet50": "64/n3x64x3/n3x128x4/n3x256x6/n3x512x3",
    }
    multiple = 32

    def network(self, values: Sequence[str], image_shape: ImageShape, num_classes: int) -> nn.Module:
        """ResNet with these stages."""
        stem, stages = int(values[0]), [values[place : place + 3] for place in range(1, 13, 3)]
        outputs = [stem, *(EXPANSION[block[0]] * int(width) for block, width, _ in stages)]
        pool = nn.MaxPool2d(3, 2, padding=1)
        layers: dict[str, nn.Module] = {
            "stem": nn.Sequential(*convolution(image_shape[0], stem, 7, 2), nn.ReLU(), pool)
        }
        for number, ((block, width, depth), (before, after)) in enumerate(zip(stages, pairwise(outputs)), 1):
            kind, kernel, stride = block[0], int(block[1]), 1 if number == 1 else 2
            first = Block(kind, before, int(width), kernel, stride)
            more = (Block(kind, after, int(width), kernel, 1) for _ in range(int(depth) - 1))
            layers[f"stage{number}"] = nn.Sequential(first, *more)
        return classifying(layers, outputs[-1], num_classes)
