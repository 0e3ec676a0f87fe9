"""CWD: each channel as a distribution over the positions.

Shu et al., "Channel-wise Knowledge Distillation for Dense Prediction", ICCV 2021, arXiv:2011.13256, section 3.
"""

from torch import Tensor
from torch.nn.functional import kl_div, log_softmax

from zcbench.distill.contract import distiller
from zcbench.distill.hyperparameters import Positive
from zcbench.distill.losses.geometry import at_one_size
from zcbench.distill.outputs import Outputs


@distiller("cwd", reads="features", adapts=("channels", "spatial"), source="arXiv:2011.13256, section 3")
def cwd(student: Outputs, teacher: Outputs, *, temperature: Positive = 4.0) -> Tensor:
    r"""Divergence of the spatial distribution of each channel of the student from that of the teacher.

    .. math::  L = \frac{T^2}{BC} \sum_{ic}
               \operatorname{KL}\!\left(\sigma(F^T_{ic} / T) \,\Vert\, \sigma(F^S_{ic} / T)\right)

    :math:`\sigma` is the softmax over the H·W positions.

    Args:
        student: needs ``features`` ``(B, C, H, W)``.
        teacher: needs ``features`` of as many channels; the larger map is pooled to the smaller (adaptive average).
        temperature: :math:`T`; the paper's choice for feature maps is 4.

    Returns:
        Nats times :math:`T^2`, mean over batch and channels, from 0, which it is for maps that are equal up to a shift
        of each channel.

    Example:
        >>> import torch
        >>> student = Outputs(features=torch.tensor([[[[0.0, 0.0]]]]))
        >>> teacher = Outputs(features=torch.tensor([[[[3.0, 1.0]]]]).log())
        >>> round(cwd.configured(temperature=1)(student, teacher).item(), 4)  # 3/4 log(3/2) + 1/4 log(1/2)
        0.1308

    Note:
        With 1×1 maps it is zero for any two networks.
    """
    one, other = (maps.flatten(2) / temperature for maps in at_one_size(student.features, teacher.features))
    divergence = kl_div(log_softmax(one, 2), log_softmax(other, 2), reduction="sum", log_target=True)
    return temperature**2 * divergence / one.shape[:2].numel()
