"""What every architecture space can do."""

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from zcbench.content import class_content
from zcbench.spaces.cost import Cost
from zcbench.spaces.listing import Listing, SpaceError
from zcbench.spaces.options import ImageShape, image_sizes, positive
from zcbench.streams import seeded

if TYPE_CHECKING:  # PyTorch and pandas are imported by the methods that need them: a space is made without
    import pandas as pd
    from torch import nn

__all__ = ["ImageShape", "Space", "SpaceError"]


class Space(Listing):
    """A finite set of architectures, each a string, and their networks.

    Two objects with one ``spec`` are the same space. Nothing here draws from a global random state: a method that
    draws takes a generator, and ``build`` derives its own stream from its arguments.

    Attributes:
        analytic: whether ``costs`` has closed formulas, so that it is at once there for a whole space.
        multiple: height and width of an image are multiples of it.
        smallest: least height and width of an image.
        largest: architecture with the most MACs, where a space that takes long to be measured whole names it.
        paired: whether an architecture is a pair of a teacher and a student.
    """

    analytic: bool = False
    multiple: int = 1
    smallest: int = 1
    largest: str | None = None
    paired: bool = False

    @abstractmethod
    def parse(self, arch: str) -> tuple[str, ...]:
        """Choices of ``arch``, such as one operation per edge, in the order in which the string names them.

        Raises:
            ArchitectureError: ``arch`` is not of this space; the message names the place.
        """

    @abstractmethod
    def canonical(self, arch: str) -> str:
        """The architecture that stands for all those that are the same network as ``arch``; idempotent.

        Raises:
            ArchitectureError: ``arch`` is not of this space.
        """

    @abstractmethod
    def neighbours(self, arch: str) -> list[str]:
        """Architectures that differ from ``arch`` in exactly one choice.

        Raises:
            ArchitectureError: ``arch`` is not of this space.
        """

    @abstractmethod
    def crossover(self, first: str, second: str, rng: np.random.Generator) -> str:
        """Architecture that takes each choice from either parent with equal probability.

        Raises:
            ArchitectureError: a parent is not of this space.
        """

    def costs(
        self, archs: Iterable[str], num_classes: int = 10, image_shape: ImageShape = (3, 32, 32)
    ) -> "pd.DataFrame":
        """Sizes of networks: one row per architecture, columns ``arch, params, macs, n_convs, depth, width``.

        They follow from closed formulas, or are measured once on a network without weights (see `measuring`).

        Raises:
            ArchitectureError: an architecture is not of this space.
            SpaceError: classes or image shape are out of range.
        """
        import pandas as pd

        classes, shape = self._task(num_classes, image_shape)
        names = list(archs)
        rows = np.array([self._size(self.parse(arch), classes, shape) for arch in names], dtype=np.int64)
        return pd.DataFrame({"arch": names, **dict(zip(Cost._fields, rows.reshape(-1, len(Cost._fields)).T))})

    def write(self, values: tuple[str, ...]) -> str:
        """String of the architecture with these choices: `parse` the other way round."""
        raise NotImplementedError(f"{type(self).__name__} defines neither 'write' nor a 'build' of its own.")

    def network(self, values: Sequence[str], image_shape: ImageShape, num_classes: int) -> "nn.Module":
        """Network of the architecture with these choices, its weights drawn from the global generator."""
        raise NotImplementedError(f"{type(self).__name__} defines neither 'network' nor a 'build' of its own.")

    def build(
        self,
        arch: str,
        num_classes: int = 10,
        seed: int = 0,
        image_shape: ImageShape = (3, 32, 32),
        init: str = "default",
    ) -> "nn.Module":
        """Untrained network of ``arch``, in training mode; equal arguments give equal weights, bit for bit.

        Args:
            arch: the architecture; an alias gives the weights of the architecture that it stands for.
            num_classes: number of logits.
            seed: which draw of the weights.
            image_shape: (channels, height, width); height and width are multiples of ``multiple``.
            init: ``default`` (PyTorch's), ``kaiming``, ``xavier`` or ``normal``.

        Raises:
            ArchitectureError: ``arch`` is not of this space.
            SpaceError: classes or image shape are out of range.
            UnknownNameError: no initialisation is called ``init``.
        """
        from zcbench.spaces.initialisation import check_init, initialise

        values = self.parse(arch)
        classes, shape = self._task(num_classes, image_shape)
        check_init(init)
        with seeded("init", self.spec, self.write(values), init, classes, shape, seed):
            module = self.network(values, shape, classes)
            initialise(module, init)
        return module

    def thin(self, arch: str, seed: int = 0, init: str = "default") -> "nn.Module | None":
        """Untrained network of ``arch`` cut down to one channel, for images ``(n, 1, H, W)`` of any size.

        Its linear regions are few enough to be counted. None where the space has no such network.

        Raises:
            ArchitectureError: ``arch`` is not of this space.
            UnknownNameError: no initialisation is called ``init``.
        """
        return None

    def teacher_of(self, arch: str) -> str:
        """Name of the teacher of an architecture that is a pair; empty where architectures are no pairs."""
        return ""

    def teacher(
        self,
        arch: str,
        num_classes: int = 10,
        seed: int = 0,
        image_shape: ImageShape = (3, 32, 32),
        init: str = "default",
    ) -> "nn.Module":
        """Untrained teacher of an architecture that is a pair; arguments as of `build`."""
        raise NotImplementedError(f"The architectures of {self.name} are no pairs of a teacher and a student.")

    def drawn(self, arch: str) -> bool:
        """Whether each seed gives other weights; a network that is given as it is has one seed."""
        return True

    def content(self) -> str | None:
        """Fingerprint of all that defines the space; None for a part of zcbench."""
        return class_content(type(self))

    def cards(self, archs: Iterable[str], image_shape: ImageShape) -> dict[str, dict[str, object]]:
        """What a run keeps of architectures whose strings do not define them, JSON-able; nothing for others."""
        return {}

    def params(self, arch: str, num_classes: int = 10, image_shape: ImageShape = (3, 32, 32)) -> int:
        """Number of trainable parameters, without building the network."""
        return self._cost("params", arch, num_classes, image_shape)

    def macs(self, arch: str, num_classes: int = 10, image_shape: ImageShape = (3, 32, 32)) -> int:
        """Multiply-accumulates of convolutions, linear layers and attention for one image; often called FLOPs."""
        return self._cost("macs", arch, num_classes, image_shape)

    def n_convs(self, arch: str) -> int:
        """Number of convolutions that one forward pass executes, those of the skeleton included."""
        return self._cost("n_convs", arch)

    def depth(self, arch: str) -> int:
        """Most weight layers on one path from image to classifier, which is left out; 0 if no path joins them.

        In a convolutional network these are its convolutions; in a transformer they are linear layers as well.
        """
        return self._cost("depth", arch)

    def width(self, arch: str) -> int:
        """Channels of the inputs of all normalisations of one forward pass, added up; see the proxy ``width``."""
        return self._cost("width", arch)

    def mutate(self, arch: str, rng: np.random.Generator) -> str:
        """One of the neighbours of ``arch``, drawn uniformly.

        Raises:
            ArchitectureError: ``arch`` is not of this space.
        """
        neighbours = self.neighbours(arch)
        return neighbours[int(rng.integers(len(neighbours)))]

    def _task(self, num_classes: int, image_shape: ImageShape) -> tuple[int, ImageShape]:
        return positive("num_classes", num_classes), image_sizes(image_shape, self.multiple, self.smallest)

    def _size(self, values: tuple[str, ...], num_classes: int, image_shape: ImageShape) -> Cost:
        """Sizes of the architecture with these choices."""
        return _measured(self, values, num_classes, image_shape)

    def _cost(self, column: str, arch: str, *options: object) -> int:
        return int(self.costs([arch], *options)[column].iloc[0])  # type: ignore[arg-type]


@lru_cache(maxsize=100_000)
def _measured(space: Space, values: tuple[str, ...], num_classes: int, image_shape: ImageShape) -> Cost:
    from zcbench.spaces.measuring import measure

    return measure(lambda: space.network(values, image_shape, num_classes), image_shape)
