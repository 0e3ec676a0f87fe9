"""Local search: move to the best neighbour as long as there is a better one, then start again.

White, Nolen and Savani, "Exploring the Loss Landscape in Neural Architecture Search", UAI 2021, arXiv:2005.02960.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from zcbench.search.algorithms.contract import SearchAlgorithm, algorithm
from zcbench.search.algorithms.loop import C, Evaluated, SearchProblem
from zcbench.search.algorithms.random_search import draw_new


@algorithm("local")
@dataclass
class LocalSearch(SearchAlgorithm[C]):
    """Steepest ascent with restarts: all neighbours of the present candidate are evaluated before it moves."""

    needs_values = "Local search compares neighbourhoods, in which ranks may lead it in a circle"

    def setup(self, problem: SearchProblem[C]) -> None:
        """No start is drawn yet."""
        self._problem = problem
        self._starts: dict[C, None] = {}
        self._present: Evaluated[C] | None = None
        self._circle: list[Evaluated[C]] = []
        self._waiting: list[C] = []

    @property
    def living(self) -> Sequence[C]:
        """The present candidate and those of its neighbours that are evaluated."""
        here = [] if self._present is None else [self._present]
        return [one.candidate for one in (*here, *self._circle)]

    def ask(self, n: int) -> list[C]:
        """The next ``n`` neighbours; a new start when there is no present candidate."""
        if self._present is None and not self._waiting:
            self._waiting = draw_new(self._problem.domain, self._problem.rng, 1, self._starts)
        asked, self._waiting = self._waiting[:n], self._waiting[n:]
        return asked

    def tell(self, evaluated: Sequence[Evaluated[C]]) -> None:
        """Move, or start again, once all neighbours are known."""
        if self._present is None:
            for one in evaluated:
                self._settle(one)
            return
        self._circle += evaluated
        if not self._waiting:
            self._move(self._present)

    def _move(self, present: Evaluated[C]) -> None:
        fitness = self._problem.fitness([present, *self._circle])
        best = int(fitness.argmax())
        if fitness[best] > fitness[0]:
            self._settle(self._circle[best - 1])
        else:
            self._present, self._circle = None, []

    def _settle(self, one: Evaluated[C]) -> None:
        """Make ``one`` the present candidate, its neighbours waiting in random order."""
        self._present, self._circle = one, []
        neighbours = list(self._problem.domain.neighbours(one.candidate))
        self._waiting = [neighbours[place] for place in self._problem.rng.permutation(len(neighbours))]
        if not self._waiting:
            self._present = None
