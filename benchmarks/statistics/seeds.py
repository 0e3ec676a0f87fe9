"""Agreement of seeds: the reliability of a mean over several scores or several trainings."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from zcbench.benchmarks.statistics.correlations import NAN, spearman


def reliability(values: pd.DataFrame) -> float:
    r"""Reliability of the mean over seeds.

    .. math::  \frac{k \bar r}{1 + (k - 1) \bar r}

    :math:`\bar r` is the mean Spearman correlation over all pairs of the k seeds, each over the architectures that are
    ok for both.

    Args:
        values: one row per architecture, one column per seed, NaN where not ok.

    Returns:
        In [0, 1]; higher is better. NaN with one seed, or where the formula is negative or undefined.

    Source: Spearman, 1910, and Brown, 1910.
    """
    seeds = values.to_numpy(float).T
    pairs = [(a, b) for i, a in enumerate(seeds) for b in seeds[:i]]
    known = [np.isfinite(a) & np.isfinite(b) for a, b in pairs]
    mean = float(np.mean([spearman(a[ok], b[ok]) for (a, b), ok in zip(pairs, known)])) if pairs else NAN
    scale = 1 + (len(seeds) - 1) * mean
    return len(seeds) * mean / scale if mean >= 0 and scale > 0 else NAN


@dataclass(frozen=True)
class SeedAgreement:
    """Agreement of the seeds of a truth, over the architectures that all of them have.

    Attributes:
        runs: number of seeds.
        reliability: of the mean over the seeds, rounded to four decimals; None with one seed, or where it is undefined.
        ceiling: square root of the reliability: the rank correlation with this mean of a perfect predictor of the
            expected accuracy.
    """

    runs: int
    reliability: float | None
    ceiling: float | None


def seed_agreement(runs: pd.DataFrame) -> SeedAgreement:
    """Agreement of the seeds in rows with the columns ``arch, seed, accuracy``."""
    wide = runs.pivot(index="arch", columns="seed", values="accuracy").dropna()
    value = reliability(wide)
    if np.isnan(value):
        return SeedAgreement(wide.shape[1], None, None)
    return SeedAgreement(wide.shape[1], round(value, 4), round(value**0.5, 4))


def agreed(protocol: Mapping[str, object]) -> str:
    """Reliability and ceiling in the protocol of a table, in words; ``none`` where they are undefined."""
    value, ceiling = protocol.get("reliability"), protocol.get("ceiling")
    if not isinstance(value, float | int) or not 0 <= value <= 1:  # tables of older versions hold negative ones
        return "reliability none"
    return f"reliability {value:.3f}, ceiling {ceiling:.3f}"
