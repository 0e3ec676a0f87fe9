"""``zcbench ensembles``: select a rank aggregation on one half of the architectures, and evaluate it on the other."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.box import SIMPLE
from rich.markup import escape
from rich.table import Table

from zcbench.cli.arguments import SCORES, TRUTH, Batches, Beside, DataDir, Draws, Plugins, Truths
from zcbench.cli.bench import resolve_truths
from zcbench.cli.output import emitted, table_console, tabular
from zcbench.cli.tables import print_ranking
from zcbench.specification import split_list

if TYPE_CHECKING:
    from zcbench.benchmarks.ranking.selection import Selection

app = typer.Typer(help="Rank aggregations of several proxies.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def _group() -> None:
    """Rank aggregations of several proxies."""


@app.command()
@tabular
def select(
    run: Annotated[str, typer.Argument(help=SCORES, show_default=False)],
    truth: Truths = TRUTH,
    candidates: Annotated[
        str | None,
        typer.Option(help="Proxies to choose from, separated by commas.", show_default="all with 90 % coverage"),
    ] = None,
    max_members: Annotated[int, typer.Option(min=1, help="Largest ensemble.")] = 4,
    beam: Annotated[int, typer.Option(min=1, help="Ensembles of each size that the search carries on.")] = 30,
    seed: Annotated[int, typer.Option(help="Seed of the split into halves.")] = 0,
    given: Annotated[
        str | None,
        typer.Option(help="Size to control for, such as params: the criterion is then partial tau given it."),
    ] = None,
    pick_from: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Maximise the expected accuracy of the best-scored of so many random architectures in place of tau: "
            "for a search of so many evaluations.",
        ),
    ] = None,
    method: Annotated[
        str,
        typer.Option(
            help="How members are chosen: beam, a search for the criterion; or libra, three that complement each other."
        ),
    ] = "beam",
    batches: Batches = None,
    beside: Beside = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for selection.json, the two halves (training.txt, judging.txt), and the ranking, which "
            "'zcbench report' draws."
        ),
    ] = None,
    plugin: Plugins = None,
    draws: Draws = 0,
    data_dir: DataDir = None,
) -> None:
    """Select the log-rank ensemble that ranks one half of the architectures best, and evaluate it on the other half.

    Halves are of isomorphism classes. The choice maximises the mean Kendall tau over the truths that
    are given, the partial tau given a size, or the expected accuracy of a search. The method libra takes the best
    proxy, one of little further information near it, and one whose relation to the parameters is that of the accuracy.
    """
    from zcbench.benchmarks.ranking.selection import SelectionOptions
    from zcbench.benchmarks.ranking.study import select_run

    names = None if candidates is None else tuple(split_list(candidates))
    found, ranking = select_run(
        run,
        resolve_truths(truth, data_dir),
        batches=split_list(batches or ()),
        beside=split_list(beside or ()),
        options=SelectionOptions(names, max_members, beam, seed, given, pick_from, method),
        draws=draws,
    )
    if out is not None:
        ranking.save(out / "ranking")
        found.save(out)
    if emitted(ranking.to_frame(subset="judging"), protocol=ranking.protocol, selection=found.to_json()):
        return
    print_ranking(ranking, "judging")
    _print_trace(found)


def _print_trace(found: "Selection") -> None:
    measure = found.options.measure
    table = Table(
        title=f"Best ensemble of each size, {measure}", title_justify="left", box=SIMPLE, padding=(0, 1, 0, 0)
    )
    decimals = 2 if "accuracy" in measure else 3
    for heading in ("members", "half", "mean", *found.truths):
        words = heading in ("members", "half")
        table.add_column(heading, justify="left" if words else "right", no_wrap=heading != "members")
    for chosen, judged in zip(found.trace.itertuples(index=False), found.judged.itertuples(index=False)):
        for half, (_, members, *figures) in (("training", chosen), ("judging", judged)):
            name = escape(", ".join(members)) if half == "training" else ""
            table.add_row(name, half, *(f"{value:.{decimals}f}" for value in figures))
    console = table_console()
    console.print(table)
    console.print(
        f"Chosen on {len(found.training):,} architectures: {found.options.rule}({','.join(found.members)}), "
        f"judged on {len(found.judging):,}"
    )
