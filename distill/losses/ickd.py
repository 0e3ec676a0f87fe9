"""ICKD: correlations between the channels.

Liu et al., "Exploring Inter-Channel Correlation for Diversity-preserved Knowledge Distillation", ICCV 2021,
arXiv:2202.03680, section 3 (ICKD-C).
"""

from torch import Tensor

from zcbench.distill.contract import distiller
from zcbench.distill.losses.geometry import direction
from zcbench.distill.outputs import Outputs


@distiller("ickd", reads="features", adapts="channels", source="arXiv:2202.03680, section 3, released code")
def ickd(student: Outputs, teacher: Outputs) -> Tensor:
    r"""Squared distance of the channel-to-channel correlations of each image.

    .. math::  L = \frac{1}{BC} \sum_i \lVert \mathcal{G}^S_i - \mathcal{G}^T_i \rVert_F^2, \qquad
               \mathcal{G}_i = \operatorname{rownorm}(F_i F_i^\top)

    :math:`F_i` is the feature map of image i as a ``(C, H*W)`` matrix.

    Args:
        student: needs ``features`` ``(B, C, H, W)``.
        teacher: needs ``features`` of as many channels; H and W may differ.

    Returns:
        Dimensionless, mean over batch and channels, from 0 for equal correlations to 4; a rotation of the positions
        and the scale do not matter.

    Example:
        >>> import torch
        >>> student = Outputs(features=torch.tensor([[[[1.0, 0.0]], [[0.0, 1.0]]]]))
        >>> teacher = Outputs(features=torch.tensor([[[[1.0, 0.0]], [[1.0, 0.0]]]]))
        >>> round(ickd(student, teacher).item(), 4)  # rows (1, 0) and (1, 1) / sqrt(2): 2 - sqrt(2)
        0.5858

    Note:
        The row normalisation and the divisor are the released code's; there the student always passes through a 1×1
        convolution with batch norm (``adapter="conv1x1_bn"``).
    """
    one, other = student.once(_correlations), teacher.once(_correlations)
    return (one - other).square().sum() / one.shape[:2].numel()


def _correlations(outputs: Outputs) -> Tensor:
    flat = outputs.features.flatten(2)
    return direction(flat @ flat.mT, 2)
