"""Ranks of values and counts of pairs, the ground of the rank correlations."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Counts = NDArray[np.int64]


def dense(values: Array) -> Counts:
    """Rank of each value, 0 for the smallest; equal values share one, and none is left out.

    Example:
        >>> dense(np.array([0.5, 2.0, 0.5, 1.0])).tolist()
        [0, 2, 0, 1]
    """
    return np.unique(values, return_inverse=True)[1]


def lower(ranks: Counts) -> Counts:
    """For each entry of dense ranks the number of entries with a lower one."""
    sizes = np.bincount(ranks)
    return np.asarray((np.cumsum(sizes) - sizes)[ranks])


def mean_ranks(values: Array) -> Array:
    """Ranks from 1, equal values at their mean rank; as `scipy.stats.rankdata`, without the import of scipy.stats.

    Example:
        >>> mean_ranks(np.array([0.5, 2.0, 0.5, 1.0])).tolist()
        [1.5, 4.0, 1.5, 3.0]
    """
    _, place, sizes = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(sizes) - (sizes - 1) / 2)[place])


def smaller_before(permutation: Counts) -> Counts:
    """For each entry of a permutation of 0 to n - 1 the number of smaller entries before it.

    Places and entries are cut into blocks of b in sequence. A table of blocks counts the entries in earlier blocks of
    places and lower blocks of entries. The pairs in one block of places, and those in one block of entries, are
    compared one by one. With b near the cube root of n all of this grows with :math:`n^{4/3}`.

    Example:
        >>> smaller_before(np.array([2, 0, 3, 1])).tolist()
        [0, 0, 2, 1]
    """
    n = permutation.size
    width = max(16, int(4 * n ** (1 / 3)))
    blocks = -(-n // width)
    entry = np.concatenate([permutation, np.arange(n, blocks * width)])
    place = np.empty_like(entry)
    place[entry] = np.arange(entry.size)
    of_entry, of_place = entry // width, np.arange(blocks).repeat(width)
    table = np.zeros((blocks + 1, blocks + 1), dtype=np.int32)
    table[1:, 1:] = np.bincount(of_place * blocks + of_entry, minlength=blocks**2).reshape(blocks, blocks)
    table.cumsum(axis=0, out=table).cumsum(axis=1, out=table)
    one_place = _smaller_above(entry.reshape(blocks, width).T).T.ravel()
    one_entry = _smaller_above((place // width).reshape(blocks, width).T).T.ravel()
    return np.asarray((table[of_place, of_entry] + one_place + one_entry[entry])[:n], dtype=np.int64)


def _smaller_above(columns: Counts) -> Counts:
    """For each entry the number of smaller ones above it in its column."""
    own = np.ascontiguousarray(columns, dtype=np.min_scalar_type(columns.max()))  # narrow ones are compared faster
    count = np.zeros(own.shape, dtype=np.min_scalar_type(len(own)))
    for distance in range(1, len(own)):
        count[distance:] += own[:-distance] < own[distance:]
    return count.astype(np.int64)
