"""CC: correlation between the images, with a Gaussian kernel.

Peng et al., "Correlation Congruence for Knowledge Distillation", ICCV 2019, arXiv:1904.01802, section 3.
"""

import math

from torch import Tensor

from zcbench.distill.contract import distiller
from zcbench.distill.hyperparameters import Count, Positive
from zcbench.distill.losses.geometry import direction, total
from zcbench.distill.outputs import Outputs


@distiller("cc", reads="embedding", min_images=2, source="arXiv:1904.01802, section 3")
def cc(student: Outputs, teacher: Outputs, *, gamma: Positive = 0.4, order: Count = 2) -> Tensor:
    r"""Squared distance of the kernel matrices of the two networks.

    .. math::  L = \frac{1}{B^2} \lVert K^S - K^T \rVert_F^2, \qquad
               K_{ij} = e^{-2\gamma} \sum_{p=0}^{P} \frac{(2\gamma)^p}{p!} (\hat f_i^\top \hat f_j)^p

    :math:`\hat f` are the embeddings at unit length; :math:`K` is the Taylor polynomial of order P of the Gaussian
    kernel :math:`\exp(-\gamma \lVert \hat f_i - \hat f_j \rVert^2)`.

    Args:
        student: needs ``embedding`` ``(B, C)``.
        teacher: needs ``embedding``; the width may differ.
        gamma: :math:`\gamma`.
        order: :math:`P`.

    Returns:
        Dimensionless, mean over the pairs, from 0 for equal kernels; rotations and the scale do not matter.

    Raises:
        TooFewImages: one image.

    Example:
        >>> import torch
        >>> student = Outputs(embedding=torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
        >>> teacher = Outputs(embedding=torch.tensor([[1.0, 0.0], [1.0, 0.0]]))
        >>> round(cc.configured(gamma=0.5, order=1)(student, teacher).item(), 4)  # 2 of 4 entries differ by 1/e
        0.0677

    Note:
        The paper brings both embeddings to one width by a trained linear layer first; the kernel needs none.
    """
    one, other = (outputs.once(_kernel, gamma, order) for outputs in (student, teacher))
    return (one - other).square().mean()


def _kernel(outputs: Outputs, gamma: float, order: int) -> Tensor:
    unit = direction(outputs.embedding)
    cosines = unit @ unit.T
    terms = ((2 * gamma) ** p / math.factorial(p) * cosines**p for p in range(order + 1))
    return math.exp(-2 * gamma) * total(terms)


@distiller(
    "cc_neighbours",
    reads="embedding",
    adapts="width",
    min_images=2,
    source="RepDistiller's Correlation, after 1904.01802",
)
def cc_neighbours(student: Outputs, teacher: Outputs) -> Tensor:
    r"""Product of the errors of images that are neighbours in the batch.

    .. math::  L = \frac{1}{B - 1} \sum_{i=1}^{B-1} \langle \lvert \delta_i \rvert, \lvert \delta_{i+1} \rvert \rangle,
               \qquad \delta_i = f^S_i - f^T_i

    Args:
        student: needs ``embedding`` ``(B, C)``.
        teacher: needs ``embedding`` of the same width.

    Returns:
        Squared activation, mean over neighbours, from 0.

    Raises:
        TooFewImages: one image.

    Example:
        >>> import torch
        >>> student = Outputs(embedding=torch.tensor([[1.0], [2.0], [4.0]]))
        >>> cc_neighbours(student, Outputs(embedding=torch.zeros(3, 1))).item()  # (1 * 2 + 2 * 4) / 2
        5.0

    Note:
        This is what the widely used RepDistiller, and DisWOT after it, call CC. It is not the paper's loss: it depends
        on the order of the batch and vanishes when every second image is exact.
    """
    errors = (student.embedding - teacher.embedding).abs()
    return (errors[:-1] * errors[1:]).sum(1).mean()
