"""DIST: correlations of the predicted probabilities.

Huang et al., "Knowledge Distillation from A Stronger Teacher", NeurIPS 2022, arXiv:2205.10536, section 4.
"""

from torch import Tensor

from zcbench.distill.contract import distiller
from zcbench.distill.hyperparameters import Positive
from zcbench.distill.losses.geometry import correlation
from zcbench.distill.outputs import Outputs


@distiller("dist", reads="logits", min_images=2, source="arXiv:2205.10536, section 4")
def dist(
    student: Outputs, teacher: Outputs, *, beta: float = 1.0, gamma: float = 1.0, temperature: Positive = 1.0
) -> Tensor:
    r"""One minus the correlation of the probabilities, along the classes and along the batch.

    .. math::  L = T^2 \Big[ \beta \big(1 - \tfrac1B \sum_i \rho(p^S_{i\cdot}, p^T_{i\cdot})\big)
               + \gamma \big(1 - \tfrac1N \sum_c \rho(p^S_{\cdot c}, p^T_{\cdot c})\big) \Big]

    :math:`p = \sigma(z / T)`, :math:`\rho` is the Pearson correlation.

    Args:
        student: needs ``logits`` ``(B, N)``.
        teacher: needs ``logits`` ``(B, N)``.
        beta: weight of the relations between the classes of an image.
        gamma: weight of the relations between the images for a class.
        temperature: :math:`T`.

    Returns:
        Dimensionless, from 0, which it is for equal probabilities, to :math:`2 T^2 (\beta + \gamma)`.

    Raises:
        TooFewImages: one image, which correlates with nothing.

    Example:
        >>> import torch
        >>> student = Outputs(logits=torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
        >>> teacher = Outputs(logits=torch.tensor([[0.0, 1.0], [1.0, 0.0]]))
        >>> round(dist(student, teacher).item(), 4)  # every correlation is -1
        4.0

    Note:
        The factor :math:`T^2` and the defaults are those of the released code; its CIFAR-100 runs use 2, 2 and 4. A
        constant row or column counts as correlation 0.
    """
    one, other = ((outputs.logits / temperature).softmax(dim=1) for outputs in (student, teacher))
    classes, images = correlation(one, other, dim=1), correlation(one, other, dim=0)
    return temperature**2 * (beta * (1 - classes.mean()) + gamma * (1 - images.mean()))
