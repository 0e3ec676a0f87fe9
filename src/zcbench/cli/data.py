"""``zcbench data``: the accuracies that proxies are evaluated on."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.box import SIMPLE
from rich.console import JustifyMethod
from rich.markup import escape
from rich.table import Table

from zcbench.cli.arguments import DataDir, Draws
from zcbench.cli.output import emitted, status, table_console, tabular
from zcbench.cli.verbosity import error_console
from zcbench.runtime.messages import timed

if TYPE_CHECKING:
    import pandas as pd

    from zcbench.benchmarks.truths.summary import RunSummary, TruthSummary

app = typer.Typer(
    help="List, show, compare, fetch, import and verify trained accuracies.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

_SHOWN = ("name", "space", "dataset", "split", "setting", "epochs", "aggregation", "n", "source", "licence", "sha256")
_OF_RUNS = ("runs", "counts", "reliability", "ceiling")  # entries of a protocol that the lines about runs contain

FOLDED = ("path", "file", "reason", "licence")


@app.command("list")
@tabular
def list_data(data_dir: DataDir = None) -> None:
    """Every known table, its licence, and whether it is here; 'zcbench data show NAME' has the details."""
    from zcbench.benchmarks.truths.listing import entries
    from zcbench.storage import files as folders

    known = entries(data_dir)
    if emitted(known, folder=folders.data_folder(data_dir)):
        return
    rows = (
        (
            entry.name,
            entry.kind.replace("single runs", "runs"),
            entry.rows,
            _place(entry.where),
            re.sub(r";[^+]*", "", entry.licence),
        )
        for entry in known
    )
    _print(("name", "values", "rows", "here", "licence"), rows)
    typer.echo(f"Looked in {folders.data_folder(data_dir)}")


@app.command()
@tabular
def show(
    name: Annotated[str, typer.Argument(help="A table of 'zcbench data list', or a file of your own.")],
    data_dir: DataDir = None,
) -> None:
    """Summary of a table: architectures, range, best, runs, how it was made, source and licence."""
    from zcbench.benchmarks.truths.summary import summary

    found, console = summary(name, data_dir), table_console()
    if emitted([found]):
        return
    for heading, text in _shown(found).items():
        console.print(f"{heading + ':':<15}{text}", highlight=False, markup=False, soft_wrap=True)


def _shown(found: "TruthSummary") -> dict[str, str]:
    """Heading and text of each line about a truth."""
    told = {key: found.protocol.get(key) for key in _SHOWN}
    rest = {key: str(value) for key, value in found.protocol.items() if key not in (*_SHOWN, *_OF_RUNS)}
    return {
        "name": str(told["name"]),
        "space": str(told["space"]),
        "data set": f"{told['dataset']}, {told['split']} images",
        "setting": f"{told['setting']}, {told['epochs']} epochs" if told["epochs"] else str(told["setting"]),
        "architectures": f"{told['n']:,}",
        "lowest": "{:.2f} ({})".format(*found.lowest),
        "median": f"{found.median:.2f}",
        "highest": "{:.2f} ({})".format(*found.highest),
        "values": str(told["aggregation"]),
        **(_shown_runs(found.runs) if found.runs else {}),
        **({"given sizes": "; ".join(map(str, found.reproduced))} if found.reproduced else {}),
        **rest,
        "source": str(told["source"]),
        "licence": str(told["licence"]),
        "sha256": ", ".join(f"{file} {digest}" for file, digest in (told["sha256"] or {}).items()),
    }


def _shown_runs(runs: "RunSummary") -> dict[str, str]:
    from zcbench.benchmarks.statistics import agreed

    texts = {"runs": ", ".join(f"{trained:,} architectures with {count}" for count, trained in runs.counts.items())}
    if runs.rho == runs.rho:
        between = f"Spearman {runs.rho:.3f} between two runs"
        texts["reliability"] = f"{between}; standard deviation {runs.spread:.2f} within an architecture"
        texts |= {"of the mean": agreed(runs.protocol)} if "reliability" in runs.protocol else {}
    return texts | {"runs from": str(runs.protocol["source"])}


@app.command()
@tabular
def compare(
    first: Annotated[str, typer.Argument(help="A table of 'zcbench data list', or a file.", show_default=False)],
    second: Annotated[str, typer.Argument(help="Another one of the same space.", show_default=False)],
    draws: Draws = 0,
    data_dir: DataDir = None,
) -> None:
    """Agreement of two tables over the same architectures, such as with and without a teacher, and of their seeds."""
    from zcbench.benchmarks.truths.relation import relate

    found = relate(first, second, data_dir, draws)
    if emitted([found]):
        return
    one, other = ("none" if value != value else f"{value:.3f}" for value in found.reliability)
    runs = [_figure(value) for value in (found.single.first, found.single.second, found.single.between)]
    for heading, text in {
        "architectures": f"{found.n:,}",
        "Kendall's τ": "{:.3f} [{:.3f}, {:.3f}]".format(*found.tau),
        "Spearman's ρ": "{:.3f} [{:.3f}, {:.3f}]".format(*found.rho),
        "other order": f"{100 * found.discordant:.1f} % of the pairs",
        "τ | params": _figure(found.given_params),
        "ceiling of ρ": f"{_figure(found.ceiling)}, from the reliabilities {one} and {other}",
        "τ of two runs": "{} within the first, {} within the second, {} one of each (other seeds)".format(*runs),
    }.items():
        typer.echo(f"{heading + ':':<15}{text}")


def _figure(value: float) -> str:
    return "unknown" if value != value else f"{value:.3f}"


@app.command()
@tabular
def fetch(
    names: Annotated[
        list[str],
        typer.Argument(
            help="Truths or sources of 'zcbench data list', images (cifar10, cifar100, imagenet16-120), or 'all', "
            "every table.",
            show_default=False,
        ),
    ],
    mirror: Annotated[
        str | None,
        typer.Option(
            help="Address in place of the official ones, file:// too: tables at MIRROR/OWNER/REPOSITORY/COMMIT/PATH, "
            "images at MIRROR/FILE.",
            envvar="ZCBENCH_MIRROR",
            show_default="the official addresses",
        ),
    ] = None,
    timeout: Annotated[float, typer.Option(min=1, help="Seconds for each file, waits included.")] = 3600.0,
    data_dir: DataDir = None,
) -> None:
    """Download from the public sources, check size and sha256 of each file, and store tables and images.

    A cut download is continued, by this command or by the next one.
    """
    from zcbench.benchmarks.truths import data
    from zcbench.storage.downloads import Limits

    limits, console = Limits(seconds=timeout), error_console()
    with timed("Downloads"):
        fetched = data.fetch(names, data_dir, mirror, status, limits=limits, console=console)
    _print_frame(fetched)


@app.command("import")
@tabular
def import_data(
    path: Annotated[
        Path,
        typer.Argument(
            help="Folder with sources or archives of images, one such archive, official file or folder, CSV, or file "
            "of 'zcbench truth pack'."
        ),
    ],
    name: Annotated[str | None, typer.Option(help="Name of your own table, for a CSV.")] = None,
    official: Annotated[bool, typer.Option(help="The path is an official NAS-Bench-201 or NATS-Bench file.")] = False,
    trust: Annotated[bool, typer.Option(help="Run the pickles in an official file; only if you trust it.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Store tables and images from files that are already on this machine."""
    from zcbench.benchmarks.truths import data
    from zcbench.datasets import archives

    if official:
        _print_stored((stored.stem, stored) for stored in data.import_official(path, data_dir, trust=trust))
    elif path.suffix == ".csv":
        if name is None:
            raise typer.BadParameter("a CSV needs a name of the form SPACE/DATASET.", param_hint="--name")
        _print_stored([(name, data.import_csv(path, name, data_dir))])
    elif path.suffix == ".parquet":
        _print_stored(data.import_packed(path, data_dir).items())
    elif archives.owner(path.name) and path.is_file():
        _print_stored(archives.import_archive(path, data_dir).items())
    else:
        _print_frame(data.import_folder(path, data_dir))


