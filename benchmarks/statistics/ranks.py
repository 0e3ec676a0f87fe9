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


def equals(values: Array) -> tuple[Counts, Counts]:
    """Dense rank of each value, and how often each of the distinct values occurs."""
    _, ranks, sizes = np.unique(values, return_inverse=True, return_counts=True)
    return ranks, sizes


def lower(ranks: Counts) -> Counts:
    """For each entry of dense ranks the number of entries with a lower one."""
    sizes = np.bincount(ranks)
    return np.asarray((np.cumsum(sizes) - sizes)[ranks])


def mean_ranks_of(ranks: Counts, sizes: Counts) -> Array:
    """Ranks from 1, equal values at their mean rank, of what `equals` gives."""
    return np.asarray((np.cumsum(sizes) - (sizes - 1) / 2)[ranks])


def mean_ranks(values: Array) -> Array:
    """Ranks from 1, equal values at their mean rank; as `scipy.stats.rankdata`, without the import of scipy.stats.

    Example:
        >>> mean_ranks(np.array([0.5, 2.0, 0.5, 1.0])).tolist()
        [1.5, 4.0, 1.5, 3.0]
    """
    return mean_ranks_of(*equals(values))


def is_permutation(ranks: Counts) -> bool:
    """Whether each of 0 to n - 1 occurs once."""
    return bool(ranks.max(initial=-1) < ranks.size and np.bincount(ranks).max(initial=1) == 1)


def inverse(permutation: Counts) -> Counts:
    """Place of each of 0 to n - 1 in a permutation of them.

    Example:
        >>> inverse(np.array([2, 0, 1])).tolist()
        [1, 2, 0]
    """
    places = np.empty_like(permutation)
    places[permutation] = np.arange(permutation.size)
    return places


def smaller_before(permutations: Counts) -> Counts:
    """For each entry of permutations of 0 to n - 1, shape (m, n), the number of smaller entries before it.

    Places and entries are cut into blocks of b in sequence. A table of blocks counts the entries in earlier blocks of
    places and lower blocks of entries. The pairs in one block of places, and those in one block of entries, are
    compared one by one. With b near the cube root of n all of this grows with :math:`n^{4/3}`.

    Example:
        >>> smaller_before(np.array([[2, 0, 3, 1]])).tolist()
        [[0, 0, 2, 1]]
    """
    m, n = permutations.shape
    width = max(16, int(4 * n ** (1 / 3)))
    blocks = -(-n // width)
    rest = np.broadcast_to(np.arange(n, blocks * width), (m, blocks * width - n))
    entry = np.concatenate([permutations, rest], axis=1)
    place = np.empty_like(entry)
    np.put_along_axis(place, entry, np.arange(entry.shape[1])[None], axis=1)
    of_entry, of_place, row = entry // width, np.arange(blocks).repeat(width), np.arange(m)[:, None]
    table = np.zeros((m, blocks + 1, blocks + 1), dtype=np.int32)
    cells = ((row * blocks + of_place) * blocks + of_entry).ravel()
    table[:, 1:, 1:] = np.bincount(cells, minlength=m * blocks**2).reshape(m, blocks, blocks)
    table.cumsum(axis=1, out=table).cumsum(axis=2, out=table)
    one_place = _smaller_above(entry.reshape(-1, width).T).T.reshape(entry.shape)
    one_entry = _smaller_above((place // width).reshape(-1, width).T).T.reshape(entry.shape)
    found = table[row, of_place, of_entry] + one_place + np.take_along_axis(one_entry, entry, axis=1)
    return np.asarray(found[:, :n], dtype=np.int64)


def _smaller_above(columns: Counts) -> Counts:
    """For each entry the number of smaller ones above it in its column."""
    own = np.ascontiguousarray(columns, dtype=np.min_scalar_type(columns.max()))  # narrow ones are compared faster
    count = np.zeros(own.shape, dtype=np.min_scalar_type(len(own)))
    smaller = np.empty(own.shape, dtype=np.bool_)
    ones = smaller.view(np.uint8)  # without a conversion in each sum
    for distance in range(1, len(own)):
        np.less(own[:-distance], own[distance:], out=smaller[distance:])
        count[distance:] += ones[distance:]
    return count.astype(np.int64)
