"""Limits on what an architecture costs."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence

from zcbench.benchmarks.ranking.sizes import SIZES
from zcbench.search.algorithms.loop import SearchError
from zcbench.search.costs import UNITS, Costs


class BudgetError(SearchError):
    """A budget that no architecture satisfies, as far as can be found."""


class Budget:
    """Which costs are limited, and which must be known.

    Args:
        costs: of the space that is searched.
        limits: greatest allowed value of each cost.
        needed: costs that must be measurable, in addition to those that are limited; sizes always are.

    Raises:
        UnknownNameError: there is no such cost.
    """

    def __init__(self, costs: Costs, limits: Mapping[str, float] | None = None, needed: Iterable[str] = ()) -> None:
        self.costs, self.limits = costs, dict(limits or {})
        names = tuple(dict.fromkeys((*self.limits, *needed)))
        for name in names:
            costs.instant(name)  # refuses what is no cost
        self.needed = tuple(name for name in names if name in self.limits or name not in SIZES)

    @property
    def by_clock(self) -> bool:
        """Whether a clock decides what fits, so that nothing can be said of architectures that were not timed."""
        return not all(map(self.costs.instant, self.needed))

    def excess(self, arch: str) -> float:
        """By how much the limits are exceeded, as shares of them, added up; infinite where a cost is unknown."""
        total = 0.0
        for name in self.needed:
            total += self._excess(arch, name)
            if total == math.inf:
                break
        return total

    def fitting(self, archs: Sequence[str]) -> list[str]:
        """Those that fit, as far as can be told without a clock."""
        instant = [name for name in self.needed if self.costs.instant(name)]
        for name in instant:
            self.costs.column(name, archs)
        return [arch for arch in archs if not any(self._excess(arch, name) > 0 for name in instant)]

    def known(self, name: str) -> Callable[[str], float]:
        """One cost as a function of the architecture, infinite where it cannot be measured."""

        def cost(arch: str) -> float:
            value = float(self.costs.column(name, [arch])[0])
            return math.inf if math.isnan(value) else value

        return cost

    def impossible(self, archs: Sequence[str], where: str) -> BudgetError:
        """The error where nothing fits: of the architectures that were looked at, those that come nearest."""
        unknown = [name for name in self.needed if not any(map(math.isfinite, map(self.known(name), archs)))]
        if unknown:
            return BudgetError(
                f"Nothing in {where} has a known {' or '.join(unknown)}: {len(archs):,} architectures were looked at. "
                f"Expected architectures that the device can run; choose others, or another device."
            )
        asked = " and ".join(f"{name} ≤ {_told(name, limit)}" for name, limit in self.limits.items())
        smallest = {name: min(archs, key=self.known(name)) for name in self.limits}
        lowest = "; ".join(f"{name} {_told(name, self.known(name)(arch))} ({arch})" for name, arch in smallest.items())
        nearest = min(archs, key=self.excess)
        together = ", ".join(f"{name} {_told(name, self.known(name)(nearest))}" for name in self.limits)
        compromise = f" Nearest to all limits at once is {nearest}: {together}." if len(self.limits) > 1 else ""
        return BudgetError(
            f"The budget {asked} was given, and nothing in {where} was found that satisfies all of it. The smallest "
            f"values found are {lowest}.{compromise} Raise the limit."
        )

    def _excess(self, arch: str, name: str) -> float:
        value = self.known(name)(arch)
        if value == math.inf:
            return value
        return max(0.0, value / self.limits[name] - 1) if name in self.limits else 0.0


def _told(name: str, value: float) -> str:
    return f"{f'{value:,.0f}' if value >= 100 else f'{value:.4g}'} {UNITS[name]}"
