"""Spaces whose architectures are a list of choices, written as a short string.

Such a space may be far too large to be listed: strings are parsed, drawn, changed and numbered one by one, and only
``subset("all")``, which lists every architecture, is refused.
"""

from collections.abc import Sequence
from functools import lru_cache
from itertools import product
from math import prod
from typing import Self

import numpy as np

from zcbench.spaces.base import Space, SpaceError
from zcbench.spaces.notation import Notation, Site

__all__ = ["LISTED", "ProductSpace", "Site"]

LISTED = 100_000  # the largest space that is listed in full


class ProductSpace(Notation, Space):
    """All lists of values, one from each of the first n sites, where n is one of ``lengths``.

    A subclass sets the attributes of `Notation`, those of `Space`, and defines ``network``.
    """

    def index(self, arch: str) -> int:
        """Position of ``arch`` when shorter lists come first, and else the last site counts fastest."""
        values, position = self.parse(arch), 0
        for site, value in zip(self.sites, values):
            position = position * len(site.values) + site.values.index(value)
        return position + sum(self._count(length) for length in self.lengths if length < len(values))

    def canonical(self, arch: str) -> str:
        """``arch`` itself, without alias and with nothing left out: no two of these networks are the same."""
        return self.write(self.parse(arch))

    def subset(self, name: str = "all") -> tuple[str, ...]:
        """Every architecture in index order; ``"all"`` is the only subset."""
        self._require_subset(name)
        if len(self) > LISTED:
            raise SpaceError(
                f"Given: the subset {name!r} of {self.name}, which has {len(self):,} architectures. Expected: a space "
                f"of at most {LISTED:,} to be listed in full. Draw a sample, or name the architectures."
            )
        return _members(self)

    def neighbours(self, arch: str) -> list[str]:
        """Architectures that differ in the value of one site, or end one step earlier or later."""
        old = self.parse(arch)
        changed = [
            (*old[:place], value, *old[place + 1 :])
            for place, site in enumerate(self.sites[: len(old)])
            for value in site.values
            if value != old[place]
        ]
        return [self.write(values) for values in (*changed, *self._shorter(old), *self._longer(old))]

    def crossover(self, first: str, second: str, rng: np.random.Generator) -> str:
        """Architecture that takes its length, and the value of each site, from either parent with equal probability."""
        parents = self.parse(first), self.parse(second)
        sides = rng.integers(2, size=len(self.sites) + 1)
        length = len(parents[sides[-1]])
        own = [parents[side] if place < len(parents[side]) else parents[1 - side] for place, side in enumerate(sides)]
        return self.write([own[place][place] for place in range(length)])

    def __len__(self) -> int:
        return sum(map(self._count, self.lengths))

    def __getitem__(self, index: int) -> str:
        position = index + len(self) if index < 0 else index
        for length in self.lengths:
            if 0 <= position < self._count(length):
                values = []
                for site in reversed(self.sites[:length]):
                    position, choice = divmod(position, len(site.values))
                    values.append(site.values[choice])
                return self.write(values[::-1])
            position -= self._count(length)
        raise IndexError(f"Given: the index {index}. Expected: one of the {len(self):,} of {self.name}.")

    def _population(self, subset: str) -> Sequence[str] | Self:
        """The space itself for ``"all"``: an architecture is made from its index when it is drawn."""
        self._require_subset(subset)
        return self if subset == "all" else self.subset(subset)

    def _count(self, length: int) -> int:
        return prod(len(site.values) for site in self.sites[:length])

    def _shorter(self, values: tuple[str, ...]) -> list[tuple[str, ...]]:
        return [values[:length] for length in self.lengths if length < len(values)][-1:]

    def _longer(self, values: tuple[str, ...]) -> list[tuple[str, ...]]:
        length = next((length for length in self.lengths if length > len(values)), len(values))
        added = product(*(site.values for site in self.sites[len(values) : length]))
        return [(*values, *more) for more in added if more]


@lru_cache(maxsize=16)
def _members(space: ProductSpace) -> tuple[str, ...]:
    return tuple(space[index] for index in range(len(space)))
