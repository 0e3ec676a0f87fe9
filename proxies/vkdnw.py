"""VKDNW: evenness of the eigenvalues of the Fisher information matrix of the weights.

Týbl and Neumann, "Training-free Neural Architecture Search through Variance of Knowledge of Deep Network Weights",
CVPR 2025, arXiv:2502.04975, eq. 11 and 12.
"""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from zcbench.proxies.scoring.contract import proxy
from zcbench.proxies.signals.errors import SingularScore
from zcbench.proxies.signals.signals import Signals

SMOOTHING = 0.05  # part of the uniform distribution in the class probabilities, as in the released code


@proxy(
    "vkdnw",
    reads="logit_jacobians",
    higher_is_better=True,
    uses_labels=False,
    version=2,
    source="arXiv:2502.04975, eq. 11",
)
def vkdnw(signals: Signals) -> float:
    r"""Entropy of the deciles of the eigenvalues of the empirical Fisher information matrix.

    .. math::  F = \frac{1}{b} \sum_i J_i^\top \bigl(\operatorname{diag}(p_i) - p_i p_i^\top\bigr) J_i, \qquad
               s = -\sum_{k=1}^{9} \tilde\lambda_k \log \tilde\lambda_k, \qquad
               \tilde\lambda_k = \lambda_k / \textstyle\sum_j \lambda_j

    J_i holds the derivatives of the logits of image i for one weight θ' of every layer, p_i its class probabilities,
    and :math:`\lambda_k` is the k-th decile of the eigenvalues of F.

    Args:
        signals: needs ``logit_jacobians``: J ``(b, N, P)`` and the logits ``(b, N)``.

    Returns:
        The score, dimensionless, between 0 and log 9; higher ranks better.

    Raises:
        SingularScore: all deciles are zero: nine tenths of the weights change nothing.

    Example:
        >>> from zcbench.proxies import example, score
        >>> round(score(*example(), ["vkdnw"])["vkdnw"], 3)
        1.086

    Note:
        θ' is the first entry of each of the first 128 parameter tensors, scales and shifts included, as in the
        authors' code for NAS-Bench-201, whose cells have up to 291 (early versions of it took one of every tensor).
        Weights are drawn in the order in which the network registers them: another order is another draw. Where
        an activation is exactly 0, the derivative of a ReLU is that of the function that computes it. As there,
        they are drawn anew by He et al. (normal, fan-in), images are standard normal, normalisation is in
        evaluation mode with fresh running statistics, so that it does nothing, and the probabilities are mixed with
        one part in 20 of the uniform distribution. The paper does not speak of the last; without it most networks are
        so sure of one class that F is noise. 32 images, theirs 64. We form F without a Cholesky factor of the
        covariance; their use of it gives another matrix, `vkdnw_released`.
    """
    return _entropy(signals, _fisher)


@proxy(
    "vkdnw_released",
    reads="logit_jacobians",
    higher_is_better=True,
    uses_labels=False,
    version=2,
    source="arXiv:2502.04975, released code",
)
def vkdnw_released(signals: Signals) -> float:
    r"""`vkdnw` of the matrix that the authors' code forms in place of the Fisher information matrix.

    .. math::  \tilde F = \frac{1}{b} \sum_i J_i^\top L_i^\top L_i J_i, \qquad
               L_i L_i^\top = \operatorname{diag}(p_i) - p_i p_i^\top

    :math:`L_i` is the lower triangular Cholesky factor of the covariance of the logits. The entropy of the deciles of
    the eigenvalues of :math:`\tilde F` is as in `vkdnw`.

    Args:
        signals: needs ``logit_jacobians``: J ``(b, N, P)`` and the logits ``(b, N)``.

    Returns:
        The score, dimensionless, between 0 and log 9; higher ranks better.

    Raises:
        SingularScore: as `vkdnw`.

    Example:
        >>> from zcbench.proxies import example, score
        >>> round(score(*example(), ["vkdnw_released"])["vkdnw_released"], 3)
        1.071

    Note:
        The paper's F is :math:`J_i^\top L_i L_i^\top J_i`. The code multiplies J by L where that needs its transpose,
        so the matrix, unlike F, changes with the order of the classes. Weights, images, probabilities and θ' are those
        of `vkdnw`; its note says where they differ from the released code.
    """
    return _entropy(signals, _fisher_released)


