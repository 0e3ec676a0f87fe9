"""Comparisons of two statistics, a point for each proxy."""

from collections.abc import Iterable, Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from zcbench.benchmarks.ranking.ranking import Ranking
from zcbench.reports.ranking.illustrations import illustrates
from zcbench.reports.ranking.selection import described, front, select
from zcbench.reports.style import (
    GREY,
    KINDS,
    LABEL_SIZE,
    Sheet,
    kind_colours,
    kind_handles,
    label_at_right,
    limits_around,
    panels,
    text_width,
)
from zcbench.reports.wording import shorten

CONTROLLED = {"params": "parameters", "macs": "MACs"}
"""Sizes that the figure is drawn for, and their names."""


@illustrates(
    "truth",
    "Partial correlation given size",
    "Kendall's τ-b against the partial τ-b given the number of parameters (left) and of MACs (right). On the "
    "dashed line size explains nothing of τ-b, on the horizontal line all of it. Sizes are named, and the rows that no "
    "other exceeds in both.",
)
def size_controlled(
    ranking: Ranking, truth: str | None = None, subset: str | None = None, ax: Iterable[Axes] | None = None
) -> list[Axes]:
    """Tau against partial tau given parameters (left) and MACs (right).

    On the diagonal size explains nothing of tau, on the horizontal line all of it.

    Args:
        ranking: a finished ranking.
        truth: which accuracies; the first if omitted.
        subset: which architectures; the first if omitted.
        ax: axes to draw on, two; axes of a new figure if None.

    Returns:
        The two axes.
    """
    rows = select(ranking, truth, subset)
    sheet = _labelled_panels(rows, 2, (3.4, 3.7), ax)
    sheet.heading(described(ranking, truth, subset))
    for axis, size in zip(sheet.axes, CONTROLLED):
        draw_controlled(axis, rows, size)
    sheet.legend([*kind_handles(rows["kind"]), _diagonal()])
    return sheet.axes


def draw_controlled(axis: Axes, rows: pd.DataFrame, size: str) -> None:
    """Tau of all rows against partial tau given one of `CONTROLLED`."""
    name = CONTROLLED[size]
    axis.set(xlabel="τ-b with accuracy", ylabel=f"partial τ-b given {name}", title=f"given {name}")
    limits = limits_around(rows[[f"tau_given_{one}" for one in CONTROLLED]], 0)
    _compare(axis, rows, "tau", f"tau_given_{size}", limits)


@illustrates(
    "truth",
    "Cost and rank correlation",
    "Mean seconds per architecture on the machine of the run (logarithmic) against τ-b, with {intervals}. A row "
    "without a recorded cost is a dotted line. Sizes are named, and the rows that no cheaper one exceeds.",
)
def cost_quality(ranking: Ranking, truth: str | None = None, subset: str | None = None, ax: Axes | None = None) -> Axes:
    """Seconds per architecture (logarithmic) against tau with its interval; lines are rows without a cost.

    Args:
        ranking: a finished ranking.
        truth: which accuracies; the first if omitted.
        subset: which architectures; the first if omitted.
        ax: axes to draw on, one pair; axes of a new figure if None.
    """
    rows = select(ranking, truth, subset)
    sheet = _labelled_panels(rows, 1, (4.8, 3.9), ax)
    (axis,) = sheet.axes
    sheet.heading(described(ranking, truth, subset))
    known = rows[rows["tau"].notna()]
    priced = known[known["seconds"] > 0]
    axis.set_xscale("log")
    axis.set(xlabel="seconds per architecture", ylabel="τ-b with accuracy")
    axis.set_ylim(limits_around(known[["tau", "tau_low", "tau_high"]]))
    if len(priced):
        _second_ticks(axis, priced["seconds"].min() / 1.6, priced["seconds"].max() * 1.6)
    axis.vlines(
        priced["seconds"], priced["tau_low"], priced["tau_high"], color=kind_colours(priced), linewidth=0.9, alpha=0.7
    )
    _points(axis, priced, "seconds", "tau")
    free = known.drop(priced.index)
    for _, row in free.iterrows():
        axis.axhline(row["tau"], color=KINDS[row["kind"]][0], linestyle=":", linewidth=0.9)
    named = pd.concat([front(priced, "seconds", "tau", low_x=True), free]).drop_duplicates("proxy")
    _label(axis, named, named["seconds"].where(named["seconds"] > 0, axis.get_xlim()[1]), named["tau"])
    _say_undefined(axis, list(rows.loc[rows["tau"].isna(), "proxy"]))
    sheet.legend([*kind_handles(rows["kind"]), Line2D([], [], color=GREY, linestyle=":", label="no cost recorded")])
    return axis


