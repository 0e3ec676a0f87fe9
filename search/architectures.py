"""Architectures of a space as the domain of a search: all that it draws and changes keeps within a budget."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property

import numpy as np

from zcbench.benchmarks.ranking.evidence import SIZES
from zcbench.errors import ArchitectureError
from zcbench.search.algorithms.loop import SearchError
from zcbench.search.costs import UNITS, Costs
from zcbench.spaces.product import LISTED
from zcbench.streams import numpy_stream

ALL = "all"
"""The subset that every space knows."""

_DRAWS = (1, 5, 14, 30)  # draws from the space, at a time, before the last is brought within the budget
_FEW = 100  # architectures whose sizes may be measured one by one before a search begins
_STARTS = 8  # draws that the smallest costs are looked for from


class BudgetError(SearchError):
    """A budget that no architecture satisfies, as far as can be found."""


class Architectures:
    """What may be proposed: architectures within every limit, with a value of every cost that is looked at.

    Draws are uniform over those that fit, found by drawing again; where 50 draws in a row do not fit, the last one is
    led into the budget by small changes, so that draws are no longer uniform. Mutation is uniform over the neighbours
    that fit, crossover draws children until one fits.

    Of listed architectures, few of which may differ in one choice alone, the neighbours of one are those that differ
    in the fewest: as many as it has neighbours in the space.

    Args:
        costs: of the space that is searched.
        limits: greatest allowed value of each cost.
        needed: costs that must be measurable, beside those that are limited; sizes always are.
        within: architectures to choose from; all of the space, or of ``subset``, if None.
        subset: a subset that the space knows, such as ``"live"``; nothing else of the space is proposed.

    Raises:
        BudgetError: nothing satisfies the limits; the message has the nearest possible values.
        SearchError: a limit is not above 0.
        UnknownNameError: a cost or the subset is unknown.
    """

    def __init__(
        self,
        costs: Costs,
        limits: Mapping[str, float] | None = None,
        needed: Iterable[str] = (),
        within: Sequence[str] | None = None,
        subset: str = ALL,
    ) -> None:
        self.space, self.costs, self.limits, self.subset = costs.space, costs, dict(limits or {}), subset
        self._needed = self._checked(needed)
        self.within = None if within is None else self._fitting(tuple(dict.fromkeys(within)))
        listed = self.space.subset(subset) if self.within is None and subset != ALL else self.within
        self._members = None if listed is None else frozenset(listed)
        self._every: tuple[str, ...] | None = None
        self._near: dict[str, list[str]] = {}
        self._rings: dict[str, tuple[list[str], list[str], int]] = {}
        self._anchor = self._first()

    def fits(self, arch: str) -> bool:
        """Whether the architecture is one that may be proposed."""
        return (self._members is None or arch in self._members) and self.excess(arch) == 0

    def fitting(self, archs: Sequence[str]) -> list[str]:
        """Those that fit, as far as can be told without a clock."""
        for name in self._needed:
            if self.costs.instant(name):
                self.costs.column(name, archs)
        return [arch for arch in archs if (self._members is None or arch in self._members) and not self._over(arch)]

    def everything(self) -> Sequence[str] | None:
        """All that fit, in the order of the space or list; None where that takes long, or a clock, to find out."""
        if self.within is not None:
            return self.within
        small = len(self.space) <= (LISTED if self.space.analytic or not self._needed else _FEW)
        if self.by_clock or not small:
            return None
        if self._every is None:
            every = self.space.subset(self.subset)
            self._every = tuple(self.fitting(every)) if self._needed else every
        return self._every

    @property
    def by_clock(self) -> bool:
        """Whether a clock decides what fits, so that nothing can be said of architectures that were not timed."""
        return not all(map(self.costs.instant, self._needed))

    def _over(self, arch: str) -> bool:
        return any(self._excess(arch, name) > 0 for name in self._needed if self.costs.instant(name))

    def excess(self, arch: str) -> float:
        """By how much the limits are exceeded, as shares of them, added up; infinite where a cost is unknown."""
        total = 0.0
        for name in self._needed:
            total += self._excess(arch, name)
            if total == float("inf"):
                break
        return total

    def _excess(self, arch: str, name: str) -> float:
        value = float(self.costs.column(name, [arch])[0])
        if np.isnan(value):
            return float("inf")
        return max(0.0, value / self.limits[name] - 1) if name in self.limits else 0.0

    def sample(self, rng: np.random.Generator) -> str:
        """An architecture that fits."""
        if self.within is not None:
            return self.within[int(rng.integers(len(self.within)))]
        for size in _DRAWS:
            drawn = [self.space.sample(rng, subset=self.subset) for _ in range(size)]
            if fitting := self.fitting(drawn):
                found = next((arch for arch in fitting if self.fits(arch)), None)
                if found is not None:
                    return found
        return self._led(drawn[-1], rng) or self._walk(rng)

    def mutate(self, candidate: str, rng: np.random.Generator) -> str:
        """A neighbour that fits, each with equal probability; any that fits where there is none."""
        if self.within is not None:
            return self._step(candidate, rng)
        if candidate not in self._near:
            self._near[candidate] = self.space.neighbours(candidate)
        neighbours = self._near[candidate]
        for place in rng.permutation(len(neighbours)):
            if self.fits(neighbours[place]):
                return neighbours[place]
        return self.sample(rng)

    def _step(self, candidate: str, rng: np.random.Generator) -> str:
        """One of the nearest listed architectures; those that are equally far share the places that are left."""
        nearer, equal, places = self._around(candidate)
        if not places:
            return candidate  # the only one that is listed
        place = int(rng.integers(places))
        return nearer[place] if place < len(nearer) else equal[int(rng.integers(len(equal)))]

    def _around(self, candidate: str) -> tuple[list[str], list[str], int]:
        """As many nearest listed architectures as there are neighbours in the space.

        Returns:
            Those that are surely among them; those of which some are, all equally far; and how many they are together.
        """
        if candidate not in self._rings:
            listed = self.within or ()
            far = self._differing(self.space.parse(candidate))
            others = np.flatnonzero(far)
            others = others[np.argsort(far[others], kind="stable")]
            places = min(len(self.space.neighbours(candidate)), len(others))
            ends = np.searchsorted(far[others], far[others[places - 1]], "left") if places else 0
            last = np.searchsorted(far[others], far[others[places - 1]], "right") if places else 0
            rings = [[listed[place] for place in others[one]] for one in (slice(ends), slice(ends, last))]
            self._rings[candidate] = (rings[0], rings[1], places)
        return self._rings[candidate]

    def _differing(self, values: Sequence[str]) -> np.ndarray:
        """In how many choices each listed architecture differs; a choice that only one of two has is different."""
        here = np.full(self._choices.shape[1], -1)
        known = [self._codes.get(value, -2) for value in values[: len(here)]]
        here[: len(known)] = known
        return (self._choices != here).sum(axis=1) + max(0, len(values) - len(here))

    @cached_property
    def _codes(self) -> dict[str, int]:
        """A number for every value that a choice of a listed architecture has."""
        values = {value for arch in self.within or () for value in self.space.parse(arch)}
        return {value: number for number, value in enumerate(sorted(values))}

    @cached_property
    def _choices(self) -> np.ndarray:
        """Choices of the listed architectures as numbers, a row for each; -1 where one has fewer than the others."""
        parsed = [self.space.parse(arch) for arch in self.within or ()]
        choices = np.full((len(parsed), max(map(len, parsed))), -1)
        for row, values in zip(choices, parsed):
            row[: len(values)] = [self._codes[value] for value in values]
        return choices

    def crossover(self, first: str, second: str, rng: np.random.Generator) -> str:
        """A child that fits; the first parent where twenty draws give none."""
        for _ in range(20):
            if self.fits(child := self.space.crossover(first, second, rng)):
                return child
        return first

    def neighbours(self, candidate: str) -> list[str]:
        """All neighbours that fit."""
        if self.within is not None:
            nearer, equal, places = self._around(candidate)
            return [*nearer, *equal][:places]
        return [arch for arch in self.space.neighbours(candidate) if self.fits(arch)]

    def _beside(self, arch: str) -> list[str]:
        """All neighbours, whatever they cost, of those that may be proposed at all."""
        return [one for one in self.space.neighbours(arch) if self._members is None or one in self._members]

    def _checked(self, needed: Iterable[str]) -> tuple[str, ...]:
        """Costs that decide whether an architecture fits: those with a limit, and those that may be unknown."""
        names = tuple(dict.fromkeys((*self.limits, *needed)))
        for name in names:
            self.costs.instant(name)  # refuses what is no cost
        return tuple(name for name in names if name in self.limits or name not in SIZES)

    def _fitting(self, archs: Sequence[str]) -> tuple[str, ...]:
        """Those of a list that fit.

        Raises:
            BudgetError: none does.
            ArchitectureError: one is not of the space.
        """
        for arch in archs:
            if arch not in self.space:
                raise ArchitectureError(f"{arch!r} is listed and no architecture of {self.space.spec}; mend the list.")
        fitting = tuple(arch for arch in archs if self.excess(arch) == 0)
        if not fitting:
            raise self._impossible(archs, "what is listed")
        return fitting

    def _first(self) -> str:
        """Some architecture that fits.

        Raises:
            BudgetError: none does, or none was found where not all can be looked at.
        """
        every = self.everything() if self._needed or self.within is not None else None
        if every is not None:
            if not every:
                raise self._impossible(self.space.subset(self.subset), self.space.spec)
            return every[0]
        rng = numpy_stream("budget", self.space.name)
        draws = [self.space.sample(rng, subset=self.subset) for _ in range(_STARTS)]
        starts = (self.space[0], draws[0]) if self.subset == ALL else (draws[0],)
        fitting = next((arch for arch in draws if self.fits(arch)), None)
        fitting = fitting or next(filter(None, (self._led(arch, rng) for arch in starts)), None)
        if fitting is None:
            lowest = [
                self._lowest(arch, cost) for arch in starts for cost in (self.excess, *map(self._known, self._needed))
            ]
            raise self._impossible(lowest, self.space.spec)
        return fitting

    def _lowest(self, arch: str, cost: Callable[[str], float]) -> str:
        """Where steps to the best neighbour end."""
        value = cost(arch)
        while True:
            near = [(cost(other), other) for other in self._beside(arch)]
            best, other = min(near, default=(value, arch))
            if not best < value:
                return arch
            value, arch = best, other

    def _known(self, name: str) -> Callable[[str], float]:
        """One cost, infinite where it cannot be measured."""

        def cost(arch: str) -> float:
            value = float(self.costs.column(name, [arch])[0])
            return float("inf") if np.isnan(value) else value

        return cost

    def _impossible(self, archs: Sequence[str], where: str) -> BudgetError:
        """What to say where nothing fits: of the architectures that were looked at, those that come nearest."""
        unknown = [name for name in self._needed if not any(map(math.isfinite, map(self._known(name), archs)))]
        if unknown:
            return BudgetError(
                f"Nothing in {where} has a known {' or '.join(unknown)}: {len(archs):,} architectures were looked at. "
                f"Expected architectures that the device can run; choose others, or another device."
            )
        asked = " and ".join(f"{name} ≤ {_told(name, limit)}" for name, limit in self.limits.items())
        smallest = {name: min(archs, key=self._known(name)) for name in self.limits}
        lowest = "; ".join(f"{name} {_told(name, self._known(name)(arch))} ({arch})" for name, arch in smallest.items())
        nearest = min(archs, key=self.excess)
        together = ", ".join(f"{name} {_told(name, self._known(name)(nearest))}" for name in self.limits)
        compromise = f" Nearest to all limits at once is {nearest}: {together}." if len(self.limits) > 1 else ""
        return BudgetError(
            f"The budget {asked} was given, and nothing in {where} was found that satisfies all of it. The smallest "
            f"values found are {lowest}.{compromise} Raise the limit."
        )

    def _led(self, arch: str, rng: np.random.Generator) -> str | None:
        """``arch`` after small changes that bring it within the budget; None where they lead to a dead end."""
        excess = self.excess(arch)
        while excess > 0:
            neighbours = self._beside(arch)
            order = rng.permutation(len(neighbours))
            nearer = next((neighbours[i] for i in order if self.excess(neighbours[i]) < excess), None)
            if nearer is None:
                return None
            arch, excess = nearer, self.excess(nearer)
        return arch

    def _walk(self, rng: np.random.Generator) -> str:
        """Where a random walk within the budget ends that begins at some architecture that fits."""
        arch = self._anchor
        for _ in range(50):
            neighbours = self.neighbours(arch)
            arch = neighbours[int(rng.integers(len(neighbours)))] if neighbours else arch
        return arch


def _told(name: str, value: float) -> str:
    return f"{f'{value:,.0f}' if value >= 100 else f'{value:.4g}'} {UNITS[name]}"
