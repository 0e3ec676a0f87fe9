"""NSGA-II for several objectives, by pymoo.

Deb, Pratap, Agarwal and Meyarivan, "A Fast and Elitist Multiobjective Genetic Algorithm: NSGA-II", IEEE Transactions on
Evolutionary Computation 6(2), 2002. Blank and Deb, "pymoo: Multi-Objective Optimization in Python", IEEE Access, 2020.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Generic

import numpy as np
from pymoo.algorithms.moo import nsga2
from pymoo.core.crossover import Crossover
from pymoo.core.duplicate import DuplicateElimination
from pymoo.core.mutation import Mutation
from pymoo.core.population import Population
from pymoo.core.problem import Problem
from pymoo.core.sampling import Sampling
from pymoo.core.termination import NoTermination

from zcbench.search.algorithms.contract import SearchAlgorithm, algorithm
from zcbench.search.algorithms.loop import (
    C,
    Domain,
    Evaluated,
    SearchError,
    SearchProblem,
    check_rates,
    check_room,
    no_room,
)
from zcbench.search.algorithms.random_search import draw_new

Rng = np.random.Generator

_WORST = np.finfo(float).max  # of what pymoo minimises

_CHANGES = (
    0.8  # of n genes each is drawn anew with probability 1/n; of five values a draw gives another in 4 of 5 cases
)


@algorithm("nsga2")
@dataclass
class NSGA2(SearchAlgorithm[C]):
    """Non-dominated sorting with crowding distances.

    The operators are those that pymoo has for lists of choices, carried out by the domain, so that every child is one
    that may be proposed: uniform crossover with probability ``crossover``, then a mutation of every gene with
    probability 1/n. The number of mutated genes is drawn from its limit for many genes, a Poisson distribution of mean
    1; about a third of the children are not mutated. A child that is in the population already is replaced by another
    one. A candidate without a value is dominated by any that has one.

    Args:
        population: how many live at a time; a generation has as many children.
        crossover: probability that a child has two parents.

    Raises:
        SearchError: there are fewer than two objectives, an option is out of range, or the domain has fewer candidates
            than the population.
    """

    needs_values = "NSGA-II compares generations"
    minimises = True

    population: int = 36
    crossover: float = 0.9

    def __post_init__(self) -> None:
        check_rates(self.population, self.crossover)

    @property
    def initial(self) -> int:
        """The first generation."""
        return self.population

    @property
    def living(self) -> Sequence[C]:
        """The survivors of the last generation."""
        living = self._nsga2.pop
        return [self._known.at(one.X[0]) for one in living] if living is not None else []

    def setup(self, problem: SearchProblem[C]) -> None:
        """Pymoo's algorithm, whose seed is drawn from the problem's generator."""
        if problem.objectives < 2:
            raise SearchError(
                f"NSGA-II was given {problem.objectives} objective. Expected at least 2, such as a proxy and a cost to "
                f"be kept small; name a cost to minimise, or use another algorithm."
            )
        check_room(problem.domain, self.population)
        self._goals, self._known = problem.goals, _Known[C]()
        self._problem = Problem(n_var=1, n_obj=problem.objectives, vtype=int)
        self._nsga2 = nsga2.NSGA2(
            pop_size=self.population,
            sampling=_Draw(problem.domain, self._known),
            crossover=_Cross(problem.domain, self._known, self.crossover),
            mutation=_Mutate(problem.domain, self._known),
            eliminate_duplicates=_Equal(),
        )
        self._nsga2.setup(self._problem, seed=int(problem.rng.integers(2**31)), termination=NoTermination())
        self._waiting: list[int] = []
        self._generation: Population | None = None
        self._told: dict[C, Evaluated[C]] = {}

    def ask(self, n: int) -> list[C]:
        """The next ``n`` of the present generation; the next generation when all of it is evaluated."""
        if self._generation is None:
            self._generation = self._nsga2.ask()
            places = [] if self._generation is None else self._generation.get("X")[:, 0]
            self._waiting = [int(place) for place in places]
        asked, self._waiting = self._waiting[:n], self._waiting[n:]
        return [self._known.at(place) for place in asked]

    def tell(self, evaluated: Sequence[Evaluated[C]]) -> None:
        """Sort the generation with its parents once all of it is evaluated."""
        self._told |= {one.candidate: one for one in evaluated}
        if self._waiting or self._generation is None:
            return
        members = [self._told.get(self._known.at(place)) for place in self._generation.get("X")[:, 0]]
        if None in members:  # the search ends within the generation
            return
        goals = np.asarray(self._goals([one for one in members if one is not None]), dtype=float)
        ok = np.isfinite(goals).all(axis=1)
        for one, losses in zip(self._generation, np.where(ok[:, None], -goals, _WORST)):
            one.F = losses
            one.evaluated.update(("F", "G", "H"))
        self._nsga2.tell(infills=self._generation)
        self._generation = None


class _Known(Generic[C]):
    """Numbers of candidates, which are what pymoo sees; equal candidates have one number."""

    def __init__(self) -> None:
        self._numbers: dict[C, int] = {}
        self._candidates: list[C] = []

    def at(self, number: float) -> C:
        """The candidate of a number."""
        return self._candidates[int(number)]

    def numbers(self, candidates: Iterable[C]) -> np.ndarray:
        """Numbers of the candidates, new ones for those that are new."""
        found = []
        for candidate in candidates:
            if candidate not in self._numbers:
                self._numbers[candidate] = len(self._candidates)
                self._candidates.append(candidate)
            found.append(self._numbers[candidate])
        return np.array(found, dtype=int)


class _Draw(Sampling, Generic[C]):
    def __init__(self, domain: Domain[C], known: _Known[C]) -> None:
        super().__init__()
        self._domain, self._known = domain, known

    def _do(self, problem: Problem, n_samples: int, *args: object, random_state: Rng, **kwargs: object) -> np.ndarray:
        drawn = draw_new(self._domain, random_state, n_samples, {})
        if len(drawn) < n_samples:
            raise no_room(n_samples, len(drawn))
        return self._known.numbers(drawn)[:, None]


class _Equal(DuplicateElimination):
    """Candidates are equal where their numbers are."""

    def _do(self, pop: Population, other: Population | None, is_duplicate: np.ndarray) -> np.ndarray:
        seen = set() if other is None else {one.X[0] for one in other}
        for place, number in enumerate([one.X[0] for one in pop]):
            is_duplicate[place] = number in seen
            if other is None:
                seen.add(number)
        return is_duplicate


class _Cross(Crossover, Generic[C]):
    """Uniform crossover: a child takes every choice from either parent; without it, it is the first parent."""

    def __init__(self, domain: Domain[C], known: _Known[C], probability: float) -> None:
        super().__init__(2, 1, prob=1.0)
        self._domain, self._known, self._probability = domain, known, probability

    def _do(self, problem: Problem, X: np.ndarray, *args: object, random_state: Rng, **kwargs: object) -> np.ndarray:
        pairs = [(self._known.at(one), self._known.at(other)) for one, other in X[:, :, 0].T]
        crossed = random_state.random(len(pairs)) < self._probability
        children = (
            self._domain.crossover(*pair, random_state) if cross else pair[0] for pair, cross in zip(pairs, crossed)
        )
        return self._known.numbers(children)[None, :, None]


class _Mutate(Mutation, Generic[C]):
    """Per-gene mutation: as many small changes one after the other as genes change in it."""

    def __init__(self, domain: Domain[C], known: _Known[C]) -> None:
        super().__init__(prob=1.0)
        self._domain, self._known = domain, known

    def _do(self, problem: Problem, X: np.ndarray, *args: object, random_state: Rng, **kwargs: object) -> np.ndarray:
        changes = random_state.poisson(_CHANGES, size=len(X))
        children = [self._mutated(self._known.at(one), int(n), random_state) for one, n in zip(X[:, 0], changes)]
        return self._known.numbers(children)[:, None]

    def _mutated(self, candidate: C, changes: int, rng: Rng) -> C:
        for _ in range(changes):
            candidate = self._domain.mutate(candidate, rng)
        return candidate
