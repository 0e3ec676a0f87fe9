"""Ageing (regularised) evolution.

Real, Aggarwal, Huang and Le, "Regularized Evolution for Image Classifier Architecture Search", AAAI 2019,
arXiv:1802.01548, algorithm 1.
"""

from collections import deque
from collections.abc import Sequence
from typing import Generic

import numpy as np

from zcbench.search.algorithms.loop import C, Domain, Evaluated, Fitness, check_rates, check_room, first_value, no_room
from zcbench.search.algorithms.random_search import draw_new

_AGAIN = 8


class AgeingEvolution(Generic[C]):
    """A queue of candidates: the fittest of a random few has a child, the child joins, and the oldest dies.

    All children of one step have their parents in the population at the beginning of the step. A child that was
    proposed before is mutated again, at most eight times, so that a population that has settled goes on to look around.
    With a step of 1 and without that it is the published algorithm.

    Args:
        domain: where candidates are from.
        rng: generator of all draws.
        population: how many live at a time.
        tournament: how many are drawn, without replacement, for the fittest to become a parent.
        crossover: share of children that have two parents before they are mutated; the published algorithm has none.
        fitness: one number per member of the population.

    Raises:
        SearchError: a setting is out of range, or the domain has fewer candidates than the population.

    Note:
        DisWOT (arXiv:2303.15678) sets a population of 36 and a tournament of 8. Its released code draws parents from
        the five that are worst by its score; here the fittest wins.
    """

    def __init__(
        self,
        domain: Domain[C],
        rng: np.random.Generator,
        *,
        population: int = 36,
        tournament: int = 8,
        crossover: float = 0.0,
        fitness: Fitness[C] = first_value,
    ) -> None:
        check_rates(population, crossover, tournament)
        check_room(domain, population)
        self._domain, self._rng, self._fitness = domain, rng, fitness
        self._size, self._tournament, self._crossover = population, tournament, crossover
        self._seen: dict[C, None] = {}
        self._living: deque[Evaluated[C]] = deque(maxlen=population)

    @property
    def population(self) -> Sequence[C]:
        """Those alive, oldest first."""
        return [one.candidate for one in self._living]

    def ask(self, n: int) -> list[C]:
        """New draws until the population is full, then ``n`` children."""
        lacking = self._size - len(self._seen)
        if lacking > 0:  # no child is born before the population is full
            wanted = min(n, lacking)
            drawn = draw_new(self._domain, self._rng, wanted, self._seen)
            if len(drawn) < wanted:
                raise no_room(self._size, len(self._seen))
            return drawn
        fitness = self._fitness(self._living)
        return [self._child(fitness) for _ in range(n)]

    def tell(self, evaluated: Sequence[Evaluated[C]]) -> None:
        """They join; as many of the oldest die."""
        self._living.extend(evaluated)

    def _child(self, fitness: np.ndarray) -> C:
        parent = self._parent(fitness)
        if self._crossover and self._rng.random() < self._crossover:
            parent = self._domain.crossover(parent, self._parent(fitness), self._rng)
        child = self._domain.mutate(parent, self._rng)
        for _ in range(_AGAIN):
            if child not in self._seen:
                break
            child = self._domain.mutate(child, self._rng)
        self._seen[child] = None
        return child

    def _parent(self, fitness: np.ndarray) -> C:
        drawn = self._rng.choice(len(self._living), size=min(self._tournament, len(self._living)), replace=False)
        return self._living[int(drawn[fitness[drawn].argmax()])].candidate
