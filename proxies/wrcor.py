"""WRCor: how the images of a batch correlate at the ReLUs, deep ones first.

Jing et al., "Zero-Shot Neural Architecture Search with Weighted Response Correlation", 2025, arXiv:2507.08841, section
3.3.
"""

import torch

from zcbench.proxies.scoring.contract import proxy
from zcbench.proxies.signals.errors import SingularScore
from zcbench.proxies.signals.signals import Signals


@proxy("wrcor", reads="responses", higher_is_better=True, source="arXiv:2507.08841, eqs. 10 and 11")
def wrcor(signals: Signals) -> float:
    r"""Log-determinant of the summed correlations between images, with weights that double from block to block.

    .. math::  s = \log \lvert \det K \rvert, \qquad
               K = \sum_{\ell} 2^{i(\ell)} \bigl( \lvert C^A_\ell \rvert + \lvert C^G_\ell \rvert \bigr)

    :math:`C^A_\ell` are the correlations ``(B, B)`` of the images at the input of ReLU :math:`\ell`, all channels and
    positions taken as one vector, and :math:`C^G_\ell` those of the gradients of the loss for this input. The ReLU lies
    in block i, counted from 0.

    Args:
        signals: needs ``responses``, one for each ReLU call.

    Returns:
        The score, dimensionless, unbounded; higher ranks better. Every block more doubles K and adds B log 2.

    Raises:
        NotApplicable: the network calls no ReLU, or has no blocks.
        SingularScore: every matrix has an undefined correlation, or the images are so alike that rounding errors make
            up the determinant.

    Example:
        >>> from zcbench.proxies import example, score
        >>> round(score(*example(), ["wrcor"])["wrcor"], 2)
        44.55

    Note:
        As in the authors' code a matrix with an undefined correlation, of an image whose response is constant, is left
        out, and blocks are counted without the stem but with the reductions: on NAS-Bench-201 the cells have 0 to 16
        and the last ReLU 17. Their hooks find modules by the letters "ReLU" in the name of the class and so also fire
        on the container ReLU-convolution-normalisation, whose input is that of its ReLU and whose gradient is another;
        here every ReLU counts once. A ReLU that overwrites its input is read before it does so, theirs after.
    """
    terms = [
        2.0**response.block * matrix.abs()
        for response in signals.responses
        for matrix in (response.activations, response.gradients)
        if matrix is not None
    ]
    if not terms:
        raise SingularScore("At every ReLU an image has a constant response, so its correlations are undefined.")
    sizes = torch.linalg.eigvalsh(torch.stack(terms).sum(0)).abs()
    if sizes.min() <= len(sizes) * torch.finfo(signals.images.dtype).eps * sizes.max():
        raise SingularScore("The images are so alike at the ReLUs that rounding errors make up the determinant.")
    return float(sizes.log().sum())
