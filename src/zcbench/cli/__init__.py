"""The command line: it resolves names and hands plain objects to the packages."""

import io
import sys
from typing import NoReturn

import typer
from rich.console import Console

from zcbench import __version__
from zcbench.cli import (
    bench,
    data,
    distill,
    ensembles,
    leaderboard,
    measure,
    proxies,
    runs,
    score,
    scores,
    search,
)
from zcbench.cli.comparing import across, pairs, resample
from zcbench.cli.extensions import add_commands
from zcbench.cli.output import WIDTH
from zcbench.cli.plugins import distillers, spaces
from zcbench.cli.strict import strict
from zcbench.cli.training import teachers, truth
from zcbench.errors import Interrupted, ZcbenchError

app = typer.Typer(
    name="zcbench",
    help="Rank neural architectures without training them, and measure how good the ranking is.",
    epilog="Exit codes: 0 success; 1 a check failed or an error occurred, with a message; 2 wrong usage; 130 stopped "
    "by Ctrl-C, finished results are kept. If an option is given twice, the last one counts, unless its help says "
    "that it may be repeated.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": WIDTH},
)
app.command("bench")(bench.bench)
app.command("rank")(bench.rank)
app.command("across")(across.across)
app.command("pairs")(pairs.pairs)
app.command("report")(bench.report)
app.command("score")(score.score)
app.command("resample")(resample.resample)
app.command("search")(search.search)
app.command("measure")(measure.measure)
app.command("distill")(distill.distill)
app.add_typer(runs.app, name="runs")
app.add_typer(proxies.app, name="proxies")
app.add_typer(distillers.app, name="distillers")
app.add_typer(spaces.app, name="spaces")
app.add_typer(data.app, name="data")
app.add_typer(teachers.app, name="teachers")
app.add_typer(truth.app, name="truth")
app.add_typer(scores.app, name="scores")
app.add_typer(ensembles.app, name="ensembles")
app.add_typer(leaderboard.app, name="leaderboard")
add_commands(app)
strict(app)


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
    """Run the command line; an error that zcbench foresees, or the machine's own, is one message and exit code 1.

    A letter that the terminal or pipe cannot write becomes a question mark: it must not end a run.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        app(prog_name="zcbench")
    except ZcbenchError as error:
        _end(type(error).__name__, str(error), 130 if isinstance(error, Interrupted) else 1)
    except OSError as error:
        _end("OSError", _of_the_system(error), 1)
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "allocate memory" not in str(error):
            raise
        _end(
            "MemoryError",
            "The memory of this machine is not enough. Expected less at once: fewer or smaller images, "
            "a smaller batch, or fewer workers.",
            1,
        )


def _end(kind: str, message: str, code: int) -> NoReturn:
    Console(stderr=True).print(f"[bold red]{kind}:[/] ", end="")
    print(message, file=sys.stderr)
    sys.exit(code)


def _of_the_system(error: OSError) -> str:
    """What the operating system says of a file, in one sentence."""
    name = str(error.filename or "")
    shown = name if len(name) <= 200 else f"{name[:100]}…{name[-97:]}"
    place = f"{shown!r} cannot be read or written" if shown else "The system refused"
    return f"{place}: {error.strerror or error}. Expected a file or folder that can; name another one."
