"""jacov: correlation of the input gradients of the images of a batch.

Mellor et al., "Neural Architecture Search without Training", arXiv:2006.04647 version 1, section 3 (later
versions describe NASWOT instead); called jacob_cov in arXiv:2101.08134.
"""

import torch
from torch import Tensor

from zcbench.proxies.scoring.contract import proxy
from zcbench.proxies.signals.errors import NotANumber, NotApplicable, SingularScore
from zcbench.proxies.signals.signals import Signals


@proxy(
    "jacov", reads="input_jacobian", higher_is_better=True, uses_labels=False, source="arXiv:2006.04647v1, section 3"
)
def jacov(signals: Signals) -> float:
    r"""Evenness of the spectrum of the correlations between the images' input gradients.

    .. math::  s = -\sum_i \log(v_i + k) + \frac{1}{v_i + k}, \qquad v = \operatorname{eig}(\operatorname{corr}(J)),
               \quad k = 10^{-5}

    Args:
        signals: needs ``input_jacobian``: row i of J is the gradient of the summed logits for image i, ``(B, D)``.

    Returns:
        The score, dimensionless, at most about −B; higher ranks better.

    Raises:
        NotApplicable: one image has no correlation.
        SingularScore: an image whose gradient is constant has none either.

    Example:
        >>> from zcbench.proxies import example, score
        >>> round(score(*example(), ["jacov"])["jacov"], 2)
        -8.04

    Note:
        The correlation matrix is symmetric, so we take a symmetric eigen-solver in float64; eigenvalues that rounding
        makes negative count as zero. The common code takes a general solver, whose complex rounding errors it drops.
    """
    eigenvalues = torch.linalg.eigvalsh(jacobian_correlations(signals)).clamp(min=0) + 1e-5
    return -float((eigenvalues.log() + 1 / eigenvalues).sum())


def jacobian_correlations(signals: Signals) -> Tensor:
    """`correlations` of the input gradients of the images."""
    return signals.once("jacobian correlations", lambda: correlations(signals.input_jacobian))


def correlations(rows: Tensor) -> Tensor:
    """Pearson correlation of every two rows of ``(B, D)``, in float64: ``(B, B)``.

    Raises:
        NotApplicable: there is one row only.
        NotANumber: an entry is infinite or not a number.
        SingularScore: a row is constant, so that its correlations are undefined.
    """
    if len(rows) < 2:
        raise NotApplicable("Correlations between images need at least two images in the batch.")
    centred = rows.double() - rows.double().mean(dim=1, keepdim=True)
    norms = centred.norm(dim=1, keepdim=True)
    if not torch.isfinite(norms).all():
        raise NotANumber("An input gradient has entries that are infinite or not a number.")
    if not (norms > 0).all():
        raise SingularScore("An image has a constant input gradient, so its correlations are undefined.")
    unit: Tensor = centred / norms
    return unit @ unit.T
