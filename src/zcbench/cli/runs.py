"""``zcbench runs``: folders of runs, what each holds, and its page."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zcbench.cli.arguments import Run
from zcbench.cli.output import emitted, plain, table_console, tabular
from zcbench.cli.tables import print_table

if TYPE_CHECKING:
    from zcbench.workflows.runs import Run as Found

app = typer.Typer(help="List runs, show one, and open its page.", no_args_is_help=True, rich_markup_mode=None)


@app.command("list")
@tabular
def list_runs(
    folders: Annotated[
        list[Path] | None, typer.Argument(help="Folders of runs, or with such inside.", show_default="runs")
    ] = None,
) -> None:
    """One line for each folder: what it holds, its date, and the share of attempts with a result."""
    from zcbench.workflows.runs import runs

    found = runs(*(folders or ()))
    if emitted(found):
        return
    rows = [(run.folder, run.kind, f"{run.date:%Y-%m-%d %H:%M}", _share(run), _has(run), run.about) for run in found]
    print_table(("name", "kind", "date", "coverage", "page", "holds"), rows)


@app.command()
@tabular
def show(run: Run) -> None:
    """What a run holds, and its protocol."""
    from zcbench.workflows.runs import read_run

    found, console = read_run(run), table_console()
    if emitted([found]):
        return
    lines = {
        "folder": found.folder,
        "kind": found.kind,
        "date": f"{found.date:%Y-%m-%d %H:%M}",
        "coverage": _share(found),
        "page": found.page or "none",
        "holds": found.about,
    }
    protocol = {name: plain(value) for name, value in found.protocol.items() if value is not None}
    for name, value in {**lines, **protocol}.items():
        console.print(f"{name}: {value}", highlight=False, markup=False, soft_wrap=True)


@app.command("open")
def open_page(run: Run) -> None:
    """Open the page of a run in the browser, and print its path."""
    import webbrowser

    from zcbench.workflows.runs import page

    file = page(run).resolve()
    typer.echo(file)
    webbrowser.open(file.as_uri())


def _share(run: "Found") -> str:
    return "–" if run.coverage is None else f"{100 * run.coverage:.1f} %"


def _has(run: "Found") -> str:
    return "–" if run.page is None else "yes"
