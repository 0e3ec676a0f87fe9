"""A finite set of strings with an order, some of whose subsets have names."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Self, overload

import numpy as np

from zcbench.errors import ZcbenchError, unknown


class SpaceError(ZcbenchError, ValueError):
    """An option of a space, or a request to it, that is out of range."""


class Listing(ABC):
    """A finite set of architectures, each a string; the position of a string in the set is its index.

    The set may be too large to be listed: then ``subset("all")`` and iteration are refused, and all else works.

    Attributes:
        name: the name the space is registered under, ``"nasbench201"``.
        spec: the name and the options that decide the network, ``"nasbench201(channels=16,cells=5)"``.
        subsets: the names that ``subset`` knows.
    """

    name: str
    spec: str
    subsets: tuple[str, ...] = ("all",)

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
        return isinstance(other, Listing) and self.spec == other.spec

    def __hash__(self) -> int:
        return hash(self.spec)

    def __repr__(self) -> str:
        return self.spec

    def _require_subset(self, name: str) -> None:
        if name not in self.subsets:
            raise unknown(f"subset of {self.name}", name, self.subsets)

    def _population(self, subset: str) -> "Sequence[str] | Self":
        """What ``sample`` draws from."""
        return self.subset(subset)
