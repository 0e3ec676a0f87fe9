"""Correlations of scores with trained accuracies.

The functions of this package take finite one-dimensional arrays of equal length n, one entry per architecture, with the
score **oriented so that higher is better** and the accuracy in percent. An undefined statistic (fewer than three
architectures, or a constant column) is NaN, never zero. No statistic depends on the order of the architectures: a
choice among tied scores is replaced by its expected value over all ways to break the tie.
"""

from collections.abc import Sequence

import numpy as np

from zcbench.benchmarks.statistics.concordance import of_ranks
from zcbench.benchmarks.statistics.ranks import (
    Array,
    Counts,
    dense,
    inverse,
    is_permutation,
    mean_ranks,
    smaller_before,
)

NAN = float("nan")
_ENTRIES = 1 << 16  # of the pairs that are counted at once: with more they do not fit into the caches


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

    Source: M. G. Kendall, "The treatment of ties in ranking problems", 1945; equal to `scipy.stats.kendalltau`.
    """
    return kendall_of_ranks(dense(score), dense(accuracy))


def kendall_of_ranks(x: Counts, y: Counts) -> float:
    """`kendall` of dense ranks, of which some may be left out."""
    return float(kendalls_of_ranks([(x, y)])[0])


def kendalls_of_ranks(pairs: Sequence[tuple[Counts, Counts]]) -> Array:
    """`kendall_of_ranks` of several pairs at once, which need not be of the same length.

    In the order by x, and by y among equals, two architectures are in the wrong order by y where they are discordant.
    """
    longest = max(1, *(x.size for x, _ in pairs))
    together = max(1, _ENTRIES // longest)
    return np.concatenate([_kendalls(pairs[i : i + together], longest) for i in range(0, len(pairs), together)])


def _kendalls(pairs: Sequence[tuple[Counts, Counts]], longest: int) -> Array:
    places = np.tile(np.arange(longest), (len(pairs), 1))
    for own, (x, y) in zip(places, pairs, strict=True):
        own[: x.size] = _place_by_y(x, y)
    before = smaller_before(places)
    return np.array([_tau(x, y, int(own[: x.size].sum())) for own, (x, y) in zip(before, pairs, strict=True)])


def _place_by_y(x: Counts, y: Counts) -> Counts:
    """Place by y, and by the order itself among equals, of each architecture in the order by x and y."""
    in_order = y[inverse(x) if is_permutation(x) else np.argsort(_both(x, y))]
    return in_order if is_permutation(y) else inverse(np.argsort(in_order * y.size + np.arange(y.size)))


def _both(x: Counts, y: Counts) -> Counts:
    """Numbers in the order by x, and by y among equals."""
    return np.asarray(x * (int(y.max(initial=0)) + 1) + y)


def _tau(x: Counts, y: Counts, concordant: int) -> float:
    """Tau-b from the pairs whose order by x, and by y among equals, is that by y."""
    n = x.size
    pairs = n * (n - 1) // 2
    tied_x, tied_y = (_pairs_within(np.bincount(ranks)) for ranks in (x, y))
    if n < 3 or pairs in (tied_x, tied_y):
        return NAN
    tied = _pairs_within(np.unique(_both(x, y), return_counts=True)[1]) if tied_x and tied_y else 0
    tau = (2 * concordant - pairs - tied_x - tied_y + tied) / np.sqrt(pairs - tied_x) / np.sqrt(pairs - tied_y)
    return float(np.clip(tau, -1, 1))


def spearman(score: Array, accuracy: Array) -> float:
    """Spearman's rho: Pearson correlation of the ranks, ties sharing their mean rank.

    Returns:
        In [-1, 1]; higher is better.

    Source: C. Spearman, "The proof and measurement of association between two things", 1904; equal to
    `scipy.stats.spearmanr`.
    """
    return pearson(mean_ranks(score), mean_ranks(accuracy))


def pearson(score: Array, accuracy: Array) -> float:
    r"""Pearson's linear correlation of the values; the only one here that depends on their scale.

    .. math::  \frac{(x - \bar x)^\top (y - \bar y)}{\lVert x - \bar x \rVert \, \lVert y - \bar y \rVert}

    Returns:
        In [-1, 1]; higher is better.

    Source: K. Pearson, "Notes on regression and inheritance in the case of two parents", 1895; equal to
    `scipy.stats.pearsonr`.
    """
    if constant(score, accuracy):
        return NAN
    x, y = _centred(score), _centred(accuracy)
    return float(np.clip(x @ y / np.sqrt((x @ x) * (y @ y)), -1, 1))


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
    x, y = dense(score), dense(accuracy)
    untied = [x.size - np.bincount(ranks)[ranks] for ranks in (x, y)]
    return tau_of_sums(hyperbolic_weights(x, y), of_ranks(x, y), *untied)


def hyperbolic_weights(x: Counts, y: Counts) -> Array:
    """Weight 1/r of each architecture, by the dense ranks of score and accuracy: `weighted_kendall`."""
    weights = np.empty(x.size)
    weights[np.lexsort((x, y))[::-1]] = 1 / np.arange(1, x.size + 1)
    return weights


def tau_of_sums(weights: Array, concordance: Counts, untied_score: Counts, untied_accuracy: Counts) -> float:
    """Tau-b of weighted architectures: a pair counts with the sum of its two weights.

    Args:
        weights: of each architecture, shape (n,); 1 for tau-b itself.
        concordance: of each architecture, see `concordance`.
        untied_score: number of architectures with another score.
        untied_accuracy: number of architectures with another accuracy.
    """
    above, one, other = (float(weights @ counts) / 2 for counts in (concordance, untied_score, untied_accuracy))
    return float(np.clip(above / np.sqrt(one) / np.sqrt(other), -1, 1))


def _pairs_within(sizes: Counts) -> int:
    """Number of pairs within groups of these sizes."""
    return int((sizes * (sizes - 1) // 2).sum())


def _centred(values: Array) -> Array:
    """Values less their mean, in units of the largest one, so that no square overflows."""
    centred = values - values.mean()
    return np.asarray(centred / np.abs(centred).max())
