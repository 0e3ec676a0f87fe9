"""VGG for CIFAR, with batch normalisation.

Simonyan and Zisserman, "Very Deep Convolutional Networks", ICLR 2015, arXiv:1409.1556, table 1, as the distillation
literature uses it (HobbitLong/RepDistiller, ``models/vgg.py``): one linear layer for the classifier, a global average
in place of the last pooling, and for images of fewer than 64 rows no pooling before the last stage.
"""

from collections.abc import Iterator, Sequence

from torch import nn

from zcbench.spaces.base import ImageShape
from zcbench.spaces.classifying import classifying
from zcbench.spaces.product import ProductSpace, Site
from zcbench.spaces.registry import space

WIDTHS = (64, 128, 256, 512, 512)

#: Convolutions of each of the five stages.
DEPTHS = {
    "vgg8": (1, 1, 1, 1, 1),
    "vgg11": (1, 1, 2, 2, 2),
    "vgg13": (2, 2, 2, 2, 2),
    "vgg16": (2, 2, 3, 3, 3),
    "vgg19": (2, 2, 4, 4, 4),
}


def vgg(depths: Sequence[int], image_shape: ImageShape, num_classes: int) -> nn.Sequential:
    """VGG with ``depths`` convolutions per stage; images (B, *image_shape) in, logits (B, num_classes) out."""
    layers: dict[str, nn.Module] = {}
    inputs, poolings = image_shape[0], 3 if image_shape[1] < 64 else 4
    for number, (depth, width) in enumerate(zip(depths, WIDTHS), 1):
        layers[f"stage{number}"] = nn.Sequential(*_stage(depth, inputs, width))
        inputs = width
        if number <= poolings:
            layers[f"pool{number}"] = nn.MaxPool2d(2)
    return classifying(layers, inputs, num_classes)


def _stage(depth: int, inputs: int, width: int) -> Iterator[nn.Module]:
    for place in range(depth):
        yield from (nn.Conv2d(inputs if place == 0 else width, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU())


@space
class VGG(ProductSpace):
    """The five networks ``vgg8``, ``vgg11``, ``vgg13``, ``vgg16`` and ``vgg19``.

    Example:
        >>> VGG().params("vgg8", num_classes=100)
        3965028
    """

    name = spec = "vgg"
    label = "VGG for CIFAR"
    example = "vgg8"
    sites = (Site("the name", tuple(DEPTHS)),)
    multiple = 8

    def network(self, values: Sequence[str], image_shape: ImageShape, num_classes: int) -> nn.Module:
        """VGG of this name."""
        return vgg(DEPTHS[values[0]], image_shape, num_classes)
