"""Which figures a report has, and what each says under itself."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from matplotlib.figure import Figure

from zcbench.benchmarks.ranking.ranking import Ranking
from zcbench.reports.ranking import changes, figures
from zcbench.reports.ranking.selection import described, intervals_named, subsets, truths
from zcbench.reports.wording import count, slug


@dataclass(frozen=True)
class Illustration:
    """One figure of a report.

    Attributes:
        stem: file name without its ending.
        title: heading.
        caption: what is shown, of which architectures, and how many.
        draw: makes the figure.
        truth: the one truth it is about; empty if it shows all.
        subset: the architectures it is about.
    """

    stem: str
    title: str
    caption: str
    draw: Callable[[], Figure]
    truth: str
    subset: str


_PER_TRUTH = (
    (
        figures.score_panels,
        "Score against accuracy",
        "Each point is one architecture, coloured by its MACs. Both axes are ranks: across, the rank of the score in "
        "percent; up, that of the accuracy, with the accuracies in percent at the ticks. Vertical stripes are "
        "equal scores; a panel that shades from dark to light is ordered by size.",
    ),
    (
        figures.size_controlled,
        "What is left when size is held fixed",
        "Kendall's τ-b against the partial τ-b given the number of parameters (left) and of MACs (right). On the "
        "dashed line size explains nothing, on the horizontal line it explains everything.",
    ),
    (
        figures.cost_quality,
        "Cost against quality",
        "Mean seconds per architecture on the machine of the run (logarithmic) against τ-b, with {intervals}. What has "
        "no recorded cost is a dotted line.",
    ),
    (
        figures.top_behaviour,
        "Where a search decides",
        "τ-b over all architectures against τ-b within the tenth with the best accuracy, where a search has to choose. "
        "On the dashed line a proxy ranks the best as well as it ranks all.",
    ),
)

_BARS = (
    "Kendall's τ-b between score and accuracy, with {intervals}, subset {subset} (n = {n}). Hatched bars "
    "are sizes, which need no network; the dashed line is the best of them: a proxy below it has not earned its cost. "
    "The dotted line, if any, is the free ensemble, which the other ensembles have to beat. Supervised regressions, if "
    "any, have learned accuracies: they stand apart, below all others."
)
_HEATMAP = (
    "Kendall's τ-b between the scores of every two proxies, subset {subset} (n = {n}), each turned so "
    "that higher is better. Proxies that rank alike stand together; close to 1, two say the same. Grey is undefined."
)
_CHANGE = (
    "Left, the place of every architecture by {first} and by {second}: green rises and orange falls by more than a "
    "tenth of all places. Right, the two accuracies; a grey line joins every pair that the two put in opposite order, "
    "and the colour of a point is the share of the others with which it does so."
)


def illustrations(ranking: Ranking) -> Iterator[Illustration]:
    """All figures of a report: bars and heatmap for each subset, the others for each truth and the first subset.

    Of at most `zcbench.reports.ranking.changes.MOST` architectures, the changes of places from the first truth to each
    other.
    """
    for subset in subsets(ranking):
        yield _of_subset(ranking, subset, figures.ranking_bars, "How well each proxy ranks", _BARS)
    for truth in truths(ranking):
        for draw, title, caption in _PER_TRUTH:
            yield _of_truth(ranking, truth, draw, title, caption)
    if len(ranking.accuracies) <= changes.MOST:
        first, *others = truths(ranking)
        for other in others:
            if len(ranking.accuracies[[first, other]].dropna()) > 1:
                yield _of_change(ranking, first, other)
    for subset in subsets(ranking):
        if subset in ranking.correlations:
            yield _of_subset(ranking, subset, figures.proxy_heatmap, "Which proxies say the same", _HEATMAP)


def _of_subset(ranking: Ranking, subset: str, draw: Callable[..., Figure], title: str, caption: str) -> Illustration:
    n = count(ranking.table.loc[ranking.table["subset"] == subset, "n"].max())
    text = caption.format(intervals=intervals_named(ranking), subset=subset, n=n)
    return Illustration(f"{draw.__name__}.{slug(subset)}", title, text, partial(draw, ranking, subset), "", subset)


def _of_change(ranking: Ranking, first: str, second: str) -> Illustration:
    stem = f"{changes.rank_change.__name__}.{slug(first)}.{slug(second)}"
    draw = partial(changes.rank_change, ranking, first, second)
    return Illustration(stem, "Who changes places", _CHANGE.format(first=first, second=second), draw, second, "")


def _of_truth(ranking: Ranking, truth: str, draw: Callable[..., Figure], title: str, caption: str) -> Illustration:
    subset = subsets(ranking)[0]
    text = f"{described(ranking, truth, subset)}. {caption.format(intervals=intervals_named(ranking))}"
    stem = f"{draw.__name__}.{slug(truth)}"
    return Illustration(stem, title, text, partial(draw, ranking, truth, subset), truth, subset)
