"""Single figures of a ranking, drawn on axes of the user's: ``ranking.plot``."""

from collections.abc import Callable

import pandas as pd
from matplotlib import pyplot
from matplotlib.axes import Axes

from zcbench.benchmarks.ranking.result import Ranking
from zcbench.errors import unknown
from zcbench.reports.ranking.figures.bars import draw_bars
from zcbench.reports.ranking.figures.clouds import draw_cloud
from zcbench.reports.ranking.figures.comparisons import CONTROLLED, draw_controlled
from zcbench.reports.ranking.selection import described, leading, select
from zcbench.reports.style import styled


class RankingPlots:
    """Figures of a ranking, each on one pair of axes.

    Each function draws on ``ax``, or on a new figure of pyplot, and returns the axes. ``truth`` and ``subset`` are the
    first of the ranking if None.

    Args:
        ranking: a finished ranking.
    """

    def __init__(self, ranking: Ranking) -> None:
        self._ranking = ranking

    def bars(
        self, top: int | None = 15, ax: Axes | None = None, *, truth: str | None = None, subset: str | None = None
    ) -> Axes:
        """Kendall's tau-b of the best proxies with their intervals, and a line at the best size.

        Args:
            top: how many rows, all sizes among them; every row if None.
            ax: axes to draw on.
            truth: accuracies.
            subset: architectures.
        """
        rows = leading(select(self._ranking, truth, subset), top)

        def draw(axis: Axes) -> None:
            draw_bars(axis, self._ranking, rows)
            axis.set_title(described(self._ranking, truth, subset))

        return _drawn(draw, ax, (5.0, 0.8 + 0.17 * len(rows)))

    def scatter(
        self, proxy: str, ax: Axes | None = None, *, truth: str | None = None, subset: str | None = None
    ) -> Axes:
        """Score of a proxy against accuracy, both by rank; the colour of a point is its MACs.

        Args:
            proxy: its name in the ranking.
            ax: axes to draw on.
            truth: accuracies.
            subset: architectures.

        Raises:
            UnknownNameError: the ranking has no such proxy.
        """
        row = self._row(proxy, select(self._ranking, truth, subset))
        return _drawn(lambda axis: draw_cloud(axis, self._ranking, row), ax, (4.2, 3.2))

    def size_controlled(
        self, given: str = "params", ax: Axes | None = None, *, truth: str | None = None, subset: str | None = None
    ) -> Axes:
        """Tau of every proxy against its partial tau given the size: on the diagonal size explains nothing.

        Args:
            given: ``"params"`` or ``"macs"``.
            ax: axes to draw on.
            truth: accuracies.
            subset: architectures.

        Raises:
            UnknownNameError: ``given`` is no such size.
        """
        if given not in CONTROLLED:
            raise unknown("size of this figure", given, CONTROLLED)
        rows = select(self._ranking, truth, subset)
        return _drawn(lambda axis: draw_controlled(axis, rows, given), ax, (5.5, 4.0))

    def _row(self, proxy: str, rows: pd.DataFrame) -> pd.Series:
        found = rows[rows["proxy"] == proxy]
        if found.empty:
            raise unknown("proxy of this ranking", proxy, rows["proxy"])
        return found.iloc[0]


def _drawn(draw: Callable[[Axes], None], ax: Axes | None, size: tuple[float, float]) -> Axes:
    """The axes, drawn on in the style of the reports."""
    # The first use of pyplot loads its backend. That of a notebook switches on that figures are shown, which the style
    # would take back at its end.
    pyplot.draw_if_interactive()  # type: ignore[no-untyped-call]
    return _styled(draw, ax, size)


@styled
def _styled(draw: Callable[[Axes], None], ax: Axes | None, size: tuple[float, float]) -> Axes:
    axis = pyplot.subplots(figsize=size, layout="constrained")[1] if ax is None else ax
    draw(axis)
    return axis
