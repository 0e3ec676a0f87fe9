"""The parts of ``search.json`` that a report reads."""

from collections.abc import Mapping
from typing import NotRequired, TypedDict


class Spread(TypedDict):
    """A mean over seeds; in a curve with the number of evaluations, seconds or trainings."""

    mean: float | None
    n: int
    sd: NotRequired[float | None]
    low: NotRequired[float | None]
    high: NotRequired[float | None]
    evaluations: NotRequired[int]
    seconds: NotRequired[float]
    trainings: NotRequired[int]
    training_seconds: NotRequired[float | None]


class EvaluatedRow(TypedDict):
    """One architecture that was evaluated; without a status if all its scores have a value."""

    arch: str
    value: float | None
    scores: Mapping[str, float | None]
    costs: Mapping[str, float | None]
    status: NotRequired[str]
    reason: NotRequired[str]


class Best(EvaluatedRow):
    """The selected architecture."""

    space: str


class _Population(TypedDict):
    evaluations: int
    members: list[int]


Baseline = TypedDict(
    "Baseline",
    {"accuracy": Spread | float, "by_evaluations": NotRequired[list[Spread]], "equally large": NotRequired[int]},
)
Known = TypedDict("Known", {"known": int, "within the budget": int, "best": float})


class _Judged(TypedDict):
    accuracies: Known
    accuracy: Spread
    by_evaluations: list[Spread]
    baselines: Mapping[str, Baseline | list[Spread]]
    remarks: list[str]


class _Formula(TypedDict):
    formula: str


class _Request(TypedDict):
    algorithm: str
    objective: _Formula
    minimised: list[str]
    limits: Mapping[str, float]


class _Times(TypedDict):
    by_seconds: NotRequired[Mapping[str, list[Spread]]]


class Content(TypedDict):
    """A finished search."""

    best: Best
    request: _Request
    best_so_far: list[Spread]
    repeats: list[Mapping[str, object]]
    truths: Mapping[str, _Judged]
    history: list[EvaluatedRow]
    population: list[_Population]
    times: _Times
