"""CRD: contrastive loss between the embeddings of student and teacher.

Tian, Krishnan, Isola, "Contrastive Representation Distillation", ICLR 2020, arXiv:1910.10699, section 3.2.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from zcbench.distill.contract import distiller
from zcbench.distill.errors import ShapeMismatch
from zcbench.distill.hyperparameters import Positive
from zcbench.distill.losses.geometry import direction
from zcbench.distill.outputs import Outputs, Shapes


class Embeddings(nn.Module):
    """Linear maps of both networks' embeddings into one space of 128 dimensions; the teacher's is trained too."""

    def __init__(self, student: int, teacher: int, width: int = 128) -> None:
        super().__init__()
        self.student, self.teacher = nn.Linear(student, width), nn.Linear(teacher, width)

    def forward(self, student: Outputs, teacher: Outputs) -> tuple[Outputs, Outputs]:
        """Both outputs with their embeddings mapped."""
        mapped = self.student(student.embedding), self.teacher(teacher.embedding)
        return student.replace(embedding=mapped[0]), teacher.replace(embedding=mapped[1])


def embeddings(student: Shapes, teacher: Shapes) -> nn.Module:
    """`Embeddings` for networks of these shapes."""
    if student.width is None or teacher.width is None:
        raise ShapeMismatch("The projector of 'crd' maps embeddings, and a network gave none. Expected both widths.")
    return Embeddings(student.width, teacher.width)


@distiller(
    "crd",
    reads="embedding",
    adapts=("width", "projector"),
    min_images=2,
    projector=embeddings,
    source="arXiv:1910.10699, section 3.2, in the batch",
)
def crd(student: Outputs, teacher: Outputs, *, temperature: Positive = 0.07) -> Tensor:
    r"""Contrastive loss between the embeddings of student and teacher, in both directions.

    .. math::  L = -\frac1B \sum_i \log \frac{e^{s_{ii}}}{\sum_j e^{s_{ij}}}
               - \frac1B \sum_i \log \frac{e^{s_{ii}}}{\sum_j e^{s_{ji}}}, \qquad
               s_{ij} = \hat f^{S\top}_i \hat f^T_j / t

    :math:`\hat f` are the embeddings at unit length, after the projector if there is one.

    Args:
        student: needs ``embedding`` ``(B, C)``.
        teacher: needs ``embedding`` of the same width, or the projector.
        temperature: :math:`t`.

    Returns:
        Nats, mean over the batch, from 0. For equal embeddings it does not vanish unless the images are far apart.

    Raises:
        TooFewImages: one image, which has no negatives.

    Example:
        >>> outputs = Outputs(embedding=torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
        >>> round(crd.configured(temperature=1)(outputs, outputs).item(), 4)  # 2 log(1 + 1/e)
        0.6265

    Note:
        InfoNCE with the other images of the batch as negatives, those of the same class included; the paper estimates
        the same objective by NCE against 16,384 negatives of other classes from a memory.
    """
    scores = direction(student.embedding) @ direction(teacher.embedding).T / temperature
    same = torch.arange(len(scores), device=scores.device)
    return cross_entropy(scores, same) + cross_entropy(scores.T, same)
