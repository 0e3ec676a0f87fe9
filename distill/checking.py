"""Checks of the outputs of student and teacher, and of the value of a loss."""

from collections.abc import Iterable

import torch
from torch import Tensor

from zcbench.distill.adapters import channels
from zcbench.distill.errors import BadLoss, ShapeMismatch, TooFewImages
from zcbench.distill.outputs import Outputs


def check_classes(student: Outputs, teacher: Outputs) -> None:
    """Raise `ShapeMismatch` unless logits have two axes and the class counts agree, as far as both are known."""
    for outputs in (student, teacher):
        for name, tensor in outputs.tensors():
            if name == "logits" and tensor.ndim != 2:
                raise ShapeMismatch(
                    f"Given logits of {tensor.dtype} {tuple(tensor.shape)}. Expected (B, N), or (P, N) with the pixels "
                    f"of a dense task as rows: logits.movedim(1, -1).flatten(0, -2)."
                )
    own, other = student.shapes.classes, teacher.shapes.classes
    if own is not None and other is not None and own != other:
        raise ShapeMismatch(
            f"The student has {own} classes and the teacher {other}. Expected equal class counts; build both for the "
            f"same data set."
        )


def check_images(name: str, reads: Iterable[str], student: Outputs, teacher: Outputs, fewest: int) -> None:
    """Raise unless all that is read has one batch size, of at least ``fewest`` images.

    Raises:
        ShapeMismatch: two batch sizes.
        TooFewImages: the batch is too small.
    """
    batched = set(reads) - {"classifier"}
    sizes = {
        whose: {len(tensor) for output, tensor in outputs.tensors() if output in batched}
        for whose, outputs in (("student", student), ("teacher", teacher))
    }
    if len(sizes["student"] | sizes["teacher"]) > 1:
        own, other = (sorted(size) for size in sizes.values())
        raise ShapeMismatch(
            f"The student's batch has {_counted(own)} and the teacher's {_counted(other)}. Expected both "
            f"networks to see the same images."
        )
    if any(size < fewest for size in sizes["student"]):
        raise TooFewImages(
            f"The distiller {name!r} compares images with each other: given {min(sizes['student'])}, expected at least "
            f"{fewest}. Use a larger batch."
        )


def _counted(sizes: list[int]) -> str:
    return " and ".join(map(str, sizes)) + " images"


def check_labels(name: str, labels: Tensor | None, student: Outputs) -> Tensor:
    """The labels as whole numbers, once they are B class indices.

    Raises:
        ShapeMismatch: there are none, or they do not fit the batch or the classes.
    """
    size = next((len(tensor) for output, tensor in student.tensors() if output != "classifier"), 0)
    if labels is None:
        raise ShapeMismatch(f"The distiller {name!r} uses labels and was given none. Expected {size} class indices.")
    if not isinstance(labels, Tensor) or labels.is_floating_point() or labels.shape != (size,):
        given = f"{labels.dtype} {tuple(labels.shape)}" if isinstance(labels, Tensor) else type(labels).__name__
        raise ShapeMismatch(f"Given labels of {given}. Expected {size} whole numbers, one class index per image.")
    classes = student.shapes.classes
    if size and (labels.min() < 0 or (classes is not None and labels.max() >= classes)):
        raise ShapeMismatch(
            f"Given labels from {labels.min().item()} to {labels.max().item()}. Expected class indices from 0"
            + (f" to {classes - 1}." if classes is not None else ".")
        )
    return labels.long()


def check_stages(name: str, student: Outputs, teacher: Outputs, fewest: int) -> None:
    """Raise `ShapeMismatch` unless both have the same number of stages, at least ``fewest``."""
    own, other = len(student.stages), len(teacher.stages)
    if own != other or own < fewest:
        raise ShapeMismatch(
            f"The student has {own} stages and the teacher {other}. The distiller {name!r} pairs them in order: "
            f"expected equal numbers, at least {fewest}."
        )


def check_channels(name: str, outputs: Iterable[str], student: Outputs, teacher: Outputs, hint: str) -> None:
    """Raise `ShapeMismatch` unless each of ``outputs`` has equal channel counts; ``hint`` is the advice."""
    for output in outputs:
        own, other = channels(student.shapes, output), channels(teacher.shapes, output)
        if own is not None and other is not None and own != other:
            raise ShapeMismatch(
                f"The student's {output} has {' / '.join(map(str, own))} channels and the teacher's "
                f"{' / '.join(map(str, other))}. The distiller {name!r} compares them one by one: {hint}, or a module "
                f"from projectors(student.shapes, teacher.shapes)."
            )


def check_loss(name: str, loss: object, student: Outputs, reads: Iterable[str]) -> Tensor:
    """The loss, once it is a scalar with a gradient for a student that wants one; NaN and infinity are let through.

    Raises:
        BadLoss: it is not.
    """
    if not isinstance(loss, Tensor) or loss.ndim != 0 or not loss.is_floating_point():
        given = f"{loss.dtype} {tuple(loss.shape)}" if isinstance(loss, Tensor) else type(loss).__name__
        raise BadLoss(f"The distiller {name!r} returned {given}. Expected a floating scalar tensor; sum or average it.")
    wanted = any(tensor.requires_grad for output, tensor in student.tensors() if output in set(reads))
    if wanted and torch.is_grad_enabled() and not loss.requires_grad:
        raise BadLoss(
            f"The distiller {name!r} returned a loss without gradient. Expected one that leads back to the student; do "
            f"not detach its outputs or leave PyTorch."
        )
    return loss
