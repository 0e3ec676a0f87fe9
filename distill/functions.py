"""Plain functions as distillation losses."""

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

from zcbench.distill.code_identity import WRAPPED, attributes_read
from zcbench.distill.contract import Distiller, get, names
from zcbench.distill.errors import BadLoss
from zcbench.distill.outputs import OUTPUTS, Outputs
from zcbench.errors import ZcbenchError

#: What a training accepts as a loss.
Loss = str | Distiller | Callable[..., Tensor]

#: Names that the log of a training uses itself.
_TAKEN = frozenset(
    {"epoch", "step", "lr", "loss", "ce", "train_accuracy", "seconds", "test_loss", "test_accuracy", "balanced"}
)


def as_distillers(losses: Sequence[Loss]) -> list[Distiller]:
    """Distillers of names, specifications, objects and plain functions.

    A plain function takes ``(student, teacher)`` or ``(student, teacher, labels)``. Where it looks up names of
    `OUTPUTS`, as in ``student.features``, it gets the `Outputs` of both networks; otherwise it gets their logits, so
    that ``torch.nn.functional.mse_loss`` or ``lambda s, t: (s - t).square().mean()`` will do. It is named as the
    function, with a number where that name is taken.

    Raises:
        UnknownNameError: a name that is no distiller.
        BadLoss: something else than a name, a distiller or a function of two or three arguments.
    """
    if isinstance(losses, str) or callable(losses):
        losses = [losses]
    found: list[Distiller] = []
    for loss in losses:
        if isinstance(loss, Distiller):
            found.append(loss)
        elif isinstance(loss, str):
            found.append(get(loss))
        else:
            found.append(_from_function(loss, {item.name for item in found}))
    return found


def _from_function(function: Callable[..., Tensor], used: set[str]) -> Distiller:
    if not callable(function):
        raise BadLoss(
            f"Given a loss of type {type(function).__name__}. Expected the name of a distiller, a Distiller, or a "
            f"function of student and teacher."
        )
    reads = frozenset(attributes_read(function) & set(OUTPUTS))
    name = _free_name(function, used)
    return Distiller(name, _wrapped(function, name, bool(reads)), reads or frozenset({"logits"}), as_proxy=False)


def _free_name(function: Callable[..., Tensor], used: set[str]) -> str:
    own = getattr(function, "__name__", type(function).__name__)
    plain = "function" if own == "<lambda>" else own.strip("<>")
    taken, name, number = {*used, *_TAKEN, *names()}, plain, 1
    while name in taken:
        number += 1
        name = f"{plain}_{number}"
    return name


def _wrapped(function: Callable[..., Tensor], name: str, whole: bool) -> Callable[..., Tensor]:
    """``function`` as a distiller calls it."""

    def call(student: Outputs, teacher: Outputs, *labels: Tensor) -> Tensor:
        given = (student, teacher) if whole else (student.logits, teacher.logits)
        try:
            return function(*given, *labels)
        except ZcbenchError:
            raise
        except Exception as error:
            raise BadLoss(
                f"The function {name!r} fails as a loss: {type(error).__name__}: {' '.join(str(error).split())[:200]}. "
                f"Expected a scalar tensor from {'the Outputs' if whole else 'the logits (B, N)'} of student and "
                f"teacher; outputs are looked up as in student.features, with the names {', '.join(OUTPUTS)}."
            ) from error

    def with_labels(student: Outputs, teacher: Outputs, labels: Tensor) -> Tensor:
        return call(student, teacher, labels)

    def without_labels(student: Outputs, teacher: Outputs) -> Tensor:
        return call(student, teacher)

    chosen = with_labels if _takes_labels(function, name) else without_labels
    setattr(chosen, WRAPPED, function)  # what the loss's fingerprint is about
    return chosen


def _takes_labels(function: Callable[..., Tensor], name: str) -> bool:
    """Whether the function takes labels after student and teacher."""
    try:
        signature = inspect.signature(function)
    except ValueError:  # a built-in function that does not tell
        return False
    parameters = list(signature.parameters.values())
    required = [item for item in parameters if item.default is item.empty and item.kind in _POSITIONAL]
    if len(required) == 3 or any(item.name == "labels" and item.kind in _POSITIONAL for item in parameters[2:3]):
        return True
    anonymous: Any = object()
    try:
        signature.bind(anonymous, anonymous)
    except TypeError:
        raise BadLoss(
            f"Given the function {name}{signature} as a loss. Expected one of (student, teacher) or (student, teacher, "
            f"labels)."
        ) from None
    return False


_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
