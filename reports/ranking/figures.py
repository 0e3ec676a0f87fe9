"""Figures: each function takes a finished ranking and draws it; no statistic is computed here.

All functions return a `matplotlib.figure.Figure` that belongs to no pyplot state. ``truth`` and ``subset`` are names of
the ranking's table, its first ones if omitted; an unknown one is an `UnknownNameError` with the nearest names. A row
whose number is undefined is written down as such and never dropped.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform

from zcbench.benchmarks.ranking.ranking import Ranking
from zcbench.reports.ranking.selection import (
    described,
    free_ensembles,
    intervals_named,
    labels,
    select,
    subsets,
    truths,
)
from zcbench.reports.style import (
    GREY,
    KINDS,
    LABEL_SIZE,
    add_heading,
    add_legend,
    label_at_right,
    panels,
    styled,
    text_width,
)
from zcbench.reports.wording import MISSING, number, shorten


@styled
def ranking_bars(ranking: Ranking, subset: str | None = None, only: Sequence[str] | None = None) -> Figure:
    """Bars of tau with their intervals, sorted, one panel per truth, with a line at the best size baseline.

    A second line stands at the free ensemble, if the ranking has one. Supervised regressions stand below all others.

    Args:
        ranking: a finished ranking.
        subset: which architectures.
        only: truths to draw; all if omitted.
    """
    chosen = list(only or truths(ranking))
    rows = {truth: select(ranking, truth, subset) for truth in chosen}
    most = max(map(len, rows.values()))
    left = 0.15 + max(text_width(shorten(name)) for part in rows.values() for name in part["proxy"])
    figure, axes = panels(len(rows), 3, (2.3, 0.165 * most + 0.1), margins=(left, 0.6, 0.3, 0.45), header=0.2)
    add_heading(figure, f"subset {subset or subsets(ranking)[0]}")
    limits = _limits(pd.concat(rows.values())[["tau", "tau_low", "tau_high"]], 0)
    for axis, (truth, part) in zip(axes, rows.items()):
        _bars(axis, part)
        _line_at(axis, part[part["kind"] == "baseline"], "--")
        _line_at(axis, part[part["proxy"].isin(free_ensembles(ranking))], ":")
        axis.set(xlim=limits, xlabel="Kendall's τ-b with accuracy", title=labels(ranking)[truth])
    lines = [_legend_line("baseline", "--", "best size baseline")]
    if not free_ensembles(ranking).isdisjoint(ranking.table["proxy"]):
        lines.append(_legend_line("ensemble", ":", "free ensemble"))
    interval = Line2D([], [], color="black", linewidth=0.9, label=intervals_named(ranking))
    add_legend(figure, list(pd.concat(rows.values())["kind"]), [*lines, interval])
    return figure


def _line_at(axis: Axes, rows: pd.DataFrame, style: str) -> None:
    """Vertical line at the best tau of rows of one kind, if there is one."""
    best = rows["tau"].max()
    if np.isfinite(best):
        axis.axvline(best, color=KINDS[rows["kind"].iloc[0]][0], linestyle=style, linewidth=0.8, zorder=0.5)


def _legend_line(kind: str, style: Literal["--", ":"], label: str) -> Line2D:
    return Line2D([], [], color=KINDS[kind][0], linestyle=style, linewidth=0.8, label=label)


def _bars(axis: Axes, rows: pd.DataFrame) -> None:
    """Horizontal bars of tau, best on top; the number stands at the right, an undefined one has its reason inside."""
    known = rows[rows["tau"].notna()]
    hatches = ["////" if kind == "baseline" else "" for kind in known["kind"]]
    axis.barh(known.index, known["tau"], 0.72, color=_colours(known), hatch=hatches, edgecolor="white", linewidth=0)
    axis.hlines(known.index, known["tau_low"], known["tau_high"], color="black", linewidth=0.9)
    axis.axvline(0, color="black", linewidth=0.6)
    for place, row in rows.iterrows():
        x, text = (1.02, number(row["tau"])) if pd.notna(row["tau"]) else (0.02, f"{MISSING} {row['note']}")
        axis.text(x, float(str(place)), text, transform=axis.get_yaxis_transform(), va="center", fontsize=LABEL_SIZE)
    axis.set_yticks(range(len(rows)), [shorten(name) for name in rows["proxy"]])
    axis.set_ylim(len(rows) - 0.4, -0.6)
    axis.tick_params(axis="y", length=0)


def _limits(values: pd.DataFrame, *include: float) -> tuple[float, float]:
    """Limits in which all correlations find room, and the values to include; ``(0, 1)`` for none at all."""
    finite = np.append(values.to_numpy(dtype=float).ravel(), include)
    finite = finite[np.isfinite(finite)]
    return (float(finite.min()) - 0.04, float(finite.max()) + 0.04) if len(finite) else (0.0, 1.0)


@styled
def score_panels(ranking: Ranking, truth: str | None = None, subset: str | None = None) -> Figure:
    """Accuracy against score, both on the scale of ranks, one panel per proxy, coloured by MACs.

    Scores span up to thirty orders of magnitude and accuracies crowd at the top, so both axes are ranks in percent,
    which is what tau and rho see; equal values share their mean rank. The ticks at the left are accuracies.
    """
    rows = select(ranking, truth, subset)
    truth, subset = truth or truths(ranking)[0], subset or subsets(ranking)[0]
    accuracy = ranking.accuracies[truth].reindex(ranking.subsets.get(subset)).dropna()
    macs = np.log10(ranking.sizes["macs"].reindex(accuracy.index).clip(lower=1))
    figure, axes = panels(len(rows), 5, (1.4, 1.3), margins=(0.42, 0.12, 0.42, 0.3), header=0.2, footer=0.1, side=0.75)
    places = []
    for axis, (_, row) in zip(axes, rows.iterrows()):
        name = row["proxy"]
        score = ranking.scores[name] if name in ranking.scores else ranking.sizes[name]
        places.append(_rank_percent(score.reindex(accuracy.index)))
        note = "" if pd.notna(row["tau"]) else f"  {row['note']}"
        axis.set_title(f"{shorten(name)}\nτ {number(row['tau'], 2)}   ρ {number(row['rho'], 2)}{note}", fontsize=7.5)
        axis.set(xlim=_PERCENT, ylim=_PERCENT, xticks=(0, 50, 100), yticks=_QUARTERS)
        axis.set_yticklabels([f"{value:.1f}" for value in np.percentile(accuracy, _QUARTERS)])
    _macs_bar(figure, _clouds(figure, axes, places, _rank_percent(accuracy), macs))
    what = "across: rank of the score in %, higher is predicted better; up: accuracy in %, spaced by rank"
    add_heading(figure, f"{described(ranking, truth, subset)} — {what}")
    return figure


_QUARTERS = (0, 25, 50, 75, 100)
_PERCENT = (-2.0, 102.0)


def _clouds(
    figure: Figure, axes: Sequence[Axes], across: Sequence[pd.Series], up: pd.Series, macs: pd.Series
) -> PathCollection:
    """The points of all panels as one artist, so that SVG and PDF hold one picture and not one for each panel."""
    over = figure.add_axes((0, 0, 1, 1), xlim=(0, 1), ylim=(0, 1), zorder=1)
    over.set_axis_off()
    low, high = _PERCENT
    corners = [axis.get_position() for axis in axes]
    x = [box.x0 + box.width * (values - low) / (high - low) for box, values in zip(corners, across)]
    y = [box.y0 + box.height * (up - low) / (high - low) for box in corners]
    colours = np.tile(macs, len(axes))
    return over.scatter(np.concatenate(x), np.concatenate(y), 3, colours, cmap="cividis", linewidths=0, rasterized=True)


def _rank_percent(values: pd.Series) -> pd.Series:
    """Ranks from 0 (lowest) to 100 %, equal values at their mean rank, missing ones left missing."""
    return 100 * (values.rank() - 1) / max(values.notna().sum() - 1, 1)


def _macs_bar(figure: Figure, points: PathCollection) -> None:
    """Colour bar of the MACs at the right edge of the figure."""
    place = figure.add_axes((1 - 0.6 / figure.get_figwidth(), 0.35, 0.12 / figure.get_figwidth(), 0.3))
    bar = figure.colorbar(points, cax=place)
    bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda power, _: f"{10**power / 1e6:.3g} M"))
    bar.ax.set_title("MACs", fontsize=LABEL_SIZE)


@styled
def proxy_heatmap(ranking: Ranking, subset: str | None = None) -> Figure:
    """Tau-b between every two proxies, ordered so that those which rank alike stand together.

    The order is that of the leaves of an average-linkage tree on the distance 1 − tau; an undefined tau counts as zero
    for the order and is drawn as a grey cell. Names have the colour of their kind; supervised regressions are left out.
    """
    kinds = select(ranking, None, subset).set_index("proxy")["kind"]
    matrix = ranking.correlations[subset or subsets(ranking)[0]]
    matrix = matrix.iloc[(order := _clustered(matrix)), order]
    names = [shorten(name) for name in matrix.index]
    side, label = 0.27 * len(names), 0.2 + max(map(text_width, names))
    figure, (axis,) = panels(1, 1, (side, side), margins=(label, 0.9, 0.1, label), header=0.25, footer=0)
    add_heading(figure, f"subset {subset or subsets(ranking)[0]}")
    values = np.ma.masked_invalid(matrix.to_numpy(dtype=float))
    image = axis.imshow(values, cmap="RdBu_r", vmin=-1, vmax=1)
    axis.set_facecolor("#d9d9d9")
    for (row, column), value in np.ndenumerate(values.filled(np.nan)):
        colour = "white" if abs(value) > 0.65 else "black"
        axis.text(column, row, number(value, 2), ha="center", va="center", fontsize=5.6, color=colour)
    axis.set_xticks(range(len(names)), names, rotation=90)
    axis.set_yticks(range(len(names)), names)
    for tick, name in zip((*axis.get_xticklabels(), *axis.get_yticklabels()), (*matrix.index, *matrix.index)):
        tick.set_color(KINDS[kinds[name]][0])
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    place = figure.add_axes((1 - 0.7 / figure.get_figwidth(), 0.4, 0.12 / figure.get_figwidth(), 0.4))
    figure.colorbar(image, cax=place).ax.set_title("τ-b", fontsize=LABEL_SIZE)
    return figure


def _clustered(matrix: pd.DataFrame) -> np.ndarray:
    """Order of the rows in which similar ones are neighbours."""
    if len(matrix) < 3:
        return np.arange(len(matrix))
    distance = 1 - matrix.fillna(0).to_numpy(dtype=float, copy=True)
    np.fill_diagonal(distance, 0)
    pairs = squareform((distance + distance.T) / 2, checks=False)
    return np.asarray(leaves_list(linkage(pairs, "average", optimal_ordering=True)))


@styled
def size_controlled(ranking: Ranking, truth: str | None = None, subset: str | None = None) -> Figure:
    """Raw tau against what is left of it when parameters (left) and MACs (right) are held fixed.

    On the diagonal size explains nothing; on the horizontal line it explains everything.
    """
    rows = select(ranking, truth, subset)
    figure, axes = _labelled_panels(rows, 2, (3.4, 3.7))
    add_heading(figure, described(ranking, truth, subset))
    limits = _limits(rows[["tau_given_params", "tau_given_macs"]], 0)
    for axis, size, name in zip(axes, ("params", "macs"), ("parameters", "MACs")):
        axis.set(xlabel="τ-b with accuracy", ylabel=f"partial τ-b given {name}", title=f"{name} held fixed")
        _compare(axis, rows, "tau", f"tau_given_{size}", limits)
    add_legend(figure, list(rows["kind"]), [_DIAGONAL])
    return figure


@styled
def top_behaviour(ranking: Ranking, truth: str | None = None, subset: str | None = None) -> Figure:
    """Tau over all architectures against tau within the tenth that has the best accuracy, where a search decides."""
    rows = select(ranking, truth, subset)
    figure, (axis,) = _labelled_panels(rows, 1, (4.4, 3.7))
    add_heading(figure, described(ranking, truth, subset))
    axis.set(xlabel="τ-b over all architectures", ylabel="τ-b within the best 10 % by accuracy")
    _compare(axis, rows, "tau", "tau_top10", _limits(rows[["tau_top10"]], 0, rows["tau"].median()))
    add_legend(figure, list(rows["kind"]), [_DIAGONAL])
    return figure


@styled
def cost_quality(ranking: Ranking, truth: str | None = None, subset: str | None = None) -> Figure:
    """Seconds per architecture (logarithmic) against tau with its interval; lines are rows without a cost."""
    rows = select(ranking, truth, subset)
    figure, (axis,) = _labelled_panels(rows, 1, (4.8, 3.9))
    add_heading(figure, described(ranking, truth, subset))
    known = rows[rows["tau"].notna()]
    priced = known[known["seconds"] > 0]
    axis.set_xscale("log")
    axis.set(xlabel="seconds per architecture", ylabel="τ-b with accuracy")
    axis.set_ylim(_limits(known[["tau", "tau_low", "tau_high"]]))
    if len(priced):
        _second_ticks(axis, priced["seconds"].min() / 1.6, priced["seconds"].max() * 1.6)
    axis.vlines(
        priced["seconds"], priced["tau_low"], priced["tau_high"], color=_colours(priced), linewidth=0.9, alpha=0.7
    )
    _points(axis, priced, "seconds", "tau")
    for _, row in known.drop(priced.index).iterrows():
        axis.axhline(row["tau"], color=KINDS[row["kind"]][0], linestyle=":", linewidth=0.9)
    edge = known["seconds"].where(known["seconds"] > 0, axis.get_xlim()[1])
    _label(axis, known, edge, known["tau"])
    _say_undefined(axis, list(rows.loc[rows["tau"].isna(), "proxy"]))
    add_legend(figure, list(rows["kind"]), [Line2D([], [], color=GREY, linestyle=":", label="no cost recorded")])
    return figure


def _second_ticks(axis: Axes, low: float, high: float) -> None:
    """Limits and plain ticks of a logarithmic axis in seconds: 1, 2 and 5 of each decade, or only powers of ten."""
    axis.set_xlim(low, high)
    axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high / low < 1e4 else (1,), numticks=99))
    axis.xaxis.set_major_formatter(FuncFormatter(lambda seconds, _: f"{seconds:g}"))
    axis.xaxis.set_minor_locator(NullLocator())


_DIAGONAL = Line2D([], [], color=GREY, linestyle="--", linewidth=0.8, label="equal")


def _labelled_panels(rows: pd.DataFrame, columns: int, size: tuple[float, float]) -> tuple[Figure, list[Axes]]:
    """Panels with room at the right for the names of all rows."""
    right = 0.35 + max(text_width(shorten(name)) for name in rows["proxy"])
    height = max(size[1], 0.135 * len(rows))
    return panels(columns, columns, (size[0], height), margins=(0.6, right, 0.25, 0.6), header=0.2)


def _compare(axis: Axes, rows: pd.DataFrame, x: str, y: str, limits: tuple[float, float]) -> None:
    """Points of two correlations with their names, the diagonal, and what is undefined in words."""
    known = rows[rows[x].notna() & rows[y].notna()]
    axis.axline((0, 0), slope=1, color=GREY, linestyle="--", linewidth=0.8, zorder=0.5)
    axis.axhline(0, color=GREY, linewidth=0.6, zorder=0.5)
    _points(axis, known, x, y)
    axis.set(xlim=_limits(known[[x]]), ylim=limits)
    _label(axis, known, known[x], known[y])
    _say_undefined(axis, list(rows["proxy"].drop(known.index)))


def _points(axis: Axes, rows: pd.DataFrame, x: str, y: str) -> None:
    """One marker per row, in the colour and shape of its kind."""
    for kind, part in rows.groupby("kind", sort=True):
        colour, marker = KINDS[str(kind)]
        axis.plot(part[x], part[y], marker, color=colour, markersize=5, markeredgecolor="white", markeredgewidth=0.5)


def _label(axis: Axes, rows: pd.DataFrame, x: pd.Series, y: pd.Series) -> None:
    """Names of the rows in a column at the right, in the colour of their kind."""
    names = [shorten(name) for name in rows["proxy"]]
    label_at_right(axis, list(x), list(y), names, _colours(rows))


def _colours(rows: pd.DataFrame) -> list[str]:
    return [KINDS[kind][0] for kind in rows["kind"]]


def _say_undefined(axis: Axes, names: Sequence[str]) -> None:
    """Names of the rows that have no number here, under the axis; the tables have those that find no room."""
    if len(names):
        some = ", ".join(shorten(name) for name in names[:4])
        more = f" and {len(names) - 4} more" if len(names) > 4 else ""
        axis.text(
            0, -0.14, f"undefined: {some}{more}", transform=axis.transAxes, fontsize=LABEL_SIZE, color=GREY, va="top"
        )
