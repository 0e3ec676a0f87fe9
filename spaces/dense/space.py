"""The networks of a space as backbones of a segmentation: one architecture, one dense network."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import nn

from zcbench.spaces.base import Space
from zcbench.spaces.cost import Cost
from zcbench.spaces.dense.heads import RATES
from zcbench.spaces.dense.network import DenseNetwork, Head, assembled, build_dense
from zcbench.spaces.listing import SpaceError
from zcbench.spaces.measuring import measure
from zcbench.spaces.options import ImageShape
from zcbench.spaces.registry import DENSE, get
from zcbench.specification import write_specification

if TYPE_CHECKING:  # imported by the method that needs it
    import pandas as pd


class Dense(Space):
    """Networks for semantic segmentation: the architectures of another space as backbones, each with the same head.

    An architecture is the string of its backbone. The network is that of `zcbench.spaces.dense.build_dense` without
    dropout, so that a score does not depend on the order of the images; sizes are measured on it, head included, for
    the size of the images.

    Args:
        backbone: space of the backbones, or its specification: resnet, resnet_large, s0, mobilenetv2, shufflenet, wrn
            or vgg.
        head: ``fcn``, ``pspnet`` or ``deeplabv3``; the other options are those of `zcbench.spaces.dense.Head`.
        stride: largest output stride of the backbone.
        width: channels inside the head; a quarter of those that it reads, if None.
        rates: dilation of the 3x3 convolutions of ``deeplabv3``.
        auxiliary: whether an FCN head reads the last stage but one in training.

    Raises:
        UnknownNameError: no space or head has the name.
        SpaceError: a number is out of range, or the space is one of pairs.

    Example:
        >>> found = Dense("s0", head="pspnet")
        >>> found.spec, len(found), found.params("111", num_classes=11, image_shape=(3, 16, 16))
        ("dense(backbone='s0',head='pspnet')", 64, 100267)
    """

    name = DENSE

    def __init__(
        self,
        backbone: str | Space = "resnet",
        head: str = "fcn",
        stride: int = 8,
        width: int | None = None,
        rates: Sequence[int] = RATES,
        auxiliary: bool = False,
    ) -> None:
        own = self.backbone = backbone if isinstance(backbone, Space) else get(backbone)
        self.head = Head(head, stride, width, rates, auxiliary)
        if own.paired or isinstance(own, Dense):
            raise SpaceError(
                f"Given: the backbones of {own.spec}. Expected: a space of classifiers, such as resnet or mobilenetv2."
            )
        given = {item.name: (getattr(self.head, item.name), item.default) for item in fields(Head)}
        given["head"] = given.pop("name")
        changed: dict[str, Any] = {option: value for option, (value, default) in given.items() if value != default}
        self.spec = write_specification(self.name, {"backbone": own.spec, **dict(sorted(changed.items()))})
        self.subsets, self.multiple, self.smallest = own.subsets, own.multiple, own.smallest
        self.largest = own.largest

    def like(self, space: Space) -> "Dense":
        """The networks of another space with the same head; itself for a space of dense networks."""
        return space if isinstance(space, Dense) else Dense(space, *vars(self.head).values())

    def parse(self, arch: str) -> tuple[str, ...]:
        """Choices of the backbone."""
        return self.backbone.parse(arch)

    def write(self, values: tuple[str, ...]) -> str:
        """String of the backbone."""
        return self.backbone.write(values)

    def canonical(self, arch: str) -> str:
        """The backbone that stands for all those that are the same network."""
        return self.backbone.canonical(arch)

    def neighbours(self, arch: str) -> list[str]:
        """Neighbours of the backbone."""
        return self.backbone.neighbours(arch)

    def mutate(self, arch: str, rng: np.random.Generator) -> str:
        """As the space of the backbones does."""
        return self.backbone.mutate(arch, rng)

    def crossover(self, first: str, second: str, rng: np.random.Generator) -> str:
        """As the space of the backbones does."""
        return self.backbone.crossover(first, second, rng)

    def index(self, arch: str) -> int:
        """Position of the backbone in its space."""
        return self.backbone.index(arch)

    def subset(self, name: str = "all") -> tuple[str, ...]:
        """A subset of the backbones."""
        return self.backbone.subset(name)

    def content(self) -> str | None:
        """Fingerprint of the definition of the backbones; None for a part of zcbench."""
        return self.backbone.content()

    def build(
        self,
        arch: str,
        num_classes: int = 10,
        seed: int = 0,
        image_shape: ImageShape = (3, 32, 32),
        init: str = "default",
    ) -> DenseNetwork:
        """Untrained network: that of `zcbench.spaces.dense.build_dense`, and no dropout, as in all spaces."""
        network = build_dense(self.backbone, arch, self.head, num_classes, seed, image_shape, init)
        for module in network.modules():
            if isinstance(module, nn.Dropout):
                module.p = 0.0
        return network

    def costs(
        self, archs: Iterable[str], num_classes: int = 10, image_shape: ImageShape = (3, 32, 32)
    ) -> "pd.DataFrame":
        """Sizes of networks, head included; the multiply-accumulates are those of an image of this size."""
        import pandas as pd

        names = list(archs)
        classes, shape = self.backbone._task(num_classes, image_shape)
        rows = [_measured(self, self.canonical(arch), classes, shape) for arch in names]
        return pd.DataFrame(rows, columns=list(Cost._fields)).assign(arch=names)[["arch", *Cost._fields]]

    def _population(self, subset: str) -> Any:
        return self.backbone._population(subset)

    def __len__(self) -> int:
        return self.backbone.__len__()

    def __iter__(self) -> Iterator[str]:
        return iter(self.backbone)

    def __getitem__(self, index: int) -> str:
        return self.backbone[index]


@lru_cache(maxsize=10_000)
def _measured(space: Dense, arch: str, num_classes: int, image_shape: ImageShape) -> Cost:
    own = space.backbone

    def made() -> DenseNetwork:
        classifier = own.network(own.parse(arch), image_shape, num_classes)
        return assembled(classifier, space.head, num_classes, image_shape, own.name)

    return measure(made, image_shape)
