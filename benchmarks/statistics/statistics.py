"""Statistics of a ranking: pure functions of scores and trained accuracies.

Every function takes finite one-dimensional arrays of equal length n, one entry per architecture, with the score already
**oriented so that higher is better** and the accuracy in percent. Where a statistic is undefined (fewer than three
architectures, or a constant column) it is NaN, never zero. Nothing here depends on the order of the architectures: a
choice among tied scores is replaced by its expected value over all ways to break the tie.
"""

import math

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special, stats
from sklearn.metrics import mutual_info_score, ndcg_score
from sklearn.metrics.cluster import contingency_matrix, expected_mutual_information

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
    """Pearson's linear correlation of the values themselves; the only one here that a change of scale alters.

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
    that all proxies are judged with the same weights.
    """
    if constant(score, accuracy):
        return NAN
    rank = np.empty(score.size, dtype=np.intp)
    rank[np.lexsort((score, accuracy))[::-1]] = np.arange(score.size)
    return float(stats.weightedtau(score, accuracy, rank=rank).statistic)


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
    return float(ndcg_score([(accuracy - accuracy.min()) / np.ptp(accuracy)], [score]))


def count(k: float, n: int) -> int:
    """How many of ``n`` architectures the top ``k`` are: a number if k >= 1, a share of n if below; between 1 and n.

    >>> count(10, 1000), count(0.05, 1000), count(10, 4)
    (10, 50, 4)
    """
    return min(n, int(k) if k >= 1 else max(1, math.ceil(k * n - 1e-9)))


def _picked(score: Array, k: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_], int]:
    """Who is surely among the top k by score, who shares the last places, and how many places they share."""
    last = np.partition(score, -k)[-k]
    sure, tied = score > last, score == last
    return sure, tied, k - int(sure.sum())


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


def _expected_smallest(ranks: Array, picks: int, at_most: float) -> float:
    """Expected value of min(``at_most``, smallest of ``picks`` of ``ranks`` drawn without replacement)."""
    return float(np.minimum(np.sort(ranks), at_most) @ _chances(ranks.size, picks))


