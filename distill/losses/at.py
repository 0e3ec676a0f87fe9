"""AT: attention maps of the stages.

Zagoruyko, Komodakis, "Paying More Attention to Attention", ICLR 2017, arXiv:1612.03928, equation 2.
"""

from torch import Tensor

from zcbench.distill.contract import distiller
from zcbench.distill.losses.geometry import Size, at_size, common_sizes, direction, total
from zcbench.distill.outputs import Outputs


@distiller("at", reads="stages", adapts="spatial", source="arXiv:1612.03928, equation 2, squared")
def at(student: Outputs, teacher: Outputs) -> Tensor:
    r"""Squared distance of the attention maps, summed over the stages.

    .. math::  L = \frac1B \sum_i \sum_l \left\lVert \frac{a^S_{il}}{\lVert a^S_{il} \rVert}
               - \frac{a^T_{il}}{\lVert a^T_{il} \rVert} \right\rVert^2, \qquad
               a_{il} = \operatorname{vec} \tfrac{1}{C_l} \sum_c (F_{ilc})^2

    Args:
        student: needs ``stages``, ``(B, C_l, H_l, W_l)`` each.
        teacher: needs as many; the channels may differ, the larger map is pooled to the smaller (adaptive average).

    Returns:
        Dimensionless, mean over the batch, from 0 for equal maps to 2 per stage; the scale of a map does not matter.

    Example:
        >>> import torch
        >>> student = Outputs(stages=[torch.tensor([[[[1.0, 0.0]]]])])
        >>> teacher = Outputs(stages=[torch.tensor([[[[0.0, 5.0]]]])])
        >>> at(student, teacher).item()  # two unit vectors at a right angle
        2.0

    Note:
        The paper's distance is not squared; the released code squares it and averages over the H·W positions as well,
        so that each stage is this one divided by H·W. A dead map counts as a zero vector.
    """
    places = common_sizes(student, teacher)
    pairs = ((student.once(_attention, *place), teacher.once(_attention, *place)) for place in places)
    return total((one - other).square().sum(1).mean() for one, other in pairs)


def _attention(outputs: Outputs, stage: int, size: Size) -> Tensor:
    return direction(at_size(outputs.stages[stage], size).square().mean(1).flatten(1))
