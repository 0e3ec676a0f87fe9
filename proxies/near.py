"""NEAR: how many directions do the activations of each layer fill?

Husistein et al., "NEAR: A Training-Free Pre-Estimator of Machine Learning Model Performance", ICLR 2025,
arXiv:2408.08776, section 3; figure A.3 for convolutions.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from zcbench.proxies.scoring.contract import proxy
from zcbench.proxies.signals.signals import Signals
from zcbench.proxies.signals.spectra import by_shape, entropy, singular_values


@proxy(
    "near", reads="activation_matrices", higher_is_better=True, uses_labels=False, source="arXiv:2408.08776, section 3"
)
def near(signals: Signals) -> float:
    r"""Sum of the effective ranks of the layers' pre- and post-activation matrices.

    .. math::  s = \sum_{\ell} \exp\Bigl(-\sum_k p_{\ell k} \log p_{\ell k}\Bigr), \qquad
               p_{\ell k} = \sigma_{\ell k} / \textstyle\sum_j \sigma_{\ell j}

    :math:`\sigma_{\ell k}` are the singular values of a matrix :math:`\ell` of C positions by C channels: one for the
    output of every convolution, linear layer, normalisation and activation function.

    Args:
        signals: needs ``activation_matrices``, one ``(C, C)`` per call in order of execution, with fewer rows where
            the batch has fewer positions.

    Returns:
        The score, dimensionless, from 0 to the sum of all C; higher ranks better. It grows with the number of layers,
        so compare it with ``n_convs``.

    Raises:
        NotApplicable: the network calls no such layer.
        SingularScore: an activation is infinite or not a number.

    Example:
        >>> from zcbench.proxies import example, score
        >>> round(score(*example(), ["near"])["near"], 1)
        756.2

    Note:
        As in figure A.3 of the paper and in its code, a convolution's matrix is one random block of C consecutive
        positions, square like the matrix of a linear layer for as many images as units. Here a block never reaches
        beyond the batch (in the code one of a wide map may, and then has fewer rows), and a matrix that the batch
        cannot fill stays short (the code takes further batches). A matrix of zeros has rank 0. One draw per seed;
        the code can average several.
    """
    return sum(effective_ranks(signals.activation_matrices))


def effective_ranks(matrices: Sequence[Tensor]) -> list[float]:
    """Exponential of the entropy of the normalised singular values of each matrix, in float64; 0 for zeros."""
    return by_shape(matrices, _ranks)


def _ranks(stack: Tensor) -> Tensor:
    values = singular_values(stack)
    return torch.where(values.sum(1) > 0, entropy(values).exp(), 0)
