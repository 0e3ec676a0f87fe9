"""Concordance of each architecture: in how many pairs with others two columns agree, less those in which they do not.

Kendall's tau, tau with weighted architectures, and the standard error of tau are sums of it over the architectures.
"""

import numpy as np
from numpy.typing import NDArray

from zcbench.benchmarks.statistics.ranks import Array, Counts, dense, inverse, lower, smaller_before


def concordance(score: Array, accuracies: Array) -> Counts:
    r"""Concordance of each architecture with all others, for one score and several accuracies.

    .. math::  c_{it} = \sum_{j} \operatorname{sgn}(x_i - x_j) \, \operatorname{sgn}(y_{it} - y_{jt})

    It is counted from the number of others that are lower in both, L; a pair that is tied in one of the two adds 0:

    .. math::  c_i = 4 L_i - 2 \, \#(y < y_i) + \#(x > x_i) - \#(x < x_i)
               + 2 \, \#(x = x_i, y < y_i) + \#(y = y_i, x < x_i) - \#(y = y_i, x > x_i)

    Args:
        score: x, shape (n,), finite.
        accuracies: y, shape (n, T), finite.

    Returns:
        Shape (n, T), from 1 - n to n - 1.

    Example:
        >>> concordance(np.array([1.0, 2.0, 3.0]), np.array([[1.0], [3.0], [2.0]])).T.tolist()
        [[2, 0, 0]]
    """
    x = dense(score)
    return np.stack([of_ranks(x, dense(column)) for column in accuracies.T], axis=1)


def of_ranks(x: Counts, y: Counts) -> Counts:
    """`concordance` of dense ranks, 0 for the smallest: of one score and one accuracy, shape (n,) both."""
    n, row = x.size, np.arange(x.size)
    by_x = np.argsort((x * n + n - 1 - y) * n + row)  # of equals, the higher of the other first
    by_y = np.argsort((y * n + n - 1 - x) * n + n - 1 - row)
    at_x = inverse(by_x)
    both_lower = smaller_before(inverse(by_y)[None, by_x])[0][at_x]
    found = 4 * both_lower + lower(n - 1 - x) - lower(x) - 2 * lower(y)
    if x.max() < n - 1:
        found += 2 * _among_equals(x[by_x], y[by_x])[0][at_x]
    if y.max() < n - 1:
        found[by_y] += np.subtract(*_among_equals(y[by_y], x[by_y]))
    return np.asarray(found)


def _among_equals(one: Counts, other: Counts) -> tuple[Counts, Counts]:
    """For each architecture the others that are equal by one column: how many are lower and higher by the other.

    Args:
        one: in ascending order.
        other: descending among equals of ``one``.
    """
    start, end = _runs(np.diff(one) != 0)
    start_of_both, end_of_both = _runs((np.diff(one) != 0) | (np.diff(other) != 0))
    return end - end_of_both, start_of_both - start


def _runs(cuts: NDArray[np.bool_]) -> tuple[Counts, Counts]:
    """Start and end of the run of each entry, where ``cuts`` says between which neighbours one ends."""
    ends = np.append(np.flatnonzero(cuts) + 1, cuts.size + 1)
    starts = np.concatenate([[0], ends[:-1]])
    return np.repeat(starts, ends - starts), np.repeat(ends, ends - starts)
