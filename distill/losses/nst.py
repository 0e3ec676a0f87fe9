"""NST: distributions of the normalised channels.

Huang, Wang, "Like What You Like: Knowledge Distill via Neuron Selectivity Transfer", 2017, arXiv:1707.01219,
section 4 with the polynomial kernel.
"""

from torch import Tensor

from zcbench.distill.contract import distiller
from zcbench.distill.losses.geometry import Size, at_size, common_sizes, direction, total
from zcbench.distill.outputs import Outputs


@distiller("nst", reads="stages", adapts="spatial", source="arXiv:1707.01219, section 4, polynomial kernel")
def nst(student: Outputs, teacher: Outputs) -> Tensor:
    r"""Maximum mean discrepancy between the channels of student and teacher, summed over the stages.

    .. math::  L = \sum_l \frac1B \sum_i \left[ \overline{(x_c^\top x_{c'})^2} + \overline{(y_c^\top y_{c'})^2}
               - 2\, \overline{(x_c^\top y_{c'})^2} \right]

    :math:`x_c` and :math:`y_c` are the channels of student and teacher for image i, flattened and at unit length; the
    bars are means over all pairs of channels.

    Args:
        student: needs ``stages``, ``(B, C_l, H_l, W_l)`` each.
        teacher: needs as many; the channels may differ, the larger map is pooled to the smaller (adaptive average).

    Returns:
        Dimensionless, mean over the batch, from 0 for channels of one distribution to 2 per stage; the order and the
        scale of the channels do not matter.

    Example:
        >>> import torch
        >>> student = Outputs(stages=[torch.tensor([[[[1.0, 0.0]]]])])
        >>> teacher = Outputs(stages=[torch.tensor([[[[0.0, 5.0]]]])])
        >>> nst(student, teacher).item()  # channels at a right angle: 1 + 1 - 2 * 0
        2.0

    Note:
        The kernel is :math:`(x^\top y)^d` with d = 2 and no constant. The teacher's own term has no gradient but
        makes the loss a distance.
    """
    return total(_discrepancy(student, teacher, *place) for place in common_sizes(student, teacher))


def _discrepancy(student: Outputs, teacher: Outputs, stage: int, size: Size) -> Tensor:
    one, other = (outputs.once(_channels, stage, size) for outputs in (student, teacher))
    own = student.once(_self_kernel, stage, size) + teacher.once(_self_kernel, stage, size)
    return own - 2 * _mean_kernel(one, other)


def _channels(outputs: Outputs, stage: int, size: Size) -> Tensor:
    return direction(at_size(outputs.stages[stage], size).flatten(2), 2)


def _self_kernel(outputs: Outputs, stage: int, size: Size) -> Tensor:
    channels = outputs.once(_channels, stage, size)
    return _mean_kernel(channels, channels)


def _mean_kernel(one: Tensor, other: Tensor) -> Tensor:
    return (one @ other.mT).square().mean()
