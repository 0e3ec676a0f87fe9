"""Statistics of the best architectures: the top by score, the top by accuracy, and the accuracy of a selection."""

import math

import numpy as np
from numpy.typing import NDArray
from scipy import special

from zcbench.benchmarks.statistics.correlations import NAN, constant, kendall
from zcbench.benchmarks.statistics.ranks import Array, dense, lower


def ndcg(score: Array, accuracy: Array) -> float:
    r"""Normalised discounted cumulative gain of the whole list sorted by score.

    .. math::  \mathrm{DCG} = \sum_{i=1}^{n} \frac{g_i}{\log_2(i + 1)}, \qquad g = \frac{a - \min a}{\max a - \min a}

    Divided by the DCG of the list sorted by accuracy; tied scores share their mean gain.

    Returns:
        In (0, 1]; higher is better. A random order is far above zero: compare proxies, not levels.

    Source: `sklearn.metrics.ndcg_score`, linear gain, no cut-off.
    """
    if constant(score, accuracy):
        return NAN
    gains = (accuracy - accuracy.min()) / np.ptp(accuracy)
    discounts = 1 / np.log2(np.arange(score.size) + 2)
    _, group, counts = np.unique(-score, return_inverse=True, return_counts=True)
    shared = np.add.reduceat(discounts, np.cumsum(counts) - counts)
    return float(np.bincount(group, gains) / counts @ shared / (np.sort(gains)[::-1] @ discounts))


def count(k: float, n: int) -> int:
    """How many of ``n`` architectures the top ``k`` are: a number if k >= 1, a share of n if below; between 1 and n.

    >>> count(10, 1000), count(0.05, 1000), count(10, 4)
    (10, 50, 4)
    """
    return min(n, int(k) if k >= 1 else max(1, math.ceil(k * n - 1e-9)))


def precision_at_k(score: Array, accuracy: Array, k: float = 10) -> float:
    """Share of the top k by score that belong to the top k by accuracy.

    An architecture as accurate as the k-th best belongs to the top k.

    Returns:
        In [0, 1]; higher is better; k/n for a random order. Expected value over ties in score.
    """
    if constant(score, accuracy):
        return NAN
    places = count(k, score.size)
    sure, tied, open_places = _picked(score, places)
    good = accuracy >= np.partition(accuracy, -places)[-places]
    return float((good[sure].sum() + open_places * good[tied].mean()) / places)


def ranks_at_k(score: Array, accuracy: Array, k: float = 10) -> tuple[float, float]:
    r"""BR@K and WR@K: best and worst true rank among the top k by score, as shares of n.

    .. math::  \mathrm{BR@K} = \min_{i \in K} r_i / n, \qquad \mathrm{WR@K} = \max_{i \in K} r_i / n

    :math:`r` is the rank by accuracy, 1 for the best; equal accuracies share the smaller rank.

    Returns:
        (best, worst), each in [1/n, 1]; lower is better. Expected values over ties in score.

    Source: Ning et al., "Evaluating Efficient Performance Estimators of Neural Architectures", arXiv:2008.03064.
    """
    if constant(score, accuracy):
        return NAN, NAN
    rank = 1 + lower(dense(-accuracy)).astype(np.float64)
    sure, tied, picks = _picked(score, count(k, score.size))
    best = _expected_smallest(rank[tied], picks, rank[sure].min(initial=np.inf))
    worst = -_expected_smallest(-rank[tied], picks, (-rank[sure]).min(initial=np.inf))
    return best / score.size, worst / score.size


def regret(score: Array, accuracy: Array) -> float:
    """Accuracy lost by training the top-scored architecture instead of the best one.

    Returns:
        In percentage points, >= 0; lower is better. Expected value over ties for the top score.
    """
    return NAN if constant(score, accuracy) else float(accuracy.max() - accuracy[score == score.max()].mean())


def expected_pick(score: Array, accuracy: Array, drawn: int) -> float:
    r"""Expected accuracy of the best-scored of d architectures drawn at random: the result of a random search.

    .. math::  \sum_{j=1}^{n} a_{(j)} \binom{n - j}{d - 1} \Big/ \binom{n}{d}

    :math:`a_{(j)}` is the accuracy of the architecture with the j-th best score of n, d the number drawn without
    replacement. It depends on every architecture that may be selected, while `regret` depends on one.

    Args:
        score: oriented so that higher is better; NaN nowhere.
        accuracy: in percent, in the same order.
        drawn: d, from 1, for the mean accuracy, to n, for that of the top-scored one.

    Returns:
        In the unit of the accuracies; higher is better. Equal scores are equally likely to be selected.
    """
    order = np.argsort(-score, kind="stable")
    _, group = np.unique(-score[order], return_inverse=True)
    chance = np.bincount(group, _chances(score.size, drawn))
    return float(chance @ (np.bincount(group, accuracy[order]) / np.bincount(group)))


def top_kendall(score: Array, accuracy: Array, share: float = 0.1) -> float:
    """Tau-b among the best by accuracy: those at least as accurate as the one at the given share of n.

    Returns:
        In [-1, 1]; higher is better. NaN where fewer than three architectures remain.
    """
    if constant(score, accuracy):
        return NAN
    places = count(share, score.size)
    best = accuracy >= np.partition(accuracy, -places)[-places]
    return kendall(score[best], accuracy[best])


def _picked(score: Array, k: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_], int]:
    """Architectures surely among the top k by score, those tied for the last places, and the number of these places."""
    last = np.partition(score, -k)[-k]
    sure, tied = score > last, score == last
    return sure, tied, k - int(sure.sum())


def _expected_smallest(ranks: Array, picks: int, at_most: float) -> float:
    """Expected value of min(``at_most``, smallest of ``picks`` of ``ranks`` drawn without replacement)."""
    return float(np.minimum(np.sort(ranks), at_most) @ _chances(ranks.size, picks))


def _chances(size: int, drawn: int) -> Array:
    """Chance of each place, 1 to ``size``, to be the first among ``drawn`` places drawn without replacement."""
    left = np.arange(size, -1, -1)  # places at or after the j-th
    log_ways = special.gammaln(left + 1) - special.gammaln(np.maximum(left - drawn, 0) + 1)
    none_before = np.where(left >= drawn, np.exp(log_ways - log_ways[0]), 0.0)  # P(all drawn lie at or after the j-th)
    return -np.diff(none_before)
