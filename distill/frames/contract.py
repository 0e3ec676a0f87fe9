"""What a frame is, and a distiller in a frame."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from typing import ClassVar

import torch
from torch import Tensor, nn

from zcbench.distill.contract import Distiller, at_one_precision, device_of
from zcbench.distill.errors import HyperparameterError, ShapeMismatch
from zcbench.distill.losses.geometry import total
from zcbench.distill.outputs import Outputs, Shapes
from zcbench.specification import write_specification
from zcbench.streams import seeded

#: Student and teacher, and the weight of their comparison.
Pair = tuple[float, Outputs, Outputs]


class AsIs(nn.Module):
    """An adapter that changes nothing, for outputs that a frame has adapted."""

    def forward(self, student: Outputs, teacher: Outputs) -> tuple[Outputs, Outputs]:
        """Both as they are."""
        return student, teacher


class Pairing(nn.Module):
    """The trained modules of a frame between two networks."""

    def pairs(self, student: Outputs, teacher: Outputs) -> list[Pair]:
        """What is compared."""
        raise NotImplementedError

    def losses(self, pairs: Sequence[Pair], loss: Callable[[Outputs, Outputs], Tensor]) -> list[Tensor]:
        """The terms of the sum: the loss of each pair with its weight."""
        return [weight * loss(one, other) for weight, one, other in pairs]

    def extra(self, pairs: Sequence[Pair], labels: Tensor | None) -> Tensor | None:
        """A further term of the frame's own; None if it has none."""
        return None


@dataclass(frozen=True)
class Frame(ABC):
    """A way to compare student and teacher; its fields are its hyperparameters.

    Attributes:
        name: of the frame.
        reads: outputs that it reads, beside those of the loss.
        gives: outputs of the loss that it makes itself.
        alone: whether the student is its own teacher.
        source: paper.
    """

    name: ClassVar[str]
    reads: ClassVar[frozenset[str]] = frozenset()
    gives: ClassVar[frozenset[str]] = frozenset()
    alone: ClassVar[bool] = False
    source: ClassVar[str]

    @abstractmethod
    def pairing(self, inner: Distiller, student: Shapes, teacher: Shapes, seed: int) -> Pairing:
        """The modules between networks of these shapes, drawn from the global generator.

        Raises:
            HyperparameterError: the loss does not fit the frame.
            ShapeMismatch: an output is missing, or the numbers of stages differ.
        """

    @property
    def spec(self) -> str:
        """Name and hyperparameters."""
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        return write_specification(self.name, values)


@dataclass(frozen=True)
class FramedDistiller(Distiller):
    """A distiller in a frame; ``inner`` is the loss of each pair."""

    frame: Frame = field(kw_only=True)
    inner: Distiller = field(kw_only=True)

    def __call__(
        self,
        student: Outputs,
        teacher: Outputs,
        labels: Tensor | None = None,
        *,
        adapter: nn.Module | str | None = None,
    ) -> Tensor:
        """The weighted sum over the pairs; ``adapter`` is what `projectors` has built.

        Raises:
            HyperparameterError: no module of the frame is given.
        """
        if not isinstance(adapter, Pairing):
            raise HyperparameterError(
                f"The distiller {self.name!r} was given no modules of its frame. Expected "
                f"adapter=projectors(student.shapes, teacher.shapes), as a training builds it."
            )
        student, teacher = at_one_precision(student, teacher)
        with torch.autocast(device_of(student, teacher).type, enabled=False):
            pairs = adapter.pairs(student, teacher)
            extra = adapter.extra(pairs, labels)
        given = labels if self.inner.uses_labels else None
        losses = adapter.losses(pairs, lambda one, other: self.inner(one, other, given, adapter=AsIs()))
        return total(losses if extra is None else [*losses, extra])

    @property
    def uses_labels(self) -> bool:
        """Whether the loss or the frame takes the labels."""
        return self.inner.uses_labels or self.frame.alone

    @property
    def alone(self) -> bool:
        """Whether the student is its own teacher."""
        return self.frame.alone

    def projectors(self, student: Shapes, teacher: Shapes, seed: int = 0) -> nn.Module | None:
        """The modules of the frame between networks of these shapes.

        Raises:
            HyperparameterError: the loss does not fit the frame.
            ShapeMismatch: an output is missing, or the numbers of stages differ.
        """
        with seeded("frame", self.name, seed):
            return self.frame.pairing(self.inner, student, teacher, seed)


def features_of(shapes: Shapes) -> tuple[int, ...]:
    """Shape of the features of a network.

    Raises:
        ShapeMismatch: it has none.
    """
    if shapes.features is None:
        raise ShapeMismatch("A network gave no features, which the frame compares. Expected both.")
    return shapes.features
