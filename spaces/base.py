"""What every architecture space can do."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from typing import overload

import numpy as np
import pandas as pd
from torch import nn

from zcbench.errors import ZcbenchError

ImageShape = tuple[int, int, int]


class SpaceError(ZcbenchError, ValueError):
    """An option of a space, or a request to it, that is out of range."""


class Space(ABC):
    """A finite set of architectures, each a string; the position of a string in the space is its index.

    The set may be too large to be listed: then ``subset("all")`` and iteration are refused, and all else works.

    Two objects with one ``spec`` are the same space. Nothing here draws from a global random state: a method that
    draws takes a generator, and ``build`` derives its own stream from its arguments.

    Attributes:
        name: the name the space is registered under, ``"nasbench201"``.
        spec: the name and the options that decide the network, ``"nasbench201(channels=16,cells=5)"``.
        subsets: the names that ``subset`` knows.
        analytic: whether ``costs`` has closed formulas, so that it is at once there for a whole space.
    """

    name: str
    spec: str
    subsets: tuple[str, ...] = ("all",)
    analytic: bool = False

    @abstractmethod
    def subset(self, name: str = "all") -> tuple[str, ...]:
        """Architectures in index order: ``"all"``, ``"live"`` (no operation is dead) or ``"unique"`` (one per class).

        A space knows those that ``subsets`` names; where no operation can be dead and no two networks are the same,
        that is ``"all"`` alone.

        Raises:
            UnknownNameError: no subset has this name.
            SpaceError: the space is too large to be listed.
        """

    @abstractmethod
    def index(self, arch: str) -> int:
        """Position of ``arch`` in the space, from 0.

        Raises:
            ArchitectureError: ``arch`` is not of this space; the message names the place.
        """

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

    @abstractmethod
    def costs(self, archs: Iterable[str], num_classes: int = 10, image_shape: ImageShape = (3, 32, 32)) -> pd.DataFrame:
        """Sizes without building: one row per architecture, columns ``arch, params, macs, n_convs, depth``.

        Raises:
            ArchitectureError: an architecture is not of this space.
            SpaceError: classes or image shape are out of range.
        """

    @abstractmethod
    def build(
        self,
        arch: str,
        num_classes: int = 10,
        seed: int = 0,
        image_shape: ImageShape = (3, 32, 32),
        init: str = "default",
    ) -> nn.Module:
        """Untrained network of ``arch``, in training mode; equal arguments give equal weights, bit for bit.

        Raises:
            ArchitectureError: ``arch`` is not of this space.
            SpaceError: classes or image shape are out of range.
            UnknownNameError: no initialisation is called ``init``.
        """

    def thin(self, arch: str, seed: int = 0, init: str = "default") -> nn.Module | None:
        """Untrained network of ``arch`` cut down to one channel, for images ``(n, 1, H, W)`` of any size.

        Its linear regions are few enough to be counted. None where the space has no such network.

        Raises:
            ArchitectureError: ``arch`` is not of this space.
            UnknownNameError: no initialisation is called ``init``.
        """
        return None

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

    @overload
    def sample(self, rng: np.random.Generator, n: None = None, subset: str = "all") -> str: ...
    @overload
    def sample(self, rng: np.random.Generator, n: int, subset: str = "all") -> list[str]: ...
    def sample(self, rng: np.random.Generator, n: int | None = None, subset: str = "all") -> str | list[str]:
        """One architecture drawn uniformly, or ``n`` different ones.

        Raises:
            SpaceError: ``n`` is negative or more than the subset holds.
            UnknownNameError: no subset has this name.
        """
        population = self._population(subset)
        if n is None:
            return population[int(rng.integers(len(population)))]
        if not 0 <= n <= len(population):
            raise SpaceError(
                f"Given: a sample of {n} architectures. Expected: 0 to {len(population)}, the size of the subset "
                f"{subset!r} of {self.name}, since none is drawn twice. Ask for fewer, or for another subset."
            )
        return [population[int(i)] for i in rng.choice(len(population), size=n, replace=False)]

    def mutate(self, arch: str, rng: np.random.Generator) -> str:
        """One of the neighbours of ``arch``, drawn uniformly.

        Raises:
            ArchitectureError: ``arch`` is not of this space.
        """
        neighbours = self.neighbours(arch)
        return neighbours[int(rng.integers(len(neighbours)))]

    def __len__(self) -> int:
        return len(self.subset("all"))

    def __iter__(self) -> Iterator[str]:
        return iter(self.subset("all"))

    def __getitem__(self, index: int) -> str:
        return self.subset("all")[index]

    def __contains__(self, arch: object) -> bool:
        try:
            self.index(arch)  # type: ignore[arg-type]
        except ZcbenchError:
            return False
        return True

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Space) and self.spec == other.spec

    def __hash__(self) -> int:
        return hash(self.spec)

    def __repr__(self) -> str:
        return self.spec

    def _population(self, subset: str) -> "Sequence[str] | Space":
        """What ``sample`` draws from."""
        return self.subset(subset)

    def _cost(self, column: str, arch: str, *options: object) -> int:
        return int(self.costs([arch], *options)[column].iloc[0])  # type: ignore[arg-type]