@proxy(
    "vkdnw_single",
    reads=("logit_jacobians", "parameters"),
    higher_is_better=True,
    uses_labels=False,
    version=2,
    source="arXiv:2502.04975, eq. 12",
)
def vkdnw_single(signals: Signals) -> float:
    r"""`vkdnw` plus the number of layers that have a weight.

    .. math::  s = \#\{\ell\} + \mathrm{vkdnw}

    Args:
        signals: needs ``logit_jacobians``, and ``parameters`` for the number of convolutions and linear layers.

    Returns:
        The score, positive; higher ranks better. The entropy is at most log 9 = 2.2, so this is a count of layers
        whose ties the entropy breaks: compare it with ``n_convs``.

    Raises:
        SingularScore: as `vkdnw`.

    Example:
        >>> from zcbench.proxies import example, score
        >>> round(score(*example(), ["vkdnw_single"])["vkdnw_single"], 3)
        21.086

    Note:
        The authors' code counts parameter tensors, hence scales and shifts of normalisations too; where every
        convolution has a normalisation, as in NAS-Bench-201, the ranking is the same.
    """
    return len(signals.parameters) + vkdnw(signals)


def _entropy(signals: Signals, information: Callable[[Tensor, Tensor], Tensor]) -> float:
    """Entropy of the deciles of the eigenvalues of a matrix made of J and the smoothed probabilities."""
    jacobians, logits = (tensor.double() for tensor in signals.logit_jacobians)
    if not (jacobians.isfinite().all() and logits.isfinite().all()):
        return math.nan
    p = logits.softmax(1) * (1 - SMOOTHING) + SMOOTHING / logits.shape[1]
    eigenvalues = torch.linalg.eigvalsh(information(jacobians, p)).clamp(min=0)
    deciles = torch.quantile(eigenvalues, torch.arange(1, 10, dtype=torch.float64, device=logits.device) / 10)
    if deciles.sum() <= 0:
        raise SingularScore("Nine tenths of the weights change no logit, so the deciles are zero.")
    return float(torch.special.entr(deciles / deciles.sum()).sum())


def _fisher(jacobians: Tensor, p: Tensor) -> Tensor:
    """F: the covariance of J under p_i, class by class, averaged over images."""
    mean = (p[:, :, None] * jacobians).sum(1, keepdim=True)
    rows = (p.sqrt()[:, :, None] * (jacobians - mean)).flatten(0, 1)
    return rows.mT @ rows / len(p)


def _fisher_released(jacobians: Tensor, p: Tensor) -> Tensor:
    """J'L'LJ, averaged over images."""
    rows = (_covariance_factor(p) @ jacobians).flatten(0, 1)
    return rows.mT @ rows / len(p)


def _covariance_factor(p: Tensor) -> Tensor:
    """The Cholesky factor of diag(p) - pp' ``(b, N, N)``, in closed form: the matrix is singular, its last pivot is 0.

    Source: K. Tanabe and M. Sagae, "An exact Cholesky decomposition and the generalized inverse of the
    variance-covariance matrix of the multinomial distribution, with applications", 1992, theorem 1.
    """
    from_here = p.flip(1).cumsum(1).flip(1)  # probability of a class and of all after it
    after = F.pad(from_here[:, 1:], (0, 1))
    below = -p[:, :, None] * (p / (after * from_here)).sqrt()[:, None, :]
    return below.tril(-1) + torch.diag_embed((p * after / from_here).sqrt())
