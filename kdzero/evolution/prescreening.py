"""A zero-cost pre-screen: of several candidates that are proposed, only the best by a proxy is evaluated."""

import math
from collections.abc import Callable, Sequence
from typing import Generic

from zcbench.search.algorithms.loop import Algorithm, C, Evaluated, SearchError
from zcbench.storage.run_folder import Json


class Prescreened(Generic[C]):
    """Another algorithm, asked for several candidates in the place of each.

    Args:
        algorithm: what proposes.
        draws: candidates that compete for one place.
        value: a proxy of which higher is better; what has none, NaN, loses.

    Raises:
        SearchError: ``draws`` is less than 1.
    """

    def __init__(self, algorithm: Algorithm[C], draws: int, value: Callable[[C], float]) -> None:
        if draws < 1:
            raise SearchError(f"A pre-screen of {draws} was given. Expected at least 1 candidate for each place.")
        self._algorithm, self._draws, self._value = algorithm, draws, value
        self.log: list[list[tuple[C, float]]] = []

    @property
    def living(self) -> Sequence[C]:
        """That of the algorithm."""
        return self._algorithm.living

    def ask(self, n: int) -> list[C]:
        """The best of each ``draws`` proposals, in their order."""
        proposed = self._algorithm.ask(n * self._draws)
        slots = [proposed[at : at + self._draws] for at in range(0, len(proposed), self._draws)]
        return [self._best(slot) for slot in slots]

    def tell(self, evaluated: Sequence[Evaluated[C]]) -> None:
        """Pass the evaluations on to the algorithm."""
        self._algorithm.tell(evaluated)

    def rows(self) -> list[list[Json]]:
        """For each place its candidates with their values, as plain content; the first is the one that was kept."""
        return [
            [{"formula": str(one), "value": value if math.isfinite(value) else None} for one, value in slot]
            for slot in self.log
        ]

    def _best(self, slot: Sequence[C]) -> C:
        known = [(one, self._value(one)) for one in slot]
        known.sort(key=lambda pair: -math.inf if math.isnan(pair[1]) else pair[1], reverse=True)
        self.log.append(known)
        return known[0][0]
