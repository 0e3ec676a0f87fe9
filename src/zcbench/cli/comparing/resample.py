"""``zcbench resample``: correlations over repeated small samples."""

from typing import Annotated

import typer
from rich.box import SIMPLE
from rich.markup import escape
from rich.table import Table

from zcbench.cli.arguments import Run
from zcbench.cli.output import emitted, table_console, tabular


@tabular
def resample(
    run: Run,
    truth: Annotated[
        str | None, typer.Option(help="One truth of the ranking.", show_default="the ranking's first")
    ] = None,
    size: Annotated[int, typer.Option(min=3, help="Architectures in a sample.")] = 50,
    repeats: Annotated[int, typer.Option(min=1, help="Samples.")] = 10,
    seed: Annotated[int, typer.Option(help="Seed of the samples.")] = 0,
) -> None:
    """Mean and spread of tau and rho over small samples of a ranked run, as in a study with few architectures."""
    from zcbench.benchmarks.ranking.ranking import Ranking
    from zcbench.benchmarks.ranking.resampling import resample as resampled
    from zcbench.reports.wording import number

    ranking = Ranking.load(run / "ranking")
    chosen = truth or str(ranking.accuracies.columns[0])
    found = resampled(ranking, chosen, size, repeats, seed)
    if emitted(found, truth=chosen, size=size, repeats=repeats, seed=seed):
        return
    title = f"{repeats} samples of {size} architectures against {chosen}, seed {seed}"
    table = Table(title=title, title_justify="left", box=SIMPLE, padding=(0, 1, 0, 0))
    for heading in ("proxy", "kind", "mean τ", "sd", "from", "to", "mean ρ", "sd", "from", "to"):
        table.add_column(heading, justify="left" if heading in ("proxy", "kind") else "right")
    for row in found.itertuples(index=False):
        table.add_row(escape(row[0]), row[1], *map(number, row[3:]))
    table_console().print(table)
