"""Where two truths disagree: which architectures change places, and which pairs change order."""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from zcbench.benchmarks import statistics


@dataclass(frozen=True, eq=False)
class Agreement:
    """Two accuracies of the same architectures, side by side.

    Attributes:
        places: index arch, columns ``first, second`` (accuracies in percent), ``place_first, place_second`` (1 is the
            best; equal accuracies share their mean place) and ``discordant``, the share of the other architectures that
            one truth puts before it and the other behind; ordered by the first accuracy, best first.
        pairs: the discordant pairs of architectures, the better one by the first accuracy first.
        tau: Kendall's tau-b between the two.
        rho: Spearman's rho between the two.
    """

    places: pd.DataFrame
    pairs: list[tuple[str, str]]
    tau: float
    rho: float


def agreement(first: pd.Series, second: pd.Series) -> Agreement:
    r"""Compare two truths over the architectures that both know.

    A pair (i, j) is discordant if :math:`(y_i - y_j)(z_i - z_j) < 0`; a tie in either is not.

    Args:
        first: accuracy y in percent, by architecture; NaN where unknown.
        second: accuracy z.
    """
    both = pd.DataFrame({"first": first, "second": second}).dropna()
    both = both.sort_values(["first", "second"], ascending=False, kind="stable")
    y, z = both["first"].to_numpy(float), both["second"].to_numpy(float)
    against = np.sign(y[:, None] - y) * np.sign(z[:, None] - z) < 0
    ranks = both.rank(ascending=False).add_prefix("place_")
    archs = list(map(str, both.index))
    return Agreement(
        places=both.join(ranks).assign(discordant=against.sum(axis=1) / max(len(both) - 1, 1)),
        pairs=[(archs[i], archs[j]) for i, j in combinations(range(len(archs)), 2) if against[i, j]],
        tau=statistics.kendall(y, z),
        rho=statistics.spearman(y, z),
    )
