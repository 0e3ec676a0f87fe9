"""The state of a training: everything that changes from step to step, and the form in which a checkpoint holds it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NotRequired, Protocol, TypedDict

import torch
from torch import Tensor, nn
from torch.amp.grad_scaler import GradScaler
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.optim.swa_utils import AveragedModel

from zcbench.distill.training.course import Row
from zcbench.distill.training.objective import TrainingObjective
from zcbench.distill.training.optimisation import build_optimizer, build_schedule, moving_average
from zcbench.distill.training.recipe import Recipe
from zcbench.distill.training.tally import Tally, TallyState

StateDict = dict[str, object]


class Best(TypedDict):
    """The epoch of a student that is the best one so far, with the weights after it."""

    epoch: int
    value: float
    state: StateDict


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
    averages: NotRequired[list[StateDict]]
    best: NotRequired[list[Best | None]]


class _Stateful(Protocol):
    def state_dict(self) -> StateDict: ...

    def load_state_dict(self, state_dict: StateDict, /) -> object: ...


@dataclass
class TrainingState:
    """What a step of a training changes.

    Attributes:
        students: the networks that are trained.
        objectives: one for each student, with the adapters that are trained too.
        trained: parameters of each student and its objective that are trained.
        optimizer: of all these parameters.
        schedule: of its learning rate.
        scaler: of the losses in float16.
        tally: sums over the present epoch.
        done: number of finished steps.
        history: finished epochs of each student.
        averages: moving averages of the students, if the recipe has them.
        best: the best epoch of each student, if the recipe selects one.
    """

    students: Sequence[nn.Module]
    objectives: Sequence[TrainingObjective]
    trained: Sequence[list[nn.Parameter]]
    optimizer: Optimizer
    schedule: LRScheduler
    scaler: GradScaler
    tally: Tally
    done: int = 0
    history: list[list[Row]] = field(default_factory=list)
    averages: Sequence[AveragedModel] = ()
    best: list[Best | None] = field(default_factory=list)

    @property
    def kept(self) -> Sequence[nn.Module]:
        """The networks that are evaluated: the students, or their moving averages."""
        return [average.module for average in self.averages] or self.students

    def update(self, clip: float | None) -> None:
        """One step of the optimizer with the gradients that are there, each student's scaled to the length ``clip``."""
        if clip is not None:
            self.scaler.unscale_(self.optimizer)
            for parameters in self.trained:
                nn.utils.clip_grad_norm_(parameters, clip)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        for average, student in zip(self.averages, self.students):
            average.update_parameters(student)

    def keep(self, index: int, epoch: int, value: float, higher_is_better: bool) -> None:
        """Keep the weights of a student after an epoch, if it is better than all before."""
        before = self.best[index]
        if before is None or (value > before["value"] if higher_is_better else value < before["value"]):
            state = {name: tensor.detach().clone() for name, tensor in self.kept[index].state_dict().items()}
            self.best[index] = {"epoch": epoch, "value": value, "state": state}

    def finish(self, index: int) -> int:
        """Give a student the weights that are kept: of its best epoch, or the last; the number of that epoch."""
        student, best = self.students[index], self.best[index]
        state = self.kept[index].state_dict() if best is None else best["state"]
        if best is not None or self.averages:
            student.load_state_dict(state)
        return len(self.history[index]) if best is None else best["epoch"]

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
            "averages": _states(self.averages),
            "best": self.best,
        }

    def restore(self, stored: Stored, device: torch.device) -> None:
        """Take over a stored state, and that of the global random generators; the tally is left as it is."""
        self.done, self.history = stored["done"], stored["history"]
        _load(self.students, stored["students"])
        _load(self.objectives, stored["objectives"])
        _load(self._moving, stored["moving"])
        _load(self.averages, stored.get("averages", []))
        self.best = stored.get("best", self.best)
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
    trained = [
        [item for item in nn.ModuleList(pair).parameters() if item.requires_grad] for pair in zip(students, objectives)
    ]
    schedule = build_schedule(optimizer, recipe, per_epoch)
    scaler = GradScaler(device.type, enabled=recipe.precision == "float16")
    tally = Tally(objectives[0].terms, len(students), device, per_epoch)
    averages = [] if recipe.ema is None else [moving_average(student, recipe.ema) for student in students]
    return TrainingState(
        students,
        objectives,
        trained,
        optimizer,
        schedule,
        scaler,
        tally,
        history=[[] for _ in students],
        averages=averages,
        best=[None for _ in students],
    )


def _states(parts: Sequence[_Stateful]) -> list[StateDict]:
    return [part.state_dict() for part in parts]


def _load(parts: Sequence[_Stateful], states: Sequence[StateDict]) -> None:
    for part, state in zip(parts, states, strict=True):
        part.load_state_dict(state)
