"""The command line: it resolves names and hands plain objects to the rooms."""

import io
import sys

import typer
from rich.console import Console

from zcbench import __version__
from zcbench.cli import (
    bench,
    data,
    distill,
    ensembles,
    evolve_distiller,
    proxies,
    resample,
    scores,
    search,
    similarity,
    truth,
)
from zcbench.errors import Interrupted, ZcbenchError

app = typer.Typer(
    name="zcbench",
    help="Rank neural architectures without training them, and say honestly how good that ranking is.",
    epilog="Exit codes: 0 done; 1 a check failed or zcbench could not go on, and says why; 2 wrong usage; 130 stopped "
    "by Ctrl-C, and what is finished is kept.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("bench")(bench.bench)
app.command("rank")(bench.rank)
app.command("report")(bench.report)
app.command("resample")(resample.resample)
app.command("similarity")(similarity.similarity)
app.command("search")(search.search)
app.command("distill")(distill.distill)
app.command("evolve-distiller")(evolve_distiller.evolve_distiller)
app.add_typer(proxies.app, name="proxies")
app.add_typer(data.app, name="data")
app.add_typer(truth.app, name="truth")
app.add_typer(scores.app, name="scores")
app.add_typer(ensembles.app, name="ensembles")


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"zcbench {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    """Options that stand before a command."""


def main() -> None:
    """Run the command line; an error that zcbench foresees is one clear message and exit code 1.

    A letter that the terminal or pipe cannot write becomes a question mark: it must not end a run.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        app(prog_name="zcbench")
    except ZcbenchError as error:
        Console(stderr=True).print(f"[bold red]{type(error).__name__}:[/] ", end="")
        print(error, file=sys.stderr)
        sys.exit(130 if isinstance(error, Interrupted) else 1)
