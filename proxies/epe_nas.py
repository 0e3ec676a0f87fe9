"""EPE-NAS: correlation of the input gradients within each class.

Lopes et al., "EPE-NAS: Efficient Performance Estimation Without Training for Neural Architecture Search", ICANN 2021,
arXiv:2102.08099, section 3, eqs. 4 to 6.
"""

import torch
from torch import Tensor

from zcbench.proxies.jacov import jacobian_correlations
from zcbench.proxies.scoring.contract import proxy
from zcbench.proxies.signals.errors import NotApplicable
from zcbench.proxies.signals.signals import Signals


@proxy("epe_nas", reads=("input_jacobian", "labels"), higher_is_better=True, source="arXiv:2102.08099, eqs. 4 to 6")
def epe_nas(signals: Signals) -> float:
    r"""Correlation between input gradients within each class, compared over the classes.

    .. math::  e_c = \sum_{i,j} \log(\lvert \Sigma^c_{ij} \rvert + k), \quad k = 10^{-5}, \qquad
               s = \sum_{c} \lvert e_c \rvert

    :math:`\Sigma^c` is the correlation matrix of the input gradients of the images of class c. With more than 100
    classes, :math:`e_c` is divided by the number of images of the class, and
    :math:`s = \sum_{c, c'} \lvert e_c - e_{c'} \rvert / C` over the C classes of two images or more.

    Args:
        signals: needs ``input_jacobian``, ``(B, D)``, and ``labels``.

    Returns:
        The score, dimensionless, non-negative; higher ranks better.

    Raises:
        NotApplicable: the batch has one image, or with more than 100 classes no two images of one class.
        SingularScore: an image has a constant gradient.

    Example:
        >>> from zcbench.proxies import example, score
        >>> round(score(*example(), ["epe_nas"])["epe_nas"], 2)
        6.1

    Note:
        A class with one image has the correlation 1 and counts :math:`\log(1 + k)` up to 100 classes; with more it is
        left out, since the authors' code divides by the length of a single number there, and continues without
        the class.
    """
    matrix, labels = jacobian_correlations(signals), signals.labels
    members, many = [labels == label for label in labels.unique()], signals.num_classes > 100
    members = [own for own in members if not many or own.sum() > 1]
    if not members:
        raise NotApplicable("No two images of the batch are of one class; with more than 100 classes only such count.")
    sums = torch.stack([_log_sum(matrix[own][:, own], mean=many) for own in members])
    if not many:
        return sums.abs().sum().item()
    return (sums[:, None] - sums[None, :]).abs().sum().item() / len(sums)


def _log_sum(block: Tensor, *, mean: bool) -> Tensor:
    return (block.abs() + 1e-5).log().sum() / (len(block) if mean else 1)
