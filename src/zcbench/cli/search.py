"""``zcbench search``: search for an architecture by scores of untrained networks."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.box import SIMPLE
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table

from zcbench.cli.arguments import (
    CROSSOVER,
    POPULATION,
    SPACE,
    TOURNAMENT,
    DataDir,
    Drawn,
    Formats,
    Tracker,
    execution,
    figure_formats,
)
from zcbench.cli.given import configurable
from zcbench.cli.options import Record, options
from zcbench.cli.output import emitted, status, table_console, tabular, time_named, told_report
from zcbench.cli.search_options import check_names, given, latency_source, objective, remarks
from zcbench.cli.verbosity import error_console
from zcbench.runtime.messages import phase, timed
from zcbench.specification import split_list

if TYPE_CHECKING:
    from zcbench import Execution
    from zcbench.search import Comparison, Outcome, Scoring
    from zcbench.search.study import Progress as Report


@tabular
@configurable()
@options(
    scoring=Record(
        "zcbench.search:Scoring",
        omit=("execution",),
        options={
            "inits": typer.Option(min=1),
            "classes": typer.Option(show_default="those of the data set"),
        },
    ),
    execution=execution("Seconds that a pass or a proxy may take."),
)
def search(
    *,
    context: typer.Context,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the search; one that is there is resumed.",
            show_default="named by time, as runs/search-2026-11-29-0915",
        ),
    ] = None,
    proxies: Annotated[
        str,
        typer.Option(
            help="What is maximised: a proxy, a size, an ensemble such as log_rank(macs,jacov), or top:K@RUN[:COLUMN[:"
            "TRUTH]], the K best of a ranking by COLUMN (tau), without TRUTH by its mean over all truths. Several, "
            "separated by commas, are aggregated by --rule.",
            show_default=False,
        ),
    ],
    space: Annotated[
        str,
        typer.Option(help=SPACE),
    ] = "nasbench201",
    sizes: Annotated[
        bool,
        typer.Option(
            help="Whether top:K@RUN may take params, macs, n_convs, depth, width and what is made of sizes alone, such "
            "as az_complexity."
        ),
    ] = True,
    rule: Annotated[str, typer.Option(help="How ranks of several proxies are aggregated.")] = "log_rank",
    reference: Annotated[
        int,
        typer.Option(help="Size of a fixed sample that ranks are taken against; 0 for ranks within the population."),
    ] = 0,
    algorithm: Annotated[
        str | None,
        typer.Option(
            help="Algorithm, also one of a plug-in, with options as in evolution(population=20).",
            metavar="random|evolution|local|nsga2|…",
            show_default="evolution; random for networks of your own",
        ),
    ] = None,
    preset: Annotated[
        str | None, typer.Option(help="Named settings: diswot; options override them.", show_default="none")
    ] = None,
    evaluations: Annotated[
        int | None, typer.Option(help="Different architectures to evaluate.", show_default="1000")
    ] = None,
    step: Annotated[
        int | None,
        typer.Option(help="Architectures that are asked for at a time; workers do not change it.", show_default="8"),
    ] = None,
    population: Annotated[int | None, typer.Option(help=POPULATION, show_default="36")] = None,
    tournament: Annotated[int | None, typer.Option(help=TOURNAMENT, show_default="8")] = None,
    crossover: Annotated[float | None, typer.Option(help=CROSSOVER, show_default="0; nsga2 0.9")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the search; of the first, with --repeats.")] = 0,
    repeats: Annotated[int, typer.Option(min=1, help="Searches with the seeds SEED, SEED+1, …")] = 1,
    max_params: Annotated[str | None, typer.Option(help="Most parameters, as in 1.0M.")] = None,
    max_macs: Annotated[str | None, typer.Option(help="Most multiply-accumulates, as in 100M.")] = None,
    max_depth: Annotated[str | None, typer.Option(help="Most weight layers on one path.")] = None,
    max_latency: Annotated[str | None, typer.Option(help="Most milliseconds on --latency-device.")] = None,
    max_energy: Annotated[str | None, typer.Option(help="Most millijoules on --latency-device.")] = None,
    minimise: Annotated[
        str | None,
        typer.Option(
            help="Costs that are objectives too (nsga2): params, macs, depth, latency, energy.", show_default="none"
        ),
    ] = None,
    latency_device: Annotated[
        str | None,
        typer.Option(
            help="Device of the HW-NAS-Bench tables (edgegpu, raspi4, edgetpu, pixel3, eyeriss, fpga), with a data set "
            "as in raspi4/cifar100 where it is not that of the images; 'here' times the network on this machine.",
            metavar="edgegpu|raspi4|edgetpu|pixel3|eyeriss|fpga|here|DEVICE/DATASET",
        ),
    ] = None,
    latency: Annotated[
        Path | None,
        typer.Option(
            help="Latencies of your own machine in place of --latency-device: a file of 'zcbench measure', or a CSV "
            "file with the columns arch and latency (ms). Only what it has is proposed."
        ),
    ] = None,
    archs: Annotated[
        str | None,
        typer.Option(
            help="Architectures to choose from: a subset of the space (all, live, unique), 'known' to the truths, or a "
            "file with one a line. Live are those without a dead operation.",
            show_default="live where the space knows it, else all",
        ),
    ] = None,
    scores: Annotated[
        str | None,
        typer.Option(
            help="Look scores up instead of making them: a run, a packed file, or a name of 'zcbench scores list'. "
            "Only what they hold is searched."
        ),
    ] = None,
    transfer: Annotated[bool, typer.Option(help="Take the winners of a ranking of another space.")] = False,
    truth: Annotated[
        list[str] | None,
        typer.Option(help="Accuracies that the result is compared with. May be repeated, or separated by commas."),
    ] = None,
    baselines: Annotated[
        bool | None,
        typer.Option(help="Also search at random with the same objective.", show_default="where scores are looked up"),
    ] = None,
    scoring: "Scoring",
    execution: "Execution",
    report: Drawn = True,
    formats: Formats = "svg",
    tracker: Tracker = None,
    data_dir: DataDir = None,
) -> None:
    """Search for an architecture without training, within a budget, and compare it with known accuracies afterwards.

    The search never looks at an accuracy. One that was stopped goes on where it was when the same command is given.
    """
    from zcbench.benchmarks.truths.lookup import named_truths
    from zcbench.plugins import load_file
    from zcbench.search import Candidates, Settings, Telling, Truths, quantity, run_search

    files = {"archs": archs, "scores": scores, "truth": truth, "proxies": proxies, "out": out, "data-dir": data_dir}
    of_networks = {"teacher": scoring.teacher, "teacher-checkpoint": scoring.teacher_checkpoint}
    check_names(files | of_networks | {"plugin": execution.plugins})
    kinds, asked = figure_formats(formats), given(context)
    out = out or time_named("search")
    for file in execution.plugins:
        load_file(file)
    most = {"params": max_params, "macs": max_macs, "depth": max_depth, "latency": max_latency, "energy": max_energy}
    limits = {name: quantity(text) for name, text in most.items() if text is not None}
    device = latency_source(latency, latency_device)
    candidates = Candidates(space, archs, limits, tuple(dict.fromkeys(split_list(minimise or ""))), device)
    settings = Settings.of(
        preset,
        algorithm or candidates.usual_algorithm if preset is None else algorithm,
        {"population": population, "tournament": tournament, "crossover": crossover},
        {"evaluations": evaluations, "step": step, "reference": reference},
    )
    goal = objective(proxies, rule, candidates.found().name, data_dir, transfer=transfer, sizes=sizes)
    with timed("Search"), _progress() as progress:
        outcome = run_search(
            goal,
            out,
            candidates,
            settings,
            scores=replace(scoring, execution=execution) if scores is None else scores,
            truths=Truths(() if truth is None else named_truths(truth), baselines),
            seeds=range(seed, seed + repeats),
            data_dir=data_dir,
            telling=Telling(progress, list(remarks(asked, goal, settings, candidates))),
            tracker=tracker,
        )
    _print(outcome)
    status(f"Result: {out / 'search.json'}")
    if report:
        from zcbench.reports.search.page import write_search_report

        with phase(error_console(), "Figures and page", str(out / "report")):
            page = write_search_report(outcome.to_json(), out / "report", formats=kinds)
        told_report(page, out)


@contextmanager
def _progress() -> "Iterator[Report]":
    """One line that tells how far each search is, where there is a terminal."""
    console = error_console()
    with Progress(*Progress.get_default_columns(), console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=None)

        def show(what: str, done: int, total: int) -> None:
            bar.update(task, description=what, completed=done, total=total)

        yield show


def _print(outcome: "Outcome") -> None:
    """The selected architecture, and what each truth says of it."""
    content, console = outcome.to_json(), table_console()
    if emitted(outcome.history, **{name: content[name] for name in ("best", "request", "truths", "remarks")}):
        return

    def line(text: str) -> None:
        console.print(text, highlight=False, markup=False, soft_wrap=True)

    best = outcome.best
    sizes = ", ".join(f"{name} {_grouped(value)}" for name, value in best.costs.items() if value is not None)
    counts = ", ".join(f"{count:,} {status}" for status, count in outcome.statuses.items())
    line(f"Best by {outcome.request.objective.formula}: {best.arch}")
    line(f"Costs: {sizes}")
    line(f"Evaluated: {len(outcome.history):,} ({counts}); {outcome.found[0].trace.stopped}")
    for one in outcome.comparisons:
        known = one.judgement.accuracies
        line(f"{one.truth}: best within the budget {known.best:.2f} of {known.within:,} architectures")
        console.print(_judgement(one))
        for remark in one.remarks:
            line(remark)
    for remark in outcome.remarks:
        line(remark)


def _judgement(one: "Comparison") -> Table:
    """Accuracy and regret of the selected architectures and of the baselines."""
    table = Table(box=SIMPLE)
    for heading in ("", "n", "accuracy", "sd", "regret"):
        table.add_column(heading, justify="left" if not heading else "right")
    best = one.judgement.accuracies.best
    for label, n, mean, sd in one.rows():
        figures = ("–", "–", "–") if mean is None else (f"{mean:.2f}", _two(sd), f"{best - mean:.2f}")
        table.add_row(escape(label), f"{n}", *figures)
    return table


def _two(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _grouped(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"
