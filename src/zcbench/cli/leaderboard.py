"""``zcbench leaderboard``: results of proxies on benchmarks, added and verified by anybody."""

from pathlib import Path
from typing import Annotated

import typer

from zcbench.cli.arguments import SCORES, TRUTH_HELP, DataDir, Plugins
from zcbench.cli.output import emitted, status, tabular
from zcbench.cli.tables import print_table
from zcbench.specification import split_list

app = typer.Typer(
    help="Results of proxies on benchmarks: add, verify, and build the page.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Folder = Annotated[Path, typer.Option("--board", help="Folder of the leaderboard.")]
BOARD = Path("leaderboard")


@app.command()
@tabular
def add(
    scores: Annotated[str, typer.Argument(help=SCORES, show_default=False)],
    board: Folder = BOARD,
    truth: Annotated[
        list[str] | None,
        typer.Option(help=f"{TRUTH_HELP} Makes a benchmark where there is none.", show_default="the benchmarks there"),
    ] = None,
    plugin: Annotated[Path | None, typer.Option(help="Python file that defines the proxies.")] = None,
    proxies: Annotated[
        str | None, typer.Option(help="Proxies to add, separated by commas.", show_default="all but sizes")
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Add the proxies of a run to a leaderboard: scores and plug-in are copied into its folder.

    A proxy of a plug-in must pass the checks of 'zcbench proxies check'.
    """
    from zcbench.benchmarks import leaderboard

    truths = [name for given in truth or () for name in split_list(given)]
    chosen = None if proxies is None else split_list(proxies)
    entries = leaderboard.add(board, scores, truths, plugin=plugin, proxies=chosen, data_dir=data_dir)
    if emitted([entry.to_json() for entry in entries]):
        return
    rows = [
        (
            entry.proxy,
            entry.benchmark,
            _figure(entry.result["tau"]),
            _figure(entry.difference[0]),
            _beats(entry.beats_size),
        )
        for entry in entries
    ]
    print_table(("proxy", "benchmark", "τ", "τ − best size", "beats size"), rows)
    typer.echo(f"Verify with 'zcbench leaderboard verify --board {board}'.")


@app.command()
@tabular
def verify(
    names: Annotated[list[str] | None, typer.Argument(help="Proxies; all if omitted.")] = None,
    board: Folder = BOARD,
    archs: Annotated[int, typer.Option(min=1, help="How many architectures of each benchmark to score again.")] = 20,
    plugin: Plugins = None,
    data_dir: DataDir = None,
) -> None:
    """Verify entries: fingerprints, protocol, coverage, statistics, plug-in, and scores of some architectures.

    The plug-ins of the leaderboard are run. Exit code 1 if an entry is refused.
    """
    from zcbench.benchmarks import leaderboard
    from zcbench.plugins import load_file

    for file in plugin or ():
        load_file(file)
    verdicts = leaderboard.verify(board, names or (), drawn=archs, data_dir=data_dir)
    refused = sum(not verdict.passed for verdict in verdicts)
    if not emitted([verdict.to_json() for verdict in verdicts]):
        for verdict in verdicts:
            entry = verdict.entry
            outcome = "verified" if verdict.passed else f"refused: {verdict.refusal}"
            typer.echo(f"{entry.proxy}@{entry.version} on {entry.benchmark}: {outcome}")
        typer.echo(f"{len(verdicts) - refused} of {len(verdicts)} entries hold.")
    raise typer.Exit(min(refused, 1))


@app.command()
def build(
    board: Folder = BOARD,
    out: Annotated[Path, typer.Option(help="Folder of the page.")] = Path("leaderboard/page"),
    title: Annotated[str, typer.Option(help="Heading of the page.")] = "Leaderboard of training-free scores",
) -> None:
    """Write the page of a leaderboard: one static HTML file, which loads nothing."""
    from zcbench.reports.leaderboard.page import write_leaderboard

    page = write_leaderboard(board, out, title=title)
    typer.echo(f"Page: {page}")
    status(f"Open it in a browser: {Path(page).resolve().as_uri()}")


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _beats(value: bool | None) -> str:
    return "–" if value is None else "yes" if value else "no"
