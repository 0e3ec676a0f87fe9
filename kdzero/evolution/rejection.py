"""Loss rejection: the training of a candidate ends early if its first losses break a rule.

KD-Zero, NeurIPS 2023, section 3.2, filters out "candidates with excessive loss values or collapsed optimization" and
gives no rule; those below are ours.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import NamedTuple

from torch import Tensor

from zcbench.distill.contract import Distiller
from zcbench.distill.outputs import Outputs
from zcbench.distill.training.objective import TrainingObjective
from zcbench.search.algorithms.loop import SearchError


class Step(NamedTuple):
    """Losses of one step: the weighted total, the cross-entropy, and the distillation loss without its weight."""

    total: float
    ce: float
    distillation: float


@dataclass(frozen=True)
class Rejection:
    """Rules that are looked at after each of the first steps of a training.

    Attributes:
        steps: how many steps are looked at.
        largest: a total loss above this is excessive.
        growth: a cross-entropy that grew by more than this factor has exploded: the mean of the last third of the steps
            against that of the first third, once all are there.
        collapse: a distillation loss below this share of its first value means that the networks agree trivially.
        least: a distillation loss that is below this share of the cross-entropy, with its weight, in each of the first
            ``same`` steps vanishes beside it: the student would be trained as if alone.
        same: so many distillation losses that are all equal are constant: the loss is uninformative.

    Raises:
        SearchError: a number that is out of range.
    """

    steps: int = 10
    largest: float = 1000.0
    growth: float = 2.0
    collapse: float = 1e-6
    least: float = 1e-4
    same: int = 4

    def __post_init__(self) -> None:
        for name, value in ((item.name, getattr(self, item.name)) for item in fields(self)):
            if not 0 < value < math.inf:
                raise SearchError(f"A rejection with {name}={value} was given. Expected a finite number above 0.")

    def verdict(self, seen: Sequence[Step]) -> str:
        """Why a training with these first steps is rejected; empty if it is not.

        >>> Rejection().verdict([Step(4.6, 2.3, 2.3)] * 4)
        'constant: the distillation loss was 2.3 in each of the first 4 steps'
        """
        if not seen:
            return ""
        last, first = seen[-1], seen[0]
        if not all(map(math.isfinite, last)):
            return f"not finite: the losses of step {len(seen)} are {', '.join(f'{value:g}' for value in last)}"
        if abs(last.total) > self.largest:
            return f"excessive: the loss of step {len(seen)} is {last.total:.4g}, above {self.largest:g}"
        values = [step.distillation for step in seen]
        if len(values) >= self.same and max(values) == min(values):
            return f"constant: the distillation loss was {values[0]:g} in each of the first {len(values)} steps"
        if len(seen) == self.same and all(abs(step.distillation) < self.least * step.ce for step in seen):
            most = max(map(abs, values))
            return f"vanishing: the distillation loss is at most {most:.4g} beside a cross-entropy of {last.ce:.4g}"
        if abs(last.distillation) < self.collapse * abs(first.distillation):
            return f"collapsed: the distillation loss fell from {first.distillation:.4g} to {last.distillation:.4g}"
        return self._exploded([step.ce for step in seen])

    def _exploded(self, ce: Sequence[float]) -> str:
        third = self.steps // 3
        if len(ce) < self.steps or not third:
            return ""
        before, after = (sum(part) / third for part in (ce[:third], ce[-third:]))
        grew = after > self.growth * before
        return f"exploding: the cross-entropy went from {before:.4g} to {after:.4g}" if grew else ""


class Recording(TrainingObjective):
    """An objective with one distiller that keeps the losses of its first steps.

    Args:
        distiller: the loss beside the cross-entropy; none for plain training.
        weights: of both.
        label_smoothing: of the cross-entropy.
        first: how many steps are kept.
    """

    def __init__(
        self, distiller: Distiller | None, weights: Mapping[str, float], label_smoothing: float, first: int
    ) -> None:
        super().__init__([] if distiller is None else [distiller], weights, label_smoothing)
        self._first = first
        self.seen: list[Step] = []

    def forward(self, student: Outputs, teachers: Sequence[Outputs], labels: Tensor) -> Tensor:
        """As the objective itself."""
        terms: Tensor = super().forward(student, teachers, labels)
        if len(self.seen) < self._first:
            total, ce, *rest = terms.detach().tolist()
            self.seen.append(Step(total, ce, rest[0] if rest else 0.0))
        return terms


class Stopping:
    """Says before each step whether a training is to end: because it is rejected, or because it has had its share.

    Args:
        objective: that of the training.
        rejection: the rules; none if None.
        limit: steps after which the training has had its share.
    """

    def __init__(self, objective: Recording, rejection: Rejection | None, limit: int) -> None:
        self._objective, self._rejection, self._limit = objective, rejection, limit
        self._looked = 0
        self.asked, self.verdict = 0, ""

    def __call__(self) -> bool:
        """Whether to end; called once before each step, and once more at the end."""
        seen, self.asked = self._objective.seen, self.asked + 1
        if self._rejection and self._objective.active and self._looked < len(seen) <= self._rejection.steps:
            self._looked, self.verdict = len(seen), self._rejection.verdict(seen)
        return bool(self.verdict) or self.asked > self._limit
