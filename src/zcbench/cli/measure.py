"""``zcbench measure``: latency and sizes of networks on this machine."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import Progress

from zcbench.cli.arguments import SPACE, Plugins
from zcbench.cli.given import configurable
from zcbench.cli.help.panels import BASIC
from zcbench.cli.options import Record, options
from zcbench.cli.output import emitted, status, table_console, tabular
from zcbench.cli.tables import print_table
from zcbench.cli.verbosity import error_console
from zcbench.runtime.messages import timed

if TYPE_CHECKING:
    from zcbench import Clock, Measurements, Sample


@tabular
@configurable()
@options(
    sample=Record("zcbench:Sample", names={"seed": "archs_seed"}, options={"archs": typer.Option(show_default="all")}),
    clock=Record("zcbench:Clock", options={"warmup": typer.Option(rich_help_panel=BASIC)}),
)
def measure(
    *,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Parquet file that keeps the measurements, for 'zcbench search --latency'. The architectures that it "
            "has are not measured again.",
            show_default="none",
        ),
    ] = None,
    space: Annotated[
        str,
        typer.Option(help=SPACE),
    ] = "nasbench201",
    sample: "Sample",
    dataset: Annotated[str, typer.Option(help="Data set that gives image shape and classes.")] = "cifar10",
    image_size: Annotated[
        int | None, typer.Option(min=1, help="Side length of the images.", show_default="that of the data set")
    ] = None,
    clock: "Clock",
    plugin: Plugins = None,
) -> None:
    """Time and size networks on this machine, one after the other, by the median of many forward passes."""
    import zcbench
    from zcbench.benchmarks.scoring.choosing import choose
    from zcbench.datasets import task

    found = zcbench.spaces.get(space)
    archs, _ = choose(found, sample)
    classes, shape = task(dataset, image_size)
    console = error_console()
    with timed("Measurement"), Progress(console=console, disable=not console.is_terminal) as bar:
        line = bar.add_task("measure", total=len(archs))
        measured = zcbench.measure(
            found,
            out,
            archs=archs,
            num_classes=classes,
            image_shape=shape,
            clock=clock,
            progress=lambda done, _: bar.update(line, completed=done),
        )
    _print(measured)
    if out is not None:
        status(f"Latencies: {out}; 'zcbench search --latency {shlex.quote(str(out))}' takes them.")


def _print(measured: "Measurements") -> None:
    if emitted(measured.table, protocol=measured.protocol):
        return
    clock = measured.protocol["clock"]
    table_console().print(
        f"{measured.protocol['machine']}; {clock['threads']} threads, batch {clock['batch_size']}, {clock['repeats']} "
        f"passes after {clock['warmup']}; milliseconds, median and the quantiles at 10 % and 90 %",
        highlight=False,
        soft_wrap=True,
    )
    headings = ("name", "params", "macs", "depth", "ms", "10 %", "90 %")
    columns = ("arch", "params", "macs", "depth", "latency", "latency_p10", "latency_p90")
    rows = measured.table[list(columns)].itertuples(index=False, name=None)
    print_table(headings, [[cell if isinstance(cell, str) else _shown(cell) for cell in row] for row in rows])


def _shown(value: float) -> str:
    return f"{value:.4g}" if isinstance(value, float) else f"{value:,}"
