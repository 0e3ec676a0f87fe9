"""NSGA-II for several objectives, by pymoo.

Deb, Pratap, Agarwal and Meyarivan, "A Fast and Elitist Multiobjective Genetic Algorithm: NSGA-II", IEEE Transactions on
Evolutionary Computation 6(2), 2002. Blank and Deb, "pymoo: Multi-Objective Optimization in Python", IEEE Access, 2020.
"""

from collections.abc import Callable, Sequence
from typing import Any, Generic

import numpy as np
from pymoo.algorithms.moo import nsga2
from pymoo.core.crossover import Crossover
from pymoo.core.duplicate import ElementwiseDuplicateElimination
from pymoo.core.evaluator import Evaluator
from pymoo.core.mutation import Mutation
from pymoo.core.problem import Problem
from pymoo.core.sampling import Sampling
from pymoo.core.termination import NoTermination
from pymoo.problems.static import StaticProblem

from zcbench.search.loop import C, Domain, Evaluated, SearchError, check_rates, check_room, no_room
from zcbench.search.random_search import draw_new

Matrix = Callable[[Sequence[Evaluated[C]]], np.ndarray]


class NSGA2(Generic[C]):
    """Non-dominated sorting with crowding distances.

    The operators are those of the domain: a child has two parents with probability ``crossover`` and is then mutated.
    A candidate without a value counts as one that breaks a constraint: it loses against any other.

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
        self._known: list[C] = []
        self._objectives, self._matrix = objectives, matrix or _values
        self._problem = Problem(n_var=1, n_obj=objectives, n_ieq_constr=1, vtype=int)
        self._nsga2 = nsga2.NSGA2(
            pop_size=population,
            sampling=_Draw(domain, self._known),
            crossover=_Cross(domain, self._known, crossover),
            mutation=_Mutate(domain, self._known),
            eliminate_duplicates=_Same(self._known),
        )
        self._nsga2.setup(self._problem, seed=int(rng.integers(2**31)), termination=NoTermination())
        self._waiting: list[int] = []
        self._generation: Any = None
        self._told: dict[C, Evaluated[C]] = {}

    @property
    def population(self) -> Sequence[C]:
        """The survivors of the last generation."""
        living = self._nsga2.pop
        return [self._known[int(one.X[0])] for one in living] if living is not None else []

    def ask(self, n: int) -> list[C]:
        """The next ``n`` of the present generation; the next generation when all of it is told."""
        if self._generation is None:
            self._generation = self._nsga2.ask()
            places = [] if self._generation is None else self._generation.get("X")[:, 0]
            self._waiting = [int(place) for place in places]
        asked, self._waiting = self._waiting[:n], self._waiting[n:]
        return [self._known[place] for place in asked]

    def tell(self, evaluated: Sequence[Evaluated[C]]) -> None:
        """Sort the generation with its parents once all of it is told."""
        self._told |= {one.candidate: one for one in evaluated}
        if self._waiting or self._generation is None:
            return
        members = [self._told.get(self._known[place]) for place in self._generation.get("X")[:, 0]]
        if None in members:  # the search ends within the generation
            return
        goals = np.asarray(self._matrix([one for one in members if one is not None]), dtype=float)
        ok = np.isfinite(goals).all(axis=1)
        goals = np.where(ok[:, None], goals, 0.0)
        static = StaticProblem(self._problem, F=-goals, G=np.where(ok, -1.0, 1.0)[:, None])
        Evaluator().eval(static, self._generation)
        self._nsga2.tell(infills=self._generation)
        self._generation = None


def _values(group: Sequence[Evaluated[Any]]) -> np.ndarray:
    return np.array([one.values for one in group], dtype=float)


class _Draw(Sampling):
    def __init__(self, domain: Domain[Any], known: list[Any]) -> None:
        super().__init__()
        self._domain, self._known = domain, known

    def _do(self, problem: Problem, n_samples: int, *args: Any, random_state: Any = None, **kwargs: Any) -> np.ndarray:
        drawn = draw_new(self._domain, random_state, n_samples, {})
        if len(drawn) < n_samples:
            raise no_room(n_samples, len(drawn))
        return _places(self._known, drawn)[:, None]


class _Cross(Crossover):
    def __init__(self, domain: Domain[Any], known: list[Any], probability: float) -> None:
        super().__init__(2, 1, prob=1.0)
        self._domain, self._known, self._probability = domain, known, probability

    def _do(self, problem: Problem, X: np.ndarray, *args: Any, random_state: Any = None, **kwargs: Any) -> np.ndarray:
        pairs = [(self._known[int(one)], self._known[int(other)]) for one, other in X[:, :, 0].T]
        children = [
            self._domain.crossover(*pair, random_state) if random_state.random() < self._probability else pair[0]
            for pair in pairs
        ]
        return _places(self._known, children)[None, :, None]


class _Mutate(Mutation):
    def __init__(self, domain: Domain[Any], known: list[Any]) -> None:
        super().__init__(prob=1.0)
        self._domain, self._known = domain, known

    def _do(self, problem: Problem, X: np.ndarray, *args: Any, random_state: Any = None, **kwargs: Any) -> np.ndarray:
        children = [self._domain.mutate(self._known[int(place)], random_state) for place in X[:, 0]]
        return _places(self._known, children)[:, None]


class _Same(ElementwiseDuplicateElimination):
    """pymoo sees positions in the list of known candidates; two positions may hold one candidate."""

    def __init__(self, known: list[Any]) -> None:
        super().__init__()
        self._known = known

    def is_equal(self, a: Any, b: Any) -> bool:
        """Whether both stand for one candidate."""
        return bool(self._known[int(a.X[0])] == self._known[int(b.X[0])])


def _places(known: list[Any], candidates: Sequence[Any]) -> np.ndarray:
    """Positions at which ``known`` holds the candidates from now on."""
    first = len(known)
    known.extend(candidates)
    return np.arange(first, first + len(candidates))
