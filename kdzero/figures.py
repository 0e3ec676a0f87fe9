"""Figures of a distiller search: each takes plain rows of ``distiller.json`` and draws them."""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import cycle

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from zcbench.kdzero.content import Curves, DistillerContent, Shares, Weights, judged_by
from zcbench.reports.pictures import Illustration
from zcbench.reports.style import GREY, ORANGE, PALETTE, label_at_right, panels, styled

_MOST_BARS, _MOST_LINES = 12, 8
_FAR = 3.0  # interquartile ranges beyond which a candidate is drawn at the edge


def illustrations(content: DistillerContent, curves: Curves) -> Iterator[Illustration]:
    """All figures of the report of a distiller search, with their captions."""
    yield Illustration(
        "best_so_far",
        "Best fitness by number of evaluations",
        "Fitness by the number of candidates evaluated; lower is better. Where several searches are drawn, their terms "
        "are scaled alike.",
        partial(best_so_far, curves),
    )
    yield Illustration(
        "operations",
        "Operations of the fittest genomes",
        f"Share of the {content['operations']['top']} fittest genomes that have an operation, and share of all "
        "evaluated genomes (ring). A genome has three transforms.",
        partial(operation_shares, content["operations"]),
    )
    yield Illustration(
        "terms",
        "Terms of the fitness",
        "Every measured candidate, on the validation images. The colour is the rank by fitness, the star is the best "
        "candidate, the square the student trained alone.",
        partial(terms_scatter, content),
    )
    if content["shrinkage"]:
        yield Illustration(
            "shrinkage",
            "Weights of the operations",
            "Weights of the operations with the lowest weights at the end; all weights start at 1.",
            partial(shrinking, content["shrinkage"], len(content["history"])),
        )


@styled
def best_so_far(curves: Curves, ax: Axes | None = None) -> Axes:
    """Fitness of the best by the number of candidates evaluated, one step curve per search.

    Args:
        curves: by the label of a search.
        ax: axes to draw on, one pair; axes of a new figure if None.
    """
    (axis,) = panels(1, 1, (4.6, 2.6), margins=(0.75, 0.2, 0.2, 0.45), footer=0.05, ax=ax).axes
    for colour, (label, rows) in zip(cycle(PALETTE), curves.items()):
        x, y = [row["evaluations"] for row in rows], [row["fitness"] for row in rows]
        if rows:
            axis.step(x, y, where="post", color=colour, linewidth=1.2, label=label)
            axis.plot(x, y, ".", color=colour, markersize=4)
    axis.set(xlabel="candidates evaluated", ylabel="fitness of the best (lower is better)")
    axis.legend(loc="upper right")
    return axis


@styled
def operation_shares(
    operations: Shares, top: int | None = _MOST_BARS, ax: Axes | Iterable[Axes] | None = None
) -> list[Axes]:
    """For each part, the most frequent operations of the fittest genomes, with their share in all.

    Args:
        operations: of ``distiller.json``.
        top: how many operations of each part; every one if None.
        ax: axes to draw on, one for each part of a genome that has operations; axes of a new figure if None.

    Returns:
        The axes, one for each part.
    """
    parts = {part: rows[:top] for part, rows in operations["parts"].items() if rows}
    sheet = panels(len(parts), 3, (1.7, 1.9), margins=(1.15, 0.15, 0.35, 0.4), header=0.2, footer=0.05, ax=ax)
    sheet.heading(f"bars: the {operations['top']} fittest; rings: all evaluated genomes")
    for axis, (part, rows) in zip(sheet.axes, parts.items()):
        places = np.arange(len(rows))
        axis.barh(places, [row["top"] for row in rows], color=PALETTE[0], height=0.65)
        axis.plot([row["all"] for row in rows], places, "o", markerfacecolor="none", color=GREY, markersize=4)
        axis.set_yticks(places, [row["operation"] for row in rows])
        axis.set(title=part, xlabel="share of genomes", ylim=(max(len(rows), 4) - 0.5, -0.5))
        axis.set_xlim(left=0)
    return sheet.axes


