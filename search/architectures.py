"""Architectures as the domain of a search: all that is drawn and changed stays within a budget."""

import hashlib
from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property

import numpy as np

from zcbench.errors import ArchitectureError
from zcbench.search.algorithms.loop import Domain
from zcbench.search.budget import Budget
from zcbench.search.costs import Costs
from zcbench.spaces.product import LISTED
from zcbench.streams import numpy_stream

ALL = "all"
"""The subset that every space knows."""

_DRAWS = (1, 5, 14, 30)  # draws from the space, at a time, before the last is brought within the budget
_FEW = 100  # architectures whose sizes may be measured one by one before a search begins
_STARTS = 8  # draws that the smallest costs are looked for from


class Architectures(Domain[str]):
    """What may be proposed: architectures within every limit, with a value of every cost that is needed.

    Attributes:
        budget: limits.
        costs: of the space.
        space: where the architectures are from.
        subset: the subset of the space that they are from.
    """

    def __init__(self, budget: Budget, subset: str = ALL) -> None:
        self.budget, self.costs, self.space, self.subset = budget, budget.costs, budget.costs.space, subset

    @property
    @abstractmethod
    def about(self) -> str:
        """Which architectures these are, for people."""

    @abstractmethod
    def proposed(self, arch: str) -> bool:
        """Whether the architecture is one that is proposed, whatever it costs."""

    def crossover(self, first: str, second: str, rng: np.random.Generator) -> str:
        """A child that fits; the first parent where twenty draws give none."""
        for _ in range(20):
            if self.fits(child := self.space.crossover(first, second, rng)):
                return child
        return first

    def fits(self, arch: str) -> bool:
        """Whether the architecture is one that may be proposed."""
        return self.proposed(arch) and self.budget.excess(arch) == 0

    def fitting(self, archs: Sequence[str]) -> list[str]:
        """Those that fit, as far as can be told without a clock."""
        return [arch for arch in self.budget.fitting(archs) if self.proposed(arch)]


class ListedArchitectures(Architectures):
    """Those of a list that fit.

    Few of them may differ in one choice alone, so that the neighbours of one are those that differ in the fewest: as
    many as it has neighbours in the space.

    Args:
        budget: limits.
        archs: the list.

    Raises:
        BudgetError: none fits.
        ArchitectureError: one is not of the space.
    """

    def __init__(self, budget: Budget, archs: Sequence[str]) -> None:
        super().__init__(budget)
        different = tuple(dict.fromkeys(archs))
        for arch in different:
            if arch not in self.space:
                raise ArchitectureError(f"{arch!r} is listed and no architecture of {self.space.spec}; mend the list.")
        self.archs = tuple(arch for arch in different if budget.excess(arch) == 0)
        if not self.archs:
            raise budget.impossible(different, "what is listed")
        self._members = frozenset(self.archs)
        self._near: dict[str, tuple[list[str], list[str], int]] = {}

    @property
    def about(self) -> str:
        """How many there are, and their fingerprint."""
        digest = hashlib.sha256("\n".join(sorted(self.archs)).encode()).hexdigest()
        return f"{len(self.archs):,} that are listed and fit (sha256 {digest[:12]})"

    def proposed(self, arch: str) -> bool:
        """Whether it is listed."""
        return arch in self._members

    def everything(self) -> Sequence[str]:
        """All of them."""
        return self.archs

    def sample(self, rng: np.random.Generator) -> str:
        """One of them, each with equal probability."""
        return self.archs[int(rng.integers(len(self.archs)))]

    def mutate(self, candidate: str, rng: np.random.Generator) -> str:
        """One of the neighbours; those that are equally far share the places that are left."""
        nearer, equal, places = self._around(candidate)
        if not places:
            return candidate  # the only one that is listed
        place = int(rng.integers(places))
        return nearer[place] if place < len(nearer) else equal[int(rng.integers(len(equal)))]

    def neighbours(self, candidate: str) -> list[str]:
        """Those that differ in the fewest choices."""
        nearer, equal, places = self._around(candidate)
        return [*nearer, *equal][:places]

    def _around(self, candidate: str) -> tuple[list[str], list[str], int]:
        """As many nearest architectures as there are neighbours in the space.

        Returns:
            Those that are surely among them; those of which some are, all equally far; and how many they are together.
        """
        if candidate not in self._near:
            far = self._differing(self.space.parse(candidate))
            others = np.flatnonzero(far)
            others = others[np.argsort(far[others], kind="stable")]
            places = min(len(self.space.neighbours(candidate)), len(others))
            ends = np.searchsorted(far[others], far[others[places - 1]], "left") if places else 0
            last = np.searchsorted(far[others], far[others[places - 1]], "right") if places else 0
            rings = [[self.archs[place] for place in others[one]] for one in (slice(ends), slice(ends, last))]
            self._near[candidate] = (rings[0], rings[1], places)
        return self._near[candidate]

    def _differing(self, values: Sequence[str]) -> np.ndarray:
        """In how many choices each architecture differs; a choice that only one of two has is different."""
        codes, choices = self._choices
        here = np.full(choices.shape[1], -1)
        known = [codes.get(value, -2) for value in values[: len(here)]]
        here[: len(known)] = known
        return (choices != here).sum(axis=1) + max(0, len(values) - len(here))

    @cached_property
    def _choices(self) -> tuple[dict[str, int], np.ndarray]:
        """A number for every value of a choice; and the choices as numbers, -1 where one has fewer than the others."""
        parsed = [self.space.parse(arch) for arch in self.archs]
        codes = {value: number for number, value in enumerate(sorted({value for row in parsed for value in row}))}
        choices = np.full((len(parsed), max(map(len, parsed))), -1)
        for row, values in zip(choices, parsed):
            row[: len(values)] = [codes[value] for value in values]
        return codes, choices


