"""The one loop of every search: ask for candidates, evaluate the new ones, tell the algorithm, keep a trace.

It knows nothing of architectures. A candidate is anything hashable, an evaluation gives it one or more values of which
higher is better, and a fitness turns the values of a group of candidates into one number for each.
"""

import math
from abc import abstractmethod
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

import numpy as np

from zcbench.errors import ZcbenchError

C = TypeVar("C", bound=Hashable)

STEP = 8
"""Candidates that are asked for at a time by default; it decides the search, the number of workers does not."""

MOST = 100_000
"""Most candidates of a step, a population or a reference sample, which are held in memory."""

PATIENCE = 2000
"""Proposals in a row without a new candidate after which a search ends."""


class SearchError(ZcbenchError, ValueError):
    """A search that cannot be carried out as asked."""


@dataclass(frozen=True)
class Evaluated(Generic[C]):
    """A candidate and what its evaluation gave.

    Attributes:
        candidate: what was evaluated.
        values: one or more numbers of which higher is better; NaN where there is none.
        status: ``ok``, or the name of what went wrong.
        reason: what is known about that.
        seconds: time that the evaluation took.
    """

    candidate: C
    values: tuple[float, ...]
    status: str = "ok"
    reason: str = ""
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether every value is a finite number."""
        return all(map(math.isfinite, self.values))


class Algorithm(Protocol[C]):
    """Proposes candidates. All its draws are from a generator that it was given."""

    @property
    def living(self) -> Sequence[C]:
        """Candidates that the next proposals come from."""

    @abstractmethod
    def ask(self, n: int) -> list[C]:
        """Up to ``n`` candidates, old ones among them perhaps; none when there is nothing left to propose."""

    def tell(self, evaluated: Sequence[Evaluated[C]]) -> None:
        """Take note of the candidates that were asked for, in that order."""


class Domain(Protocol[C]):
    """Where candidates are from."""

    def sample(self, rng: np.random.Generator) -> C:
        """A candidate drawn at random."""

    def mutate(self, candidate: C, rng: np.random.Generator) -> C:
        """Another candidate that differs little."""

    def crossover(self, first: C, second: C, rng: np.random.Generator) -> C:
        """A candidate that takes after both."""

    def neighbours(self, candidate: C) -> Sequence[C]:
        """All candidates that differ as little as can be."""

    def everything(self) -> Sequence[C] | None:
        """All candidates in a fixed order; None where they are not listed."""


Evaluate = Callable[[Sequence[C]], Sequence[Evaluated[C]]]
Fitness = Callable[[Sequence[Evaluated[C]]], np.ndarray]


@dataclass
class SearchTrace(Generic[C]):
    """What a search did.

    Attributes:
        history: different candidates in the order of their evaluation.
        steps: after every step, how many were evaluated so far, and the population.
        proposals: candidates that the algorithm proposed, repeated ones included.
        stopped: why it ended.
    """

    history: list[Evaluated[C]] = field(default_factory=list)
    steps: list[tuple[int, tuple[C, ...]]] = field(default_factory=list)
    proposals: int = 0
    stopped: str = ""


Watch = Callable[[SearchTrace[C]], object]


def first_value(group: Sequence[Evaluated[C]]) -> np.ndarray:
    """The fitness of a single objective: its value, minus infinity where there is none."""
    return np.array([one.values[0] if one.ok else -math.inf for one in group])


def all_values(group: Sequence[Evaluated[C]]) -> np.ndarray:
    """The values of each candidate, shape ``(n, objectives)``."""
    return np.array([one.values for one in group], dtype=float)


@dataclass(frozen=True)
class SearchProblem(Generic[C]):
    """What an algorithm is started on.

    Attributes:
        domain: where candidates are from.
        rng: generator of all draws.
        fitness: one number per member of a group, to be maximised.
        goals: several numbers per member of a group, shape ``(n, objectives)``, to be maximised.
        objectives: how many those are.
    """

    domain: Domain[C]
    rng: np.random.Generator
    fitness: Fitness[C] = first_value
    goals: Fitness[C] = all_values
    objectives: int = 1


def search(
    algorithm: Algorithm[C],
    evaluate: Evaluate[C],
    evaluations: int,
    *,
    step: int = STEP,
    patience: int = PATIENCE,
    watch: Watch[C] | None = None,
) -> SearchTrace[C]:
    """Let ``algorithm`` look for good candidates until ``evaluations`` different ones are evaluated.

    A candidate that comes up again is answered from memory and costs nothing. The trace depends on the algorithm with
    its generator, the evaluation and ``step``; a search of fewer evaluations is the beginning of one of more.

    Args:
        algorithm: what proposes candidates.
        evaluate: from new candidates to their values, in order.
        evaluations: most different candidates.
        step: how many are asked for at a time.
        patience: proposals in a row without a new candidate after which the search ends.
        watch: called with the trace after every step.

    Raises:
        SearchError: ``evaluations`` or ``step`` is less than 1.
    """
    for name, value in (("evaluations", evaluations), ("step", step)):
        if value < 1:
            raise SearchError(f"{name}={value} was given. Expected a whole number of at least 1; give one.")
    trace, known = SearchTrace[C](), dict[C, Evaluated[C]]()
    stale = 0
    while not trace.stopped:
        asked = algorithm.ask(step)
        new = [candidate for candidate in dict.fromkeys(asked) if candidate not in known]
        new = new[: evaluations - len(known)]
        for one in evaluate(new) if new else ():
            known[one.candidate] = one
            trace.history.append(one)
        algorithm.tell([known[candidate] for candidate in asked if candidate in known])
        trace.proposals += len(asked)
        trace.steps.append((len(known), tuple(algorithm.living)))
        stale = 0 if new else stale + len(asked)
        trace.stopped = _why(asked, len(known), evaluations, stale, patience)
        if watch:
            watch(trace)
    return trace


def _why(asked: Sequence[object], done: int, evaluations: int, stale: int, patience: int) -> str:
    if done >= evaluations:
        return f"{evaluations} evaluations are done"
    if not asked:
        return "the algorithm has nothing left to propose"
    return f"{stale} proposals in a row were known already" if stale >= patience else ""


def check_rates(population: int, crossover: float, tournament: int = 1) -> None:
    """Refuse numbers that no evolution can be carried out with.

    Raises:
        SearchError: as the sentence says.
    """
    if population < 1:
        raise SearchError(f"A population of {population} was given. Expected at least 1; choose another number.")
    check_most("population", population)
    if not 1 <= tournament <= population:
        raise SearchError(
            f"A tournament of {tournament} in a population of {population} was given. Expected at least 1 and at "
            f"most the population; choose other numbers."
        )
    if not 0 <= crossover <= 1:
        raise SearchError(f"crossover={crossover} was given. Expected a share from 0 to 1.")


def check_most(name: str, value: int) -> None:
    """Refuse a number of candidates that does not fit in memory.

    Raises:
        SearchError: as the sentence says.
    """
    if value > MOST:
        raise SearchError(f"{name}={value} was given. Expected at most {MOST:,}; choose another.")


def check_room(domain: Domain[C], population: int) -> None:
    """Refuse a population that is larger than what it is drawn from, where that can be said before anything is drawn.

    Raises:
        SearchError: as the sentence says.
    """
    every = domain.everything()
    if every is not None and len(every) < population:
        raise no_room(population, len(every))


def no_room(population: int, found: int) -> SearchError:
    """What to say of a population that is larger than what it is drawn from."""
    return SearchError(
        f"A population of {population} was asked for, and only {found} different candidates are there. Expected a "
        f"population that the space and the budget have room for; make it smaller."
    )


def pick(history: Sequence[Evaluated[C]], fitness: Fitness[C]) -> int | None:
    """Position of the fittest candidate, the first of equal ones; None where none has a value."""
    return _highest(fitness(history)) if history else None


def curve(trace: SearchTrace[C], fitness: Fitness[C], *, fixed: bool = False) -> list[tuple[int, int]]:
    """Positions of the fittest candidate as the search went on: after how many evaluations it became which.

    Args:
        trace: what the search did.
        fitness: asked for after every step, over all that was evaluated until then.
        fixed: whether candidates are in one order whatever else is in their group; then it is asked for once.
    """
    whole = fitness(trace.history) if fixed and trace.history else None
    points: list[tuple[int, int]] = []
    for done, _ in trace.steps:
        best = pick(trace.history[:done], fitness) if whole is None else _highest(whole[:done])
        if best is not None and (not points or points[-1][1] != best):
            points.append((done, best))
    return points


def _highest(values: np.ndarray) -> int | None:
    """Position of the first highest value; None where no value is finite."""
    return int(values.argmax()) if np.isfinite(values).any() else None
