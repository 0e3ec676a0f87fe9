"""Confidence intervals of tau-b and rho by the delta method: from the influence of each architecture, without draws.

A statistic of a sample changes by about the mean of the influences of its members, so that its variance follows from
theirs. The units are those of the sample, as in `bootstrap`: where whole classes were sampled, the influences of a
class are added up.

.. math::  \\mathrm{se}^2 = \\frac{G}{G - 1} \\sum_{g=1}^{G} \\Bigl( \\frac1n \\sum_{i \\in g} \\psi_i \\Bigr)^2

The interval is that of Fisher's transformation with Student's quantile, which keeps it within [-1, 1]:

.. math::  \\tanh\\Bigl( \\operatorname{artanh} r \\pm t_{G-2} \\, \\frac{\\mathrm{se}}{1 - r^2} \\Bigr)
"""

import numpy as np
from numpy.typing import NDArray
from scipy import special

from zcbench.benchmarks.statistics.ranks import Array, Counts


def tau_influences(concordance: Counts, untied_score: Counts, untied_accuracy: Counts) -> Array:
    r"""Influence of each architecture on tau-b.

    .. math::  \psi_i = 2 \Bigl[ \frac{c_i - \bar c}{\sqrt{\bar a \bar b}}
               - \frac{\tau_b}{2} \Bigl( \frac{a_i - \bar a}{\bar a} + \frac{b_i - \bar b}{\bar b} \Bigr) \Bigr]

    Args:
        concordance: c of each architecture, shape (n,).
        untied_score: a, number of architectures with another score.
        untied_accuracy: b, number of architectures with another accuracy.

    Returns:
        Shape (n,); the mean is 0.

    Source: derivative of tau-b in the weights of the architectures (W. Hoeffding, "A class of statistics with
    asymptotically normal distribution", 1948, for tau without ties).
    """
    c, a, b = concordance.mean(), untied_score.mean(), untied_accuracy.mean()
    root = np.sqrt(a * b)
    ties = (untied_score - a) / a + (untied_accuracy - b) / b
    return np.asarray(2 * ((concordance - c) / root - c / root / 2 * ties))


def rho_influences(score_ranks: Array, accuracy_ranks: Array) -> Array:
    r"""Influence of each architecture on Spearman's rho.

    .. math::  \psi_i = \frac{\psi^{uv}_i}{\sqrt{V_u V_v}}
               - \frac{\rho}{2} \Bigl( \frac{\psi^{uu}_i}{V_u} + \frac{\psi^{vv}_i}{V_v} \Bigr), \qquad
               \psi^{uv}_i = u_i v_i + p_i + q_i - 3 V_{uv}

    u and v are the centred ranks over n, V their mean products. An architecture moves the ranks of those above it:
    :math:`p_i` is the sum of v over the architectures with a larger u, and half of those with an equal one, over n;
    :math:`q_i` has u and v exchanged.

    Args:
        score_ranks: ranks of the scores, equal scores at their mean rank, shape (n,).
        accuracy_ranks: those of the accuracies.

    Returns:
        Shape (n,); the mean is 0.
    """
    n = score_ranks.size
    u, v = (score_ranks - (n + 1) / 2) / n, (accuracy_ranks - (n + 1) / 2) / n
    cross, first, second = _product(u, v), _product(u, u), _product(v, v)
    vu, vv = np.mean(u * u), np.mean(v * v)
    rho = np.mean(u * v) / np.sqrt(vu * vv)
    return np.asarray(cross / np.sqrt(vu * vv) - rho / 2 * (first / vu + second / vv))


def interval(
    value: float, influences: Array, units: NDArray[np.intp], confidence: float = 0.95, fitted: int = 0
) -> tuple[float, float]:
    r"""Ends of the interval of a correlation; NaN with fewer than three units, and the value itself where it is ±1.

    Args:
        value: the correlation.
        influences: of the architectures, shape (n,).
        units: number of the unit of each architecture, from 0, none left out.
        confidence: level of the interval.
        fitted: number of terms, besides the mean, that both columns are residuals of. They cost a degree of freedom
            each: the error is larger by :math:`\sqrt{n / (n - d)}`, and the quantile is that of G - 2 - d.
    """
    together = np.bincount(units, influences) / influences.size
    count = together.size
    if count < 3 + fitted or not np.isfinite(value):
        return np.nan, np.nan
    if abs(value) >= 1 - 1e-12:
        return value, value
    error = np.sqrt(count / (count - 1) * np.sum(together**2)) / (1 - value**2)
    error *= np.sqrt(influences.size / (influences.size - fitted))
    reach = special.stdtrit(count - 2 - fitted, (1 + confidence) / 2) * error
    return float(np.tanh(np.arctanh(value) - reach)), float(np.tanh(np.arctanh(value) + reach))


def _product(u: Array, v: Array) -> Array:
    """Influence of each architecture on the mean product of two centred ranks."""
    return np.asarray(u * v + _above(u, v) + _above(v, u) - 3 * np.mean(u * v))


def _above(u: Array, v: Array) -> Array:
    """For each architecture the sum of v over those with a larger u, and half of those with an equal one, over n."""
    _, group = np.unique(u, return_inverse=True)
    sums = np.bincount(group, v)
    return np.asarray((sums.sum() - np.cumsum(sums) + sums / 2)[group] / u.size)
