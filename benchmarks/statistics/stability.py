"""Agreement of several rankings of the same items, such as the ranks of proxies on several truths."""

import numpy as np

from zcbench.benchmarks.statistics.correlations import NAN, constant, kendall
from zcbench.benchmarks.statistics.ranks import Array, mean_ranks


def kendall_w(columns: Array) -> float:
    r"""Kendall's coefficient of concordance, corrected for ties.

    .. math::  W = \frac{12 \sum_i R_i^2 - 3 m^2 n (n + 1)^2}{m^2 n (n^2 - 1) - m \sum_j T_j}, \qquad
               T_j = \sum_g (t_{jg}^3 - t_{jg})

    :math:`R_i` is the sum of the m ranks of item i, and :math:`t_{jg}` the size of the g-th group of equal values in
    column j.

    Args:
        columns: one row per item, one column per ranking, finite, shape (n, m).

    Returns:
        In [0, 1]: 1 where all columns have one order, about 1 / m where they are independent. NaN below three items or
        two columns, and where a column is constant.

    Example:
        >>> kendall_w(np.array([[1.0, 10.0], [2.0, 20.0], [3.0, 30.0]]))
        1.0

    Source: M. G. Kendall and B. Babington Smith, "The problem of m rankings", 1939.
    """
    n, m = columns.shape
    if m < 2 or constant(*columns.T):
        return NAN
    ranks = np.stack([mean_ranks(column) for column in columns.T], axis=1)
    sizes = [np.unique(column, return_counts=True)[1].astype(float) for column in columns.T]
    ties = sum(float(np.sum(size**3 - size)) for size in sizes)
    above = 12 * np.sum(ranks.sum(axis=1) ** 2) - 3 * m**2 * n * (n + 1) ** 2
    return float(above / (m**2 * n * (n**2 - 1) - m * ties))


def taus_between(columns: Array) -> Array:
    """Kendall's tau-b between every two columns, shape (m, m); NaN where one is constant."""
    m = columns.shape[1]
    found = np.full((m, m), NAN)
    for one in range(m):
        for other in range(one, m):
            found[one, other] = found[other, one] = kendall(columns[:, one], columns[:, other])
    return found
