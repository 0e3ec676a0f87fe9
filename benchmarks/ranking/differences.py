"""Differences between each proxy and the best size baseline, paired: both over the same architectures."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special

from zcbench.benchmarks.ranking.result import Ranking
from zcbench.benchmarks.statistics import delta
from zcbench.benchmarks.statistics.columns import Column
from zcbench.benchmarks.statistics.concordance import concordance
from zcbench.benchmarks.statistics.correlations import NAN, constant
from zcbench.benchmarks.statistics.ranks import Array
from zcbench.errors import ZcbenchError

COLUMNS = ("size", "difference", "low", "high")


def size_differences(ranking: Ranking, truth: str | None = None, subset: str | None = None) -> pd.DataFrame:
    r"""Tau-b of every row minus that of the best size baseline, with its confidence interval.

    .. math::  d = \tau_b(s, y) - \tau_b(z, y), \qquad
               d \pm t_{G-2} \Bigl[ \tfrac{G}{G-1} \sum_g \bigl( \tfrac1n \sum_{i \in g} (\psi^s_i - \psi^z_i) \bigr)^2
               \Bigr]^{1/2}

    Both correlations are over the architectures with a score s, so that they differ from tau of the table where a proxy
    has gaps. The influences psi of the two are subtracted for each architecture: what both miss cancels.

    Args:
        ranking: a finished ranking.
        truth: which of its truths; the first of the table if None.
        subset: which of its subsets; the first of the table if None.

    Returns:
        Indexed by proxy, with `COLUMNS`: ``size`` is the baseline z of the highest tau; NaN where a correlation is
        undefined, where there is no baseline, and for the ends, where the classes of the sample are unknown.

    Raises:
        UnknownNameError: the ranking has no such truth or subset.

    Example:
        >>> size_differences(ranking)["difference"].idxmax()  # doctest: +SKIP
    """
    truth = truth or str(ranking.table["truth"].iloc[0])
    subset = subset or str(ranking.table["subset"].iloc[0])
    rows = ranking.to_frame(truth, subset)
    sizes = rows[(rows["kind"] == "baseline") & rows["tau"].notna()].sort_values(["tau", "proxy"])
    names = list(map(str, rows["proxy"]))
    if sizes.empty:
        return _frame(dict.fromkeys(names, ("", NAN, NAN, NAN)))
    best = str(sizes.iloc[-1]["proxy"])
    known = ranking.accuracies[truth].reindex(list(ranking.subsets.get(subset, ranking.scores.index))).dropna()
    units = _units(ranking, known.index)
    level = float(ranking.protocol.get("ranking", {}).get("confidence", 0.95))
    pairs = _Pairs(known.to_numpy(float), _values(ranking, best, known.index), units, level)
    return _frame({name: (best, *pairs.difference(_values(ranking, name, known.index))) for name in names})


class _Pairs:
    """Accuracies and sizes of some architectures, which the scores of one proxy after the other are compared with."""

    def __init__(self, accuracy: Array, size: Array, units: NDArray[np.intp] | None, confidence: float) -> None:
        self._accuracy, self._size, self._units, self._confidence = accuracy, size, units, confidence
        self._known: dict[bytes, tuple[float, Array]] = {}

    def difference(self, score: Array) -> tuple[float, float, float]:
        """Difference and ends of its interval."""
        mask = np.isfinite(score) & np.isfinite(self._size)
        if mask.sum() < 3 or constant(score[mask], self._size[mask]) or constant(self._accuracy[mask]):
            return NAN, NAN, NAN
        tau, influences = _influences(score[mask], self._accuracy[mask])
        if mask.tobytes() not in self._known:
            self._known[mask.tobytes()] = _influences(self._size[mask], self._accuracy[mask])
        base, of_size = self._known[mask.tobytes()]
        return tau - base, *self._ends(tau - base, influences - of_size, mask)

    def _ends(self, value: float, influences: Array, mask: NDArray[np.bool_]) -> tuple[float, float]:
        if self._units is None:
            return NAN, NAN
        units = np.unique(self._units[mask], return_inverse=True)[1]
        together = np.bincount(units, influences) / influences.size
        if together.size < 3:
            return NAN, NAN
        error = np.sqrt(together.size / (together.size - 1) * np.sum(together**2))
        reach = float(special.stdtrit(together.size - 2, (1 + self._confidence) / 2) * error)
        return value - reach, value + reach


def _influences(score: Array, accuracy: Array) -> tuple[float, Array]:
    counts = concordance(score, accuracy[:, None])[:, 0]
    untied = Column(score).untied, Column(accuracy).untied
    tau = counts.sum() / np.sqrt(untied[0].sum()) / np.sqrt(untied[1].sum())
    return float(tau), delta.tau_influences(counts, *untied)


def _values(ranking: Ranking, name: str, archs: pd.Index) -> Array:
    column = ranking.scores[name] if name in ranking.scores else ranking.sizes[name]
    return column.reindex(archs).to_numpy(float)


def _units(ranking: Ranking, archs: pd.Index) -> NDArray[np.intp] | None:
    """Number of the unit of each architecture; None if whole classes were sampled and the space cannot be made."""
    if ranking.protocol.get("ranking", {}).get("unit", "architectures") == "architectures":
        return np.arange(len(archs))
    from zcbench import spaces

    try:
        space = spaces.get(str(ranking.protocol["run"]["space"]))
        classes = [space.canonical(arch) for arch in archs]
    except (ZcbenchError, KeyError):
        return None
    return np.unique(np.array(classes, str), return_inverse=True)[1]


def _frame(found: Mapping[str, tuple[str, float, float, float]]) -> pd.DataFrame:
    return pd.DataFrame.from_dict(dict(found), orient="index", columns=pd.Index(COLUMNS)).rename_axis(index="proxy")
