"""One search over architectures, from its settings to its result."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import numpy as np

from zcbench.errors import unknown
from zcbench.search.algorithms.contract import SearchAlgorithm, named
from zcbench.search.algorithms.loop import (
    STEP,
    Evaluated,
    Fitness,
    SearchError,
    SearchProblem,
    SearchTrace,
    Watch,
    check_most,
    curve,
    pick,
    search,
)
from zcbench.search.algorithms.pareto import front
from zcbench.search.algorithms.random_search import draw_new
from zcbench.search.algorithms.regularised_evolution import RegularisedEvolution
from zcbench.search.architectures import Architectures
from zcbench.search.evaluation import Evaluation
from zcbench.search.objective import Objective
from zcbench.streams import numpy_stream


@dataclass(frozen=True)
class Settings:
    """How to search.

    Attributes:
        algorithm: with its options, such as ``RegularisedEvolution(population=36)``.
        evaluations: most different architectures.
        step: architectures that are asked for at a time, however many workers there are.
        reference: size of the sample that ranks are taken against; 0 for ranks within the population.

    Raises:
        SearchError: a number is out of range.
    """

    algorithm: SearchAlgorithm[str] = field(default_factory=RegularisedEvolution)
    evaluations: int = 1000
    step: int = STEP
    reference: int = 0

    def __post_init__(self) -> None:
        if self.reference < 0:
            raise SearchError(f"A reference sample of {self.reference} was given. Expected 0 (none) or more.")
        if self.step < 1:
            raise SearchError(f"step={self.step} was given. Expected a whole number of at least 1; give one.")
        check_most("step", self.step)
        check_most("reference", self.reference)

    @classmethod
    def of(
        cls,
        preset: str | None = None,
        algorithm: str | None = None,
        options: Mapping[str, object | None] | None = None,
        numbers: Mapping[str, int | None] | None = None,
    ) -> "Settings":
        """Those of a preset, or the usual ones, with what is given in their place; None stands for not given.

        Args:
            preset: a name of `PRESETS`.
            algorithm: a registered name, with options or without.
            options: further options of the algorithm.
            numbers: other fields of `Settings`.

        Raises:
            UnknownNameError: a preset, an algorithm or an option that nobody knows.

        >>> Settings.of("diswot", options={"population": 20}).algorithm
        RegularisedEvolution(population=20, tournament=8, crossover=0.0)
        """
        if preset is not None and preset not in PRESETS:
            raise unknown("preset of a search", preset, PRESETS)
        usual = PRESETS[preset] if preset else cls()
        given = {name: value for name, value in (options or {}).items() if value is not None}
        if algorithm is None or algorithm == usual.algorithm.name:
            algorithm, given = usual.algorithm.name, {**usual.algorithm.options(), **given}
        wanted = {name: value for name, value in (numbers or {}).items() if value is not None}
        return replace(usual, algorithm=named(algorithm, given), **wanted)


PRESETS: Mapping[str, Settings] = MappingProxyType(
    {"diswot": Settings(RegularisedEvolution(population=36, tournament=8), evaluations=1000)}
)
"""Settings by name. ``diswot``: those of its search on NAS-Bench-201, arXiv:2303.15678; a mutation changes one edge."""


@dataclass(frozen=True, eq=False)
class SearchResult:
    """The result of one search.

    Attributes:
        seed: names its random stream.
        trace: all that it did.
        values: the objective for every architecture of the history, minus infinity where there is none.
        best: position of the selected architecture in the history.
        front: positions of those that no other beats in the objective and in every cost that was to be small.
        points: after how many evaluations which position was selected.
        reference: the sample that ranks were taken against.
        reference_seconds: time that its evaluation took.
        wall_seconds: time from start to end.
    """

    seed: int
    trace: SearchTrace[str]
    values: np.ndarray
    best: int
    front: tuple[int, ...]
    points: tuple[tuple[int, int], ...]
    reference: tuple[str, ...]
    reference_seconds: float
    wall_seconds: float

    @property
    def arch(self) -> str:
        """The selected architecture."""
        return self.trace.history[self.best].candidate

    def position_at(self, evaluations: int) -> int | None:
        """Position of what a search of so many evaluations would select; None before the first step."""
        before = [position for done, position in self.points if done <= evaluations]
        return before[-1] if before else None

    def arch_at(self, evaluations: int) -> str | None:
        """What a search of so many evaluations would select; None before the first step."""
        position = self.position_at(evaluations)
        return None if position is None else self.trace.history[position].candidate


def conduct(
    domain: Architectures,
    evaluation: Evaluation,
    objective: Objective,
    settings: Settings,
    seed: int = 0,
    watch: Watch[str] | None = None,
) -> SearchResult:
    """Search ``domain`` for the architecture with the highest objective; no accuracy is looked at.

    With an algorithm that minimises, the costs that ``evaluation`` minimises are objectives too. The architecture that
    is selected is the member of the front with the highest objective: of equal ones the cheapest, by the first cost
    first.

    Args:
        domain: architectures within the budget.
        evaluation: gives the members of the objective.
        objective: what is maximised.
        settings: how.
        seed: names the random stream of the search; the reference sample is the same for every seed.
        watch: called with the trace after every step.

    Raises:
        SearchError: the settings do not fit the domain, or no architecture got a value.
    """
    start = time.monotonic()
    sample = _reference(domain, evaluation, objective, settings)
    fitness: Fitness[str] = objective.against(sample) if sample else objective.within
    algorithm = settings.algorithm.start(_problem(domain, evaluation, settings, seed, fitness))
    order = _cheapest_of_equal(evaluation, fitness) if evaluation.values.minimised else fitness
    trace = search(algorithm, evaluation, settings.evaluations, step=settings.step, watch=watch)
    best = pick(trace.history, order)
    if best is None:
        raise _nothing(trace.history, objective)
    values = fitness(trace.history)
    return SearchResult(
        seed,
        trace,
        values,
        best,
        tuple(front(_goals(trace.history, evaluation, values))),
        tuple(curve(trace, order, fixed=bool(sample) or not objective.needs_group)),
        tuple(one.candidate for one in sample),
        sum(one.seconds for one in sample),
        time.monotonic() - start,
    )


def _reference(
    domain: Architectures, evaluation: Evaluation, objective: Objective, settings: Settings
) -> list[Evaluated[str]]:
    """The reference sample, evaluated; empty where ranks are within the population."""
    if not objective.needs_group:
        return []
    if settings.algorithm.needs_values and not settings.reference:
        raise SearchError(
            f"{settings.algorithm.needs_values}, and {objective.formula} has no value without a group. Expected a "
            f"reference sample that is fixed, such as 256 architectures; ask for one, or name a single proxy."
        )
    stream = numpy_stream("search reference", domain.space.name, settings.reference)
    drawn = draw_new(domain, stream, settings.reference, {})
    return [one for at in range(0, len(drawn), settings.step) for one in evaluation(drawn[at : at + settings.step])]


def _problem(
    domain: Architectures, evaluation: Evaluation, settings: Settings, seed: int, fitness: Fitness[str]
) -> SearchProblem[str]:
    """The domain with the random stream of the search; the objective first, then the costs that are to be small."""
    rng = numpy_stream("search", settings.algorithm.name, domain.space.name, seed)
    costs = len(evaluation.values.minimised)
    return SearchProblem(domain, rng, fitness, lambda group: _goals(group, evaluation, fitness(group)), 1 + costs)


def _goals(group: Sequence[Evaluated[str]], evaluation: Evaluation, values: np.ndarray) -> np.ndarray:
    """All that is to be maximised: the objective, and minus every cost that is to be small."""
    members = len(evaluation.values.members)
    costs = np.array([one.values[members:] for one in group], dtype=float).reshape(len(group), -1)
    return np.column_stack([values, costs])


def _cheapest_of_equal(evaluation: Evaluation, fitness: Fitness[str]) -> Fitness[str]:
    """Places by fitness and, where that is equal, by the costs that are minimised; −∞ where there is no fitness."""

    def places(group: Sequence[Evaluated[str]]) -> np.ndarray:
        goals = _goals(group, evaluation, fitness(group))
        found, known = np.full(len(goals), -np.inf), np.isfinite(goals[:, 0])
        found[known] = np.unique(goals[known], axis=0, return_inverse=True)[1].ravel()
        return found

    return places


def _nothing(history: Sequence[Evaluated[str]], objective: Objective) -> SearchError:
    first = next((one for one in history if one.status != "ok"), None)
    why = f" The first failed with the status {first.status!r}: {first.reason}." if first else ""
    return SearchError(
        f"None of the {len(history)} architectures that were evaluated has a value of {objective.formula}.{why} "
        f"Expected at least one; choose other proxies or another space."
    )
