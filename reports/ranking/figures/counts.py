"""Number of architectures with a value, for each proxy."""

from matplotlib.figure import Figure

from zcbench.benchmarks.ranking.result import Ranking
from zcbench.reports.ranking.illustrations import illustrates


@illustrates("subset", "Values", "Number of architectures with a value. Subset {subset}, n = {n}. {intervals}")
def values(ranking: Ranking, subset: str) -> Figure:
    """Bars of the number of architectures with a value."""
    figure = Figure()
    numbers = ranking.scores.notna().sum()
    figure.subplots().barh(list(map(str, numbers.index)), numbers.to_numpy())
    return figure
