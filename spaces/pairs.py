"""Pairs of a teacher and a student, the networks of the distillation literature on CIFAR-100.

Tian et al., "Contrastive Representation Distillation", ICLR 2020, arXiv:1910.10699 (HobbitLong/RepDistiller), tables 1
and 2: six teachers and nine students, of which 13 pairs have published accuracies.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING

from zcbench.spaces.base import ImageShape
from zcbench.spaces.classifying import classifying
from zcbench.spaces.product import ProductSpace, Site
from zcbench.spaces.registry import get, space
from zcbench.spaces.residual_large import EXPANSION, Block, convolution
from zcbench.streams import seeded

if TYPE_CHECKING:
    from torch import nn

    from zcbench.spaces.base import Space

#: Space and architecture of each name; ``resnet50`` is `bottleneck_resnet`.
NETWORKS = {
    "wrn-40-2": ("wrn", "40-2"),
    "wrn-40-1": ("wrn", "40-1"),
    "wrn-16-2": ("wrn", "16-2"),
    "resnet56": ("resnet", "resnet56"),
    "resnet110": ("resnet", "resnet110"),
    "resnet32x4": ("resnet", "resnet32x4"),
    "resnet20": ("resnet", "resnet20"),
    "resnet32": ("resnet", "resnet32"),
    "resnet8x4": ("resnet", "resnet8x4"),
    "vgg13": ("vgg", "vgg13"),
    "vgg8": ("vgg", "vgg8"),
    "mobilenetv2": ("mobilenetv2", "mobilenetv2"),
    "shufflenetv1": ("shufflenet", "ShuffleV1"),
    "shufflenetv2": ("shufflenet", "ShuffleV2"),
}
TEACHERS = ("wrn-40-2", "resnet56", "resnet110", "resnet32x4", "vgg13", "resnet50")
STUDENTS = (
    "wrn-16-2", "wrn-40-1", "resnet20", "resnet32", "resnet8x4", "vgg8", "mobilenetv2", "shufflenetv1", "shufflenetv2",
)  # fmt: skip
_WIDTHS, _DEPTHS = (64, 128, 256, 512), (3, 4, 6, 3)


def bottleneck_resnet(image_channels: int, num_classes: int) -> nn.Sequential:
    """ResNet-50 for CIFAR: the four stages of the published one behind a 3x3 convolution of stride 1.

    Images (B, image_channels, H, W) in, logits (B, num_classes) out.
    """
    from torch import nn

    outputs = [64, *(EXPANSION["n"] * width for width in _WIDTHS)]
    layers: dict[str, nn.Module] = {"stem": nn.Sequential(*convolution(image_channels, 64, 3), nn.ReLU())}
    for number, (width, depth, (before, after)) in enumerate(zip(_WIDTHS, _DEPTHS, pairwise(outputs)), 1):
        first = Block("n", before, width, 3, 1 if number == 1 else 2)
        layers[f"stage{number}"] = nn.Sequential(first, *(Block("n", after, width, 3, 1) for _ in range(depth - 1)))
    return classifying(layers, outputs[-1], num_classes)


@space
class Pairs(ProductSpace):
    """Students of nine kinds, each under one of six teachers: ``teacher:student``.

    The network of a pair is the student, and its sizes are the student's. The student has the weights that its own
    space draws, under every teacher the same.

    Example:
        >>> Pairs().params("resnet110:resnet20", num_classes=100)
        278324
        >>> Pairs().teacher_of("resnet110:resnet20")
        'resnet110'
    """

    name = spec = "pairs"
    label = "pair of a teacher and a student"
    example = "resnet110:resnet20"
    sites = (Site("the teacher", TEACHERS), Site("the student", STUDENTS))
    separators = (":",)
    multiple = 16
    paired = True

    def network(self, values: Sequence[str], image_shape: ImageShape, num_classes: int) -> nn.Module:
        """The student."""
        home, arch = _place(values[1])
        return home.network(home.parse(arch), image_shape, num_classes)

    def build(
        self,
        arch: str,
        num_classes: int = 10,
        seed: int = 0,
        image_shape: ImageShape = (3, 32, 32),
        init: str = "default",
    ) -> nn.Module:
        """Untrained student of the pair, see `Space.build`."""
        classes, shape = self._task(num_classes, image_shape)
        home, student = _place(self.parse(arch)[1])
        return home.build(student, classes, seed, shape, init)

    def teacher_of(self, arch: str) -> str:
        """Name of the teacher of the pair."""
        return self.parse(arch)[0]

    def teacher(
        self,
        arch: str,
        num_classes: int = 10,
        seed: int = 0,
        image_shape: ImageShape = (3, 32, 32),
        init: str = "default",
    ) -> nn.Module:
        """Untrained teacher of the pair, in training mode; arguments as of `Space.build`.

        Example:
            >>> sum(weight.numel() for weight in Pairs().teacher("resnet50:vgg8", num_classes=100).parameters())
            23705252
        """
        from zcbench.spaces.initialisation import check_init, initialise

        classes, shape = self._task(num_classes, image_shape)
        name = self.teacher_of(arch)
        if name in NETWORKS:
            home, own = _place(name)
            return home.build(own, classes, seed, shape, init)
        check_init(init)
        with seeded("init", self.spec, name, init, classes, shape, seed):
            module = bottleneck_resnet(shape[0], classes)
            initialise(module, init)
        return module


@lru_cache(maxsize=32)
def _place(name: str) -> tuple[Space, str]:
    home, arch = NETWORKS[name]
    return get(home), arch
