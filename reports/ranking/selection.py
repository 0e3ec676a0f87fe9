"""Truths and subsets of a ranking, the rows of one of each, and sentences about them."""

from collections import Counter
from collections.abc import Iterator, Mapping

import pandas as pd

from zcbench.benchmarks.ranking.ranking import Ranking
from zcbench.errors import unknown
from zcbench.reports.wording import count, truth_label


def subsets(ranking: Ranking) -> list[str]:
    """Names of the subsets in the order of the table."""
    return list(dict.fromkeys(ranking.table["subset"]))


def truths(ranking: Ranking) -> list[str]:
    """Names of the truths in the order of the table."""
    return list(dict.fromkeys(ranking.table["truth"]))


def labels(ranking: Ranking) -> dict[str, str]:
    """Heading of each truth; two truths that would share one keep their full names."""
    short = {truth: truth_label(truth) for truth in truths(ranking)}
    shared = Counter(short.values())
    return {truth: label if shared[label] == 1 else truth for truth, label in short.items()}


def select(ranking: Ranking, truth: str | None = None, subset: str | None = None) -> pd.DataFrame:
    """Rows of one truth and one subset, best tau first, undefined ones last; the table's first of each if omitted.

    Supervised rows, which were trained on accuracies, come last.

    Raises:
        UnknownNameError: the table has no such truth or subset; the message has the nearest ones.
    """
    chosen = {"truth": truth or truths(ranking)[0], "subset": subset or subsets(ranking)[0]}
    rows = ranking.table
    for column, name in chosen.items():
        if name not in set(ranking.table[column]):
            raise unknown(f"{column} of this ranking", name, set(ranking.table[column]))
        rows = rows[rows[column] == name]
    rows = rows.assign(note=rows["note"].fillna(""), apart=rows["kind"] == "supervised")
    ordered = rows.sort_values(["apart", "tau", "proxy"], ascending=[True, False, True], na_position="last")
    return ordered.drop(columns="apart").reset_index(drop=True)


def leading(rows: pd.DataFrame, top: int | None) -> pd.DataFrame:
    """The first ``top`` rows, in which every size baseline has a place; all rows if None."""
    if top is None or len(rows) <= top:
        return rows
    sizes = rows["kind"] == "baseline"
    best = rows.index[~sizes][: max(top - int(sizes.sum()), 1)]
    return rows[sizes | rows.index.isin(best)].reset_index(drop=True)


def front(rows: pd.DataFrame, x: str, y: str, *, low_x: bool = False) -> pd.DataFrame:
    """Rows to name in a figure of two columns: size baselines, and those that no other row exceeds in both columns.

    ``low_x``: low values of ``x`` are good. Supervised rows exceed no other row.
    """
    across = -rows[x] if low_x else rows[x]
    free = rows["kind"] != "supervised"
    exceeded = [((across[free] > a) & (rows[y][free] > b)).any() for a, b in zip(across, rows[y])]
    return rows[(rows["kind"] == "baseline") | ~pd.Series(exceeded, index=rows.index, dtype=bool)]


def folded(ranking: Ranking, truth: str | None = None, subset: str | None = None) -> pd.DataFrame:
    """Rows of :func:`select`, of which those with one and the same order of architectures are one.

    The column ``equal`` has the names that a row stands for besides its own. The row of a size stands for the others,
    and that of a proxy for those of ensembles.
    """
    rows = select(ranking, truth, subset)
    rows = rows.assign(preferred=rows["kind"].map(list(_PREFERRED).index)).sort_values("preferred", kind="stable")
    between = ranking.correlations.get(subset or subsets(ranking)[0], pd.DataFrame())
    equal: dict[int, tuple[pd.Series, list[str]]] = {}
    for place, row in rows.iterrows():
        same = next((names for kept, names in equal.values() if _same_order(kept, row, between)), None)
        if same is None:
            equal[int(str(place))] = row, []
        else:
            same.append(str(row["proxy"]))
    order = sorted(equal)
    names = pd.Series([sorted(equal[place][1]) for place in order], index=order, dtype=object)
    return rows.drop(columns="preferred").loc[order].assign(equal=names).reset_index(drop=True)


_PREFERRED = ("baseline", "proxy", "ensemble", "supervised")


def _same_order(one: pd.Series, other: pd.Series, between: pd.DataFrame) -> bool:
    """Whether two rows are of the same architectures in the same order."""
    names = one["proxy"], other["proxy"]
    alike = one["n"] == other["n"] and abs(one["tau"] - other["tau"]) < 1e-9
    return bool(alike and {*names} <= {*between.index} and between.loc[names] > 1 - 1e-9)


def selections(ranking: Ranking) -> Iterator[tuple[str, str, pd.DataFrame]]:
    """Every truth and subset that has rows, with its rows as :func:`select` gives them."""
    for truth in truths(ranking):
        for subset in subsets(ranking):
            if len(rows := select(ranking, truth, subset)):
                yield truth, subset, rows


def described(ranking: Ranking, truth: str | None = None, subset: str | None = None) -> str:
    """Truth, subset and number of architectures: ``CIFAR-10 test, subset all (n = 1,000)`` with the largest n."""
    rows = select(ranking, truth, subset)
    first = rows.iloc[0]
    return f"{labels(ranking)[first['truth']]}, subset {first['subset']} (n = {count(rows['n'].max())})"


def intervals_named(ranking: Ranking) -> str:
    """Name of the intervals, with their level if the protocol has it: ``95 % confidence intervals``."""
    level = _find(ranking.protocol, "confidence")
    return f"{100 * level:g} % confidence intervals" if isinstance(level, float) else "confidence intervals"


def intervals_made(ranking: Ranking) -> str:
    """How the intervals were made: ``delta method, units: architectures``, or by how many bootstrap draws of them."""
    how = ranking.protocol["ranking"]
    units = how.get("unit") or _find(ranking.protocol, "classes of the bootstrap") or how.get("cluster rule")
    draws = how.get("draws")
    return f"{draws} bootstrap draws of {units}" if draws else f"delta method, units: {units}"


def shared(ranking: Ranking, truth: str | None = None, subset: str | None = None) -> str:
    """Architectures over which the rows are comparable; empty if the ranking does not have them."""
    rows = select(ranking, truth, subset)
    if "n_common" not in rows or rows["n_common"].isna().all():
        return ""
    found, largest = int(rows["n_common"].iloc[0]), int(rows["n"].max())
    if found == largest:
        return f"All proxies of at least 90 % coverage have a value for all {count(largest)} architectures."
    return (
        f"τ common is over the {count(found)} of {count(largest)} architectures for which all proxies of at least 90 % "
        f"coverage have a value; τ and the other columns are over the n architectures of their row."
    )


def cutoff(ranking: Ranking) -> str:
    """The k of the columns at k, as the end of a caption: ``, k = 10``; empty where it differs."""
    values = ranking.table["k"].dropna().unique()
    return f", k = {values[0]:g}" if len(values) == 1 else ""


def free_ensembles(ranking: Ranking) -> set[str]:
    """Names of the ensembles that the protocol marks as baselines of the others."""
    cards = _find(ranking.protocol, "ensembles")
    return {name for name, card in cards.items() if card.get("baseline")} if isinstance(cards, Mapping) else set()


def _find(tree: object, key: str) -> object:
    """First value of ``key`` anywhere in nested mappings, or None."""
    if not isinstance(tree, Mapping):
        return None
    if key in tree:
        return tree[key]
    return next((found for branch in tree.values() if (found := _find(branch, key)) is not None), None)
