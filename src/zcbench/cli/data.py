"""``zcbench data``: the accuracies that rankings are held against."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.box import SIMPLE
from rich.console import Console
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    import pandas as pd

app = typer.Typer(
    help="List, fetch, import and verify trained accuracies.", no_args_is_help=True, rich_markup_mode=None
)

DataDir = Annotated[
    Path | None,
    typer.Option(help="Folder with images and accuracies.", envvar="ZCBENCH_DATA", show_default="user data folder"),
]


@app.command("list")
def list_data(data_dir: DataDir = None) -> None:
    """Every table that is known: where it comes from, its licence, and where it is here."""
    from zcbench.benchmarks import data

    _print(data.list_data(data_dir))


@app.command()
def fetch(
    names: Annotated[list[str], typer.Argument(help="Truths or sources to download, or 'all'.", show_default=False)],
    data_dir: DataDir = None,
) -> None:
    """Download from the public sources, check the sha256 of each file, and store the tables."""
    from zcbench.benchmarks import data

    _print(data.fetch(names, data_dir, progress=lambda line: typer.echo(line, err=True)))


@app.command("import")
def import_data(
    path: Annotated[Path, typer.Argument(help="Folder with sources, official file or folder, or CSV.")],
    name: Annotated[str | None, typer.Option(help="Name of your own table, for a CSV.")] = None,
    official: Annotated[bool, typer.Option(help="The path is an official NAS-Bench-201 or NATS-Bench file.")] = False,
    trust: Annotated[bool, typer.Option(help="Run the pickles in an official file; only if you trust it.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Store tables from files that are already on this machine."""
    from zcbench.benchmarks import data

    if official:
        for stored in data.import_official(path, data_dir, trust=trust):
            typer.echo(stored)
    elif path.suffix == ".csv":
        if name is None:
            raise typer.BadParameter("a CSV needs a name of the form SPACE/DATASET.", param_hint="--name")
        typer.echo(data.import_csv(path, name, data_dir))
    else:
        _print(data.import_folder(path, data_dir))


@app.command()
def verify(data_dir: DataDir = None) -> None:
    """Check every table and source file here; exit code 1 if one is damaged."""
    from zcbench.benchmarks import data

    found = data.verify(data_dir)
    _print(found)
    if (found["status"] == "damaged").any():
        raise typer.Exit(1)


def _print(frame: "pd.DataFrame") -> None:
    table = Table(box=SIMPLE)
    for column in frame.columns:
        table.add_column(str(column), overflow="fold")
    for row in frame.itertuples(index=False):
        table.add_row(*map(escape, map(str, row)))
    Console().print(table)
