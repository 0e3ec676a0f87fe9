"""Rank correlations between proxies as a matrix of colours."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform

from zcbench.benchmarks.ranking.ranking import Ranking
from zcbench.reports.ranking.illustrations import illustrates
from zcbench.reports.ranking.selection import leading, select, subsets
from zcbench.reports.style import KINDS, panels, text_width
from zcbench.reports.wording import number, shorten

WRITTEN = 25
"""Names up to which the cells have their numbers; the tables of the report have those of any matrix."""


@illustrates(
    "subset",
    "Rank correlations between proxies",
    "Kendall's τ-b between the scores of every two proxies, subset {subset} (n = {n}), with signs such that "
    "higher is better; the numbers are in the table of the correlations. Proxies with similar rankings are "
    "neighbours. Grey is undefined.",
    when=lambda ranking, subset: subset in ranking.correlations,
)
def proxy_heatmap(ranking: Ranking, subset: str | None = None, top: int | None = None, ax: Axes | None = None) -> Axes:
    """Tau-b between every two proxies, ordered so that proxies with similar rankings are neighbours.

    The order is that of the leaves of an average-linkage tree on the distance 1 − tau; an undefined tau counts as zero
    for the order and is drawn as a grey cell. Names have the colour of their kind; supervised regressions are left out.
    Up to 25 names, the cells have their numbers.

    Args:
        ranking: a finished ranking.
        subset: which architectures; the first if omitted.
        top: how many proxies, all sizes among them; every proxy if None.
        ax: axes to draw on, one pair; axes of a new figure if None.
    """
    rows = select(ranking, None, subset)
    kinds = rows.set_index("proxy")["kind"]
    matrix = ranking.correlations[subset or subsets(ranking)[0]]
    if top is not None:
        names_of = leading(rows[rows["proxy"].isin(matrix.index)], top)["proxy"]
        matrix = matrix.loc[names_of, names_of]
    matrix = matrix.iloc[(order := _clustered(matrix)), order]
    names = [shorten(name) for name in matrix.index]
    side, label = 0.27 * len(names), 0.2 + max(map(text_width, names))
    sheet = panels(1, 1, (side, side), margins=(label, 0.9, 0.1, label), header=0.25, footer=0, ax=ax)
    (axis,) = sheet.axes
    sheet.heading(f"subset {subset or subsets(ranking)[0]}")
    values = np.ma.masked_invalid(matrix.to_numpy(dtype=float))
    image = axis.imshow(values, cmap="RdBu_r", vmin=-1, vmax=1)
    axis.set_facecolor("#d9d9d9")
    if len(names) <= WRITTEN:
        _write_numbers(axis, values)
    axis.set_xticks(range(len(names)), names, rotation=90)
    axis.set_yticks(range(len(names)), names)
    for tick, name in zip((*axis.get_xticklabels(), *axis.get_yticklabels()), (*matrix.index, *matrix.index)):
        tick.set_color(KINDS[kinds[name]][0])
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    sheet.colour_bar(image, "τ-b", 0.4, 0.8)
    return axis


def _write_numbers(axis: Axes, values: np.ma.MaskedArray) -> None:
    for (row, column), value in np.ndenumerate(values.filled(np.nan)):
        colour = "white" if abs(value) > 0.65 else "black"
        axis.text(column, row, number(value, 2), ha="center", va="center", fontsize=5.6, color=colour)


def _clustered(matrix: pd.DataFrame) -> np.ndarray:
    """Order of the rows in which similar ones are neighbours."""
    if len(matrix) < 3:
        return np.arange(len(matrix))
    distance = 1 - matrix.fillna(0).to_numpy(dtype=float, copy=True)
    np.fill_diagonal(distance, 0)
    pairs = squareform((distance + distance.T) / 2, checks=False)
    return np.asarray(leaves_list(linkage(pairs, "average", optimal_ordering=True)))
