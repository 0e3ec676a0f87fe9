"""Random search: every candidate once, drawn independently."""

from collections.abc import Sequence
from typing import Generic

import numpy as np

from zcbench.search.algorithms.loop import C, Domain, Evaluated

_TRIES = 1000


class RandomSearch(Generic[C]):
    """Draws candidates from the domain, none twice; the baseline of all other algorithms.

    Args:
        domain: where candidates are from.
        rng: generator of the draws.
    """

    def __init__(self, domain: Domain[C], rng: np.random.Generator) -> None:
        self._domain, self._rng = domain, rng
        self._seen: dict[C, None] = {}

    @property
    def population(self) -> Sequence[C]:
        """Empty: no draw depends on another."""
        return ()

    def ask(self, n: int) -> list[C]:
        """Up to ``n`` new candidates; fewer when draws only give known ones."""
        return draw_new(self._domain, self._rng, n, self._seen)

    def tell(self, evaluated: Sequence[Evaluated[C]]) -> None:
        """Nothing is learned."""


def draw_new(domain: Domain[C], rng: np.random.Generator, n: int, seen: dict[C, None]) -> list[C]:
    """Up to ``n`` different candidates that are not in ``seen``, which gets them.

    After a thousand vain draws the next is one of those that are left, where the domain lists them; else there are
    fewer than ``n``.
    """
    drawn: list[C] = []
    while len(drawn) < n:
        candidate = next((one for one in (domain.sample(rng) for _ in range(_TRIES)) if one not in seen), None)
        if candidate is None:
            left = [one for one in domain.everything() or () if one not in seen]
            if not left:
                break
            candidate = left[int(rng.integers(len(left)))]
        seen[candidate] = None
        drawn.append(candidate)
    return drawn
