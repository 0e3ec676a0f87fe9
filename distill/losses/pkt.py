"""PKT: probabilities that two images are neighbours.

Passalis, Tefas, "Learning Deep Representations with Probabilistic Knowledge Transfer", ECCV 2018, arXiv:1803.10837,
section 3.
"""

from torch import Tensor

from zcbench.distill.contract import distiller
from zcbench.distill.losses.geometry import direction
from zcbench.distill.outputs import Outputs

#: Added to both probabilities before the logarithm, as in the released code.
EPS = 1e-7


@distiller("pkt", reads="embedding", min_images=2, source="arXiv:1803.10837, section 3, released code")
def pkt(student: Outputs, teacher: Outputs) -> Tensor:
    r"""Divergence of the neighbour probabilities of the student from the teacher's.

    .. math::  L = \frac{1}{B^2} \sum_{ij} P^T_{ij} \log \frac{P^T_{ij} + \epsilon}{P^S_{ij} + \epsilon}, \qquad
               P_{ij} = \frac{k_{ij}}{\sum_{j'} k_{ij'}}, \quad k_{ij} = \tfrac12 (\cos(f_i, f_j) + 1)

    Args:
        student: needs ``embedding`` ``(B, C)``.
        teacher: needs ``embedding``; the width may differ.

    Returns:
        Nats, mean over all B² entries, from 0 for equal probabilities; rotations and the scale do not matter.

    Raises:
        TooFewImages: one image.

    Example:
        >>> import torch
        >>> student = Outputs(embedding=torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
        >>> teacher = Outputs(embedding=torch.tensor([[1.0, 0.0], [1.0, 0.0]]))
        >>> round(pkt(student, teacher).item(), 4)  # a quarter of log(9/8): rows (2/3, 1/3) against (1/2, 1/2)
        0.0294

    Note:
        The paper sums over the rows; the mean over all entries, the image itself among its neighbours and
        :math:`\epsilon = 10^{-7}` are the released code's.
    """
    one, other = student.once(_probabilities), teacher.once(_probabilities)
    return (other * ((other + EPS).log() - (one + EPS).log())).mean()


def _probabilities(outputs: Outputs) -> Tensor:
    unit = direction(outputs.embedding)
    kernel = (unit @ unit.T + 1) / 2
    return kernel / kernel.sum(1, keepdim=True)
