"""InTrain: dimensions that the feature maps fill, times the evenness of the gradients.

Zhou et al., "InTrain: Intrinsic Trainability for Zero-Cost Neural Architecture Search", CVPR 2026, arXiv:2606.18676.
"""

import math

import torch
from torch import Tensor

from zcbench.proxies.scoring.contract import proxy
from zcbench.proxies.signals.errors import SingularScore
from zcbench.proxies.signals.signals import Signals

RIDGE = 1e-10  # added to the diagonal of a covariance, and to the largest gradient of a tensor
ROUNDING = 1e-12  # of the largest gradient of the network: gradients below are rounding errors, in float64


@proxy(
    "intrain",
    reads=("noise_covariances", "noise_gradients"),
    higher_is_better=True,
    uses_labels=False,
    source="arXiv:2606.18676",
)
def intrain(signals: Signals) -> float:
    r"""Geometric capacity times one plus optimisation resilience, over the logarithm of the depth.

    .. math::  s = \frac{\gamma \, (1 + o)}{\log(L + 1)}

    γ is `intrain_capacity`, o is `intrain_resilience`, and L is the number of convolutions whose output varies.

    Args:
        signals: needs ``noise_covariances``, one ``(C, C)`` per convolution, and ``noise_gradients``.

    Returns:
        The score, dimensionless, non-negative; higher ranks better. γ and o are sums over layers and over tensors,
        so compare it with ``n_convs`` and ``depth``.

    Raises:
        NotApplicable: the network has no convolution.
        SingularScore: an activation or gradient is infinite or not a number.

    Example:
        >>> from zcbench.proxies import example, score
        >>> round(score(*example(), ["intrain"])["intrain"], 1)
        359.8

    Note:
        The paper passes 64 Gaussian images of 64 x 64 with random labels; here there are as many, of the same size, as
        in the batch. A convolution on a dead edge counts neither in γ nor in L.
        Of dense outputs the paper takes the mean squared error; here
        there are classes.
    """
    logs = participations(signals)
    return sum(logs) * (1 + resilience(signals)) / math.log(len(logs) + 1) if logs else 0.0


@proxy(
    "intrain_capacity",
    reads="noise_covariances",
    higher_is_better=True,
    uses_labels=False,
    source="arXiv:2606.18676, geometric capacity",
)
def intrain_capacity(signals: Signals) -> float:
    r"""Logarithm of the participation ratio of the channels, summed over convolutions.

    .. math::  \gamma = \sum_{\ell} \log \frac{(\operatorname{tr} \Sigma_\ell)^2}{\operatorname{tr} \Sigma_\ell^2}

    :math:`\Sigma_\ell` is the covariance ``(C, C)`` of the output of convolution :math:`\ell` over images and
    positions, plus :math:`10^{-10}` on the diagonal. A ratio lies between 1, where all channels are copies, and C.

    Args:
        signals: needs ``noise_covariances``, one ``(C, C)`` per convolution, for standard normal images.

    Returns:
        The score, dimensionless, from 0 to the sum of all log C; higher ranks better.

    Raises:
        NotApplicable: the network has no convolution.
        SingularScore: an activation is infinite or not a number.

    Example:
        >>> from zcbench.proxies import example, score
        >>> round(score(*example(), ["intrain_capacity"])["intrain_capacity"], 2)
        44.61

    Note:
        The output of a convolution on a dead edge does not vary and would have the ratio C of the ridge alone; it is
        left out, since the network computes the same without it.
    """
    return sum(participations(signals))


@proxy(
    "intrain_resilience",
    reads="noise_gradients",
    higher_is_better=True,
    uses_labels=False,
    source="arXiv:2606.18676, optimisation resilience",
)
def intrain_resilience(signals: Signals) -> float:
    r"""Spread of the gradients of a tensor of parameters over the largest of them, summed over tensors.

    .. math::  o = \sum_t \min\Bigl(1, \frac{\operatorname{sd}(g_t)}{\max \lvert g_t \rvert + 10^{-10}}\Bigr)

    Args:
        signals: needs ``noise_gradients``: gradients of the mean cross-entropy of standard normal images with random
            labels, for all parameters. In place of parameters that a weight is computed from there is this weight.

    Returns:
        The score, dimensionless, from 0 to the number of tensors; higher ranks better.

    Raises:
        SingularScore: a gradient is infinite or not a number.

    Example:
        >>> from zcbench.proxies import example, score
        >>> round(score(*example(), ["intrain_resilience"])["intrain_resilience"], 2)
        23.16

    Note:
        A tensor whose gradients are all below 1e-12 of the network's largest has rounding errors only, such as a bias
        in front of a batch normalisation, and counts 0. Gradients are in double precision for that.
    """
    return resilience(signals)


def participations(signals: Signals) -> list[float]:
    """Logarithms of the participation ratios of the convolutions whose output varies."""
    if not all(covariance.isfinite().all() for covariance in signals.noise_covariances):
        raise SingularScore("The output of a convolution has entries that are infinite or not a number.")
    return [_log_participation(covariance.double()) for covariance in signals.noise_covariances if covariance.any()]


def _log_participation(covariance: Tensor) -> float:
    sigma = covariance + RIDGE * torch.eye(len(covariance), dtype=covariance.dtype, device=covariance.device)
    return math.log(sigma.trace().item() ** 2 / sigma.square().sum().item())


def resilience(signals: Signals) -> float:
    """The sum o."""
    gradients = [gradient.double() for gradient in signals.noise_gradients.values() if gradient.numel()]
    sizes = [gradient.abs().max().item() for gradient in gradients]
    if not all(map(math.isfinite, sizes)):
        raise SingularScore("A gradient is infinite or not a number.")
    floor = ROUNDING * max(sizes, default=0.0)
    healthy = [(g, size) for g, size in zip(gradients, sizes) if size > floor and g.numel() > 1]
    return sum(min(1.0, g.std().item() / (size + RIDGE)) for g, size in healthy)