def _second_ticks(axis: Axes, low: float, high: float) -> None:
    """Limits and plain ticks of a logarithmic axis in seconds: 1, 2 and 5 of each decade, or only powers of ten."""
    axis.set_xlim(low, high)
    axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high / low < 1e4 else (1,), numticks=99))
    axis.xaxis.set_major_formatter(FuncFormatter(lambda seconds, _: f"{seconds:g}"))
    axis.xaxis.set_minor_locator(NullLocator())


@illustrates(
    "truth",
    "Rank correlation among the best architectures",
    "τ-b over all architectures against τ-b within the tenth with the best accuracy, from which a search selects. "
    "On the dashed line the two are equal. Sizes are named, and the rows that no other exceeds in both.",
)
def top_behaviour(
    ranking: Ranking, truth: str | None = None, subset: str | None = None, ax: Axes | None = None
) -> Axes:
    """Tau over all architectures against tau within the tenth with the best accuracy, from which a search selects.

    Args:
        ranking: a finished ranking.
        truth: which accuracies; the first if omitted.
        subset: which architectures; the first if omitted.
        ax: axes to draw on, one pair; axes of a new figure if None.
    """
    rows = select(ranking, truth, subset)
    sheet = _labelled_panels(rows, 1, (4.4, 3.7), ax)
    (axis,) = sheet.axes
    sheet.heading(described(ranking, truth, subset))
    axis.set(xlabel="τ-b over all architectures", ylabel="τ-b within the best 10 % by accuracy")
    _compare(axis, rows, "tau", "tau_top10", limits_around(rows[["tau_top10"]], 0, rows["tau"].median()))
    sheet.legend([*kind_handles(rows["kind"]), _diagonal()])
    return axis


def _diagonal() -> Line2D:
    return Line2D([], [], color=GREY, linestyle="--", linewidth=0.8, label="equal")


def _labelled_panels(
    rows: pd.DataFrame, columns: int, size: tuple[float, float], ax: Axes | Iterable[Axes] | None
) -> Sheet:
    """Panels with a margin at the right for the names of all rows."""
    right = 0.35 + max(text_width(shorten(name)) for name in rows["proxy"])
    return panels(columns, columns, size, margins=(0.6, right, 0.25, 0.6), header=0.2, ax=ax)


def _compare(axis: Axes, rows: pd.DataFrame, x: str, y: str, limits: tuple[float, float]) -> None:
    """Points of two correlations with their names, the diagonal, and the names of undefined rows."""
    known = rows[rows[x].notna() & rows[y].notna()]
    axis.axline((0, 0), slope=1, color=GREY, linestyle="--", linewidth=0.8, zorder=0.5)
    axis.axhline(0, color=GREY, linewidth=0.6, zorder=0.5)
    _points(axis, known, x, y)
    axis.set(xlim=limits_around(known[[x]]), ylim=limits)
    named = front(known, x, y)
    _label(axis, named, named[x], named[y])
    _say_undefined(axis, list(rows["proxy"].drop(known.index)))


def _points(axis: Axes, rows: pd.DataFrame, x: str, y: str) -> None:
    """One marker per row, in the colour and shape of its kind."""
    for kind, part in rows.groupby("kind", sort=True):
        colour, marker = KINDS[str(kind)]
        axis.plot(part[x], part[y], marker, color=colour, markersize=5, markeredgecolor="white", markeredgewidth=0.5)


def _label(axis: Axes, rows: pd.DataFrame, x: pd.Series, y: pd.Series) -> None:
    """Names of the rows in a column at the right, in the colour of their kind."""
    names = [shorten(name) for name in rows["proxy"]]
    label_at_right(axis, list(x), list(y), names, kind_colours(rows))


def _say_undefined(axis: Axes, names: Sequence[str]) -> None:
    """Names of up to four rows without a number, under the axis; the tables list all."""
    if len(names):
        some = ", ".join(shorten(name) for name in names[:4])
        more = f" and {len(names) - 4} more" if len(names) > 4 else ""
        axis.text(
            0, -0.14, f"undefined: {some}{more}", transform=axis.transAxes, fontsize=LABEL_SIZE, color=GREY, va="top"
        )