class SpaceArchitectures(Architectures):
    """Those of a space, or of one of its subsets, that fit.

    Draws are uniform over those that fit, found by drawing again; where 50 draws in a row do not fit, the last one is
    brought within the budget by small changes, so that draws are no longer uniform. Mutation is uniform over the
    neighbours that fit, crossover draws children until one fits.

    Args:
        budget: limits.
        subset: a subset that the space knows, such as ``"live"``; nothing else of the space is proposed.

    Raises:
        BudgetError: nothing satisfies the limits; the message has the nearest possible values.
        UnknownNameError: the subset is unknown.
    """

    def __init__(self, budget: Budget, subset: str = ALL) -> None:
        super().__init__(budget, subset)
        self._members = None if subset == ALL else frozenset(self.space.subset(subset))
        self._every: tuple[str, ...] | None = None
        self._near: dict[str, list[str]] = {}
        self._anchor = self._first()

    @property
    def about(self) -> str:
        """The name of the subset."""
        return ALL if self.subset == ALL else f"the subset {self.subset!r}"

    def proposed(self, arch: str) -> bool:
        """Whether it is in the subset."""
        return self._members is None or arch in self._members

    def everything(self) -> Sequence[str] | None:
        """All that fit, in the order of the space; None where that takes long, or a clock, to find out."""
        limited = bool(self.budget.needed)
        small = len(self.space) <= (LISTED if self.space.analytic or not limited else _FEW)
        if self.budget.by_clock or not small:
            return None
        if self._every is None:
            every = self.space.subset(self.subset)
            self._every = tuple(self.fitting(every)) if limited else every
        return self._every

    def sample(self, rng: np.random.Generator) -> str:
        """An architecture that fits."""
        for size in _DRAWS:
            drawn = [self.space.sample(rng, subset=self.subset) for _ in range(size)]
            found = next((arch for arch in self.fitting(drawn) if self.fits(arch)), None)
            if found is not None:
                return found
        return self._led(drawn[-1], rng) or self._walk(rng)

    def mutate(self, candidate: str, rng: np.random.Generator) -> str:
        """A neighbour that fits, each with equal probability; any that fits where there is none."""
        if candidate not in self._near:
            self._near[candidate] = self.space.neighbours(candidate)
        neighbours = self._near[candidate]
        for place in rng.permutation(len(neighbours)):
            if self.fits(neighbours[place]):
                return neighbours[place]
        return self.sample(rng)

    def neighbours(self, candidate: str) -> list[str]:
        """All neighbours that fit."""
        return [arch for arch in self.space.neighbours(candidate) if self.fits(arch)]

    def _first(self) -> str:
        """Some architecture that fits.

        Raises:
            BudgetError: none does, or none was found where not all can be looked at.
        """
        every = self.everything() if self.budget.needed else None
        if every is not None:
            if not every:
                raise self.budget.impossible(self.space.subset(self.subset), self.space.spec)
            return every[0]
        rng = numpy_stream("budget", self.space.name)
        draws = [self.space.sample(rng, subset=self.subset) for _ in range(_STARTS)]
        starts = (self.space[0], draws[0]) if self.subset == ALL else (draws[0],)
        fitting = next((arch for arch in draws if self.fits(arch)), None)
        fitting = fitting or next(filter(None, (self._led(arch, rng) for arch in starts)), None)
        if fitting is None:
            costs = (self.budget.excess, *map(self.budget.known, self.budget.needed))
            lowest = [self._lowest(arch, cost) for arch in starts for cost in costs]
            raise self.budget.impossible(lowest, self.space.spec)
        return fitting

    def _lowest(self, arch: str, cost: Callable[[str], float]) -> str:
        """Where steps to the best neighbour end."""
        value = cost(arch)
        while True:
            near = [(cost(other), other) for other in filter(self.proposed, self.space.neighbours(arch))]
            best, other = min(near, default=(value, arch))
            if not best < value:
                return arch
            value, arch = best, other

    def _led(self, arch: str, rng: np.random.Generator) -> str | None:
        """``arch`` after small changes that bring it within the budget; None where they lead to a dead end."""
        excess = self.budget.excess(arch)
        while excess > 0:
            neighbours = list(filter(self.proposed, self.space.neighbours(arch)))
            order = rng.permutation(len(neighbours))
            nearer = next((neighbours[i] for i in order if self.budget.excess(neighbours[i]) < excess), None)
            if nearer is None:
                return None
            arch, excess = nearer, self.budget.excess(nearer)
        return arch

    def _walk(self, rng: np.random.Generator) -> str:
        """Where a random walk within the budget ends that begins at some architecture that fits."""
        arch = self._anchor
        for _ in range(50):
            neighbours = self.neighbours(arch)
            arch = neighbours[int(rng.integers(len(neighbours)))] if neighbours else arch
        return arch


def architectures(
    costs: Costs,
    limits: Mapping[str, float] | None = None,
    needed: Iterable[str] = (),
    within: Sequence[str] | None = None,
    subset: str = ALL,
) -> Architectures:
    """Architectures within a `Budget`: those of the list ``within``, or of a ``subset`` of the space.

    Raises:
        BudgetError: nothing satisfies the limits; the message has the nearest possible values.
        UnknownNameError: a cost or the subset is unknown.
    """
    budget = Budget(costs, limits, needed)
    return SpaceArchitectures(budget, subset) if within is None else ListedArchitectures(budget, within)
