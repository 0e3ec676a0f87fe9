"""Rank correlations between the proxies of a ranking, by subset, computed where they are read."""

from collections.abc import Collection, Iterator, Mapping

import numpy as np
import pandas as pd

from zcbench.benchmarks import statistics


class Correlations(Mapping[str, pd.DataFrame]):
    """Kendall's tau-b between every two proxies, by subset; a matrix is computed when it is first read.

    The number of pairs of proxies is quadratic: for 30 proxies of 15,625 architectures a matrix takes as long as all
    other statistics of the ranking, and neither the tables nor the best names need it.

    Args:
        values: one row per architecture, one column per proxy, NaN where it has no value.
        subsets: architectures of each subset.
    """

    def __init__(self, values: pd.DataFrame, subsets: Mapping[str, Collection[str]]) -> None:
        self._values, self._subsets = values, subsets
        self._known: dict[str, pd.DataFrame] = {}

    def __getitem__(self, subset: str) -> pd.DataFrame:
        """Matrix of one subset, over the architectures that have both values; NaN where one of them is constant."""
        if subset not in self._known:
            self._known[subset] = _matrix(self._values.loc[list(self._subsets[subset])])
        return self._known[subset]

    def __contains__(self, subset: object) -> bool:
        """Whether the ranking has this subset; nothing is computed."""
        return subset in self._subsets

    def __iter__(self) -> Iterator[str]:
        """Names of the subsets."""
        return iter(self._subsets)

    def __len__(self) -> int:
        """Number of subsets."""
        return len(self._subsets)


def _matrix(values: pd.DataFrame) -> pd.DataFrame:
    """Tau-b between every two columns, over the architectures that have both; NaN where one of them is constant."""
    columns = values.to_numpy(float).T
    known = np.isfinite(columns)
    ranks = [statistics.dense(column) for column in columns]
    table = np.full((len(columns), len(columns)), np.nan)
    for one in range(len(columns)):
        both = known[one] & known[one:]
        pairs = [(ranks[one][own], ranks[one + ahead][own]) for ahead, own in enumerate(both)]
        table[one, one:] = table[one:, one] = statistics.kendalls_of_ranks(pairs)
    return pd.DataFrame(table, values.columns, values.columns)
