"""Losses of a detector: the focal loss of classes, and losses of the offsets of boxes."""

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

_MOST = 8.0  # of the logarithm of a distance in strides


def focal_loss(logits: Tensor, classes: Tensor, alpha: float = 0.25, gamma: float = 2.0) -> Tensor:
    r"""Focal loss of each class of each row, ``(P, N)``.

    .. math::  -\alpha_t (1 - p_t)^\gamma \log p_t

    with :math:`p_t` the sigmoid p of the logit for the class of the row and :math:`1 - p` for the others, and
    :math:`\alpha_t` likewise :math:`\alpha` and :math:`1 - \alpha`.

    Args:
        logits: ``(P, N)``.
        classes: ``(P,)``; -1 for a row of no class.
        alpha: weight of the rows' own classes.
        gamma: exponent; 0 gives the weighted binary cross-entropy.

    Source:
        Lin et al., "Focal Loss for Dense Object Detection", ICCV 2017, arXiv:1708.02002, eq. 5.

    Example:
        >>> focal_loss(torch.zeros(1, 2), torch.tensor([0.0]))  # .25 · .25 log 2 and .75 · .25 log 2
        tensor([[0.0433, 0.1300]])
    """
    is_it = (torch.arange(logits.shape[1], device=logits.device) == classes[:, None]).to(logits)
    entropy = binary_cross_entropy_with_logits(logits, is_it, reduction="none")
    missed = torch.where(is_it > 0, 1 - logits.sigmoid(), logits.sigmoid())
    return torch.where(is_it > 0, alpha, 1 - alpha) * missed**gamma * entropy


def box_loss(head: str, offsets: Tensor, wanted: Tensor) -> Tensor:
    """Loss of each box, ``(P,)``: the L1 distance of offsets for ``retinanet``, 1 - GIoU for ``fcos``.

    Args:
        head: ``retinanet`` or ``fcos``.
        offsets: ``(P, 4)``; for ``fcos`` logarithms of the distances to the edges in strides.
        wanted: ``(P, 4)``; for ``fcos`` the distances.
    """
    if head == "retinanet":
        return (offsets - wanted).abs().sum(1)
    return 1 - giou_of_distances(offsets.clamp_max(_MOST).exp(), wanted)


def giou_of_distances(one: Tensor, other: Tensor) -> Tensor:
    r"""Generalised IoU ``(P,)`` of boxes around one point, of their distances to the left, top, right and bottom edge.

    .. math::  \frac{|A \cap B|}{|A \cup B|} - \frac{|C| - |A \cup B|}{|C|}

    with C the smallest box around both.

    Source:
        Rezatofighi et al., "Generalized Intersection over Union", CVPR 2019, arXiv:1902.09630, algorithm 1.

    Example:
        >>> giou_of_distances(torch.tensor([[1.0, 1, 1, 1]]), torch.tensor([[1.0, 1, 3, 1]])).item()  # 4 / 8 - 0
        0.5
    """
    shared, around = (_area(function(one, other)) for function in (torch.minimum, torch.maximum))
    union = _area(one) + _area(other) - shared
    return shared / union - (around - union) / around


def _area(distances: Tensor) -> Tensor:
    return (distances[:, 0] + distances[:, 2]) * (distances[:, 1] + distances[:, 3])
