"""Score against accuracy, a panel for each proxy."""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.ticker import FuncFormatter

from zcbench.benchmarks.ranking.ranking import Ranking
from zcbench.reports.ranking.illustrations import illustrates
from zcbench.reports.ranking.selection import described, leading, select, subsets, truths
from zcbench.reports.style import Sheet, panels
from zcbench.reports.wording import number, shorten

TOP = 12
"""Panels, unless told otherwise."""


@illustrates(
    "truth",
    "Score against accuracy",
    "Each point is one architecture, coloured by its MACs. Both axes are ranks in percent: of the score "
    "(horizontal) and of the accuracy (vertical, with the accuracies at the ticks). Vertical stripes are equal scores. "
    "If the colours change from left to right, the order is that of the size. "
    "The best proxies and all sizes are shown.",
)
def score_panels(
    ranking: Ranking,
    truth: str | None = None,
    subset: str | None = None,
    top: int | None = TOP,
    ax: Axes | Iterable[Axes] | None = None,
) -> list[Axes]:
    """Accuracy against score, both on the scale of ranks, one panel per proxy, coloured by MACs.

    Scores span up to thirty orders of magnitude and most accuracies are close to the highest, so both axes are ranks in
    percent, from which tau and rho are computed; equal values have their mean rank. The left ticks are accuracies, the
    same for all panels of a row.

    Args:
        ranking: a finished ranking.
        truth: which accuracies; the first if omitted.
        subset: which architectures; the first if omitted.
        top: how many panels, all sizes among them; every proxy if None.
        ax: axes to draw on, one for each proxy; axes of a new figure if None.

    Returns:
        The axes, one for each proxy.
    """
    rows = leading(select(ranking, truth, subset), top)
    accuracy, macs = _accuracy_and_macs(ranking, truth, subset)
    sheet = panels(
        len(rows), _ACROSS, (1.4, 1.3), margins=(0.5, 0.1, 0.42, 0.36), header=0.2, footer=0.1, side=0.75, ax=ax
    )
    places = []
    for place, (axis, (_, row)) in enumerate(zip(sheet.axes, rows.iterrows())):
        places.append(_score_places(ranking, row["proxy"], accuracy))
        _frame(axis, row, accuracy)
        left, bottom = place % _ACROSS == 0 or not sheet.own, place + _ACROSS >= len(rows) or not sheet.own
        axis.tick_params(labelleft=left, labelbottom=bottom)
        axis.set(xlabel=_ACROSS_LABEL if bottom else "", ylabel=_UP_LABEL if left else "")
    points = _clouds(sheet, places, _rank_percent(accuracy), macs)
    sheet.colour_bar(points, "MACs", 0.35, 0.65).yaxis.set_major_formatter(_POWERS)
    sheet.heading(f"{described(ranking, truth, subset)} — a higher rank of the score predicts a higher accuracy")
    return sheet.axes


def draw_cloud(axis: Axes, ranking: Ranking, row: pd.Series) -> None:
    """The panel of one row of the table, with its own colour bar."""
    accuracy, macs = _accuracy_and_macs(ranking, row["truth"], row["subset"])
    across = _score_places(ranking, row["proxy"], accuracy)
    points = axis.scatter(across, _rank_percent(accuracy), 14, macs, cmap="cividis", linewidths=0)
    _frame(axis, row, accuracy)
    axis.set(xlabel=_ACROSS_LABEL, ylabel=_UP_LABEL)
    bar = axis.figure.colorbar(points, ax=axis, label="MACs")
    bar.ax.yaxis.set_major_formatter(_POWERS)


def _accuracy_and_macs(ranking: Ranking, truth: str | None, subset: str | None) -> tuple[pd.Series, pd.Series]:
    """Accuracies of the subset, and the logarithm of the MACs of these architectures."""
    truth, subset = truth or truths(ranking)[0], subset or subsets(ranking)[0]
    accuracy = ranking.accuracies[truth].reindex(ranking.subsets.get(subset)).dropna()
    return accuracy, np.log10(ranking.sizes["macs"].reindex(accuracy.index).clip(lower=1))


def _score_places(ranking: Ranking, name: str, accuracy: pd.Series) -> pd.Series:
    score = ranking.scores[name] if name in ranking.scores else ranking.sizes[name]
    return _rank_percent(score.reindex(accuracy.index))


def _frame(axis: Axes, row: pd.Series, accuracy: pd.Series) -> None:
    """Title, limits and ticks of a panel."""
    note = "" if pd.notna(row["tau"]) else f"  {row['note']}"
    title = f"{shorten(row['proxy'])}\nτ {number(row['tau'], 2)}   ρ {number(row['rho'], 2)}{note}"
    axis.set_title(title, fontsize=7.5)
    axis.set(xlim=_PERCENT, ylim=_PERCENT, xticks=(0, 50, 100), yticks=_QUARTERS)
    axis.set_yticklabels([f"{value:.1f}" for value in np.percentile(accuracy, _QUARTERS)])


_ACROSS_LABEL, _UP_LABEL = "rank of the score in %", "accuracy in %, by rank"
_POWERS = FuncFormatter(lambda power, _: f"{10**power / 1e6:.3g} M")
_ACROSS = 4  # panels in a row
_QUARTERS = (0, 25, 50, 75, 100)
_PERCENT = (-2.0, 102.0)


def _clouds(sheet: Sheet, across: Sequence[pd.Series], up: pd.Series, macs: pd.Series) -> PathCollection:
    """The points of all panels; of a new figure as one artist, so that SVG and PDF hold one picture."""
    axes = sheet.axes
    if not sheet.own:  # which are not at their final places
        drawn = [
            axis.scatter(values, up, 3, macs, cmap="cividis", linewidths=0, rasterized=True)
            for axis, values in zip(axes, across)
        ]
        return drawn[0]
    over = sheet.figure.add_axes((0, 0, 1, 1), xlim=(0, 1), ylim=(0, 1), zorder=1)
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
