"""A domain without duplicates: of candidates with one signature, only the first one is proposed."""

from collections.abc import Callable, Hashable, Sequence
from typing import Generic

import numpy as np

from zcbench.search.algorithms.loop import C, Domain


class Deduplicated(Generic[C]):
    """Another domain, in which candidates of one signature are one candidate.

    Duplicates are therefore not evaluated, and a population holds only one of them. The first one drawn replaces those
    that follow.

    Args:
        domain: where candidates are from.
        signature: of a candidate; equal for those that do the same.
    """

    def __init__(self, domain: Domain[C], signature: Callable[[C], Hashable]) -> None:
        self._domain, self._signature = domain, signature
        self._first: dict[Hashable, C] = {}
        self._known: dict[C, C] = {}

    @property
    def duplicates(self) -> dict[C, C]:
        """Candidates that an earlier one replaces, and that one, in the order in which they were drawn."""
        return {one: first for one, first in self._known.items() if one != first}

    def sample(self, rng: np.random.Generator) -> C:
        """A candidate drawn at random."""
        return self._original(self._domain.sample(rng))

    def mutate(self, candidate: C, rng: np.random.Generator) -> C:
        """Another candidate that differs little, or the same where the change does nothing."""
        return self._original(self._domain.mutate(candidate, rng))

    def crossover(self, first: C, second: C, rng: np.random.Generator) -> C:
        """A candidate that takes after both."""
        return self._original(self._domain.crossover(first, second, rng))

    def neighbours(self, candidate: C) -> Sequence[C]:
        """All candidates that differ as little as can be, duplicates once."""
        return list(dict.fromkeys(map(self._original, self._domain.neighbours(candidate))))

    def everything(self) -> None:
        """None: duplicates are found as they are drawn, so that the candidates cannot be listed."""

    def _original(self, candidate: C) -> C:
        if candidate not in self._known:
            self._known[candidate] = self._first.setdefault(self._signature(candidate), candidate)
        return self._known[candidate]
