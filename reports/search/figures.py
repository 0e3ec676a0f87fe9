"""Figures of a search: each takes the content of ``search.json`` and draws it."""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.patches import FancyArrowPatch
from matplotlib.ticker import EngFormatter, FuncFormatter, NullFormatter

from zcbench import spaces
from zcbench.reports.pictures import Illustration
from zcbench.reports.search.content import Content, EvaluatedRow, Spread
from zcbench.reports.style import BLUE, GREEN, GREY, LABEL_SIZE, ORANGE, SKY, YELLOW, panels, styled
from zcbench.reports.wording import truth_label
from zcbench.spaces import NASBench201, Space
from zcbench.spaces.registry import NETWORKS

_NONE: list[Spread] = []
COSTS = {
    "params": "parameters",
    "macs": "MACs",
    "n_convs": "convolutions",
    "depth": "depth in layers",
    "width": "width in channels",
    "latency": "latency in ms",
    "energy": "energy in mJ",
}
"""Names of costs in figures, with their units."""

_NODES = {0: (0.0, 0.0), 1: (1.0, 0.9), 2: (2.0, -0.9), 3: (3.0, 0.0)}
_COLOURS = {"nor_conv_3x3": BLUE, "nor_conv_1x1": SKY, "avg_pool_3x3": YELLOW, "skip_connect": GREEN}
_SHORT = {"nor_conv_3x3": "3x3", "nor_conv_1x1": "1x1", "avg_pool_3x3": "pool", "skip_connect": "skip"}


def illustrations(content: Content) -> Iterator[Illustration]:
    """All figures of the report of a search, with their captions."""
    best, cost = content["best"], cost_of(content)
    space = space_of(best["space"])
    if isinstance(space, NASBench201):
        yield Illustration(
            "cell",
            "Cell of the result",
            "Operations on the edges; a missing edge is the operation none.",
            partial(cell_graph, space, best["arch"]),
        )
    yield Illustration(
        "best_so_far",
        "Result by number of evaluations",
        "Over the number of different architectures evaluated, and over the seconds of scoring one after the other. "
        "Accuracies were looked up after the search.",
        partial(best_so_far, content),
    )
    yield Illustration(
        "population",
        "Population by number of evaluations",
        "First seed: every architecture at its evaluation, and median and range of the population.",
        partial(population_over_time, content),
    )
    yield Illustration(
        "pareto",
        f"Objective against {cost}",
        "First seed. No architecture is both cheaper and higher than one of the front.",
        partial(pareto, content, cost),
    )


def space_of(spec: str) -> Space | None:
    """The space that was searched; None where it was networks of the user's own, of which the result has names."""
    return None if spec == NETWORKS else spaces.get(spec)


def cost_of(content: Content) -> str:
    """Cost of the front: the first that was minimised or limited, otherwise the parameters."""
    request = content["request"]
    return next(iter((*request["minimised"], *request["limits"])), "params")


@styled
def best_so_far(content: Content, ax: Axes | Iterable[Axes] | None = None) -> list[Axes]:
    """Objective of the result and its accuracy for each truth, by evaluations and by seconds, with intervals.

    Args:
        content: of ``search.json``.
        ax: axes to draw on, one for the objective, for each truth, and for each truth by seconds where these are known;
            axes of a new figure if None.

    Returns:
        The axes.
    """
    formula = content["request"]["objective"]["formula"]
    curves = [("objective", formula, content["best_so_far"], _NONE)]
    for name, judged in content["truths"].items():
        baseline = judged["baselines"].get("random search, same objective")
        random = baseline.get("by_evaluations", _NONE) if isinstance(baseline, dict) else _NONE
        curves.append((truth_label(name), "accuracy of the result, %", judged["by_evaluations"], random))
    for name, rows in content["times"].get("by_seconds", {}).items():
        curves.append((truth_label(name), "accuracy of the result, %", rows, _NONE))
    sheet = panels(len(curves), 3, (2.6, 2.1), margins=(0.75, 0.2, 0.35, 0.45), header=0.2, footer=0.1, ax=ax)
    n = len(content["repeats"])
    sheet.heading(f"mean over {n} seeds with its 95 % interval" if n > 1 else "one seed")
    for axis, (title, label, rows, random) in zip(sheet.axes, curves):
        if random:
            _band(axis, random, ORANGE, "random, same objective")
        _band(axis, rows, BLUE, content["request"]["algorithm"])
        xlabel = "seconds of scoring" if rows and "seconds" in rows[0] else "architectures evaluated"
        axis.set(title=title, xlabel=xlabel, ylabel=label if len(label) < 30 else "objective")
        axis.set_xscale("log")
        axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}" if value >= 1 else f"{value:g}"))
        axis.xaxis.set_minor_formatter(NullFormatter())
        _short_numbers(axis.yaxis)
        axis.legend(loc="lower right")
    return sheet.axes


def _band(axis: Axes, rows: Sequence[Spread], colour: str, label: str) -> None:
    points = [
        (row["seconds"] if "seconds" in row else row["evaluations"], row["mean"], row)
        for row in rows
        if row["mean"] is not None
    ]
    x, means = [place for place, *_ in points], [mean for _, mean, _ in points]
    axis.plot(x, means, color=colour, marker=".", linewidth=1.1, label=label)
    bands = [(place, row["low"], row["high"]) for place, _, row in points if row["low"] is not None]
    if bands:
        places, low, high = map(list, zip(*bands))
        axis.fill_between(places, low, high, color=colour, alpha=0.18, linewidth=0)


