"""What a training leaves behind, and who may look on."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypedDict

from torch import nn

#: One epoch in a history, by column.
Row = dict[str, float]


class Observer(Protocol):
    """Looks on while a network is trained."""

    def start(self, steps: int, done: int, history: Sequence[Row]) -> None:
        """The training begins, or goes on after ``done`` of its ``steps``, with the rows it has so far."""

    def step(self) -> None:
        """One more step is done."""

    def epoch(self, row: Row) -> None:
        """One more epoch is done."""

    def finish(self) -> None:
        """The training is over, however it ended."""


class Running(TypedDict, total=False):
    """What may be said about a training without a change of its weights; each may be left out.

    Attributes:
        checkpoint: file for the state of the training; none is kept if omitted.
        checkpoint_every: steps between two checkpoints; those of one epoch if omitted.
        evaluate_every: epochs between two looks at the test images; 1 if omitted, and the last epoch always has one.
        observers: are told of every step and epoch.
        stop: asked before each step; the training then keeps a checkpoint and ends.
    """

    checkpoint: str | Path | None
    checkpoint_every: int | None
    evaluate_every: int
    observers: Sequence[Observer]
    stop: Callable[[], bool] | None


@dataclass(frozen=True)
class TrainingResult:
    """A trained network and how it came about.

    Attributes:
        network: the trained one, in evaluation mode.
        history: one row per epoch: ``epoch, step, lr, loss, ce``, each distiller, ``train_accuracy, seconds``, and
            where it was evaluated ``test_loss, test_accuracy``. The rate is that of the last step; losses and training
            accuracy are means over the epoch, in training mode; accuracies are in percent.
        accuracy: on the test images after the last epoch, in percent.
        loss: cross-entropy there.
        steps: how many there were.
    """

    network: nn.Module = field(repr=False)
    history: list[Row] = field(repr=False)
    accuracy: float
    loss: float
    steps: int

    @property
    def train_accuracy(self) -> float:
        """Mean over the last epoch, in training mode."""
        return float(self.history[-1]["train_accuracy"])

    @property
    def seconds(self) -> float:
        """Of all epochs together."""
        return sum(float(row["seconds"]) for row in self.history)
