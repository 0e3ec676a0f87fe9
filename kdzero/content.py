"""The parts of ``distiller.json`` that the report and the command line read."""

from collections.abc import Mapping
from typing import NotRequired, TypedDict

Terms = Mapping[str, float]


class _CandidateRow(TypedDict):
    formula: str
    fitness: float | None
    status: str
    terms: Terms | None


class _BestCandidate(TypedDict):
    formula: str
    fitness: float
    terms: Terms
    evaluation: int


class _AloneRow(TypedDict):
    terms: NotRequired[Terms]


References = TypedDict("References", {"teacher": Terms, "student alone": _AloneRow})


class _Share(TypedDict):
    operation: str
    top: float
    all: float


class Shares(TypedDict):
    """Shares by part of a genome; ``top`` is how many of the fittest were counted."""

    top: int
    parts: Mapping[str, list[_Share]]


class Weights(TypedDict):
    """Weights of the operations in the draw after a number of evaluations."""

    evaluations: int
    weights: Mapping[str, Mapping[str, float]]


class _Point(TypedDict):
    evaluations: int
    fitness: float


class _FitnessSettings(TypedDict):
    normalisation: str
    sharpness: str


class _SearchSettings(TypedDict):
    algorithm: str
    minimised: str
    fitness: _FitnessSettings


class _Network(TypedDict):
    arch: str


class _Pair(TypedDict):
    student: _Network
    teacher: _Network
    dataset: str
    task: NotRequired[str]


class DistillerContent(TypedDict):
    """A finished distiller search."""

    best: _BestCandidate
    search: _SearchSettings
    protocol: _Pair
    warnings: list[str]
    stopped: str
    statuses: Mapping[str, int]
    duplicates: Mapping[str, str]
    references: References
    operations: Shares
    shrinkage: list[Weights]
    history: list[_CandidateRow]


Curves = Mapping[str, list[_Point]]


def judged_by(content: DistillerContent) -> str:
    """Title of the figure ``accuracy`` of a candidate: the accuracy, or the metric of the task."""
    if (task := content["protocol"].get("task")) is None:
        return "accuracy"
    from zcbench.distill.tasks import read_task  # which imports torch

    return read_task(task).title
