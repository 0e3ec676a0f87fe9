"""Architectures of a space as the domain of a search: all that it draws and changes keeps within a budget."""

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from zcbench.errors import ArchitectureError
from zcbench.search.costs import UNITS, Costs
from zcbench.search.loop import SearchError
from zcbench.streams import numpy_stream

_DRAWS = (1, 5, 14, 30)  # draws from the space, at a time, before the last is brought within the budget
_STEPS = 8  # mutations in a row until a listed architecture must have come up
_STARTS = 8  # draws that the smallest costs are looked for from


class BudgetError(SearchError):
    """A budget that no architecture satisfies, as far as can be found."""


class Architectures:
    """What may be proposed: architectures within every limit, with a value of every cost that is looked at.

    Draws are uniform over those that fit, found by drawing again; where 50 draws in a row do not fit, the last one is
    led into the budget by small changes, so that draws are no longer uniform. Mutation is uniform over the neighbours
    that fit, crossover draws children until one fits.

    Args:
        costs: of the space that is searched.
        limits: greatest allowed value of each cost.
        needed: costs that must be measurable, beside those that are limited.
        within: architectures to choose from; all of the space if None.

    Raises:
        BudgetError: nothing satisfies the limits; the message has the nearest possible values.
        SearchError: a limit is not above 0.
        UnknownNameError: a cost is unknown.
    """

    def __init__(
        self,
        costs: Costs,
        limits: Mapping[str, float] | None = None,
        needed: Iterable[str] = (),
        within: Sequence[str] | None = None,
    ) -> None:
        self.space, self.costs, self.limits = costs.space, costs, dict(limits or {})
        self._needed = tuple(dict.fromkeys((*self.limits, *needed)))
        self.within = None if within is None else self._fitting(tuple(dict.fromkeys(within)))
        self._members = None if self.within is None else frozenset(self.within)
        self._near: dict[str, list[str]] = {}
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
            drawn = [self.space.sample(rng) for _ in range(size)]
            if fitting := self.fitting(drawn):
                found = next((arch for arch in fitting if self.fits(arch)), None)
                if found is not None:
                    return found
        return self._led(drawn[-1], rng) or self._walk(rng)

    def mutate(self, candidate: str, rng: np.random.Generator) -> str:
        """A neighbour that fits, each with equal probability; any that fits where there is none.

        Where only listed architectures may be proposed, few of which are neighbours, one is mutated until it is listed,
        at most eight times.
        """
        if self._members is not None:
            return self._strayed(candidate, rng)
        if candidate not in self._near:
            self._near[candidate] = self.space.neighbours(candidate)
        neighbours = self._near[candidate]
        for place in rng.permutation(len(neighbours)):
            if self.fits(neighbours[place]):
                return neighbours[place]
        return self.sample(rng)

    def _strayed(self, candidate: str, rng: np.random.Generator) -> str:
        arch = candidate
        for _ in range(_STEPS):
            arch = self.space.mutate(arch, rng)
            if arch != candidate and arch in (self._members or ()):
                return arch
        return self.sample(rng)

    def crossover(self, first: str, second: str, rng: np.random.Generator) -> str:
        """A child that fits; the first parent where twenty draws give none."""
        for _ in range(20):
            if self.fits(child := self.space.crossover(first, second, rng)):
                return child
        return first

    def neighbours(self, candidate: str) -> list[str]:
        """All neighbours that fit."""
        return [arch for arch in self.space.neighbours(candidate) if self.fits(arch)]

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
            raise self._impossible({name: min(archs, key=self._known(name)) for name in self.limits}, "what is listed")
        return fitting

    def _first(self) -> str:
        """Some architecture that fits.

        Raises:
            BudgetError: none was found.
        """
        if self.within is not None:
            return self.within[0]
        rng = numpy_stream("budget", self.space.name)
        draws = [self.space.sample(rng) for _ in range(_STARTS)]
        fitting = next((arch for arch in draws if self.fits(arch)), None)
        starts = (self.space[0], draws[0])
        if fitting is None:
            fitting = next(filter(None, (self._led(arch, rng) for arch in starts)), None)
        if fitting is None:
            smallest = {
                name: min((self._lowest(arch, self._known(name)) for arch in starts), key=self._known(name))
                for name in self.limits
            }
            raise self._impossible(smallest, self.space.spec)
        return fitting

    def _lowest(self, arch: str, cost: Callable[[str], float]) -> str:
        """Where steps to the best neighbour end."""
        value = cost(arch)
        while True:
            near = [(cost(other), other) for other in self.space.neighbours(arch)]
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

    def _impossible(self, smallest: Mapping[str, str], where: str) -> BudgetError:
        """What to say where nothing fits; ``smallest`` has the architecture that is smallest by each limited cost."""
        asked = " and ".join(f"{name} ≤ {_told(name, limit)}" for name, limit in self.limits.items())
        nearest = "; ".join(
            f"{name} {_told(name, self._known(name)(arch))} ({arch})" for name, arch in smallest.items()
        )
        return BudgetError(
            f"The budget {asked} was given, and nothing in {where} was found that satisfies all of it. The smallest "
            f"values found are {nearest}. Raise the limit."
        )

    def _led(self, arch: str, rng: np.random.Generator) -> str | None:
        """``arch`` after small changes that bring it within the budget; None where they lead to a dead end."""
        excess = self.excess(arch)
        while excess > 0:
            neighbours = self.space.neighbours(arch)
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
