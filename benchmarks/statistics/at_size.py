r"""Regret of a choice among architectures of about one size.

An architecture i is drawn at random from all n, and the one with the best score is chosen among those of its size:

.. math::  \frac1n \sum_i \Bigl( \max_{j \in W_i} a_j - a_{c(i)} \Bigr), \qquad
           W_i = \{ j : |p_j - p_i| \le 0.1 \, p_i \}, \qquad c(i) = \arg\max_{j \in W_i} s_j

:math:`a` is the accuracy, :math:`s` the score, :math:`p` the size, the number of parameters in a ranking. Equal scores
are equally likely to be chosen. A choice at random has :math:`\max a_j` less the mean of :math:`a_j` in each window.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zcbench.benchmarks.statistics.ranks import Array

Index = NDArray[np.intp]

TOLERANCE = 0.1
"""Relative difference within which two architectures are of about one size."""

_SLACK = 1e-12  # of a size that is at the limit, but for rounding


@dataclass(frozen=True, eq=False)
class Windows:
    """Architectures of about the size of each architecture.

    Attributes:
        order: architectures by ascending size, shape (n,).
        first: place in ``order`` of the smallest of a window, shape (w,).
        last: place behind that of the largest.
        chance: share of the architectures that have this window; its sum is 1.
    """

    order: Index
    first: Index
    last: Index
    chance: Array

    @classmethod
    def of(cls, size: Array, tolerance: float = TOLERANCE) -> "Windows":
        """Windows of relative width ``tolerance`` around each size."""
        order = np.argsort(size, kind="stable")
        sizes = size[order]
        ends = [sizes * (1 - tolerance) * (1 - _SLACK), sizes * (1 + tolerance) * (1 + _SLACK)]
        first = np.searchsorted(sizes, np.minimum(*ends), "left")
        last = np.searchsorted(sizes, np.maximum(*ends), "right")  # also where a size is below 0
        windows, count = np.unique(np.stack([first, last]), axis=1, return_counts=True)
        return cls(order, windows[0], windows[1], count / size.size)

    def best(self, accuracy: Array) -> Array:
        """Highest accuracy in each window, shape (w,)."""
        return _largest(accuracy[self.order], self.first, self.last)

    def regret(self, score: Array, accuracy: Array) -> float:
        """Expected regret of the choice by a score, in percentage points, at least 0; lower is better.

        Example:
            >>> size, accuracy = np.array([10.0, 10.0, 20.0, 20.0]), np.array([50.0, 60.0, 70.0, 90.0])
            >>> Windows.of(size).regret(np.array([2.0, 1.0, 3.0, 3.0]), accuracy)
            10.0
        """
        n, accuracies = score.size, accuracy[self.order]
        rank = np.unique(score, return_inverse=True)[1][self.order]
        place = np.argsort(rank, kind="stable")
        key, top = rank[place] * n + place, _largest(rank, self.first, self.last)
        start, end = np.searchsorted(key, top * n + self.first), np.searchsorted(key, top * n + self.last)
        sums = np.concatenate([[0.0], np.cumsum(accuracies[place])])
        chosen = (sums[end] - sums[start]) / (end - start)
        return max(0.0, float(self.chance @ (self.best(accuracy) - chosen)))

    def regret_at_random(self, accuracy: Array) -> float:
        """Expected regret of a choice at random."""
        sums = np.concatenate([[0.0], np.cumsum(accuracy[self.order])])
        mean = (sums[self.last] - sums[self.first]) / (self.last - self.first)
        return max(0.0, float(self.chance @ (self.best(accuracy) - mean)))


def _largest(values: np.ndarray, first: Index, last: Index) -> np.ndarray:
    """Largest of ``values[first:last]`` for every pair of ends, from the largest of all runs of 1, 2, 4, … values."""
    level = np.frexp(last - first)[1] - 1
    found, table = np.empty(first.size, values.dtype), values
    for power in range(int(level.max()) + 1):
        here = level == power
        found[here] = np.maximum(table[first[here]], table[last[here] - 2**power])
        table = np.maximum(table[: -(2**power)], table[2**power :])
    return found