@styled
def shrinking(log: Sequence[Weights], evaluations: int, top: int | None = _MOST_LINES, ax: Axes | None = None) -> Axes:
    """Weights of the operations with the lowest final weights, by the number of candidates evaluated.

    Args:
        log: of ``distiller.json``.
        evaluations: of the whole search.
        top: how many operations; every one if None.
        ax: axes to draw on, one pair; axes of a new figure if None.
    """
    last = log[-1]["weights"]
    least = sorted((weight, part, name) for part, row in last.items() for name, weight in row.items())[:top]
    (axis,) = panels(1, 1, (4.2, 2.6), margins=(0.6, 0.2, 0.2, 0.45), side=1.6, footer=0.05, ax=ax).axes
    x = [0, *(row["evaluations"] for row in log), evaluations]
    ends = []
    for colour, (_, part, name) in zip(cycle(PALETTE), least):
        weights = [row["weights"].get(part, {}).get(name, 1.0) for row in log]
        axis.step(x, [1.0, *weights, weights[-1]], where="post", color=colour, linewidth=1.0)
        ends.append((weights[-1], f"{part} {name}", colour))
    axis.set(xlabel="candidates evaluated", ylabel="weight in the draw", ylim=(0, 1.05), xlim=(0, evaluations))
    if ends:
        y, names, colours = zip(*ends)
        label_at_right(axis, [evaluations] * len(y), y, names, colours)
    return axis


@styled
def terms_scatter(content: DistillerContent, ax: Iterable[Axes] | None = None) -> list[Axes]:
    """Cross-entropy against sharpness gap and CKA of every candidate, coloured by its rank by fitness.

    Args:
        content: of ``distiller.json``.
        ax: axes to draw on, three; axes of a new figure if None.

    Returns:
        The three axes.
    """
    rows = [(row["fitness"], row["terms"]) for row in content["history"] if row["fitness"] is not None and row["terms"]]
    order = np.argsort(np.argsort([fitness for fitness, _ in rows]))
    alone = content["references"]["student alone"].get("terms")
    form = {"exact": "sharpness", "absolute": "sharpness_absolute", "second_order": "sharpness_second_order"}
    gap = form[content["search"]["fitness"]["sharpness"]]
    pairs = (("ce", gap), ("ce", "cka"), ("cka", "accuracy"))
    names = {**_NAMES, "accuracy": f"validation {judged_by(content)} in %"}
    sheet = panels(len(pairs), 3, (2.1, 2.0), margins=(0.7, 0.2, 0.2, 0.45), side=0.75, footer=0.05, ax=ax)
    for axis, (x, y) in zip(sheet.axes, pairs):
        points = np.array([[terms[x], terms[y]] for _, terms in rows])
        drawn = axis.scatter(points[:, 0], points[:, 1], c=order + 1, cmap="viridis", s=10, linewidths=0)
        best = points[int(order.argmin())]
        axis.plot(*best, "*", color=ORANGE, markersize=11)
        if alone:
            axis.plot(alone[x], alone[y], "s", markerfacecolor="none", color=ORANGE, markersize=5)
        axis.set(xlabel=names[x], ylabel=names[y])
        _near(axis, points)
    bar = sheet.colour_bar(drawn, "rank by\nfitness", 0.2, 0.8)
    bar.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    return sheet.axes


_NAMES = {
    "ce": "cross-entropy in nats",
    "sharpness": "sharpness gap",
    "sharpness_absolute": "sharpness gap, absolute",
    "sharpness_second_order": "sharpness gap, second order",
    "cka": "CKA with the teacher",
}


def _near(axis: Axes, points: np.ndarray) -> None:
    """Limits around most of the points, so that a failed training does not determine the scale."""
    for values, limits, move in (
        (points[:, 0], axis.get_xlim(), axis.set_xlim),
        (points[:, 1], axis.get_ylim(), axis.set_ylim),
    ):
        low, high = np.percentile(values, [25, 75])
        reach = _FAR * (high - low)
        if reach > 0:
            move(max(limits[0], low - reach), min(limits[1], high + reach))
