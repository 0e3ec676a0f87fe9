"""CKA gap: alignment of the embeddings of a batch.

Kornblith et al., "Similarity of Neural Network Representations Revisited", ICML 2019, arXiv:1905.00414, section 3; as a
part of the fitness of KD-Zero, NeurIPS 2023.
"""

from torch import Tensor

from zcbench.distill.contract import distiller
from zcbench.distill.losses.geometry import direction
from zcbench.distill.outputs import Outputs


@distiller("cka_gap", reads="embedding", min_images=2, source="arXiv:1905.00414, equation 4, linear kernel")
def cka_gap(student: Outputs, teacher: Outputs) -> Tensor:
    r"""One minus the centred kernel alignment of the embeddings.

    .. math::  L = 1 - \frac{\langle K^S, K^T \rangle_F}{\lVert K^S \rVert_F \lVert K^T \rVert_F}, \qquad
               K = \bar f \bar f^\top

    :math:`\bar f` are the embeddings minus their mean over the batch; :math:`\langle K^S, K^T \rangle_F / (B - 1)^2` is
    HSIC with the linear kernel.

    Args:
        student: needs ``embedding`` ``(B, C)``.
        teacher: needs ``embedding``; the width may differ.

    Returns:
        Dimensionless, one number of the batch, from 0 for embeddings equal up to rotation, scale and shift to 1; also 1
        where the embeddings of a network are all equal.

    Raises:
        TooFewImages: one image, which is zero after centring.

    Example:
        >>> import torch
        >>> student = Outputs(embedding=torch.tensor([[1.0], [-1.0], [0.0], [0.0]]))
        >>> teacher = Outputs(embedding=torch.tensor([[0.0], [0.0], [1.0], [-1.0]]))
        >>> cka_gap(student, teacher).item(), round(abs(cka_gap(student, student).item()), 4)
        (1.0, 0.0)

    Note:
        This is the biased estimate, which grows as the batch gets small beside the width.
    """
    one, other = student.once(_kernel), teacher.once(_kernel)
    return 1 - (direction(one, 0) * direction(other, 0)).sum()


def _kernel(outputs: Outputs) -> Tensor:
    centred = outputs.embedding - outputs.embedding.mean(0)
    return (centred @ centred.T).flatten()
