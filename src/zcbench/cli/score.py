"""``zcbench score``: all proxies of one network."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zcbench.cli.arguments import DATA_DIR, PROXIES, Plugins
from zcbench.cli.given import configurable
from zcbench.cli.options import Record, options
from zcbench.cli.output import emitted, table_console, tabular
from zcbench.cli.tables import print_table

if TYPE_CHECKING:
    from zcbench import Setup
    from zcbench.workflows.scoring import NetworkScores


@tabular
@configurable()
@options(
    setup=Record(
        "zcbench:Setup",
        omit=("space",),
        options={
            "dataset": typer.Option(show_default="cifar10"),
            "teacher": typer.Option(show_default="none"),
            "teacher_checkpoint": typer.Option(show_default="drawn from the seed"),
            "data_dir": DATA_DIR,
        },
    )
)
def score(
    *,
    network: Annotated[
        str,
        typer.Argument(
            help="FILE.py:NAME, a network in a Python file, or a function without arguments that makes one.",
            show_default=False,
        ),
    ],
    proxies: Annotated[str, typer.Option(help=PROXIES)] = "all",
    setup: "Setup",
    seed: Annotated[int, typer.Option(min=0, help="Seed of the initialisation, and of random proxies.")] = 0,
    timeout: Annotated[float | None, typer.Option(help="Seconds that a pass or a proxy may take.")] = None,
    plugin: Plugins = None,
) -> None:
    """Score one network of your own with every proxy that applies; nothing is kept."""
    from zcbench.workflows.scoring import score_network

    files: list[Path] = plugin or []
    _print(score_network(network, setup, proxies, seed, timeout=timeout, plugins=files))


def _print(found: "NetworkScores") -> None:
    if emitted(found.scores, network=found.network, batch=found.batch, left_out=found.left_out):
        return
    console = table_console()
    for line in (f"Network: {found.network}", f"Batch: {found.batch}"):
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    print_table(
        ("proxy", "better", "score", "ms"),
        [
            (one.proxy, "higher" if one.higher_is_better else "lower", f"{one.value:.6g}", f"{1000 * one.seconds:.3g}")
            for one in found.scores
            if one.status == "ok"
        ],
    )
    reasons = {one.proxy: f"{one.status}: {one.reason}" for one in found.scores if one.status != "ok"} | found.left_out
    for reason in dict.fromkeys(reasons.values()):
        names = ", ".join(name for name in reasons if reasons[name] == reason)
        console.print(f"Without a score: {names} ({reason})", highlight=False, markup=False, soft_wrap=True)
