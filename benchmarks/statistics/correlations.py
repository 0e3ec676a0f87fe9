"""Correlations of scores with trained accuracies.

The functions of this package take finite one-dimensional arrays of equal length n, one entry per architecture, with the
score **oriented so that higher is better** and the accuracy in percent. An undefined statistic (fewer than three
architectures, or a constant column) is NaN, never zero. No statistic depends on the order of the architectures: a
choice among tied scores is replaced by its expected value over all ways to break the tie.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Array = NDArray[np.float64]
NAN = float("nan")


def constant(*columns: Array) -> bool:
    """Whether some column has fewer than three entries or one value only, so that nothing correlates with it."""
    return any(column.size < 3 or bool(np.all(column == column[0])) for column in columns)


def kendall(score: Array, accuracy: Array) -> float:
    r"""Kendall's tau-b: agreement in order over all pairs, corrected for ties.

    .. math::  \tau_b = (C - D) / \sqrt{(n_0 - n_1)(n_0 - n_2)}

    :math:`C` and :math:`D` count concordant and discordant pairs, :math:`n_0 = n(n-1)/2`, and :math:`n_1, n_2` count
    the pairs tied in score and in accuracy.

    Returns:
        In [-1, 1]; higher is better.

    Example:
        >>> round(kendall(np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.0, 3.0, 2.0, 4.0])), 3)
        0.667

    Source: M. G. Kendall, "The treatment of ties in ranking problems", 1945; `scipy.stats.kendalltau`.
    """
    return NAN if constant(score, accuracy) else float(stats.kendalltau(score, accuracy, variant="b").statistic)


def spearman(score: Array, accuracy: Array) -> float:
    """Spearman's rho: Pearson correlation of the ranks, ties sharing their mean rank.

    Returns:
        In [-1, 1]; higher is better.

    Source: `scipy.stats.spearmanr`.
    """
    return NAN if constant(score, accuracy) else float(stats.spearmanr(score, accuracy).statistic)


def pearson(score: Array, accuracy: Array) -> float:
    """Pearson's linear correlation of the values; the only one here that depends on their scale.

    Returns:
        In [-1, 1]; higher is better.

    Source: `scipy.stats.pearsonr`.
    """
    return NAN if constant(score, accuracy) else float(stats.pearsonr(score, accuracy).statistic)


def weighted_kendall(score: Array, accuracy: Array) -> float:
    r"""Kendall's tau in which pairs count more the better their architectures are.

    .. math::  w_{ij} = \frac{1}{r_i} + \frac{1}{r_j}

    :math:`r` is the rank by accuracy, 1 for the best (equal accuracies are ordered by score); the
    numerator and both terms under the root of tau-b sum :math:`w_{ij}` in place of 1.

    Returns:
        In [-1, 1]; higher is better.

    Source: S. Vigna, "A weighted correlation index for rankings with ties", 2015; `scipy.stats.weightedtau`, additive
    hyperbolic weights. scipy's default averages the weights by score and by accuracy; ours are by accuracy alone, so
    that the weights are the same for all proxies.
    """
    if constant(score, accuracy):
        return NAN
    rank = np.empty(score.size, dtype=np.intp)
    rank[np.lexsort((score, accuracy))[::-1]] = np.arange(score.size)
    return float(stats.weightedtau(score, accuracy, rank=rank).statistic)
