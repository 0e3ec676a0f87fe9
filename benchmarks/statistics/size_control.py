"""Correlation and information that remain when the size of the architectures is controlled for."""

import math

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special

from zcbench.benchmarks.statistics.correlations import NAN, constant, kendall, kendalls_of_ranks, pearson
from zcbench.benchmarks.statistics.ranks import Array, Counts, dense, mean_ranks


def partial(xy: float, xz: float, yz: float) -> float:
    r"""Partial correlation of x and y given z.

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
    r"""Partial Spearman correlation of x and y given several quantities.

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
    ranks = [mean_ranks(values) for values in (x, y, *controls)]
    if len(x) < 3:
        return NAN
    design = np.column_stack([np.ones(len(x)), *ranks[2:]])
    return pearson_of_residuals(*(residuals(rank, design) for rank in ranks[:2]))


def residuals(ranks: Array, design: Array) -> Array:
    """Ranks less their least-squares fit by the columns of ``design``."""
    return np.asarray(ranks - design @ np.linalg.lstsq(design, ranks, rcond=None)[0])


def pearson_of_residuals(one: Array, other: Array) -> float:
    """Pearson's correlation of residual ranks; NaN where the fit leaves nothing of one of them."""
    floor = 1e-8 * np.linalg.norm(np.arange(1, one.size + 1))
    return pearson(one, other) if min(map(np.linalg.norm, (one, other))) > floor else NAN


def kendall_per_bin(score: Array, accuracy: Array, size: Array, bins: int = 10) -> pd.DataFrame:
    """Tau-b within each of at most ``bins`` equal-count bins of a size such as MACs.

    Below 10 architectures a bin there are fewer bins, but at least two.

    Returns:
        Columns ``low, high`` (smallest and largest size in the bin), ``n, tau`` (NaN where undefined).
    """
    bin_of = equal_count_bins(size, number_of_bins(size.size, bins))
    members = [bin_of == label for label in np.unique(bin_of)]
    return pd.DataFrame(
        [(size[m].min(), size[m].max(), int(m.sum()), kendall(score[m], accuracy[m])) for m in members],
        columns=["low", "high", "n", "tau"],
    )


def number_of_bins(n: int, bins: int = 10) -> int:
    """Bins of a size for n architectures: ``bins``, or fewer with less than 10 architectures a bin, but two."""
    return min(bins, max(2, n // 10))


def kendall_within_bins(score: Array, accuracy: Array, size: Array, bins: int = 10) -> float:
    """Mean over size bins of the tau-b within them, each weighted by its number of pairs n(n-1)/2.

    Bins where tau is undefined are left out.

    Returns:
        In [-1, 1]; higher is better. It measures the order among architectures of similar size.
    """
    if constant(score, accuracy):
        return NAN
    return kendall_of_bins(dense(score), dense(accuracy), equal_count_bins(size, number_of_bins(size.size, bins)))


def kendall_of_bins(x: Counts, y: Counts, bin_of: NDArray[np.intp]) -> float:
    """`kendall_within_bins` of dense ranks and the bin of each architecture, for columns that are not constant."""
    members = [bin_of == label for label in np.unique(bin_of)]
    taus = kendalls_of_ranks([(x[own], y[own]) for own in members])
    pairs = np.array([own.sum() * (own.sum() - 1) for own in members])
    known = np.isfinite(taus)
    return float(np.average(taus[known], weights=pairs[known])) if known.any() else NAN


def information_gain(score: Array, accuracy: Array, size: Array) -> float:
    r"""Conditional mutual information of score and accuracy given a size, in bits, corrected for chance.

    .. math::  H(A \mid Z) - H(A \mid Z, S) - \text{chance}

    Accuracy A, size Z and score S are cut into b equal-count bins, :math:`b = \max(2, [(n/5)^{1/3}])`, so that a cell
    of the three-way table holds about five architectures.

    Returns:
        In bits; about 0 for a score without further information, and possibly a little below; higher is better.

    Source: arXiv:2210.03230 (NAS-Bench-Suite-Zero), conditional entropy. Our deviation: from that plug-in difference
    we subtract its expected value when the scores are shuffled within each size bin (`expected_mutual_information`),
    because the plug-in estimate is biased upwards in sparse tables.
    """
    if constant(score, accuracy):
        return NAN
    return gain_of_bins(*(equal_count_bins(column, bins_of_gain(score.size)) for column in (score, accuracy, size)))


def bins_of_gain(n: int) -> int:
    """Number of bins b of the information gain for n architectures."""
    return max(2, round((n / 5) ** (1 / 3)))


def gain_of_bins(s: NDArray[np.intp], a: NDArray[np.intp], z: NDArray[np.intp]) -> float:
    """`information_gain` of the bins of score, accuracy and size."""
    nats = sum(float(np.mean(z == label)) * _excess(s[z == label], a[z == label]) for label in np.unique(z))
    return nats / math.log(2)


def equal_count_bins(values: Array, bins: int) -> NDArray[np.intp]:
    """Bin of each value, 0 for the smallest: quantile bins, equal values together, so that there may be fewer."""
    return np.asarray(pd.qcut(values, bins, labels=False, duplicates="drop"), dtype=np.intp)


def _excess(one: NDArray[np.intp], other: NDArray[np.intp]) -> float:
    """Mutual information of two binned columns, in nats, less its expected value under a shuffle."""
    table = np.zeros((one.max() + 1, other.max() + 1))
    np.add.at(table, (one, other), 1)
    rows, columns = (total[total > 0] for total in (table.sum(1), table.sum(0)))
    table = table[table.any(1)][:, table.any(0)]
    found = special.xlogy(table, one.size * table / np.outer(rows, columns)).sum() / one.size
    return float(found - expected_mutual_information(rows, columns))


def expected_mutual_information(rows: Array, columns: Array) -> float:
    r"""Mutual information of two columns of labels, in nats, expected when one of them is shuffled.

    .. math::  \sum_{ij} \sum_{m \ge 1} \frac{m}{n} \log \frac{n m}{a_i b_j}
               \frac{\binom{b_j}{m} \binom{n - b_j}{a_i - m}}{\binom{n}{a_i}}

    Args:
        rows: counts a of the labels of one column, which are whole numbers.
        columns: counts b of the other.

    Example:
        >>> round(expected_mutual_information(np.array([2.0, 2]), np.array([2.0, 2])), 4)
        0.231

    Source: N. X. Vinh, J. Epps and J. Bailey, "Information theoretic measures for clusterings comparison", 2009.
    """
    n, logs = rows.sum(), special.gammaln(np.arange(rows.sum() + 1) + 1)  # of factorials
    a, b = (counts.ravel().astype(np.intp) for counts in np.broadcast_arrays(rows[:, None], columns[None, :]))
    least, most = np.maximum(a + b - int(n), 1), np.minimum(a, b)
    sizes = most - least + 1
    pair = np.repeat(np.arange(a.size), sizes)
    m = np.arange(pair.size) - np.repeat(np.cumsum(sizes) - sizes - least, sizes)  # each from its least to its most
    rest = int(n) - a - b
    ways = logs[b] + logs[int(n) - b] + logs[a] + logs[int(n) - a] - logs[-1]
    chances = np.exp(ways[pair] - logs[m] - logs[b[pair] - m] - logs[a[pair] - m] - logs[rest[pair] + m])
    return float((chances * m / n * (np.log(n * m) - np.log(a * b)[pair])).sum())
