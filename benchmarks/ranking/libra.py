r"""LIBRA: three proxies that complement each other, chosen by accuracies.

Casarin et al., "L-SWAG: Layer-Sample Wise Activation with Gradients Information for Zero-Shot NAS on Vision
Transformers", CVPR 2025, arXiv:2505.07300 (low information gain and bias re-alignment).
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from zcbench.benchmarks.statistics import Array, information_gain, spearman

NEAR = 0.1
"""Largest difference in rho from the best proxy of the proxies that the second member is chosen from."""


def libra(columns: Mapping[str, Array], targets: Sequence[Array], size: Array) -> tuple[str, ...]:
    r"""Members in the order in which they are chosen: three, or two where none is near the best or none is left.

    .. math::  p_1 = \arg\max_p \rho(p, y), \qquad
               p_2 = \arg\min_{p:\, \rho(p, y) \ge \rho(p_1, y) - 0.1} I(p; y \mid p_1), \qquad
               p_3 = \arg\min_p \bigl|\rho(p, z) - \rho(y, z)\bigr|

    I is the information gain of `zcbench.benchmarks.statistics.information_gain`; of equal ones the first in
    alphabetical order.

    Args:
        columns: scores p, higher is better, by name; no value is missing.
        targets: accuracies y of each truth; rho, gain and difference in bias are means over them.
        size: z, parameters.

    Source: arXiv:2505.07300. Our readings: rho is Spearman's; p_3 comes from the same proxies near the best as p_2
    while one is left, then from all; the bias is that to the parameters.
    """
    rho = _scored(columns, lambda score: [spearman(score, y) for y in targets])
    if not rho:
        return ()
    best = max(rho, key=lambda name: rho[name])
    near = [name for name in rho if name != best and rho[name] >= rho[best] - NEAR]
    gain = _scored(
        {name: columns[name] for name in near},
        lambda score: [information_gain(score, y, columns[best]) for y in targets],
    )
    chosen = [best, *([min(gain, key=lambda name: gain[name])] if gain else [])]
    rest = [name for name in near if name not in chosen] or [name for name in rho if name not in chosen]
    bias = _scored(
        {name: columns[name] for name in rest},
        lambda score: [abs(spearman(score, size) - spearman(y, size)) for y in targets],
    )
    return (*chosen, *([min(bias, key=lambda name: bias[name])] if bias else []))


def _scored(columns: Mapping[str, Array], figures: Callable[[Array], Sequence[float]]) -> dict[str, float]:
    """Mean of the figures of each column, in alphabetical order; columns where it is undefined are left out."""
    means = {name: float(np.mean(figures(columns[name]))) for name in sorted(columns)}
    return {name: mean for name, mean in means.items() if np.isfinite(mean)}
