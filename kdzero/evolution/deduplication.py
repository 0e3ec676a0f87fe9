"""A domain without twins: of candidates that do the same, the first that came up stands for all."""

from collections.abc import Callable, Hashable, Sequence
from typing import Generic

import numpy as np

from zcbench.search.algorithms.loop import C, Domain


class Deduplicated(Generic[C]):
    """Another domain, in which candidates of one signature are one candidate.

    A search remembers what it has evaluated and a population holds nobody twice, so that twins cost no evaluation and
    do not crowd out others. Which of them stands for all depends on the order of the draws alone.

    Args:
        domain: where candidates are from.
        signature: of a candidate; equal for those that do the same.
    """

    def __init__(self, domain: Domain[C], signature: Callable[[C], Hashable]) -> None:
        self._domain, self._signature = domain, signature
        self._first: dict[Hashable, C] = {}
        self._known: dict[C, C] = {}

    @property
    def twins(self) -> dict[C, C]:
        """Candidates that another one stands for, and that one, in the order in which they came up."""
        return {one: first for one, first in self._known.items() if one != first}

    def sample(self, rng: np.random.Generator) -> C:
        """A candidate drawn at random."""
        return self._standing_for(self._domain.sample(rng))

    def mutate(self, candidate: C, rng: np.random.Generator) -> C:
        """Another candidate that differs little, or the same where the change does nothing."""
        return self._standing_for(self._domain.mutate(candidate, rng))

    def crossover(self, first: C, second: C, rng: np.random.Generator) -> C:
        """A candidate that takes after both."""
        return self._standing_for(self._domain.crossover(first, second, rng))

    def neighbours(self, candidate: C) -> Sequence[C]:
        """All candidates that differ as little as can be, twins once."""
        return list(dict.fromkeys(map(self._standing_for, self._domain.neighbours(candidate))))

    def everything(self) -> None:
        """Nothing: which candidates are twins is found out one by one."""

    def _standing_for(self, candidate: C) -> C:
        if candidate not in self._known:
            self._known[candidate] = self._first.setdefault(self._signature(candidate), candidate)
        return self._known[candidate]
