"""PKD: features compared up to scale and shift.

Cao et al., "PKD: General Distillation Framework for Object Detectors via Pearson Correlation Coefficient",
NeurIPS 2022, arXiv:2207.02039, section 3.
"""

from torch import Tensor

from zcbench.distill.contract import distiller
from zcbench.distill.losses.geometry import TINY, at_one_size
from zcbench.distill.outputs import Outputs


@distiller("pkd", reads="features", adapts=("channels", "spatial"), source="arXiv:2207.02039, section 3, code")
def pkd(student: Outputs, teacher: Outputs) -> Tensor:
    r"""Half the squared distance of the features at mean 0 and variance 1.

    .. math::  L = \frac{1}{2 BCHW} \lVert \hat F^S - \hat F^T \rVert^2 = \frac1C \sum_c (1 - \rho_c), \qquad
               \hat F_c = \frac{F_c - \mu_c}{\sqrt{\sigma_c^2 + \epsilon}}

    Mean, variance and the Pearson correlation :math:`\rho_c` run over the batch and the positions of channel c.

    Args:
        student: needs ``features`` ``(B, C, H, W)``.
        teacher: needs ``features`` of as many channels; the larger map is pooled to the smaller (adaptive average).

    Returns:
        Dimensionless, mean over all entries, from 0, which it is for channels that agree up to a positive factor and a
        shift, to 2. Constant channels of both networks agree; a constant against a varying one counts ½.

    Example:
        >>> import torch
        >>> student = Outputs(features=torch.tensor([[[[1.0, 2.0]]]]))
        >>> round(pkd(student, Outputs(features=torch.tensor([[[[2.0, 1.0]]]]))).item(), 4)  # the correlation is -1
        2.0

    Note:
        The released code divides by the unbiased deviation plus :math:`10^{-6}` and resizes maps bilinearly; here it is
        the biased variance plus :math:`\epsilon = 10^{-12}`, so that the identity above is exact.
    """
    one, other = (_standardised(maps) for maps in at_one_size(student.features, teacher.features))
    return (one - other).square().mean() / 2


def _standardised(maps: Tensor) -> Tensor:
    centred = maps - maps.mean((0, 2, 3), keepdim=True)
    return centred / (centred.square().mean((0, 2, 3), keepdim=True) + TINY).sqrt()
