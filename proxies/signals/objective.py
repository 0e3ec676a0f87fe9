"""The loss of a network's output and the labels, and the logits of classes where the output is that."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

import cloudpickle
import torch
import torch.nn.functional as F
from torch import Tensor

from zcbench.content import content
from zcbench.errors import BatchError, ProtocolError, shortened
from zcbench.proxies.signals.errors import NotApplicable
from zcbench.runtime.parcel import portable

Function = Callable[[Tensor, Tensor], Tensor]
IGNORED = -100  # label of a position that cross-entropy leaves out, as in PyTorch


class Task(Enum):
    """What an output and its labels are, with what a proxy of classes says of it."""

    CLASSES = "classes"
    BINARY = "two classes with one logit"
    POSITIONS = "a class for each position"
    SEVERAL = "several labels, each 0 or 1, for each input"
    VALUES = "values of a regression"
    OWN = "labels that only the loss of one's own can read"


def _cross_entropy(output: Tensor, labels: Tensor) -> Tensor:
    return F.cross_entropy(output, labels.reshape(len(labels), *output.shape[2:]))


def _binary_cross_entropy(output: Tensor, labels: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(output, labels.reshape(output.shape).to(output.dtype))


def _mse(output: Tensor, labels: Tensor) -> Tensor:
    return F.mse_loss(output, labels.reshape(output.shape).to(output.dtype))


CLASSES, BINARY, VALUES = LOSSES = ("cross_entropy", "binary_cross_entropy", "mse")
_LOSS_OF = {
    **dict.fromkeys((Task.CLASSES, Task.POSITIONS), _cross_entropy),
    **dict.fromkeys((Task.BINARY, Task.SEVERAL), _binary_cross_entropy),
    Task.VALUES: _mse,
}


@dataclass(frozen=True)
class Loss:
    """The loss of a network: the one that follows the labels, one by name, or a function of one's own.

    Attributes:
        function: from the output and the labels of a batch to a scalar tensor, the mean over the batch; a name of
            `LOSSES`; or None for the loss that follows the labels.

    Raises:
        ProtocolError: an unknown name.

    Example:
        >>> Loss("mse").label, Loss().label
        ('mse', None)
    """

    function: Function | str | None = None

    def __post_init__(self) -> None:
        if isinstance(self.function, str) and self.function not in LOSSES:
            raise ProtocolError(
                f"loss={shortened(self.function)!r} was given. Expected one of {', '.join(LOSSES)}, or a function of "
                f"output and labels."
            )

    @classmethod
    def of(cls, given: "Loss | Function | str | None") -> "Loss":
        """The record of a function, a name, None, or a record."""
        return given if isinstance(given, Loss) else cls(given)

    def __reduce__(self) -> tuple[Any, ...]:
        """Also a function that another process cannot import is written."""
        return _opened, (portable(self.function, "the function loss="),)

    @property
    def label(self) -> str | None:
        """Name of the loss; None for the one that follows the labels."""
        if self.function is None or isinstance(self.function, str):
            return self.function
        given = getattr(self.function, "label", None) or getattr(self.function, "__qualname__", None)
        return str(given or type(self.function).__name__)

    @property
    def sha256(self) -> str | None:
        """Fingerprint of the definition of one's own loss; None for others."""
        return None if self.function is None or isinstance(self.function, str) else content(self.function)


def _opened(function: bytes) -> Loss:
    return Loss(cloudpickle.loads(function))


@dataclass(frozen=True)
class Objective:
    """The loss of one batch. What the labels are is read from the whole batch, so that all parts of it have one loss.

    Attributes:
        loss: the loss that was given.
        whole: whether the labels are whole numbers.
        bits: whether they are 0 and 1 only.
        shape: shape of the labels without the batch.
    """

    loss: Loss = Loss()
    whole: bool = True
    bits: bool = False
    shape: tuple[int, ...] = ()

    @classmethod
    def of(cls, labels: Tensor, loss: Loss | None = None) -> "Objective":
        """The objective of a batch with these labels."""
        bits = bool(((labels == 0) | (labels == 1)).all())
        return cls(loss or Loss(), not labels.is_floating_point(), bits, tuple(labels.shape[1:]))

    def task(self, output: Tensor) -> Task:
        """What an output ``(B, ...)`` with these labels is.

        Raises:
            BatchError: no loss takes them, and none was given.
        """
        shape, own, loss = tuple(output.shape[1:]), _plain(self.shape), self.loss.function
        if self.whole and shape[:1] > (1,) and shape[1:] == own and loss not in (BINARY, VALUES):
            return Task.POSITIONS if own else Task.CLASSES
        if _plain(shape) == own and loss != CLASSES:
            if loss == BINARY or (self.bits and loss != VALUES):
                return Task.SEVERAL if own else Task.BINARY
            if loss == VALUES or not self.whole:
                return Task.VALUES
        if callable(loss):
            return Task.OWN
        kind = "whole numbers" if self.whole else "numbers"
        raise BatchError(
            f"Given labels of {kind} {_written(self.shape)} for an output {_written(shape)}, which fit "
            f"{f'no {loss}' if loss else 'no loss'}. Expected class indices (B,) for logits (B, classes), 0 and 1 for "
            f"one logit, or floating values of the output's shape; or give loss=."
        )

    def __call__(self, output: Tensor, labels: Tensor) -> Tensor:
        """The scalar loss of an output ``(B, ...)``.

        Raises:
            BatchError: no loss takes output and labels, or the given one returns no scalar.
        """
        given = self.loss.function
        if not callable(given):
            return _LOSS_OF[self.task(output)](output, labels)
        found = given(output, labels)
        if not isinstance(found, Tensor) or found.ndim != 0 or not found.is_floating_point():
            told = f"{found.dtype} {tuple(found.shape)}" if isinstance(found, Tensor) else type(found).__name__
            raise BatchError(f"The loss returns {told}. Expected a floating scalar tensor; average over the batch.")
        return found

    def class_logits(self, output: Tensor) -> Tensor:
        """Logits ``(B, N)`` of classes; one logit z of two classes is (0, z), which has the same loss.

        Raises:
            NotApplicable: the output is no logits of classes.
        """
        task = self.task(output)
        if task is Task.CLASSES:
            return output
        if task is Task.BINARY:
            return torch.cat((torch.zeros_like(output), output), dim=1)
        raise NotApplicable(f"It is defined for classes, and the labels are {task.value}.")


def _plain(shape: tuple[int, ...]) -> tuple[int, ...]:
    """A shape without a first axis of one channel."""
    return shape[1:] if shape[:1] == (1,) else shape


def _written(shape: tuple[int, ...]) -> str:
    return f"({', '.join(['B', *map(str, shape)])}{'' if shape else ','})"
