"""What a ranking says, in sentences and in a few rows: the best scores of each truth beside the best size baseline."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from zcbench.benchmarks.ranking.differences import size_differences
from zcbench.benchmarks.ranking.ranking import Ranking
from zcbench.reports.ranking.selection import described, folded, labels, subsets, truths
from zcbench.reports.wording import interval, number

_ROWS = 6
"""Rows of the answer, over all truths of a subset, unless there are more truths."""


@dataclass(frozen=True, eq=False)
class Selected:
    """The rows of one truth and one subset, with their differences to the best size baseline.

    Attributes:
        ranking: a finished ranking.
        truth: one of its truths.
        subset: one of its subsets.
    """

    ranking: Ranking
    truth: str
    subset: str

    @property
    def key(self) -> str:
        """Name of the selection in the page."""
        return f"{self.truth}|{self.subset}"

    @cached_property
    def rows(self) -> pd.DataFrame:
        """Those of `folded`, with the columns ``difference, difference_low, difference_high, size, beats``."""
        rows = folded(self.ranking, self.truth, self.subset)
        found = size_differences(self.ranking, self.truth, self.subset).loc[rows["proxy"]].reset_index(drop=True)
        rows = rows.assign(size=found["size"], difference=found["difference"])
        rows = rows.assign(difference_low=found["low"], difference_high=found["high"])
        own = rows["kind"].isin(("baseline", "supervised"))
        return rows.assign(beats=[_verdict(row, size) for row, size in zip(_records(rows), own)])

    @cached_property
    def scores(self) -> pd.DataFrame:
        """Rows of proxies and ensembles with a tau, best first."""
        return self.rows[self.rows["tau"].notna() & self.rows["kind"].isin(("proxy", "ensemble"))]

    @cached_property
    def size(self) -> pd.Series | None:
        """The best size baseline, if there is one."""
        sizes = self.rows[self.rows["tau"].notna() & (self.rows["kind"] == "baseline")]
        return sizes.iloc[0] if len(sizes) else None

    @property
    def sentence(self) -> str:
        """What came out, with its numbers."""
        where = described(self.ranking, self.truth, self.subset)
        if not len(self.scores):
            return f"{where}: no score has a rank correlation."
        best = self.scores.iloc[0]
        first = f"{where}: {best['proxy']} has the highest rank correlation, τ {number(best['tau'], 2)}."
        if self.size is None or not math.isfinite(best["difference"]):
            return first
        above = (self.scores["beats"] == "yes").sum()
        apart = interval(best["difference"], best["difference_low"], best["difference_high"])
        return (
            f"{first} The best size baseline is {self.size['proxy']}, τ {number(self.size['tau'], 2)}; the difference "
            f"is {apart}. {above} of {len(self.scores)} scores beat size."
        )


def answers(chosen: Mapping[str, Selected], ranking: Ranking) -> list[dict[str, object]]:
    """Rows of the answer: for each truth and subset the best scores, their differences to size, and the verdict."""
    named, found = labels(ranking), []
    for subset in subsets(ranking):
        known = [one for one in chosen.values() if one.subset == subset and len(one.scores)]
        for one in known:
            best = one.scores.head(max(1, _ROWS // len(known)))
            found += [_answer(one, row, named[one.truth], place == 0) for place, row in enumerate(_records(best))]
    return found


def _records(rows: pd.DataFrame) -> list[dict[str, object]]:
    return [{str(key): value for key, value in row.items()} for row in rows.to_dict("records")]


def _answer(one: Selected, row: Mapping[str, object], label: str, first: bool) -> dict[str, object]:
    size = one.size
    return {
        "subset": one.subset,
        "first": first,
        "truth": label,
        "name": row["proxy"],
        "equal": row["equal"],
        "kind": row["kind"],
        "tau": _interval(row, "tau"),
        "rho": _interval(row, "rho"),
        "size": "–" if size is None else size["proxy"],
        "size_tau": "–" if size is None else number(size["tau"]),
        "difference": _interval(row, "difference"),
        "beats": row["beats"] or "–",
    }


def _interval(row: Mapping[str, object], key: str) -> str:
    value, low, high = (float(str(row[name])) for name in (key, f"{key}_low", f"{key}_high"))
    return interval(value, low, high)


def _verdict(row: Mapping[str, object], own: bool) -> str:
    """Whether the interval of the difference to the best size baseline lies above zero; empty where nothing is known.

    ``own``: whether the row is a size itself, or learned from accuracies, so that the question is not asked.
    """
    low, high = float(str(row["difference_low"])), float(str(row["difference_high"]))
    if own or not (math.isfinite(low) and math.isfinite(high)):
        return ""
    return "yes" if low > 0 else "no, below it" if high < 0 else "no"


def selected(ranking: Ranking) -> dict[str, Selected]:
    """Every truth and subset that has rows, by its name in the page."""
    pairs = ranking.table[["truth", "subset"]].drop_duplicates().itertuples(index=False, name=None)
    known = set(pairs)
    every: Sequence[Selected] = [
        Selected(ranking, truth, subset) for truth in truths(ranking) for subset in subsets(ranking)
    ]
    return {one.key: one for one in every if (one.truth, one.subset) in known}