@styled
def population_over_time(content: Content, ax: Axes | None = None) -> Axes:
    """Median and range of the objective in the population of the first seed, and every evaluated architecture.

    Args:
        content: of ``search.json``.
        ax: axes to draw on, one pair; axes of a new figure if None.
    """
    values = [row["value"] for row in content["history"]]
    (axis,) = panels(1, 1, (4.6, 2.6), margins=(0.75, 0.2, 0.3, 0.45), footer=0.05, ax=ax).axes
    known = [(place, value) for place, value in enumerate(values, 1) if value is not None]
    axis.plot(*zip(*known), ".", color=GREY, markersize=2.5, alpha=0.6, label="evaluated")
    rows = [
        (row["evaluations"], some)
        for row in content["population"]
        if (some := [values[place] for place in row["members"] if values[place] is not None])
    ]
    if rows:
        x, groups = zip(*rows)
        low, middle, high = (np.array([np.percentile(some, share) for some in groups]) for share in (0, 50, 100))
        axis.fill_between(x, low, high, color=BLUE, alpha=0.15, linewidth=0, label="population")
        axis.plot(x, middle, color=BLUE, linewidth=1.1, label="median of the population")
    axis.set(xlabel="architectures evaluated", ylabel="objective")
    _short_numbers(axis.yaxis)
    axis.legend(loc="lower right")
    return axis


@styled
def pareto(content: Content, cost: str, ax: Axes | None = None) -> Axes:
    """Objective against one cost: every evaluated architecture, the front, and the result.

    Args:
        content: of ``search.json``.
        cost: one of the costs in it.
        ax: axes to draw on, one pair; axes of a new figure if None.
    """
    (axis,) = panels(1, 1, (4.6, 3.0), margins=(0.75, 0.2, 0.3, 0.5), footer=0.05, ax=ax).axes
    every = pairs(content["history"], cost)
    axis.plot(*zip(*every), ".", color=GREY, markersize=3, alpha=0.6, label="evaluated")
    front = best_of(every)
    axis.plot(*zip(*front), "o-", color=GREEN, markersize=3.5, linewidth=0.9, label="Pareto front")
    axis.plot(*zip(*pairs([content["best"]], cost)), "*", color=ORANGE, markersize=11, label="result")
    axis.set(xlabel=COSTS.get(cost, cost), ylabel="objective")
    _short_numbers(axis.xaxis)
    _short_numbers(axis.yaxis)
    axis.legend(loc="lower right")
    return axis


def _short_numbers(axis: Axis) -> None:
    """Large numbers with k, M or G."""
    if max(map(abs, axis.get_view_interval())) >= 1e4:
        axis.set_major_formatter(EngFormatter(sep=" "))


def pairs(rows: Sequence[EvaluatedRow], cost: str) -> list[tuple[float, float]]:
    """Cost and objective of every row that has both."""
    both = [(row["costs"].get(cost), row["value"]) for row in rows]
    return [(float(x), float(y)) for x, y in both if x is not None and y is not None]


def best_of(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Points to which no other has a lower cost and a higher objective, by rising cost."""
    front: list[tuple[float, float]] = []
    for x, y in sorted(set(points), key=lambda point: (point[0], -point[1])):
        if not front or y > front[-1][1]:
            front.append((x, y))
    return front


@styled
def cell_graph(space: NASBench201, arch: str, ax: Axes | None = None) -> Axes:
    """The cell as a graph: four nodes, an arrow for every operation that is not ``none``.

    Args:
        space: of the architecture.
        arch: the architecture.
        ax: axes to draw on, one pair; axes of a new figure if None.
    """
    (axis,) = panels(1, 1, (4.6, 2.2), margins=(0.1, 0.1, 0.1, 0.1), footer=0, ax=ax).axes
    edges = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
    for (start, end), operation in zip(edges, space.parse(arch)):
        if operation != "none":
            _arrow(axis, start, end, operation)
    for node, (x, y) in _NODES.items():
        axis.plot(x, y, "o", color="white", markeredgecolor="black", markersize=17, zorder=3)
        axis.text(x, y, {0: "in", 3: "out"}.get(node, str(node)), ha="center", va="center", zorder=4)
    axis.set(xlim=(-0.35, 3.35), ylim=(-1.35, 1.35))
    axis.set_axis_off()
    return axis


def _arrow(axis: Axes, start: int, end: int, operation: str) -> None:
    bend = 0.0 if (start, end) != (0, 3) else -0.05
    arrow = FancyArrowPatch(
        _NODES[start],
        _NODES[end],
        connectionstyle=f"arc3,rad={bend}",
        arrowstyle="-|>",
        mutation_scale=11,
        shrinkA=9,
        shrinkB=9,
        color=_COLOURS[operation],
        linewidth=1.6,
    )
    axis.add_patch(arrow)
    share = {(0, 2): 0.35, (1, 3): 0.65, (0, 3): 0.3, (1, 2): 0.25}.get((start, end), 0.5)
    (x0, y0), (x1, y1) = _NODES[start], _NODES[end]
    axis.text(
        x0 + share * (x1 - x0),
        y0 + share * (y1 - y0),
        _SHORT[operation],
        ha="center",
        va="center",
        fontsize=LABEL_SIZE,
        color=_COLOURS[operation],
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.0},
        zorder=2.5,
    )
