"""FSP: Gram matrices between consecutive stages.

Yim et al., "A Gift from Knowledge Distillation: Fast Optimization, Network Minimization and Transfer Learning",
CVPR 2017, section 3.
"""

from itertools import pairwise

from torch import Tensor

from zcbench.distill.contract import distiller
from zcbench.distill.losses.geometry import at_one_size, total
from zcbench.distill.outputs import Outputs


@distiller("fsp", reads="stages", adapts="channels", min_stages=2, source="Yim et al., CVPR 2017, section 3")
def fsp(student: Outputs, teacher: Outputs) -> Tensor:
    r"""Squared distance of the Gram matrices between consecutive stages.

    .. math::  L = \frac1B \sum_i \sum_l \lVert G^S_{il} - G^T_{il} \rVert_F^2, \qquad
               (G_{il})_{cc'} = \frac{1}{HW} \sum_{hw} F_{ilchw} F_{i,l+1,c'hw}

    Args:
        student: needs ``stages``, ``(B, C_l, H_l, W_l)`` each, at least two.
        teacher: needs as many, of as many channels each; H and W may differ between the networks.

    Returns:
        Activation to the fourth power, mean over the batch, sum over channel pairs and stages, from 0 for equal maps.

    Raises:
        ShapeMismatch: one stage, or different channels.

    Example:
        >>> import torch
        >>> deep = torch.tensor([3.0, 1.0]).view(1, 2, 1, 1)
        >>> student = Outputs(stages=[torch.full((1, 1, 1, 1), 2.0), deep])
        >>> teacher = Outputs(stages=[torch.ones(1, 1, 1, 1), torch.ones(1, 2, 1, 1)])
        >>> fsp(student, teacher).item()  # the Gram matrices are (6, 2) and (1, 1)
        26.0

    Note:
        Stages of one network that differ in size are pooled to the smaller (adaptive average); the paper takes the
        maximum, and pairs the first and last layer inside each module instead of consecutive stages. Common code takes
        the mean over channel pairs, not the sum: `fsp_mean`.
    """
    pairs = zip(student.once(_flows), teacher.once(_flows))
    return total((one - other).square().sum((1, 2)).mean() for one, other in pairs)


@distiller("fsp_mean", reads="stages", adapts="channels", min_stages=2, source="RepDistiller, FSP")
def fsp_mean(student: Outputs, teacher: Outputs) -> Tensor:
    r"""`fsp` with the mean over the entries of each Gram matrix in place of their sum, as common code has it.

    .. math::  L = \frac1B \sum_i \sum_l \frac{1}{C_l C_{l+1}} \lVert G^S_{il} - G^T_{il} \rVert_F^2

    :math:`G` are the Gram matrices of `fsp`.

    Args:
        student: needs ``stages``, at least two, as for `fsp`.
        teacher: needs as many, of as many channels each.

    Returns:
        Activation to the fourth power, mean over the batch and over channel pairs, sum over stages, from 0 for equal
        maps.

    Raises:
        ShapeMismatch: one stage, or different channels.

    Example:
        >>> import torch
        >>> student, teacher = (Outputs(stages=[torch.full((1, 2, 1, 1), value)] * 2) for value in (3.0, 1.0))
        >>> fsp_mean(student, teacher).item()  # every entry is 9 against 1
        64.0

    Note:
        The form of RepDistiller and of the code made from it. The late stages, which have the most channels, weigh
        less than in `fsp`, so the two rank students differently. Which maps a pair consists of is our choice, as in
        `fsp`; RepDistiller pairs consecutive entries of the list of maps that its networks give.
    """
    pairs = zip(student.once(_flows), teacher.once(_flows))
    return total((one - other).square().mean() for one, other in pairs)


def _flows(outputs: Outputs) -> list[Tensor]:
    return [_flow(*pair) for pair in pairwise(outputs.stages)]


def _flow(before: Tensor, after: Tensor) -> Tensor:
    one, other = (maps.flatten(2) for maps in at_one_size(before, after))
    return one @ other.mT / one.shape[2]
