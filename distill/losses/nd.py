"""ND: norm and direction of the embeddings.

Wang et al., "Improving Knowledge Distillation via Regularizing Feature Norm and Direction", 2023, arXiv:2305.17007,
section 4.
"""

from torch import Tensor
from torch.linalg import vector_norm

from zcbench.distill.contract import distiller
from zcbench.distill.losses.geometry import TINY, direction
from zcbench.distill.outputs import Outputs


@distiller("nd", reads="embedding", adapts="width", source="arXiv:2305.17007, section 4, class means of the batch")
def nd(student: Outputs, teacher: Outputs, labels: Tensor) -> Tensor:
    r"""One minus the projection of the student's embedding on the direction of its class, relative to its norm.

    .. math::  L = \frac1B \sum_i 1 - \frac{\langle f^S_i, \hat e_{y_i} \rangle}
               {\max(\lVert f^S_i \rVert, \lVert f^T_i \rVert)}, \qquad
               \hat e_y = \frac{\sum_{i: y_i = y} f^T_i}{\lVert \sum_{i: y_i = y} f^T_i \rVert}

    Args:
        student: needs ``embedding`` ``(B, C)``.
        teacher: needs ``embedding`` of the same width.
        labels: class indices ``(B,)``.

    Returns:
        Dimensionless, mean over the batch, from 0 to 2. For equal embeddings it does not vanish unless every image of a
        class points in one direction.

    Example:
        >>> import torch
        >>> student = Outputs(embedding=torch.tensor([[1.0, 0.0]]))
        >>> teacher = Outputs(embedding=torch.tensor([[2.0, 0.0]]))
        >>> nd(student, teacher, torch.tensor([0])).item()  # one direction, half the length
        0.5

    Note:
        The paper takes the class means over the training set; here they are those of the batch, so a class with one
        image points where the teacher's embedding does.
    """
    one, other = student.embedding, teacher.embedding
    classmates = (labels[:, None] == labels).to(other)
    along = (one * direction(classmates @ other)).sum(1)
    longer: Tensor = vector_norm(one, dim=1).maximum(vector_norm(other, dim=1))
    return (1 - along / longer.clamp(min=TINY)).mean()
