"""Stages of student and teacher brought to equal numbers.

Losses of stages compare the k-th stage of the student with the k-th of the teacher. A convolutional network for CIFAR
has three stages and PVT four; a transformer whose tokens keep one grid is cut into three, see
`zcbench.hooks.stages.StageRecorder`.
"""

from collections.abc import Sequence
from typing import TypeVar

from zcbench.distill.outputs import Outputs, Shapes

T = TypeVar("T")


def matched_stages(stages: Sequence[T], count: int) -> tuple[T, ...]:
    r"""As many of the stages as ``count``, the last among them, at equal distances in depth.

    .. math::  l_k = \lfloor k M / K \rfloor, \qquad k = 1, \dots, K

    of M stages, counted from 1. All of them where there are no more than ``count``.

    Example:
        >>> matched_stages(("56x56", "28x28", "14x14", "7x7"), 3)
        ('56x56', '28x28', '7x7')
        >>> matched_stages(("14x14",), 3)
        ('14x14',)
    """
    total, count = len(stages), min(count, len(stages))
    return tuple(stages[part * total // count - 1] for part in range(1, count + 1))


def matched_shapes(student: Shapes, teacher: Shapes) -> tuple[Shapes, Shapes]:
    """Shapes of two networks with equal numbers of stages, see `matched_stages`."""
    if student.stages is None or teacher.stages is None:
        return student, teacher
    count = min(len(student.stages), len(teacher.stages))
    one, other = (shapes._replace(stages=matched_stages(shapes.stages or (), count)) for shapes in (student, teacher))
    return one, other


def matched_outputs(student: Outputs, teacher: Outputs) -> tuple[Outputs, Outputs]:
    """Outputs of two networks with equal numbers of stages, see `matched_stages`; as they are where they agree."""
    own, other = student.shapes.stages, teacher.shapes.stages
    if own is None or other is None or len(own) == len(other):
        return student, teacher
    count = min(len(own), len(other))
    one, two = (outputs.replace(stages=matched_stages(outputs.stages, count)) for outputs in (student, teacher))
    return one, two
