"""The numbers that the charts of the page of a ranking are drawn from, as plain values for JSON."""

import math
from collections.abc import Iterable, Mapping

import pandas as pd

from zcbench.benchmarks.ranking.ranking import Ranking
from zcbench.reports.charts import Spec, architecture_scatter, correlation_bars, proxy_map
from zcbench.reports.ranking.answers import Selected
from zcbench.reports.ranking.selection import labels
from zcbench.reports.wording import interval
from zcbench.streams import numpy_stream

MOST = 1500
"""Architectures in the scatter; of more, a sample is shown."""

STATISTICS = {
    "tau": "Kendall’s τ-b",
    "rho": "Spearman’s ρ",
    "difference": "τ minus that of the best size",
    "tau_given_params": "partial τ given parameters",
    "tau_given_macs": "partial τ given MACs",
    "tau_within_macs_bins": "τ among architectures of similar MACs",
    "tau_top10": "τ within the best tenth",
    "precision_at_k": "precision at k",
    "regret": "regret, percentage points",
    "milliseconds": "cost per architecture, ms",
    "reliability": "reliability over seeds",
    "n": "architectures",
}
"""Statistics that the map of the proxies can show, and the titles of its axes."""


def shown(ranking: Ranking) -> list[str]:
    """The architectures of the scatter: all, or a sample of `MOST` of them."""
    archs = list(map(str, ranking.scores.index))
    if len(archs) <= MOST:
        return archs
    places = numpy_stream("scatter of a report", len(archs)).choice(len(archs), MOST, replace=False)
    return [archs[place] for place in sorted(places)]


def chart_content(ranking: Ranking, chosen: Mapping[str, Selected]) -> dict[str, object]:
    """Specifications of the charts, rows of the proxies for each truth and subset, and values of the architectures."""
    archs = shown(ranking)
    subsets = {name: set(members) for name, members in ranking.subsets.items()}
    columns = {name: ranking.scores[name] for name in map(str, ranking.scores)}
    columns |= {name: ranking.sizes[name] for name in map(str, ranking.sizes) if name not in columns}
    return {
        "charts": specifications(),
        "statistics": STATISTICS,
        "truths": labels(ranking),
        "sentences": {key: one.sentence for key, one in chosen.items()},
        "rows": {key: _rows(one.rows) for key, one in chosen.items()},
        "architectures": {
            "name": archs,
            "subset": {name: [arch in members for arch in archs] for name, members in subsets.items()},
            "accuracy": {
                str(name): _numbers(ranking.accuracies[name].reindex(archs), 6) for name in ranking.accuracies
            },
            "score": {name: _numbers(column.reindex(archs)) for name, column in columns.items()},
            "size": [str(name) for name in ranking.sizes],
            "all": len(ranking.scores),
        },
    }


def specifications() -> dict[str, Spec]:
    """The charts of the page by their place in it."""
    return {
        "tau": correlation_bars("Kendall’s τ-b with accuracy"),
        "rho": correlation_bars("Spearman’s ρ with accuracy"),
        "scatter": architecture_scatter(),
        "scatter-2": architecture_scatter(),
        "map": proxy_map(),
    }


def _rows(rows: pd.DataFrame) -> list[dict[str, object]]:
    rows = rows.assign(milliseconds=1000 * rows["seconds"])
    return [
        {"name": row["proxy"], "equal": row["equal"], "kind": row["kind"]}
        | {key: _number(row.get(key)) for key in STATISTICS}
        | {f"{key}_{end}": _number(row[f"{key}_{end}"]) for key in ("tau", "rho") for end in ("low", "high")}
        | {f"{key}_text": interval(row[key], row[f"{key}_low"], row[f"{key}_high"]) for key in ("tau", "rho")}
        for row in rows.to_dict("records")
    ]


def _numbers(values: Iterable[object], digits: int = 5) -> list[float | None]:
    return [_number(value, digits) for value in values]


def _number(value: object, digits: int = 4) -> float | None:
    """Number of a few significant digits; None where it is undefined."""
    found = float(str(value)) if value is not None else math.nan
    if not math.isfinite(found):
        return None
    short = float(f"{found:.{digits}g}")
    return int(short) if short == int(short) and abs(short) < 1e15 else short


def sample_note(ranking: Ranking) -> str:
    """Which architectures the scatter shows, if not all."""
    n = len(ranking.scores)
    return "" if n <= MOST else f"A random sample of {MOST:,} of the {n:,} architectures."
