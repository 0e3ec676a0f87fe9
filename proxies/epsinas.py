"""epsilon-NAS: the outputs of a network for two constant weights.

Gracheva, "Neural Architecture Search via Two Constant Shared Weights Initialisations", 2023, arXiv:2302.04406.
"""

import torch
from torch import Tensor

from zcbench.proxies.scoring.contract import proxy
from zcbench.proxies.signals.errors import NotANumber, SingularScore
from zcbench.proxies.signals.signals import Signals


@proxy(
    "epsinas",
    reads="constant_logits",
    higher_is_better=True,
    uses_labels=False,
    version=2,
    source="arXiv:2302.04406, code",
)
def epsinas(signals: Signals) -> float:
    r"""Mean distance between the scaled outputs for two constant weights, over their mean.

    .. math::  s = \frac{\operatorname{mean}_i \lvert p^1_i - p^2_i \rvert}
               {\operatorname{mean}_{k, i} p^k_i}, \qquad
               p^k = \frac{z^k - \min z^k}{\max z^k - \min z^k}

    :math:`z^k` are the logits of all images and classes when every weight is :math:`10^{-7}` (k = 1) or 1 (k = 2) and
    all biases are 0. Entries :math:`p^k_i` of exactly 0 are missing.

    Args:
        signals: needs ``constant_logits``, two ``(B, N)``.

    Returns:
        The score, dimensionless, non-negative; higher ranks better. It has no randomness but the images.

    Raises:
        SingularScore: the logits of a constant are all equal, as where small weights underflow, or none is left.
        NotANumber: a logit is infinite or not a number.

    Example:
        >>> from zcbench.proxies import example, score
        >>> round(score(*example(), ["epsinas"])["epsinas"], 3)
        0.259

    Note:
        As in the authors' code the factors of normalisations count as weights and batch normalisation uses the
        statistics of the batch. Theirs has single precision and 256 images. Here the logits are in double precision,
        so that fewer of them underflow at 1e-7; those of deep cells without a skip connection still do.
    """
    first, second = (scaled(logits) for logits in signals.constant_logits)
    both = (first != 0) & (second != 0)
    mean = torch.cat([first[first != 0], second[second != 0]]).mean()
    if not both.any():
        raise SingularScore("No logit is above the smallest one for both constants.")
    return ((first - second).abs()[both].mean() / mean).item()


def scaled(logits: Tensor) -> Tensor:
    """Logits as a vector in float64 from 0 to 1.

    Raises:
        SingularScore: they are all equal.
        NotANumber: one is infinite or not a number.
    """
    if not logits.isfinite().all():
        raise NotANumber("A logit of the network with constant weights is infinite or not a number.")
    values = logits.flatten().double()
    least, most = values.aminmax()
    if most == least:
        raise SingularScore("The network with constant weights has equal logits for all images and classes.")
    return (values - least) / (most - least)