def _print_stored(stored: Iterable[tuple[str, object]]) -> None:
    """Name of each table or archive, and where it is now."""
    rows = [{"name": name, "path": where} for name, where in stored]
    if emitted(rows):
        return
    for row in rows:
        typer.echo(f"{row['name']}: {row['path']}")


@app.command()
@tabular
def verify(data_dir: DataDir = None) -> None:
    """Check every table and source file here; exit code 1 if one is damaged."""
    from zcbench.benchmarks.truths import data

    found = data.verify(data_dir)
    _print_frame(found)
    if (found["status"] == "damaged").any():
        raise typer.Exit(1)


def _place(where: str) -> str:
    from zcbench.benchmarks.truths.listing import ABSENT, SHIPS

    words = {ABSENT: "no", SHIPS: "ships"}
    return words.get(where) or ("table" if where.endswith(".parquet") else "source")


def _print_frame(frame: "pd.DataFrame") -> None:
    if not emitted(frame):
        _print(list(map(str, frame.columns)), frame.itertuples(index=False))


def _print(headings: Sequence[str], rows: Iterable[Iterable[object]]) -> None:
    """A table in which only paths, licences and reasons may take several lines."""
    table = Table(box=SIMPLE, padding=(0, 1, 0, 0))
    for column in headings:
        justify: JustifyMethod = "right" if column == "rows" else "left"
        table.add_column(column, no_wrap=column not in FOLDED, overflow="fold", justify=justify)
    for row in rows:
        table.add_row(*map(escape, map(str, row)))
    table_console().print(table)
