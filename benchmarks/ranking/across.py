"""One proxy on many truths: figures of several rankings side by side, and a choice made on some spaces for another.

A **family** is the space that the truths of a ranking are of. Figures are averaged over the truths of a family first
and over the families then, so that a space with many truths counts once.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from zcbench.benchmarks.ranking.differences import size_differences
from zcbench.benchmarks.ranking.result import Ranking
from zcbench.benchmarks.ranking.sizes import COVERED
from zcbench.benchmarks.statistics.correlations import NAN
from zcbench.benchmarks.statistics.stability import kendall_w, taus_between
from zcbench.errors import RankingError, unknown

FIGURES = ("tau", "tau_given_all", "tau_given_all_flexible", "tau_top10")
"""Columns of a ranking that are compared from truth to truth; higher is better in all of them."""

_WITH_ENDS = ("tau", "tau_given_all", "tau_given_all_flexible", "difference")
_REPORTED = ("size", *(f"{name}{end}" for name in _WITH_ENDS for end in ("", "_low", "_high")))
_DIGITS = 9  # of figures: proxies of one order have the same ones
_CHOSEN_FROM = ("proxy", "ensemble")  # kinds that are chosen from; sizes are what they are compared with


@dataclass(frozen=True, eq=False)
class TruthComparison:
    """Figures of proxies on many truths.

    Attributes:
        table: one row per (truth, proxy): ``family, truth, run, subset, proxy, kind, n, covered``, whether at least
            `COVERED` of the architectures have a value; the columns `FIGURES`, the first three with their intervals
            ``_low, _high``; ``tau`` minus that of the best size baseline of the truth, ``size``, as ``difference``,
            paired, with its interval. Rows that are not covered count in no other table.
        proxies: index proxy, the best by ``by`` first: ``kind``; ``truths``, on how many it is covered; the means of
            `FIGURES` over families; ``least_given_all``, its lowest ``tau_given_all``; ``above, below``: on how many
            truths the interval of ``tau_given_all`` is above and below 0; ``beats, worse``: on how many that of
            ``difference`` is.
        stability: index figure. Agreement of the ``truths`` that have the figure, on the order of the ``n`` proxies and
            ensembles that have it on all of these; those with equal figures on all count once. ``w``, Kendall's
            coefficient of concordance; ``tau``, the mean tau-b between two truths; ``tau_within, tau_between``, the
            same for two of one family and of two; ``lowest, first, second``, the least tau and its truths.
        held_out: one row per (family left out, truth of it). ``chosen`` is the proxy or ensemble with the highest mean
            of ``by``, ``mean_elsewhere``, over the other families, among the ``candidates``: those with the figure on
            all truths of the others, and covered on all of this one; then its figures on this truth, as in
            ``table``; ``best, best_figure``: the candidate with the highest ``by`` on this truth, which is known
            afterwards only.
        by: the figure that is chosen by.
        protocol: of every ranking by its name, and the repeated truths, each with the one that counts.
    """

    table: pd.DataFrame
    proxies: pd.DataFrame
    stability: pd.DataFrame
    held_out: pd.DataFrame
    by: str
    protocol: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        """Sizes of the comparison, and the best names."""
        best = ", ".join(f"{name} {value:.2f}" for name, value in self.proxies[self.by].head(3).items())
        counts = self.table["truth"].nunique(), self.table["family"].nunique()
        return f"{len(self.proxies)} proxies on {counts[0]} truths of {counts[1]} spaces; best {self.by}: {best}"

    def reproduced(self) -> pd.DataFrame:
        """How far each truth reproduces given all sizes, see `zcbench.benchmarks.truths.reproduced`.

        Returns:
            One row per other table of a truth: ``truth, kind, other, n, tau, given_all, flexible``. A truth without
            another table has no row.
        """
        known = [own.get("reproduced", {}) for own in self.protocol.get("rankings", {}).values()]
        rows = [{"truth": truth, **one} for own in known for truth, found in own.items() for one in found]
        return pd.DataFrame(rows, columns=["truth", "kind", "other", "n", "tau", "given_all", "flexible"])

    def figures(self, by: str = "tau_given_all") -> pd.DataFrame:
        """One figure of every proxy, index proxy, one column per truth; NaN where it is undefined or not covered.

        Raises:
            UnknownNameError: the table has no such figure.
        """
        require_figure(by, (*FIGURES, "difference"))
        order = list(dict.fromkeys(self.table["truth"]))
        return _pivot(self.table[self.table["covered"]], by).reindex(index=self.proxies.index, columns=order)


class _Candidates(NamedTuple):
    """Figures of proxies and ensembles, index proxy, one column per truth, and the family of each truth."""

    figures: pd.DataFrame
    families: pd.Series

    def means(self) -> pd.Series:
        """Mean over families of the mean over their truths; NaN where a figure lacks."""
        return _family_means(self.figures, self.families)


def compare_rankings(
    rankings: Mapping[str, Ranking], *, by: str = "tau_given_all", subset: str = "all"
) -> TruthComparison:
    """Compare finished rankings, each of its own space or truths.

    Truths with the accuracies of an earlier one count once. Supervised regressions are left out: they saw accuracies.

    Args:
        rankings: by name.
        by: the figure of `FIGURES` that proxies are ordered and chosen by.
        subset: of every ranking that has it; the first subset of any other one.

    Raises:
        RankingError: there is no ranking, or two have one truth.
        UnknownNameError: ``by`` is none of `FIGURES`.

    Example:
        >>> found = compare_rankings({"a": one, "b": other})  # doctest: +SKIP
        >>> found.held_out[["family", "chosen", "tau_given_all"]]  # doctest: +SKIP
    """
    require_figure(by)
    if not rankings:
        raise RankingError("No ranking was given. Expected at least one, of any space.")
    parts = [part for name, ranking in rankings.items() for part in _parts(name, ranking, subset)]
    table = pd.concat(parts, ignore_index=True)
    _check_once(table)
    protocol = {name: ranking.protocol for name, ranking in rankings.items()}
    repeated = {truth: own for ranking in rankings.values() for truth, own in repeated_truths(ranking).items()}
    return TruthComparison(
        table=table,
        proxies=_proxies(table, by),
        stability=_stability(table),
        held_out=_held_out(table, by),
        by=by,
        protocol={"rankings": protocol, "repeated truths": repeated},
    )


def require_figure(by: str, known: Sequence[str] = FIGURES) -> None:
    """Raise `UnknownNameError` for a column that is not compared from truth to truth."""
    if by not in known:
        raise unknown("figure of a comparison of truths", by, known)


def repeated_truths(ranking: Ranking) -> dict[str, str]:
    """Truths of a ranking with the accuracies of an earlier one, and that one."""
    seen: dict[bytes, str] = {}
    columns = ((str(name), column.to_numpy(float).tobytes()) for name, column in ranking.accuracies.items())
    names = {name: seen.setdefault(column, name) for name, column in columns}
    return {name: first for name, first in names.items() if name != first}


def family(ranking: Ranking, name: str) -> str:
    """Space of a ranking without its options; ``name`` where the ranking states none."""
    return str(ranking.protocol.get("scores", {}).get("space", name)).partition("(")[0]


def _parts(name: str, ranking: Ranking, subset: str) -> Iterator[pd.DataFrame]:
    """Rows of each truth of a ranking."""
    own = subset if subset in ranking.subsets else str(ranking.table["subset"].iloc[0])
    repeated = repeated_truths(ranking)
    for truth in (str(one) for one in ranking.accuracies if one not in repeated):
        rows = ranking.to_frame(truth, own).set_index("proxy")
        rows = rows[rows["kind"] != "supervised"]
        differences = size_differences(ranking, truth, own).rename(
            columns={"low": "difference_low", "high": "difference_high"}
        )
        known = ranking.accuracies.loc[list(ranking.subsets[own]), truth].notna().sum()
        rows = rows.join(differences).assign(
            family=family(ranking, name), truth=truth, run=name, covered=rows["n"] >= COVERED * known
        )
        about = ["family", "truth", "run", "subset", "proxy", "kind", "n", "covered"]
        yield rows.reset_index()[[*about, *_REPORTED, "tau_top10"]]


def _check_once(table: pd.DataFrame) -> None:
    twice = table[table.duplicated(["truth", "proxy"])]
    if len(twice):
        truth = twice["truth"].iloc[0]
        runs = ", ".join(table.loc[table["truth"] == truth, "run"].unique())
        raise RankingError(
            f"The truth {truth!r} is in several rankings: {runs}. Expected each truth once; leave it out "
            "of all but one."
        )


def _pivot(table: pd.DataFrame, by: str) -> pd.DataFrame:
    return table.pivot(index="proxy", columns="truth", values=by)


def _families(table: pd.DataFrame) -> pd.Series:
    return table.drop_duplicates("truth").set_index("truth")["family"]


def _family_means(figures: pd.DataFrame, families: pd.Series, skipna: bool = False) -> pd.Series:
    of = families.reindex(figures.columns).to_numpy(str)
    means = [figures.loc[:, of == name].mean(axis=1, skipna=skipna) for name in dict.fromkeys(of)]
    return pd.DataFrame(dict(enumerate(means)), figures.index).mean(axis=1, skipna=skipna)


def _candidates(table: pd.DataFrame, by: str) -> _Candidates:
    """Proxies and ensembles, and the truths on which the figure is defined; NaN where it is not or is not covered."""
    kinds = table["kind"].isin(_CHOSEN_FROM)
    families = _families(table)
    figures = _pivot(table[kinds & table["covered"]], by)
    figures = figures.reindex(columns=families.index).dropna(axis="columns", how="all")
    return _Candidates(figures, families[figures.columns])


def _proxies(table: pd.DataFrame, by: str) -> pd.DataFrame:
    """One row per proxy, over the truths that cover it."""
    covered, families = table[table["covered"]], _families(table)
    names = list(dict.fromkeys(table["proxy"]))
    found = pd.DataFrame(index=pd.Index(names, name="proxy"))
    found["kind"] = table.drop_duplicates("proxy").set_index("proxy")["kind"]
    grouped = covered.groupby("proxy")
    found["truths"] = grouped.size().reindex(names, fill_value=0)
    for figure in FIGURES:
        found[figure] = _family_means(_pivot(covered, figure), families, skipna=True)
    found["least_given_all"] = grouped["tau_given_all"].min()
    counted = {
        "above": covered["tau_given_all_low"] > 0,
        "below": covered["tau_given_all_high"] < 0,
        "beats": covered["difference_low"] > 0,
        "worse": covered["difference_high"] < 0,
    }
    for name, where in counted.items():
        found[name] = where.groupby(covered["proxy"]).sum().reindex(names, fill_value=0)
    return found.sort_values(["truths", by], ascending=False, kind="stable")


def _stability(table: pd.DataFrame) -> pd.DataFrame:
    """Agreement of the truths on the order of proxies, one row per figure."""
    rows = {figure: _agreement(_candidates(table, figure)) for figure in FIGURES}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(index="figure")


def _agreement(candidates: _Candidates) -> dict[str, object]:
    figures = candidates.figures.dropna().round(_DIGITS).drop_duplicates()
    columns, names = figures.to_numpy(float), list(map(str, figures.columns))
    taus = taus_between(columns)
    one, other = np.triu_indices(len(names), 1)
    pairs = taus[one, other]
    of = candidates.families.reindex(names).to_numpy(str)
    same = of[one] == of[other]
    lowest = int(np.nanargmin(pairs)) if np.isfinite(pairs).any() else None
    return {
        "n": len(figures),
        "truths": len(names),
        "w": kendall_w(columns),
        "tau": _mean(pairs),
        "tau_within": _mean(pairs[same]),
        "tau_between": _mean(pairs[~same]),
        "lowest": NAN if lowest is None else float(pairs[lowest]),
        "first": "" if lowest is None else names[one[lowest]],
        "second": "" if lowest is None else names[other[lowest]],
    }


def _mean(values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else NAN


def _held_out(table: pd.DataFrame, by: str) -> pd.DataFrame:
    """Rows of every family that is left out once; none where there is one family only."""
    candidates = _candidates(table, by)
    order = list(dict.fromkeys(table["family"]))
    rows = [row for left in order for row in _without(left, candidates, table, by)] if len(order) > 1 else []
    about = ["family", "truth", "chosen", "kind", "mean_elsewhere", "candidates"]
    return pd.DataFrame(rows, columns=[*about, *_REPORTED, "tau_top10", "best", "best_figure"])


def _without(left: str, candidates: _Candidates, table: pd.DataFrame, by: str) -> Iterator[dict[str, object]]:
    """Choice on all other families, and its figures on the truths of the one left out."""
    figures, others = candidates.figures, candidates.families[candidates.families != left]
    own = list(dict.fromkeys(table.loc[table["family"] == left, "truth"]))
    elsewhere = _Candidates(figures[others.index], others).means().dropna()
    covered = table[table["covered"] & table["truth"].isin(own)].groupby("proxy").size()
    means = elsewhere[covered.reindex(elsewhere.index) == len(own)].sort_index()
    if means.empty:
        return
    chosen = str(means.idxmax())
    for truth in own:
        rows = table[table["truth"] == truth].set_index("proxy")
        there = rows.loc[means.index, by].dropna()
        best = str(there.idxmax()) if len(there) else ""
        yield {
            "family": left,
            "truth": truth,
            "chosen": chosen,
            "kind": rows.loc[chosen, "kind"],
            "mean_elsewhere": float(means[chosen]),
            "candidates": len(means),
            **rows.loc[chosen, [*_REPORTED, "tau_top10"]].to_dict(),
            "best": best,
            "best_figure": float(there[best]) if best else NAN,
        }
