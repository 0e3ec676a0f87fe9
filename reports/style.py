"""Style of all figures: colours, exact panel sizes, labels without overlap, reproducible bytes."""

import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache, wraps
from typing import Any, ParamSpec, TypeVar

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.textpath import TextPath
from scipy.optimize import isotonic_regression

from zcbench.errors import ZcbenchError

P = ParamSpec("P")
Drawn = TypeVar("Drawn")

PALETTE = BLUE, ORANGE, GREEN, PURPLE, YELLOW, SKY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"
"""The colour-blind-safe palette of Okabe and Ito."""

KINDS = {"proxy": (BLUE, "o"), "baseline": (ORANGE, "s"), "ensemble": (GREEN, "^"), "supervised": (PURPLE, "D")}
"""Colour and marker of each kind of row."""

KIND_NAMES = {
    "proxy": "proxy",
    "baseline": "size baseline",
    "ensemble": "ensemble",
    "supervised": "supervised regression",
}
GREY = "#8a8a8a"
LABEL_SIZE = 7.0
FORMATS = ("png", "svg", "pdf")
DPI = {"png": 160, "svg": 100, "pdf": 160}
"""Resolution of the files; in SVG and PDF that of the point clouds only."""


_RC: dict[Any, Any] = {
    "font.family": "sans-serif",  # DejaVu Sans, or where an SVG is shown without it, Verdana of about the same widths
    "font.size": 8.0,
    "axes.titlesize": 8.5,
    "axes.titleweight": "bold",
    "axes.labelsize": 8.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "axes.axisbelow": True,
    "xtick.labelsize": LABEL_SIZE,
    "ytick.labelsize": LABEL_SIZE,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "legend.frameon": False,
    "legend.fontsize": LABEL_SIZE,
    "text.parse_math": False,
    "pdf.fonttype": 42,
    "svg.hashsalt": "zcbench",
    "svg.fonttype": "none",  # text as text: outlines of letters take most of the time and of the bytes
}
_METADATA: dict[str, dict[str, str | None]] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {}}


class FigureError(ZcbenchError, ValueError):
    """Axes that a figure cannot be drawn on."""


def styled(draw: Callable[P, Drawn]) -> Callable[P, Drawn]:
    """Let a figure function draw in the style of the reports, independent of the caller's settings."""

    @wraps(draw)
    def in_style(*args: P.args, **kwargs: P.kwargs) -> Drawn:
        with mpl.rc_context():
            mpl.rcdefaults()
            mpl.rcParams.update(_RC)
            return draw(*args, **kwargs)

    return in_style


def render(figure: Figure, kind: str) -> bytes:
    """Figure as the bytes of a ``png``, ``svg`` or ``pdf`` file; the same figure gives the same bytes."""
    buffer = io.BytesIO()
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_RC)
        figure.savefig(buffer, format=kind, dpi=DPI[kind], metadata=_METADATA[kind])
    return buffer.getvalue()


@dataclass(frozen=True)
class Sheet:
    """Axes that a figure function draws on: of a new figure, which has margins for heading and legend, or given ones.

    Attributes:
        axes: one for each panel.
        own: whether the figure is a new one.
    """

    axes: list[Axes]
    own: bool

    @property
    def figure(self) -> Figure:
        """The figure of the axes."""
        return figure_of(self.axes)

    def heading(self, text: str) -> None:
        """Write at the top left of a new figure which numbers it shows."""
        if self.own:
            figure = self.figure
            figure.text(0.1 / figure.get_figwidth(), 1 - 0.08 / figure.get_figheight(), text, va="top", color=GREY)

    def legend(self, handles: Sequence[Line2D]) -> None:
        """Write the legend under all axes of a new figure, or into the last one that was given."""
        if self.own:
            self.figure.legend(handles=list(handles), loc="lower center", ncols=len(handles))
        else:
            self.axes[-1].legend(handles=list(handles))

    def colour_bar(self, drawn: ScalarMappable, title: str, low: float, high: float) -> Axes:
        """Colour bar at the right, from ``low`` to ``high`` of the height of a new figure."""
        width = self.figure.get_figwidth()
        place = {"cax": self.figure.add_axes((1 - 0.6 / width, low, 0.12 / width, high - low))} if self.own else {}
        bar = self.figure.colorbar(drawn, **place if self.own else {"ax": self.axes}).ax
        bar.set_title(title, fontsize=LABEL_SIZE)
        return bar


def figure_of(axes: Axes | Sequence[Axes]) -> Figure:
    """The figure that a figure function has drawn, given the axes that it returned."""
    figure = (axes if isinstance(axes, Axes) else axes[0]).get_figure(root=True)
    assert figure is not None
    return figure


