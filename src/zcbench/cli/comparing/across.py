"""``zcbench across``: proxies on many truths."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zcbench.cli.arguments import DataDir, Ensembles, Plugins, Truths, ranking
from zcbench.cli.options import options
from zcbench.cli.output import emitted, table_console, tabular
from zcbench.cli.tables import print_table
from zcbench.specification import split_list

if TYPE_CHECKING:
    import pandas as pd

    from zcbench import RankingOptions
    from zcbench.benchmarks.ranking.across import TruthComparison

#: Columns of a printed table of figures.
_TRUTHS_IN_A_TABLE = 14


@tabular
@options(ranking=ranking("k", "supervised", "supervised_train"))
def across(
    *,
    runs: Annotated[
        list[str],
        typer.Argument(
            help="Folders of runs, files of 'zcbench scores pack', or names of 'zcbench scores list', of any spaces.",
            show_default=False,
        ),
    ],
    truth: Truths,
    by: Annotated[
        str,
        typer.Option(
            help="Figure that proxies are ordered and chosen by: tau, tau_given_all, tau_given_all_flexible or "
            "tau_top10."
        ),
    ] = "tau_given_all",
    subset: Annotated[
        str, typer.Option(help="Architectures of the spaces that have this subset, such as live; all of the others.")
    ] = "all",
    top: Annotated[int, typer.Option(min=1, help="Rows of each printed table; --json and --csv have all.")] = 20,
    plugin: Plugins = None,
    ranking: "RankingOptions",
    ensembles: Ensembles = "all",
    data_dir: DataDir = None,
) -> None:
    """Compare proxies on many truths: on how many they beat size, how stable they are, and a choice for a new space.

    A truth goes to the scores of its space. The last table has, for every space, the proxy or ensemble that is best on
    the other spaces.
    """
    import zcbench

    found = zcbench.compare_truths(
        split_list(runs), truth, by=by, subset=subset, ensembles=ensembles, options=ranking, data_dir=data_dir
    )
    more = {"proxies": found.proxies, "stability": found.stability}
    tables = {name: frame.reset_index().to_dict("records") for name, frame in more.items()}
    tables |= {name: frame.to_dict("records") for name, frame in _plain(found).items()}
    if emitted(found.table, by=by, protocol=found.protocol, **tables):
        return
    _print_truths(found)
    _print_proxies(found, top)
    _print_figures(found, top)
    _print_stability(found.stability)
    _print_held_out(found.held_out)


def _plain(found: "TruthComparison") -> dict[str, "pd.DataFrame"]:
    return {"held_out": found.held_out, "reproduced": found.reproduced()}


def _print_truths(found: "TruthComparison") -> None:
    from zcbench.benchmarks.truths.reproduced import Reproduction

    console, known = table_console(), found.reproduced()
    for number, (truth, rows) in enumerate(found.table.groupby("truth", sort=False), 1):
        size, n = rows["size"].iloc[0], rows["n"].max()
        line = f"{number}  {truth}: {n:,} architectures ({rows['subset'].iloc[0]}) of {Path(rows['run'].iloc[0]).name}"
        console.print(f"{line}; best size {size or 'none'}", highlight=False, markup=False, soft_wrap=True)
        others = known[known["truth"] == truth].drop(columns="truth").itertuples(index=False)
        told = "; ".join(str(Reproduction(*one)) for one in others) or "nothing: there is no other table of it here"
        console.print(f"   given all sizes, it agrees with {told}", highlight=False, markup=False, soft_wrap=True)
    for truth, first in found.protocol["repeated truths"].items():
        console.print(f"left out: {truth} has the accuracies of {first}", highlight=False, markup=False)


def _print_proxies(found: "TruthComparison", top: int) -> None:
    shown = found.proxies.head(top)
    headings = ("name", "kind", "truths", "τ", "τ | all", "flexible", "top 10 %", "least", "above 0", "below 0")
    columns = ["tau", "tau_given_all", "tau_given_all_flexible", "tau_top10", "least_given_all"]
    rows = (
        (
            name,
            row["kind"],
            row["truths"],
            *_figures(row[columns]),
            row["above"],
            row["below"],
            row["beats"],
            row["worse"],
        )
        for name, row in shown.iterrows()
    )
    title = f"Proxies by {found.by}: means over spaces, and on how many truths the interval is on one side"
    print_table((*headings, "beats size", "worse"), rows, title)


def _print_figures(found: "TruthComparison", top: int) -> None:
    """The figures of each truth, in tables that a terminal holds."""
    frame = found.figures(found.by).head(top)
    for start in range(0, len(frame.columns), _TRUTHS_IN_A_TABLE):
        part = frame.iloc[:, start : start + _TRUTHS_IN_A_TABLE]
        rows = ((name, *_figures(row)) for name, row in zip(part.index, part.to_numpy(float)))
        numbers = (str(start + place) for place in range(1, part.shape[1] + 1))
        print_table(("name", *numbers), rows, f"{found.by} on each truth, by its number above")


def _print_stability(frame: "pd.DataFrame") -> None:
    rows = (
        (figure, row["n"], *_figures(row[["w", "tau", "tau_within", "tau_between", "lowest"]]), _pair(row))
        for figure, row in frame.iterrows()
    )
    headings = ("name", "proxies", "W", "τ", "within a space", "between spaces", "lowest", "of")
    print_table(headings, rows, "Agreement of the truths on the order of the proxies")


def _print_held_out(frame: "pd.DataFrame") -> None:
    if frame.empty:
        table_console().print("A choice for a new space needs truths of two spaces or more.")
        return
    columns = ["mean_elsewhere", "tau", "tau_given_all", "tau_given_all_flexible"]
    columns += ["difference", "difference_low", "difference_high"]
    rows = (
        (
            row["truth"],
            row["chosen"],
            *_figures(row[columns]),
            row["best"],
            *_figures([row["best_figure"]]),
        )
        for _, row in frame.iterrows()
    )
    headings = ("name", "chosen elsewhere", "mean there", "τ", "τ | all", "flexible", "τ − size", "low", "high")
    print_table((*headings, "best afterwards", "its figure"), rows, "Chosen on the other spaces, reported on this one")


def _pair(row: "pd.Series") -> str:
    return f"{row['first']}, {row['second']}" if row["first"] else ""


def _figures(values: Iterable[float]) -> list[str]:
    return ["–" if value != value else f"{value:.2f}" for value in values]
