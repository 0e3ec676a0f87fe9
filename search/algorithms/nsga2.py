"""NSGA-II for several objectives, by pymoo.

Deb, Pratap, Agarwal and Meyarivan, "A Fast and Elitist Multiobjective Genetic Algorithm: NSGA-II", IEEE Transactions on
Evolutionary Computation 6(2), 2002. Blank and Deb, "pymoo: Multi-Objective Optimization in Python", IEEE Access, 2020.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Generic

import numpy as np
from pymoo.algorithms.moo import nsga2
from pymoo.core.crossover import Crossover
from pymoo.core.duplicate import DuplicateElimination
from pymoo.core.mutation import Mutation
from pymoo.core.problem import Problem
from pymoo.core.sampling import Sampling
from pymoo.core.termination import NoTermination

from zcbench.search.algorithms.loop import C, Domain, Evaluated, SearchError, check_rates, check_room, no_room
from zcbench.search.algorithms.random_search import draw_new

_CHANGES = (
    0.8  # of n genes each is drawn anew with probability 1/n; of five values a draw gives another in 4 of 5 cases
)

_WORST = np.finfo(float).max  # of what pymoo minimises

Matrix = Callable[[Sequence[Evaluated[C]]], np.ndarray]


class NSGA2(Generic[C]):
    """Non-dominated sorting with crowding distances.

    The operators are those that pymoo has for lists of choices, carried out by the domain, so that every child is one
    that may be proposed: uniform crossover with probability ``crossover``, then a mutation of every gene with
    probability 1/n. The number of mutated genes is drawn from its limit for many genes, a Poisson distribution of mean
    1; about a third of the children are not mutated. A child that lives already is replaced by another one. A candidate
    without a value is dominated by any that has one.

    Args:
        domain: where candidates are from.
        rng: generator that the seed of pymoo's own is drawn from.
        objectives: how many objectives there are.
        population: how many live at a time; a generation has as many children.
        crossover: probability that a child has two parents.
        matrix: objectives of a group, shape ``(n, objectives)``, to be maximised; its values if omitted.

    Raises:
        SearchError: there are fewer than two objectives, a setting is out of range, or the domain has fewer candidates
            than the population.
    """

    def __init__(
        self,
        domain: Domain[C],
        rng: np.random.Generator,
        *,
        objectives: int,
        population: int = 36,
        crossover: float = 0.9,
        matrix: Matrix[C] | None = None,
    ) -> None:
        if objectives < 2:
            raise SearchError(
                f"NSGA-II was given {objectives} objective. Expected at least 2, such as a proxy and a cost to be kept "
                f"small; name a cost to minimise, or use another algorithm."
            )
        check_rates(population, crossover)
        check_room(domain, population)
        self._known: _Known[C] = _Known()
        self._objectives, self._matrix = objectives, matrix or _values
        self._problem = Problem(n_var=1, n_obj=objectives, vtype=int)
        self._nsga2 = nsga2.NSGA2(
            pop_size=population,
            sampling=_Draw(domain, self._known),
            crossover=_Cross(domain, self._known, crossover),
            mutation=_Mutate(domain, self._known),
            eliminate_duplicates=_Distinct(),
        )
        self._nsga2.setup(self._problem, seed=int(rng.integers(2**31)), termination=NoTermination())
        self._waiting: list[int] = []
        self._generation: Any = None
        self._told: dict[C, Evaluated[C]] = {}

    @property
    def population(self) -> Sequence[C]:
        """The survivors of the last generation."""
        living = self._nsga2.pop
        return [self._known.at(one.X[0]) for one in living] if living is not None else []

    def ask(self, n: int) -> list[C]:
        """The next ``n`` of the present generation; the next generation when all of it is told."""
        if self._generation is None:
            self._generation = self._nsga2.ask()
            places = [] if self._generation is None else self._generation.get("X")[:, 0]
            self._waiting = [int(place) for place in places]
        asked, self._waiting = self._waiting[:n], self._waiting[n:]
        return [self._known.at(place) for place in asked]

    def tell(self, evaluated: Sequence[Evaluated[C]]) -> None:
        """Sort the generation with its parents once all of it is told."""
        self._told |= {one.candidate: one for one in evaluated}
        if self._waiting or self._generation is None:
            return
        members = [self._told.get(self._known.at(place)) for place in self._generation.get("X")[:, 0]]
        if None in members:  # the search ends within the generation
            return
        goals = np.asarray(self._matrix([one for one in members if one is not None]), dtype=float)
        ok = np.isfinite(goals).all(axis=1)
        for one, losses in zip(self._generation, np.where(ok[:, None], -goals, _WORST)):
            one.F = losses
            one.evaluated.update(("F", "G", "H"))
        self._nsga2.tell(infills=self._generation)
        self._generation = None


def _values(group: Sequence[Evaluated[Any]]) -> np.ndarray:
    return np.array([one.values for one in group], dtype=float)


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


class _Draw(Sampling):
    def __init__(self, domain: Domain[Any], known: _Known[Any]) -> None:
        super().__init__()
        self._domain, self._known = domain, known

    def _do(self, problem: Problem, n_samples: int, *args: Any, random_state: Any = None, **kwargs: Any) -> np.ndarray:
        drawn = draw_new(self._domain, random_state, n_samples, {})
        if len(drawn) < n_samples:
            raise no_room(n_samples, len(drawn))
        return self._known.numbers(drawn)[:, None]


class _Distinct(DuplicateElimination):
    """Candidates are equal where their numbers are."""

    def _do(self, pop: Any, other: Any, is_duplicate: np.ndarray) -> np.ndarray:
        seen = set() if other is None else {one.X[0] for one in other}
        for place, number in enumerate([one.X[0] for one in pop]):
            is_duplicate[place] = number in seen
            if other is None:
                seen.add(number)
        return is_duplicate


class _Cross(Crossover):
    """Uniform crossover: a child takes every choice from either parent; without it, it is the first parent."""

    def __init__(self, domain: Domain[Any], known: _Known[Any], probability: float) -> None:
        super().__init__(2, 1, prob=1.0)
        self._domain, self._known, self._probability = domain, known, probability

    def _do(self, problem: Problem, X: np.ndarray, *args: Any, random_state: Any = None, **kwargs: Any) -> np.ndarray:
        pairs = [(self._known.at(one), self._known.at(other)) for one, other in X[:, :, 0].T]
        crossed = random_state.random(len(pairs)) < self._probability
        children = (
            self._domain.crossover(*pair, random_state) if cross else pair[0] for pair, cross in zip(pairs, crossed)
        )
        return self._known.numbers(children)[None, :, None]


class _Mutate(Mutation):
    """Per-gene mutation: as many small changes one after the other as genes change in it."""

    def __init__(self, domain: Domain[Any], known: _Known[Any]) -> None:
        super().__init__(prob=1.0)
        self._domain, self._known = domain, known

    def _do(self, problem: Problem, X: np.ndarray, *args: Any, random_state: Any = None, **kwargs: Any) -> np.ndarray:
        changes = random_state.poisson(_CHANGES, size=len(X))
        children = [self._mutated(self._known.at(one), int(n), random_state) for one, n in zip(X[:, 0], changes)]
        return self._known.numbers(children)[:, None]

    def _mutated(self, candidate: Any, changes: int, rng: np.random.Generator) -> Any:
        for _ in range(changes):
            candidate = self._domain.mutate(candidate, rng)
        return candidate