def panels(
    count: int,
    columns: int,
    size: tuple[float, float],
    *,
    margins: tuple[float, float, float, float] = (0.6, 0.2, 0.35, 0.5),
    header: float = 0.0,
    footer: float = 0.3,
    side: float = 0.0,
    ax: Axes | Iterable[Axes] | None = None,
) -> Sheet:
    """The axes that are given, or a figure with ``count`` equal axes in rows, each of exactly the given size.

    Args:
        count: how many axes.
        columns: at most this many in a row.
        size: width and height of one axes in inches.
        margins: space at the left, right, top and bottom of each axes in inches.
        header: space above all axes.
        footer: space under all axes, for the legend.
        side: space at the right of all axes, for a colour bar.
        ax: axes to draw on, one or an array of them.

    Raises:
        FigureError: the number of axes is another one.
    """
    if ax is not None:
        given = [ax] if isinstance(ax, Axes) else list(np.asarray(ax, dtype=object).ravel())
        if len(given) != count:
            raise FigureError(f"{len(given)} axes were given. Expected {count}: this figure has a panel for each.")
        return Sheet(given, own=False)
    columns = min(columns, count)
    rows = -(-count // columns)
    left, right, top, bottom = margins
    wide, high = left + size[0] + right, top + size[1] + bottom
    width, height = columns * wide + side, header + rows * high + footer
    figure = Figure(figsize=(width, height), facecolor="white")
    FigureCanvasAgg(figure)
    places = [
        (index % columns * wide + left, height - header - (index // columns) * high - top - size[1])
        for index in range(count)
    ]
    return Sheet(
        [figure.add_axes((x / width, y / height, size[0] / width, size[1] / height)) for x, y in places], own=True
    )


@cache
def text_width(text: str, size: float = LABEL_SIZE) -> float:
    """Width of a text in inches."""
    across = TextPath((0, 0), text, size=size).vertices[:, 0]
    return float(across.max() - across.min()) / 72 if len(across) else 0.0


def spread(wanted: np.ndarray, gap: float, low: float, high: float) -> np.ndarray:
    r"""Positions nearest to the wanted ones that lie at least ``gap`` apart and within ``[low, high]``.

    .. math::  \min_p \sum_i (p_i - w_i)^2 \quad\text{with}\quad p_{i+1} - p_i \ge g

    With :math:`q_i = p_i - i g` this is an isotonic regression. If the positions do not fit, the gap is reduced.

    Args:
        wanted: positions in ascending order, shape ``(n,)``.
        gap: smallest distance of two neighbours.
        low: lower bound.
        high: upper bound.
    """
    gap = min(gap, (high - low) / max(len(wanted) - 1, 1))
    steps = gap * np.arange(len(wanted))
    free = isotonic_regression(wanted - steps).x
    return np.asarray(np.clip(free, low, high - steps[-1]) + steps)


def label_at_right(
    axes: Axes, x: Sequence[float], y: Sequence[float], names: Sequence[str], colours: Sequence[str]
) -> None:
    """Write the names of points in a column to the right of the axes, without overlap, each joined to its point.

    The limits of the axes must be final.
    """
    if not len(names):
        return
    low, high = axes.get_ylim()
    height = axes.figure.get_figheight() * axes.get_position().height  # type: ignore[union-attr]
    order = np.argsort(np.asarray(y), kind="stable")
    places = spread(np.asarray(y, dtype=float)[order], 1.35 * LABEL_SIZE / 72 * (high - low) / height, low, high)
    beside = axes.get_yaxis_transform()
    for index, place in zip(order, places):
        axes.text(1.03, place, names[index], va="center", fontsize=LABEL_SIZE, color=colours[index], transform=beside)
    points = np.column_stack([x, y])[order]
    ends = np.column_stack([np.full(len(places), 1.02), places])
    _join(axes, points, ends, [colours[index] for index in order])


def _join(axes: Axes, points: np.ndarray, ends: np.ndarray, colours: Sequence[str]) -> None:
    """Thin lines from points to the ends at the right of the axes, whose limits are final."""
    within = axes.transAxes.inverted()
    starts = within.transform(axes.transData.transform(points))
    stops = within.transform(axes.get_yaxis_transform().transform(ends))
    lines = LineCollection(
        list(np.stack([starts, stops], axis=1)),
        colors=list(colours),
        linewidths=0.4,
        alpha=0.45,
        transform=axes.transAxes,
        clip_on=False,
        zorder=1.5,
    )
    axes.add_collection(lines, autolim=False)


def limits_around(values: pd.DataFrame, *include: float) -> tuple[float, float]:
    """Limits of an axis that shows all values and ``include`` with a margin; ``(0, 1)`` where there are none."""
    finite = np.append(values.to_numpy(dtype=float).ravel(), include)
    finite = finite[np.isfinite(finite)]
    return (float(finite.min()) - 0.04, float(finite.max()) + 0.04) if len(finite) else (0.0, 1.0)


def kind_colours(rows: pd.DataFrame) -> list[str]:
    """Colour of the kind of each row."""
    return [KINDS[kind][0] for kind in rows["kind"]]


def kind_handles(kinds: Iterable[str]) -> list[Line2D]:
    """Entries of a legend for the kinds that occur."""
    there = set(kinds)
    return [
        Line2D([], [], color=colour, marker=marker, linestyle="", markersize=5, label=KIND_NAMES[kind])
        for kind, (colour, marker) in KINDS.items()
        if kind in there
    ]