def _chances(size: int, drawn: int) -> Array:
    """Chance of each place, 1 to ``size``, to be the first among ``drawn`` places drawn without replacement."""
    left = np.arange(size, -1, -1)  # places at or after the j-th
    log_ways = special.gammaln(left + 1) - special.gammaln(np.maximum(left - drawn, 0) + 1)
    none_before = np.where(left >= drawn, np.exp(log_ways - log_ways[0]), 0.0)  # P(all drawn lie at or after the j-th)
    return -np.diff(none_before)


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
    rank = stats.rankdata(-accuracy, method="min").astype(float)
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
    r"""Accuracy to expect of the best-scored among architectures drawn at random: what a random search ends with.

    .. math::  \sum_{j=1}^{n} a_{(j)} \binom{n - j}{d - 1} \Big/ \binom{n}{d}

    :math:`a_{(j)}` is the accuracy of the architecture with the j-th best score of n, d the number drawn without
    replacement. It leans on every architecture that may be picked, where `regret` leans on one.

    Args:
        score: oriented so that higher is better; NaN nowhere.
        accuracy: in percent, in the same order.
        drawn: d, from 1, for the mean accuracy, to n, for that of the one pick.

    Returns:
        In the unit of the accuracies; higher is better. Architectures with equal scores are as likely to be picked.
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


def partial(xy: float, xz: float, yz: float) -> float:
    r"""Correlation of x and y that remains when z is held fixed.

    .. math::  r_{xy \cdot z} = \frac{r_{xy} - r_{xz} r_{yz}}{\sqrt{(1 - r_{xz}^2)(1 - r_{yz}^2)}}

    For Kendall's tau this is Kendall's partial tau, for Spearman's rho the partial correlation of the ranks.

    Returns:
        In [-1, 1]; NaN where z orders the architectures exactly as x or y does (\|r\| = 1) or a term is undefined.

    Example:
        >>> round(partial(0.6, 0.5, 0.4), 3)
        0.504

    Source: M. G. Kendall, "Partial rank correlation", 1942.
    """
    if not max(abs(xz), abs(yz)) < 1 - 1e-12:
        return NAN
    return (xy - xz * yz) / math.sqrt((1 - xz**2) * (1 - yz**2))


def partial_spearman(x: Array, y: Array, *controls: Array) -> float:
    r"""Spearman correlation of x and y that remains when several quantities are held fixed together.

    .. math::  r\bigl(R_x - \hat R_x,\; R_y - \hat R_y\bigr)

    R are ranks, equal values at their mean rank, and the hatted ones their least-squares fit by the ranks of the
    controls. With one control this is `partial` of the three rank correlations.

    Args:
        x: scores.
        y: accuracies.
        controls: sizes; one that orders as another does adds nothing.

    Returns:
        In [-1, 1]; NaN where the controls order the architectures exactly as x or y does, or x or y is constant.
    """
    ranks = [stats.rankdata(values) for values in (x, y, *controls)]
    if len(x) < 3:
        return NAN
    design = np.column_stack([np.ones(len(x)), *ranks[2:]])
    left = [rank - design @ np.linalg.lstsq(design, rank, rcond=None)[0] for rank in ranks[:2]]
    floor = 1e-8 * np.linalg.norm(ranks[0])
    return pearson(*left) if min(map(np.linalg.norm, left)) > floor else NAN


def equal_count_bins(values: Array, bins: int) -> NDArray[np.intp]:
    """Bin of each value, 0 for the smallest: quantile bins, equal values together, so that there may be fewer."""
    return np.asarray(pd.qcut(values, bins, labels=False, duplicates="drop"), dtype=np.intp)


def kendall_per_bin(score: Array, accuracy: Array, size: Array, bins: int = 10) -> pd.DataFrame:
    """Tau-b within each of at most ``bins`` equal-count bins of a size such as MACs.

    Below 10 architectures a bin there are fewer bins, but at least two.

    Returns:
        Columns ``low, high`` (smallest and largest size in the bin), ``n, tau`` (NaN where undefined).
    """
    bin_of = equal_count_bins(size, min(bins, max(2, size.size // 10)))
    members = [bin_of == label for label in np.unique(bin_of)]
    return pd.DataFrame(
        [(size[m].min(), size[m].max(), int(m.sum()), kendall(score[m], accuracy[m])) for m in members],
        columns=["low", "high", "n", "tau"],
    )


def kendall_within_bins(score: Array, accuracy: Array, size: Array, bins: int = 10) -> float:
    """Mean over size bins of the tau-b within them, each weighted by its number of pairs n(n-1)/2.

    Bins where tau is undefined are left out.

    Returns:
        In [-1, 1]; higher is better. What the score knows among architectures of about one size.
    """
    if constant(score, accuracy):
        return NAN
    table = kendall_per_bin(score, accuracy, size, bins).dropna()
    return float(np.average(table["tau"], weights=table["n"] * (table["n"] - 1))) if len(table) else NAN


def information_gain(score: Array, accuracy: Array, size: Array) -> float:
    r"""Bits that the score tells about the accuracy beyond what a size tells.

    .. math::  H(A \mid Z) - H(A \mid Z, S) - \text{chance}

    Accuracy A, size Z and score S are cut into b equal-count bins, :math:`b = \max(2, [(n/5)^{1/3}])`, so that a cell
    of the three-way table holds about five architectures.

    Returns:
        In bits; 0 for a score that tells nothing more (a little below zero by luck); higher is better.

    Source: arXiv:2210.03230 (NAS-Bench-Suite-Zero), conditional entropy. Our deviation: from that plug-in difference
    we subtract its expected value when the scores are shuffled within each size bin (`expected_mutual_information` of
    scikit-learn), because entropies of sparse tables find information in noise.
    """
    if constant(score, accuracy):
        return NAN
    bins = max(2, round((score.size / 5) ** (1 / 3)))
    s, a, z = (equal_count_bins(column, bins) for column in (score, accuracy, size))
    return sum(float(np.mean(z == label)) * _excess(s[z == label], a[z == label]) for label in np.unique(z)) / math.log(
        2
    )


def _excess(one: NDArray[np.intp], other: NDArray[np.intp]) -> float:
    """Mutual information of two binned columns, in nats, less what a shuffle would show on average."""
    table = contingency_matrix(one, other)
    return float(mutual_info_score(None, None, contingency=table) - expected_mutual_information(table, one.size))


def reliability(values: pd.DataFrame) -> float:
    r"""Reliability of the mean over seeds: would other seeds order the architectures alike?

    .. math::  \frac{k \bar r}{1 + (k - 1) \bar r}

    :math:`\bar r` is the mean Spearman correlation over all pairs of the k seeds, each over the architectures that are
    ok for both.

    Args:
        values: one row per architecture, one column per seed, NaN where not ok.

    Returns:
        In [0, 1]; higher is better. NaN with one seed, or where seeds disagree so much that the formula has no meaning,
        as its value is negative or undefined.

    Source: Spearman, 1910, and Brown, 1910.
    """
    seeds = values.to_numpy(float).T
    pairs = [(a, b) for i, a in enumerate(seeds) for b in seeds[:i]]
    known = [np.isfinite(a) & np.isfinite(b) for a, b in pairs]
    mean = float(np.mean([spearman(a[ok], b[ok]) for (a, b), ok in zip(pairs, known)])) if pairs else NAN
    scale = 1 + (len(seeds) - 1) * mean
    return len(seeds) * mean / scale if mean >= 0 and scale > 0 else NAN
