"""Evolution with elitism: the fittest of everything evaluated so far are the parents.

As in KD-Zero, NeurIPS 2023, section 3.2: a random population, then selection, crossover and mutation.
"""

from collections.abc import Sequence
from typing import Generic

import numpy as np

from zcbench.search.algorithms.loop import C, Domain, Evaluated, Fitness, check_rates
from zcbench.search.algorithms.random_search import draw_new

_AGAIN = 8


class Evolution(Generic[C]):
    """Evolutionary search whose population is the fittest of all candidates; children are mutated in one part.

    Candidates are drawn at random until ``population`` of them have a value. Then each child has one or two parents,
    the winners of tournaments in the population. The fitness is computed over all candidates evaluated so far, in the
    order of evaluation, because it scales its terms by them.

    Args:
        domain: where candidates are from.
        rng: generator of all draws.
        population: number of candidates in the population.
        tournament: number of candidates drawn without replacement; the fittest of them becomes a parent.
        crossover: share of children with two parents, before they are mutated.
        fitness: one number per member of a group, minus infinity for one without a value.

    Raises:
        SearchError: a setting is out of range.

    Note:
        The paper names a population of 20 and 100 iterations, and neither tournament nor rates; 5 and one half are
        ours. A child that was proposed before is bred again, at most eight times.
    """

    def __init__(
        self,
        domain: Domain[C],
        rng: np.random.Generator,
        *,
        population: int = 20,
        tournament: int = 5,
        crossover: float = 0.5,
        fitness: Fitness[C],
    ) -> None:
        check_rates(population, crossover, tournament)
        self._domain, self._rng, self._fitness = domain, rng, fitness
        self._size, self._tournament, self._crossover = population, tournament, crossover
        self._seen: dict[C, None] = {}
        self._told: dict[C, Evaluated[C]] = {}
        self._population: list[C] = []

    @property
    def living(self) -> Sequence[C]:
        """The population, fittest first."""
        return list(self._population)

    def ask(self, n: int) -> list[C]:
        """Random candidates until the population is full, then ``n`` children."""
        if len(self._population) < self._size:
            return draw_new(self._domain, self._rng, n, self._seen)
        return [self._new_child() for _ in range(n)]

    def tell(self, evaluated: Sequence[Evaluated[C]]) -> None:
        """Update the population with the fittest of all candidates that have a value."""
        self._told |= {one.candidate: one for one in evaluated}
        group = list(self._told.values())
        fitness = self._fitness(group)
        order = np.argsort(-fitness, kind="stable")[: self._size]
        self._population = [group[place].candidate for place in order if np.isfinite(fitness[place])]

    def _new_child(self) -> C:
        child = self._child()
        for _ in range(_AGAIN):
            if child not in self._seen:
                break
            child = self._child()
        self._seen[child] = None
        return child

    def _child(self) -> C:
        parent = self._parent()
        if self._crossover and self._rng.random() < self._crossover:
            parent = self._domain.crossover(parent, self._parent(), self._rng)
        return self._domain.mutate(parent, self._rng)

    def _parent(self) -> C:
        """The winner of a tournament; the population is in order, so it is the first of those drawn."""
        count = min(self._tournament, len(self._population))
        return self._population[int(self._rng.choice(len(self._population), size=count, replace=False).min())]
