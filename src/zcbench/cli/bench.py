"""``zcbench bench``, ``rank`` and ``report``."""

import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zcbench.cli.arguments import (
    DATA_DIR,
    PROXIES,
    REPORT,
    SCORES,
    TRUTH,
    TRUTH_HELP,
    Batches,
    Beside,
    DataDir,
    Drawn,
    Ensembles,
    Plugins,
    Run,
    Truths,
    execution,
    ranking,
)
from zcbench.cli.given import configurable
from zcbench.cli.likeness import like
from zcbench.cli.options import Record, options
from zcbench.cli.output import status, tabular, told_report
from zcbench.cli.tables import print_ranking
from zcbench.cli.verbosity import error_console
from zcbench.runtime.messages import phase
from zcbench.specification import split_list

if TYPE_CHECKING:
    import pandas as pd

    from zcbench import Execution, RankingOptions, ReportOptions, Sample, Setup


@tabular
@configurable(like)
@options(
    sample=Record(
        "zcbench:Sample",
        names={"seed": "archs_seed"},
        options={
            "archs": typer.Option(show_default="1000; of the bundled truths and of your own networks, all"),
            "subset": typer.Option(
                metavar="all|live|unique|known|…", show_default="all; with the bundled truths, known"
            ),
        },
    ),
    setup=Record(
        "zcbench:Setup",
        options={
            "space": typer.Option(show_default="that of the truth"),
            "dataset": typer.Option(
                show_default="cifar10; with the bundled truths, at 16x16, or digits where it is not here"
            ),
            "teacher": typer.Option(show_default="largest; for your own networks none"),
            "teacher_checkpoint": typer.Option(show_default="drawn from the seed"),
            "data_dir": DATA_DIR,
        },
    ),
    execution=execution("Seconds that a pass or a proxy may take.", most=1_000),
    ranking=ranking(),
    report=REPORT,
)
def bench(
    *,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the run; one that is there is resumed.",
            show_default="named by time, as runs/bench-2026-11-29-0915",
        ),
    ] = None,
    truth: Annotated[
        list[str] | None,
        typer.Option(
            help=TRUTH_HELP,
            show_default="bundled ones; with --space, --subset or --archs FILE, nasbench201/cifar10",
        ),
    ] = None,
    networks: Annotated[
        str | None,
        typer.Option(
            help="Networks of your own in place of a space: FILE.py:NAME, a mapping from names to networks or to "
            "functions that make them. Their accuracies are the CSV file of --truth.",
            show_default=False,
        ),
    ] = None,
    sample: "Sample",
    setup: "Setup",
    proxies: Annotated[
        str,
        typer.Option(help=PROXIES),
    ] = "all",
    seeds: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=10_000,
            help="Initialisations of each architecture, seeds 0, 1, …",
            show_default="3; with the bundled truths and for your own networks, 1",
        ),
    ] = None,
    shard: Annotated[
        str | None,
        typer.Option(
            metavar="I/N",
            help="Score one of N parts, on this machine, into the folder of --out, and rank nothing; 'zcbench scores "
            "merge' merges the folders of all parts.",
            show_default=False,
        ),
    ] = None,
    execution: "Execution",
    ensembles: Ensembles = "all",
    ranking: "RankingOptions",
    report: "ReportOptions",
    drawn: Drawn = True,
) -> None:
    """Score architectures, rank the proxies against trained accuracies, and write the report.

    Where neither --space nor --truth is given, nor --subset nor a file as --archs, it does so for the networks whose
    accuracies ship, trained with and without a teacher, or for so many of them as --archs says: docs/training.md.
    With --networks it does so for networks of your own: docs/own-networks.md.
    """
    import zcbench

    if networks is not None and setup.space is not None:
        raise typer.BadParameter("networks of your own are no space; leave out one of the two.", param_hint="--space")
    console = error_console()
    setup, execution = replace(setup, space=networks or setup.space), replace(execution, console=console)
    if shard is not None:
        if out is None:
            raise typer.BadParameter("a shard needs a folder of its own; name it.", param_hint="--out")
        part = zcbench.bench_shard(
            shard, out, truth=truth, sample=sample, setup=setup, proxies=proxies, seeds=seeds, execution=execution
        )
        console.print(f"Shard {shard}: {part.out}; merge it with the others by 'zcbench scores merge'.", soft_wrap=True)
        return
    done = zcbench.bench(
        out,
        truth=truth,
        sample=sample,
        setup=setup,
        proxies=proxies,
        seeds=seeds,
        execution=execution,
        ensembles=ensembles,
        options=ranking,
        report=report if drawn else None,
    )
    print_ranking(done.ranking, folder=done.folder, report=done.page)
    told_report(done.page, done.folder)


@tabular
@options(ranking=ranking())
def rank(
    *,
    run: Annotated[
        str,
        typer.Argument(
            help=SCORES,
            show_default=False,
        ),
    ],
    truth: Truths = TRUTH,
    beside: Beside = None,
    batches: Batches = None,
    subset: Annotated[
        str,
        typer.Option(
            help="Architectures that are printed: all, live, unique or sample.", metavar="all|live|unique|sample|…"
        ),
    ] = "all",
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for the ranking, which 'zcbench report' draws.", show_default="the folder of the run"
        ),
    ] = None,
    plugin: Plugins = None,
    ranking: "RankingOptions",
    ensembles: Ensembles = "all",
    data_dir: DataDir = None,
) -> None:
    """Compare scores with trained accuracies and print the ranking of the proxies.

    The ranking of a run is kept in its folder; scores from a file are ranked on one subset and printed, unless --out
    says where the whole ranking goes.
    """
    import zcbench
    from zcbench.workflows.rank import ranking_folder

    with phase(error_console(), "Ranking", f"{run} against {', '.join(truth)}"):
        found = zcbench.rank(
            run,
            truth,
            batches=split_list(batches or ()),
            beside=split_list(beside or ()),
            subset=subset,
            out=out,
            ensembles=ensembles,
            options=ranking,
            data_dir=data_dir,
        )
    print_ranking(found, subset)
    if (home := ranking_folder(run, out)) is None:
        status("The ranking is kept nowhere; --out FOLDER keeps it, and 'zcbench report FOLDER' draws it.")
    else:
        status(f"Ranking: {home}; draw it with 'zcbench report {shlex.quote(str(home.parent))}'.")


@options(report=REPORT)
def report(run: Run, report: "ReportOptions") -> None:
    """Write tables, figures and the page from the ranking of a run."""
    import zcbench

    with phase(error_console(), "Figures and page", str(run / "report")):
        page = zcbench.report(run, report)
    told_report(page, run)


def resolve_truths(names: list[str], data_dir: Path | None) -> "dict[str, pd.DataFrame]":
    """Tables of accuracies by name; each of ``names`` may be several with commas, or files."""
    from zcbench.benchmarks.truths.lookup import truths

    return dict(truths(names, data_dir))
