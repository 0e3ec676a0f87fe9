"""Rank correlation of each proxy as bars."""

from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from zcbench.benchmarks.ranking.ranking import Ranking
from zcbench.reports.ranking.illustrations import illustrates
from zcbench.reports.ranking.selection import (
    free_ensembles,
    intervals_named,
    labels,
    leading,
    select,
    subsets,
    truths,
)
from zcbench.reports.style import (
    KINDS,
    LABEL_SIZE,
    kind_colours,
    kind_handles,
    limits_around,
    panels,
    text_width,
)
from zcbench.reports.wording import MISSING, number, shorten

TOP = 15
"""Rows of a figure, unless it is told otherwise."""


@illustrates(
    "subset",
    "Rank correlation of each proxy",
    "Kendall's τ-b between score and accuracy, with {intervals}, subset {subset} (n = {n}). Hatched bars are sizes, "
    "which need no network. The dashed line is the best size: a proxy below it does not justify its cost. The dotted "
    "line, if any, is the baseline of the ensembles. The best rows and all sizes are shown; the tables have all rows.",
)
def ranking_bars(
    ranking: Ranking,
    subset: str | None = None,
    only: Sequence[str] | None = None,
    top: int | None = TOP,
    ax: Axes | Iterable[Axes] | None = None,
) -> list[Axes]:
    """Bars of tau with their intervals, sorted, one panel per truth, with a line at the best size baseline.

    A second line marks the baseline of the ensembles, if the ranking has one. Supervised regressions come last.

    Args:
        ranking: a finished ranking.
        subset: which architectures.
        only: truths to draw; all if omitted.
        top: how many rows of each truth, all sizes among them; every row if None.
        ax: axes to draw on, one for each truth; axes of a new figure if None.

    Returns:
        The axes, one for each truth.
    """
    chosen = list(only or truths(ranking))
    every = {truth: select(ranking, truth, subset) for truth in chosen}
    rows = {truth: leading(part, top) for truth, part in every.items()}
    most = max(map(len, rows.values()))
    left = 0.15 + max(text_width(shorten(name)) for part in rows.values() for name in part["proxy"])
    sheet = panels(len(rows), 3, (2.3, 0.165 * most + 0.1), margins=(left, 0.6, 0.3, 0.45), header=0.2, ax=ax)
    sheet.heading(f"subset {subset or subsets(ranking)[0]}")
    limits = limits_around(pd.concat(rows.values())[["tau", "tau_low", "tau_high"]], 0)
    for axis, (truth, part) in zip(sheet.axes, rows.items()):
        draw_bars(axis, ranking, part)
        axis.set(xlim=limits, title=labels(ranking)[truth])
    lines = [_legend_line("baseline", "--", "best size baseline")]
    if not free_ensembles(ranking).isdisjoint(ranking.table["proxy"]):
        lines.append(_legend_line("ensemble", ":", "baseline of the ensembles"))
    interval = Line2D([], [], color="black", linewidth=0.9, label=intervals_named(ranking))
    sheet.legend([*kind_handles(pd.concat(rows.values())["kind"]), *lines, interval])
    return sheet.axes


def draw_bars(axis: Axes, ranking: Ranking, rows: pd.DataFrame) -> None:
    """Bars of rows, and the lines at their best baselines."""
    _bars(axis, rows)
    _line_at(axis, rows[rows["kind"] == "baseline"], "--")
    _line_at(axis, rows[rows["proxy"].isin(free_ensembles(ranking))], ":")
    axis.set_xlabel("Kendall's τ-b with accuracy")


def _line_at(axis: Axes, rows: pd.DataFrame, style: str) -> None:
    """Vertical line at the best tau of rows of one kind, if there is one."""
    best = rows["tau"].max()
    if np.isfinite(best):
        axis.axvline(best, color=KINDS[rows["kind"].iloc[0]][0], linestyle=style, linewidth=0.8, zorder=0.5)


def _legend_line(kind: str, style: Literal["--", ":"], label: str) -> Line2D:
    return Line2D([], [], color=KINDS[kind][0], linestyle=style, linewidth=0.8, label=label)


def _bars(axis: Axes, rows: pd.DataFrame) -> None:
    """Horizontal bars of tau, best on top; the number is at the right, the reason of an undefined one inside."""
    known = rows[rows["tau"].notna()]
    hatches = ["////" if kind == "baseline" else "" for kind in known["kind"]]
    axis.barh(known.index, known["tau"], 0.72, color=kind_colours(known), hatch=hatches, edgecolor="white", linewidth=0)
    axis.hlines(known.index, known["tau_low"], known["tau_high"], color="black", linewidth=0.9)
    axis.axvline(0, color="black", linewidth=0.6)
    for place, row in rows.iterrows():
        x, text = (1.02, number(row["tau"])) if pd.notna(row["tau"]) else (0.02, f"{MISSING} {row['note']}")
        axis.text(x, float(str(place)), text, transform=axis.get_yaxis_transform(), va="center", fontsize=LABEL_SIZE)
    axis.set_yticks(range(len(rows)), [shorten(name) for name in rows["proxy"]])
    axis.set_ylim(len(rows) - 0.4, -0.6)
    axis.tick_params(axis="y", length=0)
