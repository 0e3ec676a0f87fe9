"""Changes of rank between two truths, such as with and without distillation."""

from collections.abc import Iterable

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.lines import Line2D

from zcbench.benchmarks.ranking.ranking import Ranking
from zcbench.benchmarks.statistics.agreement import Agreement, agreement
from zcbench.reports.ranking.illustrations import illustrates
from zcbench.reports.ranking.selection import labels
from zcbench.reports.style import GREEN, GREY, LABEL_SIZE, ORANGE, label_at_right, panels
from zcbench.reports.wording import count, number, percent

MOST = 200
"""Architectures that a slope chart can show."""

_UP, _DOWN = GREEN, ORANGE
_NAMED = 5
_LONGEST = 12  # letters of a name that is written


@illustrates(
    "pair",
    "Changes of rank between two truths",
    "Left: rank of every architecture by {first} and by {second}; green rises and orange falls by more than a tenth of "
    "all ranks. Right: the two accuracies; a grey line joins every discordant pair, and the colour of a point is the "
    "share of the other architectures with which it is discordant.",
    when=lambda ranking, *pair: len(ranking.accuracies) <= MOST and len(ranking.accuracies[list(pair)].dropna()) > 1,
)
def rank_change(ranking: Ranking, first: str, second: str, ax: Iterable[Axes] | None = None) -> list[Axes]:
    """Ranks by two truths joined by lines, and the two accuracies with every discordant pair joined.

    Green rises and orange falls by more than a tenth of all ranks. The five largest changes of each are named if their
    names are short.

    Args:
        ranking: a finished ranking with both truths.
        first: truth at the left and across.
        second: truth at the right and up.
        ax: axes to draw on, two; axes of a new figure if None.

    Returns:
        The two axes.
    """
    found = agreement(ranking.accuracies[first], ranking.accuracies[second])
    sheet = panels(2, 2, (3.3, 4.2), margins=(0.85, 0.75, 0.3, 0.5), header=0.25, footer=0.35, ax=ax)
    slopes, cloud = sheet.axes
    one, other = labels(ranking)[first], labels(ranking)[second]
    n = len(found.places)
    share = found.discordant / max(n * (n - 1) / 2, 1)
    heading = f"{count(n)} architectures, τ-b {number(found.tau)}, ρ {number(found.rho)}, "
    sheet.heading(f"{heading}{count(found.discordant)} discordant pairs ({percent(share)} %)")
    _slopes(slopes, found, one, other)
    _cloud(cloud, found, one, other)
    lines = [(_UP, "rises by over 10 % of the places"), (_DOWN, "falls by over 10 %"), (GREY, "smaller change")]
    handles = [Line2D([], [], color=colour, label=label) for colour, label in lines]
    handles.append(Line2D([], [], color=GREY, alpha=0.4, label="discordant pair"))
    sheet.legend(handles)
    return sheet.axes


def _slopes(axis: Axes, found: Agreement, one: str, other: str) -> None:
    places, n = found.places, len(found.places)
    change = places["place_first"] - places["place_second"]
    colours = np.select([change > 0.1 * n, change < -0.1 * n], [_UP, _DOWN], GREY)
    ends = -np.stack([places["place_first"], places["place_second"]], axis=1)
    segments = [np.column_stack([(0, 1), pair]) for pair in ends]
    axis.add_collection(LineCollection(segments, colors=list(colours), linewidths=0.8, alpha=0.8))
    for x in (0, 1):
        axis.scatter(np.full(n, x), ends[:, x], 8, list(colours), zorder=3, linewidths=0)
    axis.set(xlim=(-0.04, 1.04), ylim=(-n - 1, 0), ylabel="place (1 is the best accuracy)", title="places")
    axis.set_xticks((0, 1), (one, other))
    ticks = (1, *range(10, n + 1, 10))
    axis.set_yticks([-place for place in ticks], list(map(str, ticks)))
    ordered = change.sort_values(kind="stable")
    falls, rises = ordered.index[ordered < -0.1 * n], ordered.index[ordered > 0.1 * n]
    named = places.assign(colour=colours).loc[[*falls[:_NAMED], *rises[-_NAMED:]]]
    if max(map(len, map(str, places.index)), default=0) <= _LONGEST:
        label_at_right(
            axis, [1.0] * len(named), list(-named["place_second"]), list(map(str, named.index)), list(named["colour"])
        )


def _cloud(axis: Axes, found: Agreement, one: str, other: str) -> None:
    places = found.places
    points = places[["first", "second"]]
    pairs = np.array(list(found.pairs()), dtype=object).reshape(-1, 2)
    lines = list(points.to_numpy()[places.index.get_indexer(pd.Index(pairs.ravel()))].reshape(-1, 2, 2))
    faint = float(np.clip(60 / max(len(lines), 1), 0.03, 0.5))
    axis.add_collection(LineCollection(lines, colors=GREY, linewidths=0.5, alpha=faint, rasterized=True))
    shares = 100 * places["discordant"]
    shades = axis.scatter(points["first"], points["second"], 14, shares, cmap="viridis_r", linewidths=0, zorder=3)
    axis.autoscale_view()
    axis.set(xlabel=f"{one}: accuracy in %", ylabel=f"{other}: accuracy in %", title="pairs")
    box = axis.inset_axes((1.04, 0.25, 0.035, 0.5))
    bar = axis.figure.colorbar(shades, cax=box)
    bar.ax.set_title("discordant\nwith, %", fontsize=LABEL_SIZE - 1)
