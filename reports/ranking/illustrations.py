"""Registry of the figures of a ranking, and the illustrations of one ranking."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import Literal, ParamSpec, TypeVar

from matplotlib.axes import Axes

from zcbench.benchmarks.ranking.ranking import Ranking
from zcbench.reports.pictures import Illustration
from zcbench.reports.ranking.selection import described, intervals_named, subsets, truths
from zcbench.reports.style import styled
from zcbench.reports.wording import count, slug

P = ParamSpec("P")
Drawn = TypeVar("Drawn", bound=Axes | list[Axes])
Each = Literal["subset", "truth", "pair"]


@dataclass(frozen=True)
class RankingFigure:
    """A kind of figure.

    ``draw`` takes a ranking, the names of the subset, of the truth or of two truths, and axes ``ax``; it returns axes.
    """

    draw: Callable[..., Axes | list[Axes]]
    each: Each
    title: str
    caption: str
    when: Callable[..., bool]


FIGURES: dict[str, RankingFigure] = {}
"""Every kind of figure by the name of its function, in the order of the report."""


def illustrates(
    each: Each, title: str, caption: str, when: Callable[..., bool] = lambda *_: True
) -> Callable[[Callable[P, Drawn]], Callable[P, Drawn]]:
    """Add a figure function to every report, and let it draw in the style of the reports.

    Args:
        each: the report draws it for each ``subset``, each ``truth`` (over the first subset), or each ``pair`` of the
            first truth and another one.
        title: heading.
        caption: a format string with ``{intervals}``; with ``{subset}`` and ``{n}``, or with ``{first}`` and
            ``{second}``. The caption of a truth begins with truth, subset and n by itself.
        when: whether it can be drawn; takes the arguments of the function.
    """

    def register(draw: Callable[P, Drawn]) -> Callable[P, Drawn]:
        in_style = styled(draw)
        FIGURES[draw.__name__] = RankingFigure(in_style, each, title, caption, when)
        return in_style

    return register


def illustrations(ranking: Ranking) -> Iterator[Illustration]:
    """All figures of a report, in the order of the files in ``figures/`` and of the functions in them."""
    for each, group in groupby(FIGURES.values(), key=lambda figure: figure.each):
        figures = list(group)
        for names in _cases(ranking, each):
            yield from (_illustration(ranking, one, names) for one in figures if one.when(ranking, *names))


def _cases(ranking: Ranking, each: Each) -> list[tuple[str, ...]]:
    """Names that the figures of one kind are drawn for, one after the other."""
    first, *others = truths(ranking)
    pairs: list[tuple[str, ...]] = [(first, other) for other in others]
    return pairs if each == "pair" else [(name,) for name in (subsets if each == "subset" else truths)(ranking)]


def _illustration(ranking: Ranking, figure: RankingFigure, names: tuple[str, ...]) -> Illustration:
    facts = {"intervals": intervals_named(ranking), "first": names[0], "second": names[-1], "subset": names[0]}
    if figure.each == "subset":
        facts["n"] = count(ranking.table.loc[ranking.table["subset"] == names[0], "n"].max())
    about = f"{described(ranking, names[0])}. " if figure.each == "truth" else ""
    truth, subset = ("", names[0]) if figure.each == "subset" else (names[-1], "")
    return Illustration(
        stem=".".join([figure.draw.__name__, *map(slug, names)]),
        title=figure.title,
        caption=about + figure.caption.format_map(facts),
        draw=partial(figure.draw, ranking, *names),
        truth=truth,
        subset=subset,
    )
