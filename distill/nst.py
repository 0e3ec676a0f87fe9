"""NST: what patterns are the channels selective to?

Huang, Wang, "Like What You Like: Knowledge Distill via Neuron Selectivity Transfer", 2017, arXiv:1707.01219,
section 4 with the polynomial kernel.
"""

from torch import Tensor

from zcbench.distill.contract import distiller
from zcbench.distill.geometry import at_one_size, direction, total
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

    Note:
        The kernel is :math:`(x^\top y)^d` with d = 2 and no constant. The teacher's own term has no gradient but
        makes the loss a distance.
    """
    pairs = (at_one_size(*pair) for pair in zip(student.stages, teacher.stages))
    return total(_discrepancy(*(direction(maps.flatten(2), 2) for maps in pair)) for pair in pairs)


def _discrepancy(one: Tensor, other: Tensor) -> Tensor:
    return _mean_kernel(one, one) + _mean_kernel(other, other) - 2 * _mean_kernel(one, other)


def _mean_kernel(one: Tensor, other: Tensor) -> Tensor:
    return (one @ other.mT).square().mean()
