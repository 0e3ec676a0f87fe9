"""Spaces whose architectures are a list of choices, written as a short string.

Such a space may be far too large to be listed: strings are parsed, drawn, changed and numbered one by one, and only
``subset("all")``, which lists every architecture, is refused.
"""

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import product
from math import prod
from typing import NamedTuple

import numpy as np
import pandas as pd
from torch import nn

from zcbench.errors import ArchitectureError, nearest, unknown
from zcbench.spaces.base import ImageShape, Space, SpaceError
from zcbench.spaces.initialisation import INITIALISATIONS, initialise
from zcbench.spaces.measuring import Cost, measure
from zcbench.spaces.options import image_sizes, positive
from zcbench.streams import seeded

LISTED = 100_000  # the largest space that is listed in full


class Site(NamedTuple):
    """One choice of an architecture: what it is called in messages, and the values it can have, as they are written."""

    name: str
    values: tuple[str, ...]


class ProductSpace(Space):
    """All lists of values, one from each of the first n sites, where n is one of ``lengths``.

    Attributes:
        label: what an architecture of the space is called in messages.
        example: one string of the space, for messages.
        sites: the choices, in the order in which a string names them.
        separators: the text between a site and the next.
        lengths: how many sites an architecture may have, in ascending order.
        aliases: further names of architectures, such as ``resnet20``.
        multiple: height and width of an image are multiples of it.
        smallest: least height and width of an image.
    """

    label: str
    example: str
    sites: tuple[Site, ...]
    separators: tuple[str, ...]
    lengths: tuple[int, ...]
    aliases: Mapping[str, str] = {}
    multiple: int = 1
    smallest: int = 1

    @abstractmethod
    def network(self, values: Sequence[str], image_shape: ImageShape, num_classes: int) -> nn.Module:
        """Network of the architecture with these values, its weights drawn from the global generator."""

    def parse(self, arch: str) -> tuple[str, ...]:
        """Values of the sites, in order.

        Raises:
            ArchitectureError: ``arch`` is not of this space; the message names the place.
        """
        if not isinstance(arch, str):
            raise ArchitectureError(
                f"Given: {arch!r}, which is of the type {type(arch).__name__}. Expected: the string of {self.label}, "
                f"such as {self.example!r}."
            )
        values = tuple(self._split(self._without_alias(arch)))
        for site, value in zip(self.sites, values):
            if value not in site.values:
                wrong = f"{site.name} reads {_short(value)!r}. Expected one of {', '.join(site.values)}"
                raise self._refusal(arch, f"{wrong}. {_hint(value, (*site.values, *self.aliases))}".rstrip())
        if len(values) not in self.lengths:
            ends = " or ".join(self.sites[length - 1].name for length in self.lengths)
            here = self.sites[len(values) - 1].name
            raise self._refusal(arch, f"it ends after {here}. Expected it to end after {ends}.")
        return values

    def write(self, values: Sequence[str]) -> str:
        """String of the architecture with these values."""
        separated = zip(values, ("", *self.separators))
        return "".join(separator + value for value, separator in separated)

    def index(self, arch: str) -> int:
        """Position of ``arch`` when shorter lists come first, and else the last site counts fastest.

        Raises:
            ArchitectureError: ``arch`` is not of this space; the message names the place.
        """
        values, position = self.parse(arch), 0
        for site, value in zip(self.sites, values):
            position = position * len(site.values) + site.values.index(value)
        return position + sum(self._count(length) for length in self.lengths if length < len(values))

    def canonical(self, arch: str) -> str:
        """``arch`` itself, without alias and with nothing left out: no two of these networks are the same.

        Raises:
            ArchitectureError: ``arch`` is not of this space.
        """
        return self.write(self.parse(arch))

    def subset(self, name: str = "all") -> tuple[str, ...]:
        """Every architecture in index order; ``"all"`` is the only subset.

        Raises:
            UnknownNameError: no subset has this name.
            SpaceError: the space is too large to be listed.
        """
        self._require_subset(name)
        if len(self) > LISTED:
            raise SpaceError(
                f"Given: the subset {name!r} of {self.name}, which has {len(self):,} architectures. Expected: a space "
                f"of at most {LISTED:,} to be listed in full. Draw a sample, or name the architectures."
            )
        return _members(self)

    def neighbours(self, arch: str) -> list[str]:
        """Architectures that differ in the value of one site, or end one step earlier or later.

        Raises:
            ArchitectureError: ``arch`` is not of this space.
        """
        old = self.parse(arch)
        changed = [
            (*old[:place], value, *old[place + 1 :])
            for place, site in enumerate(self.sites[: len(old)])
            for value in site.values
            if value != old[place]
        ]
        return [self.write(values) for values in (*changed, *self._shorter(old), *self._longer(old))]

    def crossover(self, first: str, second: str, rng: np.random.Generator) -> str:
        """Architecture that takes its length, and the value of each site, from either parent with equal probability.

        Raises:
            ArchitectureError: a parent is not of this space.
        """
        parents = self.parse(first), self.parse(second)
        picks = rng.integers(2, size=len(self.sites) + 1)
        length = len(parents[picks[-1]])
        own = [parents[pick] if place < len(parents[pick]) else parents[1 - pick] for place, pick in enumerate(picks)]
        return self.write([own[place][place] for place in range(length)])

    def costs(self, archs: Iterable[str], num_classes: int = 10, image_shape: ImageShape = (3, 32, 32)) -> pd.DataFrame:
        """Sizes, measured once per architecture on a network without weights (see `measuring`).

        Columns ``arch, params, macs, n_convs, depth``, one row per architecture.

        Raises:
            ArchitectureError: an architecture is not of this space.
            SpaceError: classes or image shape are out of range.
        """
        classes, shape = self._task(num_classes, image_shape)
        names = list(archs)
        rows = [_measured(self, self.parse(arch), classes, shape) for arch in names]
        columns = dict(zip(Cost._fields, np.array(rows, dtype=np.int64).reshape(-1, len(Cost._fields)).T))
        return pd.DataFrame({"arch": names, **columns})

    def build(
        self,
        arch: str,
        num_classes: int = 10,
        seed: int = 0,
        image_shape: ImageShape = (3, 32, 32),
        init: str = "default",
    ) -> nn.Module:
        """Untrained network of ``arch``, in training mode; equal arguments give equal weights, bit for bit.

        An alias gives the weights of the architecture that it stands for.

        Raises:
            ArchitectureError: ``arch`` is not of this space.
            SpaceError: classes or image shape are out of range.
            UnknownNameError: no initialisation is called ``init``.
        """
        values = self.parse(arch)
        classes, shape = self._task(num_classes, image_shape)
        if init not in INITIALISATIONS:
            raise unknown("initialisation", init, INITIALISATIONS)
        with seeded("init", self.spec, self.write(values), init, classes, shape, seed):
            module = self.network(values, shape, classes)
            initialise(module, init)
        return module

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

    def _split(self, text: str) -> list[str]:
        """The parts of ``text`` between the separators."""
        values, rest = [], text
        for separator in self.separators:
            value, found, after = rest.partition(separator)
            if not found:
                break
            values.append(value)
            rest = after
        return [*values, rest]

    def _without_alias(self, arch: str) -> str:
        if arch[:1].isalpha() and self.aliases and self.sites[0].values[0][:1].isdecimal() and arch not in self.aliases:
            raise self._refusal(arch, f"no architecture of {self.name} has this name. {nearest(arch, self.aliases)}")
        return self.aliases.get(arch, arch)

    def _refusal(self, arch: str, wrong: str) -> ArchitectureError:
        return ArchitectureError(f"{_short(arch)!r} is no {self.label}: {wrong} An example is {self.example!r}.")

    def _population(self, subset: str) -> Sequence[str] | Space:
        """The space itself: an architecture is made from its index when it is drawn."""
        self._require_subset(subset)
        return self

    def _require_subset(self, name: str) -> None:
        if name not in self.subsets:
            raise unknown(f"subset of {self.name}", name, self.subsets)

    def _task(self, num_classes: int, image_shape: ImageShape) -> tuple[int, ImageShape]:
        return positive("num_classes", num_classes), image_sizes(image_shape, self.multiple, self.smallest)

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


@lru_cache(maxsize=LISTED)
def _measured(space: ProductSpace, values: tuple[str, ...], num_classes: int, image_shape: ImageShape) -> Cost:
    return measure(lambda: space.network(values, image_shape, num_classes), image_shape)


def _short(text: str) -> str:
    return text if len(text) <= 200 else f"{text[:197]}..."


def _hint(value: str, values: Sequence[str]) -> str:
    hint = nearest(_short(value), values)
    return hint if hint.startswith("Did you mean") else ""
