"""FitNets: distance of the feature maps.

Romero et al., "FitNets: Hints for Thin Deep Nets", ICLR 2015, arXiv:1412.6550, equation 3.
"""

from torch import Tensor
from torch.nn.functional import mse_loss

from zcbench.distill.contract import distiller
from zcbench.distill.losses.geometry import at_one_size
from zcbench.distill.outputs import Outputs


@distiller("fitnet", reads="features", adapts=("channels", "spatial"), source="arXiv:1412.6550, equation 3")
def fitnet(student: Outputs, teacher: Outputs) -> Tensor:
    r"""Mean squared distance of the last feature maps.

    .. math::  L = \frac{1}{BCHW} \lVert r(F^S) - F^T \rVert^2

    :math:`r` is the adapter, the identity where the channels agree.

    Args:
        student: needs ``features`` ``(B, C, H, W)``.
        teacher: needs ``features`` of as many channels; the larger map is pooled to the smaller (adaptive average).

    Returns:
        Squared activation, mean over batch, channels and positions, from 0 for equal maps.

    Example:
        >>> import torch
        >>> student = Outputs(features=torch.zeros(1, 1, 1, 2))
        >>> fitnet(student, Outputs(features=torch.tensor([[[[1.0, 3.0]]]]))).item()  # (1 + 9) / 2
        5.0

    Note:
        The paper has ½‖·‖² for hints taken from the middle of the networks, and trains the lower half with it first.
        The mean instead of half the sum is that of the widely used re-implementations.
    """
    return mse_loss(*at_one_size(student.features, teacher.features))


@distiller("fitnet_embedding", reads="embedding", adapts="width", source="arXiv:1412.6550, equation 3, after pooling")
def fitnet_embedding(student: Outputs, teacher: Outputs) -> Tensor:
    r"""Mean squared distance of the embeddings.

    .. math::  L = \frac{1}{BC} \lVert r(f^S) - f^T \rVert^2

    :math:`r` is the adapter, the identity where the widths agree.

    Args:
        student: needs ``embedding`` ``(B, C)``.
        teacher: needs ``embedding`` of the same width.

    Returns:
        Squared activation, mean over batch and channels, from 0 for equal embeddings.

    Example:
        >>> import torch
        >>> student = Outputs(embedding=torch.zeros(1, 2))
        >>> fitnet_embedding(student, Outputs(embedding=torch.tensor([[1.0, 3.0]]))).item()  # (1 + 9) / 2
        5.0

    Note:
        This is the form that DisWOT (arXiv:2303.15678) uses as a zero-cost proxy.
    """
    return mse_loss(student.embedding, teacher.embedding)
