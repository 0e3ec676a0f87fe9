"""Concordance of each architecture: in how many pairs with others two columns agree, less those in which they do not.

Kendall's tau, tau with weighted architectures, and the standard error of tau are sums of it over the architectures.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from zcbench.benchmarks.statistics.correlations import Array

Counts = NDArray[np.int64]
Narrow = NDArray[np.signedinteger[Any]]


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
    return of_ranks(_dense(score), np.stack([_dense(column) for column in accuracies.T])).T


def of_ranks(x: Counts, ys: Counts) -> Counts:
    """`concordance` of dense ranks, 0 for the smallest: of one score, shape (n,), and of accuracies, shape (T, n)."""
    n, row = x.size, np.arange(x.size)
    by_x = np.argsort((x * n + n - 1 - ys) * n + row, axis=1)  # of equals, the higher of the other first
    by_y = np.argsort((ys * n + n - 1 - x) * n + n - 1 - row, axis=1)
    ranks = np.take_along_axis(_placed(np.broadcast_to(row, ys.shape), by_y), by_x, axis=1)
    both_lower = _placed(_smaller_before(ranks), by_x)
    lower, higher = _lower(x), _lower(n - 1 - x)
    found = 4 * both_lower + higher - lower - 2 * np.stack([_lower(y) for y in ys])
    for t, y in enumerate(ys):
        if x.max() < n - 1:
            found[t] += 2 * _among_equals(x, y)[0]
        if y.max() < n - 1:
            found[t] += np.subtract(*_among_equals(y, x))
    return found


def _dense(values: Array) -> Counts:
    """Rank of each value, 0 for the smallest; equal values share one."""
    return np.unique(values, return_inverse=True)[1]


def _lower(values: Counts) -> Counts:
    """For each architecture the number of others with a lower value."""
    sizes = np.bincount(values)
    return np.asarray((np.cumsum(sizes) - sizes)[values])


def _among_equals(one: Counts, other: Counts) -> tuple[Counts, Counts]:
    """For each architecture the others that are equal by one column: how many are lower and higher by the other."""
    _, pair, sizes = np.unique(one * one.size + other, return_inverse=True, return_counts=True)
    lower = (np.cumsum(sizes) - sizes)[pair] - _lower(one)
    return lower, np.bincount(one)[one] - lower - sizes[pair]


def _placed(values: Counts, places: Counts) -> Counts:
    """The values of each row at their places."""
    placed = np.empty_like(values)
    np.put_along_axis(placed, places, values, axis=1)
    return placed


def _smaller_before(ranks: Counts) -> Counts:
    """For each entry of each row, a permutation of 0 to n - 1, the number of smaller entries before it.

    The entries are divided by their highest bit, then each half by the next one, as in a radix sort, which keeps their
    order: an entry in the upper half of its group is larger than all of the lower half, and counts those before it.
    """
    rows, n = ranks.shape
    kind: type[np.signedinteger[Any]] = np.int32 if rows * n < 2**31 else np.int64
    first = np.repeat(np.arange(rows, dtype=kind) * n, n)
    place = np.arange(rows * n, dtype=kind)
    entry: Narrow = ranks.astype(kind).ravel()
    count: Narrow = np.zeros(rows * n, dtype=kind)
    for bit in reversed(range(int(n - 1).bit_length())):
        half = entry >> bit
        upper = half & 1
        start = (half >> 1) << (bit + 1)  # of the group
        lower = np.cumsum(upper ^ 1, dtype=kind)  # entries of lower halves up to this one, in earlier rows too
        lower -= upper ^ 1
        lower.reshape(rows, n)[:] -= lower[::n, None].copy()
        lower -= start >> 1
        count += upper * lower
        goal = np.where(upper, place - lower + (1 << bit), first + start + lower)
        entry, count = _moved(entry, goal), _moved(count, goal)
    return np.take_along_axis(count.reshape(rows, n).astype(np.int64), ranks, axis=1)


def _moved(values: Narrow, goal: Narrow) -> Narrow:
    """The values at their new places."""
    moved = np.empty_like(values)
    moved[goal] = values
    return moved
