"""NASWOT: how different the ReLU activation patterns of the images of a batch are.

Mellor et al., "Neural Architecture Search without Training", ICML 2021, arXiv:2006.04647, section 3, eq. 2.
"""

from collections import Counter
from functools import cache

import torch
from torch import Tensor

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
        one code, whose agreement is computed once and counted as often. Agreements are whole numbers, exact in int32
        and, below 2^24 per call, in float32.
    """
    if signals.batch_size < 2:
        raise NotApplicable("Agreement between images needs at least two images in the batch.")
    calls = Counter(map(id, signals.relu_codes))
    common = torch.zeros(signals.batch_size, signals.batch_size, dtype=torch.int64, device=signals.relu_codes[0].device)
    for code in {id(code): code for code in signals.relu_codes}.values():
        common.add_(_common(code), alpha=calls[id(code)])
    units, total = common.diagonal(), sum(code.shape[1] for code in signals.relu_codes)
    return signals.log_abs_det(2 * common - units[:, None] - units[None, :] + total)


def _common(code: Tensor) -> Tensor:
    """Number of units that are active for both of every two images, whole numbers ``(B, B)``.

    A product of bytes is several times faster than one of float32. Of a matrix with an axis of one entry PyTorch 2.13.0
    gives a wrong one.
    """
    if code.is_cpu and min(code.shape) > 1 and _multiplies_bytes():
        return torch._int_mm(code.view(torch.int8), code.view(torch.int8).T)
    return (code.float() @ code.float().T).long()


@cache
def _multiplies_bytes() -> bool:
    """Whether this version of PyTorch has products of bytes on a CPU."""
    try:
        given = torch.ones(2, 2, dtype=torch.int8)
        return torch.equal(torch._int_mm(given, given), torch.full((2, 2), 2, dtype=torch.int32))
    except (AttributeError, RuntimeError):
        return False
