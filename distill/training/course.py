"""Results, options and observers of a training."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypedDict

from torch import nn

from zcbench.distill.training.metrics import Metric

#: One epoch in a history, by column.
Row = dict[str, float]


class Observer(Protocol):
    """Methods that a training calls while it runs."""

    def start(self, steps: int, done: int, history: Sequence[Row]) -> None:
        """The training starts, or resumes after ``done`` of its ``steps`` with the rows of the finished epochs."""

    def step(self) -> None:
        """A step is finished."""

    def epoch(self, row: Row) -> None:
        """An epoch is finished."""

    def finish(self) -> None:
        """The training has ended, with or without an error."""


class Running(TypedDict, total=False):
    """Options of a training that do not change its weights; each may be omitted.

    Attributes:
        checkpoint: file for the state of the training; none is kept if omitted.
        checkpoint_every: steps between two checkpoints; those of one epoch if omitted.
        checkpoint_seconds: least seconds between two checkpoints; where they are given, the finished training is not
            kept, which is for trainings whose results are kept elsewhere.
        evaluate_every: epochs between two evaluations on test and validation images; 1 if omitted. The last epoch is
            always evaluated.
        metrics: beyond accuracy and loss, by name or as objects, see `zcbench.distill.training.metrics.read_metrics`.
        observers: called after every step and epoch.
        stop: called before each step; if it returns True, the training writes a checkpoint and ends.
    """

    checkpoint: str | Path | None
    checkpoint_every: int | None
    checkpoint_seconds: float
    evaluate_every: int
    metrics: Sequence[str | Metric]
    observers: Sequence[Observer]
    stop: Callable[[], bool] | None


@dataclass(frozen=True)
class TrainingResult:
    """A trained network and its history.

    Attributes:
        network: the trained one, in evaluation mode.
        history: one row per epoch: ``epoch, step, lr, loss, ce``, each distiller, ``train_accuracy, seconds``, and
            where it was evaluated ``test_loss, test_accuracy`` and other metrics, and the same with ``validation_``
            where validation images are held out. The rate is that of the last step; losses and training accuracy are
            means over the epoch, in training mode; accuracies are in percent.
        accuracy: on the test images after the epoch whose weights are kept, in percent.
        loss: cross-entropy there, or the loss of another task.
        steps: number of steps.
        epoch: whose weights are kept: the last one, or the best one on the validation images.
        score: the metric of the task there, in percent: the accuracy, the mean IoU of a segmentation, or the average
            precision of a detection.
    """

    network: nn.Module = field(repr=False)
    history: list[Row] = field(repr=False)
    accuracy: float
    loss: float
    steps: int
    epoch: int
    score: float

    @property
    def kept(self) -> Row:
        """The row of the epoch whose weights are kept."""
        return self.history[self.epoch - 1]

    @property
    def train_accuracy(self) -> float:
        """Mean over the epoch whose weights are kept, in training mode."""
        return float(self.kept["train_accuracy"])

    @property
    def seconds(self) -> float:
        """Of all epochs together."""
        return sum(float(row["seconds"]) for row in self.history)
