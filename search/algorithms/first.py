"""The first architectures in order."""

from dataclasses import dataclass

from zcbench.search.algorithms.contract import SearchAlgorithm, algorithm
from zcbench.search.algorithms.loop import C, SearchProblem


@algorithm("first")
@dataclass
class First(SearchAlgorithm[C]):
    """Candidates in the order of the domain."""

    def setup(self, problem: SearchProblem[C]) -> None:
        """List the candidates."""
        self._waiting = list(problem.domain.everything() or ())

    def ask(self, n: int) -> list[C]:
        """The next ``n``."""
        asked, self._waiting = self._waiting[:n], self._waiting[n:]
        return asked
