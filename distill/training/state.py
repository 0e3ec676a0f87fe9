"""The state of a training: everything that changes from step to step, and the form in which a checkpoint holds it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypedDict

import torch
from torch import Tensor, nn
from torch.amp.grad_scaler import GradScaler
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from zcbench.distill.training.course import Row
from zcbench.distill.training.objective import TrainingObjective
from zcbench.distill.training.optimisation import build_optimizer, build_schedule
from zcbench.distill.training.recipe import Recipe
from zcbench.distill.training.tally import Tally, TallyState

StateDict = dict[str, object]


class Stored(TypedDict):
    """The state of a training in a checkpoint."""

    students: list[StateDict]
    objectives: list[StateDict]
    moving: list[StateDict]
    done: int
    history: list[list[Row]]
    seconds: float
    random: Tensor
    random_device: Tensor | None
    tally: TallyState


class _Stateful(Protocol):
    def state_dict(self) -> StateDict: ...

    def load_state_dict(self, state_dict: StateDict, /) -> object: ...


@dataclass
class TrainingState:
    """What a step of a training changes.

    Attributes:
        students: the networks that are trained.
        objectives: one for each student, with the adapters that are trained too.
        optimizer: of the parameters of both.
        schedule: of its learning rate.
        scaler: of the losses in float16.
        tally: sums over the present epoch.
        done: number of finished steps.
        history: finished epochs of each student.
    """

    students: Sequence[nn.Module]
    objectives: Sequence[TrainingObjective]
    optimizer: Optimizer
    schedule: LRScheduler
    scaler: GradScaler
    tally: Tally
    done: int = 0
    history: list[list[Row]] = field(default_factory=list)

    def stored(self, device: torch.device) -> Stored:
        """The state, and that of the global random generators, as a checkpoint holds it."""
        return {
            "students": _states(self.students),
            "objectives": _states(self.objectives),
            "moving": _states(self._moving),
            "done": self.done,
            "history": self.history,
            "seconds": self.tally.seconds,
            "random": torch.get_rng_state(),
            "random_device": torch.cuda.get_rng_state(device) if device.type == "cuda" else None,
            "tally": self.tally.state(),
        }

    def restore(self, stored: Stored, device: torch.device) -> None:
        """Take over a stored state, and that of the global random generators; the tally is left as it is."""
        self.done, self.history = stored["done"], stored["history"]
        _load(self.students, stored["students"])
        _load(self.objectives, stored["objectives"])
        _load(self._moving, stored["moving"])
        torch.set_rng_state(stored["random"])
        if stored["random_device"] is not None:
            torch.cuda.set_rng_state(stored["random_device"], device)

    @property
    def _moving(self) -> list[_Stateful]:
        return [self.optimizer, self.schedule, self.scaler]


def fresh_state(
    students: Sequence[nn.Module],
    objectives: Sequence[TrainingObjective],
    recipe: Recipe,
    per_epoch: int,
    device: torch.device,
) -> TrainingState:
    """The state before the first step, for epochs of ``per_epoch`` steps."""
    modules = nn.ModuleList([*students, *objectives])
    optimizer = build_optimizer((item for item in modules.parameters() if item.requires_grad), recipe)
    schedule = build_schedule(optimizer, recipe, per_epoch)
    scaler = GradScaler(device.type, enabled=recipe.precision == "float16")
    tally = Tally(objectives[0].terms, len(students), device, per_epoch)
    return TrainingState(students, objectives, optimizer, schedule, scaler, tally, history=[[] for _ in students])


def _states(parts: Sequence[_Stateful]) -> list[StateDict]:
    return [part.state_dict() for part in parts]


def _load(parts: Sequence[_Stateful], states: Sequence[StateDict]) -> None:
    for part, state in zip(parts, states, strict=True):
        part.load_state_dict(state)
