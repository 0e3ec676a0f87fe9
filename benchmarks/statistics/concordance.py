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

    A tie counts neither way: the result is the mean of breaking all ties so that tied pairs agree, and so that they
    disagree.

    Args:
        score: x, shape (n,), finite.
        accuracies: y, shape (n, T), finite.

    Returns:
        Shape (n, T), from 1 - n to n - 1.

    Example:
        >>> concordance(np.array([1.0, 2.0, 3.0]), np.array([[1.0], [3.0], [2.0]])).T.tolist()
        [[2, 0, 0]]
    """
    n = len(score)
    x, ys = _dense(score), np.stack([_dense(column) for column in accuracies.T])
    tied = x.max() < n - 1 or (ys.max(axis=1) < n - 1).any()
    found = _broken(x, ys, agree=True)
    return (found + _broken(x, ys, agree=False)) // 2 if tied else found


def untied(values: Array) -> Counts:
    """For each architecture the number of others with another value; shape (n,)."""
    _, group, sizes = np.unique(values, return_inverse=True, return_counts=True)
    return values.size - sizes[group]


def _dense(values: Array) -> Counts:
    """Rank of each value, 0 for the smallest; equal values share one."""
    return np.unique(values, return_inverse=True)[1]


def _broken(x: Counts, ys: Counts, *, agree: bool) -> Counts:
    """Concordance once ties are broken so that tied pairs agree, or disagree; shape (n, T)."""
    n = x.size
    row = np.arange(n)
    by_x = np.argsort((x * n + (ys if agree else n - 1 - ys)) * n + row, axis=1)
    by_y = np.argsort((ys * n + (x if agree else n - 1 - x)) * n + (row if agree else n - 1 - row), axis=1)
    rank = np.empty_like(ys)
    np.put_along_axis(rank, by_y, row[None], axis=1)
    ranks = np.take_along_axis(rank, by_x, axis=1)  # of y, in the order of x
    found = np.empty_like(ys)
    np.put_along_axis(found, by_x, 4 * _smaller_before(ranks) + n - 1 - 2 * row - 2 * ranks, axis=1)
    return found.T


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
