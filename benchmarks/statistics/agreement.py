"""Agreement of two truths: places of each architecture, and pairs whose order differs."""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from zcbench.benchmarks.statistics.correlations import kendall, spearman

_ROWS = 500  # compared with all others at once: 8 MB for each of a few comparisons


@dataclass(frozen=True, eq=False)
class Agreement:
    """Two accuracies of the same architectures, side by side.

    Attributes:
        places: index arch, columns ``first, second`` (accuracies in percent), ``place_first, place_second`` (1 is the
            best; equal accuracies share their mean place) and ``discordant``, the share of the other architectures that
            one truth puts before it and the other behind; ordered by the first accuracy, best first.
        tau: Kendall's tau-b between the two.
        rho: Spearman's rho between the two.
    """

    places: pd.DataFrame
    tau: float
    rho: float

    @property
    def discordant(self) -> int:
        """Number of discordant pairs."""
        return round(float(self.places["discordant"].sum()) * max(len(self.places) - 1, 1) / 2)

    def pairs(self) -> list[tuple[str, str]]:
        """The discordant pairs of architectures, the better one by the first accuracy first: for a few hundred."""
        y, z = (self.places[column].to_numpy(float) for column in ("first", "second"))
        archs = list(map(str, self.places.index))
        return [
            (archs[i], archs[j]) for i, j in combinations(range(len(archs)), 2) if (y[i] - y[j]) * (z[i] - z[j]) < 0
        ]


def agreement(first: pd.Series, second: pd.Series) -> Agreement:
    r"""Compare two truths over the architectures in both.

    A pair (i, j) is discordant if :math:`(y_i - y_j)(z_i - z_j) < 0`; a tie in either is not.

    Args:
        first: accuracy y in percent, by architecture; NaN where unknown.
        second: accuracy z.
    """
    both = pd.DataFrame({"first": first, "second": second}).dropna()
    both = both.sort_values(["first", "second"], ascending=False, kind="stable")
    y, z = both["first"].to_numpy(float), both["second"].to_numpy(float)
    blocks = (slice(first, first + _ROWS) for first in range(0, len(both), _ROWS))
    counts = [np.count_nonzero(_apart(y, z, rows), axis=1) for rows in blocks]
    ranks = both.rank(ascending=False).add_prefix("place_")
    return Agreement(
        places=both.join(ranks).assign(discordant=np.concatenate([*counts, np.zeros(0)]) / max(len(both) - 1, 1)),
        tau=kendall(y, z),
        rho=spearman(y, z),
    )


def _apart(y: np.ndarray, z: np.ndarray, rows: slice) -> np.ndarray:
    """Which architectures the two truths order differently with respect to those in ``rows``."""
    above, below = y[rows, None] > y, z[rows, None] < z
    return (above & below) | ((y[rows, None] < y) & (z[rows, None] > z))
