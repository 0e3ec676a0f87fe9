"""Random search: every candidate once, drawn independently."""

from dataclasses import dataclass

import numpy as np

from zcbench.search.algorithms.contract import SearchAlgorithm, algorithm
from zcbench.search.algorithms.loop import C, Domain, SearchProblem

_TRIES = 1000


@algorithm("random")
@dataclass
class RandomSearch(SearchAlgorithm[C]):
    """Draws candidates from the domain, none twice; the baseline of all other algorithms."""

    def setup(self, problem: SearchProblem[C]) -> None:
        """Nothing is drawn yet."""
        self._problem, self._seen = problem, dict[C, None]()

    def ask(self, n: int) -> list[C]:
        """Up to ``n`` new candidates; fewer when draws only give known ones."""
        return draw_new(self._problem.domain, self._problem.rng, n, self._seen)


def draw_new(domain: Domain[C], rng: np.random.Generator, n: int, seen: dict[C, None]) -> list[C]:
    """Up to ``n`` different candidates that are not in ``seen``, which gets them.

    After a thousand draws of known candidates the next is one of those that are left, where the domain lists them; else
    there are fewer than ``n``.
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
