"""SP: similarities between the images.

Tung, Mori, "Similarity-Preserving Knowledge Distillation", ICCV 2019, arXiv:1907.09682, section 3.
"""

from torch import Tensor

from zcbench.distill.contract import distiller
from zcbench.distill.losses.geometry import direction, image_products
from zcbench.distill.outputs import Outputs


@distiller("sp", reads="features", min_images=2, source="arXiv:1907.09682, section 3")
def sp(student: Outputs, teacher: Outputs) -> Tensor:
    r"""Squared distance of the image-to-image similarities.

    .. math::  L = \frac{1}{B^2} \lVert \mathcal{A}^S - \mathcal{A}^T \rVert_F^2, \qquad
               \mathcal{A} = \operatorname{rownorm}(\tilde A \tilde A^\top)

    :math:`\tilde A` is the feature map flattened to ``(B, C*H*W)``.

    Args:
        student: needs ``features`` ``(B, C, H, W)``.
        teacher: needs ``features``; C, H and W may differ.

    Returns:
        Dimensionless, from 0 for equal similarities to 4/B; rotations and the scale of the features do not matter.

    Raises:
        TooFewImages: one image, which is similar to itself.

    Example:
        >>> import torch
        >>> student = Outputs(features=torch.tensor([[1.0, 0.0], [0.0, 1.0]]).view(2, 2, 1, 1))
        >>> teacher = Outputs(features=torch.tensor([[1.0, 0.0], [1.0, 0.0]]).view(2, 2, 1, 1))
        >>> round(sp(student, teacher).item(), 4)  # rows (1, 0) and (1, 1) / sqrt(2): (2 - sqrt(2)) / 2
        0.2929

    Note:
        The paper sums over pairs of layers; here the last feature map is the only pair.
    """
    one, other = (direction(outputs.once(image_products)) for outputs in (student, teacher))
    return (one - other).square().sum() / len(one) ** 2
