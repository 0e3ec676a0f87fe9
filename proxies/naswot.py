"""NASWOT: how different the ReLU activation patterns of the images of a batch are.

Mellor et al., "Neural Architecture Search without Training", ICML 2021, arXiv:2006.04647, section 3, eq. 2.
"""

from collections import Counter

import torch

from zcbench.proxies.scoring.contract import proxy
from zcbench.proxies.signals.errors import NotApplicable
from zcbench.proxies.signals.signals import Signals


@proxy("naswot", reads="relu_codes", higher_is_better=True, uses_labels=False, source="arXiv:2006.04647, eq. 2")
def naswot(signals: Signals) -> float:
    r"""Log-determinant of the agreement between the ReLU patterns of every two images.

    .. math::  s = \log \lvert \det K \rvert, \qquad K_{ij} = \sum_{\ell} \bigl(D_\ell - d_H(c_i^\ell, c_j^\ell)\bigr)

    Each ReLU call :math:`\ell` on :math:`D_\ell` units gives image :math:`i` a binary code
    :math:`c_i^\ell \in \{0, 1\}^{D_\ell}` (1 where the unit is active); :math:`d_H` is the Hamming distance. Images
    that activate the same units make the rows of :math:`K` alike and its determinant small.

    Args:
        signals: needs ``relu_codes``, one boolean tensor ``(B, D)`` per ReLU call, in order of execution.

    Returns:
        The score, dimensionless, unbounded; higher ranks better. It grows with the number of ReLUs: compare it with
        ``n_convs``.

    Raises:
        NotApplicable: the network calls no ReLU, or the batch has one image.
        SingularScore: two images have equal codes in every call, so the determinant is zero.

    Example:
        >>> from zcbench.proxies import example, score
        >>> round(score(*example(), ["naswot"])["naswot"], 2)
        75.31

    Note:
        Batch normalisation runs in training mode, as in the authors' corrected code. Several ReLUs on one tensor have
        one code, whose agreement is computed once and counted as often. Agreements are whole numbers below 2^24 per
        call, so float32 products are exact; the sum over calls is taken in float64.
    """
    if signals.batch_size < 2:
        raise NotApplicable("Agreement between images needs at least two images in the batch.")
    calls = Counter(map(id, signals.relu_codes))
    kernel = torch.zeros(
        signals.batch_size, signals.batch_size, dtype=torch.float64, device=signals.relu_codes[0].device
    )
    for active in {id(code): code for code in signals.relu_codes}.values():
        code = active.float()
        common, units = code @ code.T, code.sum(1)
        kernel += calls[id(active)] * (2 * common - units[:, None] - units[None, :] + code.shape[1])
    return signals.log_abs_det(kernel)
