"""Local search: go to the best neighbour as long as there is a better one, then begin anew.

White, Nolen and Savani, "Exploring the Loss Landscape in Neural Architecture Search", UAI 2021, arXiv:2005.02960.
"""

from collections.abc import Sequence
from typing import Generic

import numpy as np

from zcbench.search.algorithms.loop import C, Domain, Evaluated, Fitness, first_value
from zcbench.search.algorithms.random_search import draw_new


class LocalSearch(Generic[C]):
    """Steepest ascent with restarts: all neighbours of the present candidate are evaluated before it moves.

    Args:
        domain: where candidates are from.
        rng: generator of the starts and of the order of neighbours.
        fitness: one number per member of the neighbourhood.
    """

    def __init__(self, domain: Domain[C], rng: np.random.Generator, *, fitness: Fitness[C] = first_value) -> None:
        self._domain, self._rng, self._fitness = domain, rng, fitness
        self._starts: dict[C, None] = {}
        self._present: Evaluated[C] | None = None
        self._circle: list[Evaluated[C]] = []
        self._waiting: list[C] = []

    @property
    def population(self) -> Sequence[C]:
        """The present candidate and those of its neighbours that are evaluated."""
        here = [] if self._present is None else [self._present]
        return [one.candidate for one in (*here, *self._circle)]

    def ask(self, n: int) -> list[C]:
        """The next ``n`` neighbours; a new start when there is no present candidate."""
        if self._present is None and not self._waiting:
            self._waiting = draw_new(self._domain, self._rng, 1, self._starts)
        asked, self._waiting = self._waiting[:n], self._waiting[n:]
        return asked

    def tell(self, evaluated: Sequence[Evaluated[C]]) -> None:
        """Move, or begin anew, once all neighbours are known."""
        if self._present is None:
            for one in evaluated:
                self._settle(one)
            return
        self._circle += evaluated
        if not self._waiting:
            self._move(self._present)

    def _move(self, present: Evaluated[C]) -> None:
        fitness = self._fitness([present, *self._circle])
        best = int(fitness.argmax())
        if fitness[best] > fitness[0]:
            self._settle(self._circle[best - 1])
        else:
            self._present, self._circle = None, []

    def _settle(self, one: Evaluated[C]) -> None:
        """Make ``one`` the present candidate, its neighbours waiting in random order."""
        self._present, self._circle = one, []
        neighbours = list(self._domain.neighbours(one.candidate))
        self._waiting = [neighbours[place] for place in self._rng.permutation(len(neighbours))]
        if not self._waiting:
            self._present = None
