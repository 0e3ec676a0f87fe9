"""RKD: distances and angles between the images.

Park et al., "Relational Knowledge Distillation", CVPR 2019, arXiv:1904.05068, section 3.
"""

from torch import Tensor
from torch.linalg import vector_norm
from torch.nn.functional import smooth_l1_loss

from zcbench.distill.contract import distiller
from zcbench.distill.losses.geometry import TINY, direction
from zcbench.distill.outputs import Outputs


@distiller("rkd", reads="embedding", min_images=2, source="arXiv:1904.05068, section 3")
def rkd(student: Outputs, teacher: Outputs, *, distance: float = 25.0, angle: float = 50.0) -> Tensor:
    r"""Huber loss of the distances of image pairs and of the angles of image triples.

    .. math::  L = \frac{\lambda_d}{B^2} \sum_{ij} h\!\left(\frac{d^S_{ij}}{\bar d^S}, \frac{d^T_{ij}}{\bar d^T}\right)
               + \frac{\lambda_a}{B^3} \sum_{ijk} h(\cos\angle^S_{ijk}, \cos\angle^T_{ijk})

    :math:`d_{ij}` is the distance of the embeddings of images i and j, :math:`\bar d` its mean over the pairs of
    positive distance, :math:`\angle_{ijk}` the angle at j, :math:`h` the Huber loss with threshold 1.

    Args:
        student: needs ``embedding`` ``(B, C)``.
        teacher: needs ``embedding``; the width may differ.
        distance: :math:`\lambda_d`.
        angle: :math:`\lambda_a`.

    Returns:
        Dimensionless, mean over all pairs and triples, from 0; shifts, rotations and the scale do not matter.

    Raises:
        TooFewImages: one image.

    Example:
        >>> import torch
        >>> student, teacher = Outputs(embedding=torch.tensor([[0.0], [1.0], [2.0]])), Outputs(embedding=torch.eye(3))
        >>> loss = rkd.configured(distance=1, angle=0)(student, teacher)
        >>> round(loss.item(), 4)  # distances (3/4, 3/4, 3/2) against (1, 1, 1): (1/16 + 1/16 + 1/4) / 9
        0.0417

    Note:
        The means run over all B² pairs and B³ triples, those with equal images included, as in the released code. It
        holds B²·C numbers in memory.
    """
    one, other = student.once(_relations), teacher.once(_relations)
    return distance * smooth_l1_loss(one[0], other[0]) + angle * smooth_l1_loss(one[1], other[1])


def _relations(outputs: Outputs) -> tuple[Tensor, Tensor]:
    """Distances of all pairs and cosines of all triples."""
    differences = outputs.embedding[None] - outputs.embedding[:, None]
    return _distances(differences), _cosines(differences)


def _distances(differences: Tensor) -> Tensor:
    lengths: Tensor = vector_norm(differences, dim=2)
    positive = (lengths > TINY).sum().clamp(min=1)
    return lengths / (lengths.sum() / positive).clamp(min=TINY)


def _cosines(differences: Tensor) -> Tensor:
    directions = direction(differences, 2)
    return directions @ directions.mT
