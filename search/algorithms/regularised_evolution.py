"""Regularised (ageing) evolution.

Real, Aggarwal, Huang and Le, "Regularized Evolution for Image Classifier Architecture Search", AAAI 2019,
arXiv:1802.01548, algorithm 1.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from zcbench.search.algorithms.contract import SearchAlgorithm, algorithm
from zcbench.search.algorithms.loop import C, Evaluated, SearchProblem, check_rates, check_room, no_room
from zcbench.search.algorithms.random_search import draw_new

_AGAIN = 8


@algorithm("evolution")
@dataclass
class RegularisedEvolution(SearchAlgorithm[C]):
    """A queue of candidates: the fittest of a random few has a child, the child joins, and the oldest leaves.

    All children of one step have their parents in the population at the beginning of the step. A child that was
    proposed before is mutated again, at most eight times, so that a population that has converged goes on to explore.
    With a step of 1 and without that it is the published algorithm.

    Args:
        population: how many live at a time.
        tournament: how many are drawn, without replacement, for the fittest to become a parent.
        crossover: share of children that have two parents before they are mutated; the published algorithm has none.

    Raises:
        SearchError: an option is out of range, or the domain has fewer candidates than the population.

    Note:
        DisWOT (arXiv:2303.15678) sets a population of 36 and a tournament of 8. Its released code draws parents from
        the five that are worst by its score; here the fittest wins.
    """

    population: int = 36
    tournament: int = 8
    crossover: float = 0.0

    def __post_init__(self) -> None:
        check_rates(self.population, self.crossover, self.tournament)

    @property
    def initial(self) -> int:
        """The first population."""
        return self.population

    @property
    def living(self) -> Sequence[C]:
        """The population, oldest first."""
        return [one.candidate for one in self._living]

    def setup(self, problem: SearchProblem[C]) -> None:
        """An empty population."""
        check_room(problem.domain, self.population)
        self._problem, self._seen = problem, dict[C, None]()
        self._living: deque[Evaluated[C]] = deque(maxlen=self.population)

    def ask(self, n: int) -> list[C]:
        """New draws until the population is full, then ``n`` children."""
        lacking = self.population - len(self._seen)
        if lacking > 0:  # no child is born before the population is full
            wanted = min(n, lacking)
            drawn = draw_new(self._problem.domain, self._problem.rng, wanted, self._seen)
            if len(drawn) < wanted:
                raise no_room(self.population, len(self._seen))
            return drawn
        fitness = self._problem.fitness(self._living)
        return [self._child(fitness) for _ in range(n)]

    def tell(self, evaluated: Sequence[Evaluated[C]]) -> None:
        """They join; as many of the oldest leave."""
        self._living.extend(evaluated)

    def _child(self, fitness: np.ndarray) -> C:
        parent = self._parent(fitness)
        if self.crossover and self._problem.rng.random() < self.crossover:
            parent = self._problem.domain.crossover(parent, self._parent(fitness), self._problem.rng)
        child = self._problem.domain.mutate(parent, self._problem.rng)
        for _ in range(_AGAIN):
            if child not in self._seen:
                break
            child = self._problem.domain.mutate(child, self._problem.rng)
        self._seen[child] = None
        return child

    def _parent(self, fitness: np.ndarray) -> C:
        drawn = self._problem.rng.choice(len(self._living), size=min(self.tournament, len(self._living)), replace=False)
        return self._living[int(drawn[fitness[drawn].argmax()])].candidate
