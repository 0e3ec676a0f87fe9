"""Settings of a distiller search, and presets."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import NamedTuple

from zcbench.errors import unknown
from zcbench.kdzero.evolution.fitness import Fitness
from zcbench.kdzero.evolution.shrinkage import Shrinkage
from zcbench.search.algorithms.loop import SearchError, check_rates

ALGORITHMS = ("evolution", "random")


@dataclass(frozen=True)
class DistillerSettings:
    """How distillers are searched; the training of a candidate is described by its job.

    Attributes:
        algorithm: ``evolution``, or ``random``, which the paper calls Rand-KD.
        evaluations: most different candidates.
        step: candidates that are asked for at a time; workers do not change it.
        population: number of candidates in the population.
        tournament: number of candidates drawn; the fittest of them becomes a parent.
        crossover: share of children with two parents.
        fitness: what is minimised; its first population is that of the search.
        shrinkage: how sampling weights shrink; they do not if None.
        prescreen: candidates that compete for each place by a value before any training; 1 for no pre-screen.
        seed: names the stream of all draws.

    Raises:
        UnknownNameError: no algorithm has this name.
        SearchError: a number that is out of range.
    """

    algorithm: str = "evolution"
    evaluations: int = 200
    step: int = 4
    population: int = 20
    tournament: int = 5
    crossover: float = 0.5
    fitness: Fitness = field(default_factory=Fitness)
    shrinkage: Shrinkage | None = field(default_factory=Shrinkage)
    prescreen: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        if self.algorithm not in ALGORITHMS:
            raise unknown("algorithm of a distiller search", self.algorithm, ALGORITHMS)
        for name in ("evaluations", "step", "population", "prescreen"):
            if getattr(self, name) < 1:
                raise SearchError(
                    f"{name}={getattr(self, name)} was given. Expected a whole number of at least 1; give one."
                )
        check_rates(self.population, self.crossover, self.tournament)
        object.__setattr__(self, "fitness", replace(self.fitness, first=self.population))


class Preset(NamedTuple):
    """Settings of a search, and the share of a candidate's recipe after which it is measured."""

    settings: DistillerSettings
    share: float = 1.0


PRESETS: Mapping[str, Preset] = MappingProxyType(
    {
        "paper": Preset(DistillerSettings(evaluations=2000, step=20), share=0.05),
        "small": Preset(DistillerSettings()),
        "tiny": Preset(DistillerSettings(evaluations=40, population=8, tournament=3, shrinkage=Shrinkage(after=8))),
    }
)
"""By name. ``paper``: 100 iterations of a population of 20 and 5 % of the epochs, KD-Zero, section 4.1; the others are
for less time, with epochs of their own."""
