"""``zcbench scores``: what ships with the package, and how scores move from folder to folder."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.box import SIMPLE
from rich.console import Console
from rich.markup import escape
from rich.table import Table

app = typer.Typer(
    help="List scores that ship with zcbench, pack runs into one file, and unpack them.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

WIDTH = 130


@app.command("list")
def list_scores() -> None:
    """Scores that ship with zcbench: 'zcbench rank NAME' answers from them at once."""
    from zcbench.benchmarks import shipped

    rows = []
    for name in shipped.names():
        about, size = shipped.card(name), shipped.path(name).stat().st_size
        protocol = about["protocol"]
        counts = (about["architectures"], len(about["proxies"]), about["scores"])
        rows.append(
            (name, protocol["space"], *(f"{count:,}" for count in counts), f"{size / 1e6:.1f}", protocol["batch"])
        )
    _print(("name", "space", "architectures", "proxies", "scores", "MB", "batch"), rows)


@app.command()
def show(
    scores: Annotated[
        str, typer.Argument(help="Name of scores that ship, packed file, or folder of a run.", show_default=False)
    ],
) -> None:
    """The card of a set of scores: protocol, requests, and for each proxy attempts, statuses and mean time."""
    from zcbench.benchmarks import shipped

    about = shipped.card(scores)
    for name, value in about["protocol"].items():
        typer.echo(f"{name}: {value}")
    for request in about["requests"]:
        origin = request.get("notes", {}).get("architectures", f"{request.get('architectures')} architectures")
        seeds = ", ".join(map(str, request.get("seeds", ())))
        typer.echo(f"asked: {origin}; seeds {seeds}; {len(request.get('proxies', ()))} proxies")
    typer.echo(f"{about['scores']:,} scores of {about['architectures']:,} architectures")
    _print(("proxy", "version", "attempts", "statuses", "ms"), [_line(entry) for entry in about["proxies"]])


@app.command()
def pack(
    runs: Annotated[list[str], typer.Argument(help="Folders of runs, or packed files.", show_default=False)],
    out: Annotated[Path, typer.Option(help="File to write; ends in .parquet.", show_default=False)],
    proxies: Annotated[
        str | None, typer.Option(help="Proxies to keep, separated by commas.", show_default="all")
    ] = None,
    all_versions: Annotated[bool, typer.Option(help="Keep older versions of a proxy too.")] = False,
) -> None:
    """Write all scores of runs of one protocol into one compact file; a run may still be at work."""
    from zcbench.benchmarks import packing

    chosen = None if proxies is None else [name.strip() for name in proxies.split(",") if name.strip()]
    about = packing.pack(runs, out, proxies=chosen, all_versions=all_versions)
    typer.echo(f"{_told(about)} in {out} ({out.stat().st_size / 1e6:.1f} MB)")


@app.command()
def unpack(
    file: Annotated[Path, typer.Argument(help="File that 'zcbench scores pack' wrote.", show_default=False)],
    out: Annotated[Path, typer.Option(help="New folder of the run.", show_default=False)],
) -> None:
    """Make the folder of a run from a packed file; 'zcbench bench' with the same protocol adds what is missing."""
    from zcbench.benchmarks import packing

    typer.echo(f"{_told(packing.unpack(file, out))} in {out}")


def _told(about: dict[str, Any]) -> str:
    return f"{about['scores']:,} scores of {about['architectures']:,} architectures and {len(about['proxies'])} proxies"


def _line(entry: dict[str, Any]) -> tuple[str, ...]:
    """One proxy of a card in words."""
    attempts = ", ".join(f"{n:,} with seed {seed}" for seed, n in entry["attempts"].items())
    statuses = ", ".join(f"{n:,} {status}" for status, n in entry["statuses"].items())
    return entry["proxy"], str(entry["version"]), attempts, statuses, f"{1000 * entry['seconds']:.3g}"


def _print(headings: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    table = Table(box=SIMPLE)
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*map(escape, row))
    console = Console()
    (console if console.is_terminal else Console(width=WIDTH)).print(table)
