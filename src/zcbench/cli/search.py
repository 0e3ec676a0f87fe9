"""``zcbench search``: look for an architecture by what a ranking has found trustworthy."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.box import SIMPLE
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table

from zcbench.cli import search_inputs as inputs
from zcbench.cli import search_remarks as said
from zcbench.cli.bench import DataDir, Formats, Plugins, figure_formats
from zcbench.cli.output import table_console

if TYPE_CHECKING:
    from zcbench.search import Architectures, Evaluation, Objective, SearchResult, Settings
    from zcbench.search.study import Progress as Report


def search(
    context: typer.Context,
    out: Annotated[
        Path, typer.Option(help="Folder for search.json, the report and the scores; a search goes on there.")
    ],
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
        str, typer.Option(help="Architecture space, with options as in nasbench201(channels=4,cells=1).")
    ] = "nasbench201",
    sizes: Annotated[
        bool,
        typer.Option(
            help="Whether top:K@RUN may take params, macs, n_convs, depth and what is made of sizes alone, such as "
            "az_complexity."
        ),
    ] = True,
    rule: Annotated[str, typer.Option(help="How ranks of several are aggregated: log_rank or rank_sum.")] = "log_rank",
    reference: Annotated[
        int,
        typer.Option(help="Size of a fixed sample that ranks are taken against; 0 for ranks within the population."),
    ] = 0,
    algorithm: Annotated[
        str | None,
        typer.Option(
            help="random, evolution, local, nsga2 or one of a plug-in, with options as in evolution(population=20).",
            show_default="evolution",
        ),
    ] = None,
    preset: Annotated[str | None, typer.Option(help="Settings by name: diswot.")] = None,
    evaluations: Annotated[
        int | None, typer.Option(help="Different architectures to evaluate.", show_default="1000")
    ] = None,
    step: Annotated[
        int | None, typer.Option(help="Architectures asked for at a time; workers do not change it.", show_default="8")
    ] = None,
    population: Annotated[int | None, typer.Option(help="Population (evolution, nsga2).", show_default="36")] = None,
    tournament: Annotated[
        int | None, typer.Option(help="Draws among which the fittest is a parent (evolution).", show_default="8")
    ] = None,
    crossover: Annotated[
        float | None, typer.Option(help="Share of children with two parents.", show_default="0; nsga2 0.9")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the search; of the first, with --repeats.")] = 0,
    repeats: Annotated[int, typer.Option(min=1, help="Searches with the seeds SEED, SEED+1, …")] = 1,
    max_params: Annotated[str | None, typer.Option(help="Most parameters, as in 1.0M.")] = None,
    max_macs: Annotated[str | None, typer.Option(help="Most multiply-accumulates, as in 100M.")] = None,
    max_depth: Annotated[str | None, typer.Option(help="Most weight layers on one path.")] = None,
    max_latency: Annotated[str | None, typer.Option(help="Most milliseconds on --latency-device.")] = None,
    max_energy: Annotated[str | None, typer.Option(help="Most millijoules on --latency-device.")] = None,
    minimise: Annotated[
        str, typer.Option(help="Costs that are objectives too (nsga2): params, macs, depth, latency, energy.")
    ] = "",
    latency_device: Annotated[
        str | None,
        typer.Option(
            help="Device of the HW-NAS-Bench tables (edgegpu, raspi4, edgetpu, pixel3, eyeriss, fpga), with a data set "
            "as in raspi4/cifar100 where it is not that of the images; 'here' times the network on this machine."
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
        typer.Option(help="Accuracies to hold the picks against, after the search. May be repeated, or with commas."),
    ] = None,
    baselines: Annotated[
        bool | None,
        typer.Option(help="Also search at random with the same objective.", show_default="where scores are looked up"),
    ] = None,
    inits: Annotated[int, typer.Option(min=1, help="Initialisations of each architecture, seeds 0, 1, …")] = 1,
    dataset: Annotated[str, typer.Option(help="Images of the batch: cifar10, cifar100, digits or noise.")] = "cifar10",
    batch_size: Annotated[int, typer.Option(help="Images in the batch.")] = 64,
    batch_seed: Annotated[int, typer.Option(help="Seed that chooses the images.")] = 0,
    image_size: Annotated[int | None, typer.Option(help="Side length to bring images to.")] = None,
    classes: Annotated[
        int | None, typer.Option(help="Classes of the networks.", show_default="those of the data set")
    ] = None,
    init: Annotated[str, typer.Option(help="Initialisation: default, kaiming, xavier or normal.")] = "default",
    dtype: Annotated[str, typer.Option(help="float32, float64, bfloat16 or float16.")] = "float32",
    layout: Annotated[str, typer.Option(help="Memory layout: contiguous or channels_last.")] = "contiguous",
    device: Annotated[str, typer.Option(help="Where networks run: cpu or cuda.")] = "cpu",
    teacher: Annotated[
        str, typer.Option(help="Teacher of proxies that have one: as for 'zcbench bench', as in resnet:resnet56.")
    ] = "largest",
    teacher_checkpoint: Annotated[Path | None, typer.Option(help="File with the teacher's weights.")] = None,
    teacher_seed: Annotated[int, typer.Option(help="Initialisation of the teacher.")] = 1000,
    workers: Annotated[int, typer.Option(min=0, help="Processes, one thread each; 0 for none but this one.")] = 2,
    timeout: Annotated[float | None, typer.Option(help="Seconds that a pass or a proxy may take.")] = None,
    plugin: Plugins = None,
    report: Annotated[bool, typer.Option(help="Draw the report.")] = True,
    formats: Formats = "png,svg,pdf",
    data_dir: DataDir = None,
) -> None:
    """Search for an architecture without training, within a budget, and say afterwards what it was worth.

    The search never looks at an accuracy. One that was stopped goes on where it was when the same command is given.
    """
    from zcbench import spaces
    from zcbench.datasets import task
    from zcbench.registry import load_file
    from zcbench.search import (
        Architectures,
        Evaluation,
        Values,
        check_free,
        check_known,
        describe,
        disconnected,
        document,
        held_against,
        write,
    )

    files = {"archs": archs, "scores": scores, "truth": truth, "proxies": proxies, "plugin": plugin, "out": out}
    files |= {"teacher": teacher, "teacher-checkpoint": teacher_checkpoint, "data-dir": data_dir}
    inputs.check(image_size, classes, files)
    for file in plugin or ():
        load_file(file)
    where, kinds, minimised = spaces.get(space), figure_formats(formats), inputs.minimised(minimise)
    asked = said.given(context)
    how = inputs.settings(
        preset,
        algorithm,
        {"population": population, "tournament": tournament, "crossover": crossover},
        {"evaluations": evaluations, "step": step, "reference": reference},
    )
    goal, rankings = inputs.objective(proxies, rule, where.name, data_dir, transfer=transfer, sizes=sizes)
    limits = inputs.limits(params=max_params, macs=max_macs, depth=max_depth, latency=max_latency, energy=max_energy)
    trained = inputs.trained(truth, data_dir)
    if stored := scores is not None:
        source = inputs.looked_up(scores, goal, where)
    else:
        source = inputs.nothing(task(dataset, image_size), classes)
    images = source.about["protocol"]["dataset"] if stored else dataset
    costs = inputs.costs(where, source.task, {*limits, *minimised}, latency_device, images, out, data_dir)
    within, subset = inputs.within(archs, where, trained, source.archs)
    domain = Architectures(costs, limits, minimised, within, subset)
    check_known(trained, domain)
    seeds = range(seed, seed + repeats)
    with ExitStack() as stack:
        if not stored and inputs.scored(goal):
            batch = inputs.batch(dataset, batch_size, batch_seed, image_size, classes, data_dir)
            run = {
                "init": init,
                "dtype": dtype,
                "layout": layout,
                "device": device,
                "teacher": inputs.teacher(goal, where, teacher, teacher_seed, teacher_checkpoint),
                "workers": workers,
                "timeout": timeout,
                "plugins": plugin or (),
            }
            source = stack.enter_context(inputs.made(where, goal, batch, out, inits, run))
        evaluation = Evaluation(Values(goal.members, minimised), costs, source.attempts)
        sources = {"scores": source.about, "rankings": rankings, "costs": costs.about}
        request = describe(domain, evaluation, goal, how, seeds, sources)
        check_free(out, request)
        free = stored or not inputs.scored(goal)
        if stored and (every := domain.everything()):
            evaluation(every)  # what is looked up is looked up at once
        also_random = bool(trained) and (free if baselines is None else baselines)
        found, random = _search(domain, evaluation, goal, how, seeds, also_random)
    chosen_by = [name for about in rankings for name in about["truths"]]
    truths, times = held_against(found, trained, domain, evaluation, random, chosen_by)
    remarks = [
        *said.remarks(asked, goal, how, stored=stored, costs={*limits, *minimised}, minimised=minimised),
        *said.from_rankings(asked, rankings, where),
        *disconnected(found, domain),
    ]
    content = document(request, found, domain, evaluation, truths, times, remarks)
    path = write(out, content)
    _print(content)
    typer.echo(f"Result: {path}", err=True)
    if report:
        from zcbench.reports.search.page import write_search_report

        typer.echo(f"Report: {write_search_report(content, out / 'report', formats=kinds)}", err=True)


def _search(
    domain: "Architectures",
    evaluation: "Evaluation",
    goal: "Objective",
    how: "Settings",
    seeds: range,
    baselines: bool,
) -> "tuple[list[SearchResult], list[SearchResult]]":
    """The searches, and random ones with the same objective where they are wanted."""
    from zcbench.search import at_random, repeated

    random: list[SearchResult] = []
    with _progress() as progress:
        found = repeated(domain, evaluation, goal, how, seeds, progress)
        if baselines and how.algorithm.name != "random":
            random = repeated(domain, evaluation, goal, at_random(how), seeds, progress)
    return found, random


@contextmanager
def _progress() -> "Iterator[Report]":
    """One line that tells how far each search is, where there is a terminal."""
    console = Console(stderr=True)
    with Progress(*Progress.get_default_columns(), console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=None)

        def show(what: str, done: int, total: int) -> None:
            bar.update(task, description=what, completed=done, total=total)

        yield show


def _print(content: Mapping[str, Any]) -> None:
    """The pick, and what each truth says of it."""
    console = table_console()
    best, request = content["best"], content["request"]
    sizes = ", ".join(f"{name} {_grouped(value)}" for name, value in best["costs"].items() if value is not None)
    for line in (
        f"Best by {request['objective']['formula']}: {best['arch']}",
        f"Costs: {sizes}",
        f"Evaluated: {len(content['history']):,} ({_counts(content['statuses'])}); {content['stopped']}",
    ):
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    for name, judged in content["truths"].items():
        known = judged["accuracies"]
        best = f"{name}: best within the budget {known['best']:.2f} of {known['within the budget']:,} architectures"
        console.print(best, highlight=False, markup=False, soft_wrap=True)
        console.print(_judgement(judged))
        for line in judged["remarks"]:
            console.print(line, highlight=False, markup=False, soft_wrap=True)
    for line in content["remarks"]:
        console.print(line, highlight=False, markup=False, soft_wrap=True)


def _counts(statuses: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {status}" for status, count in statuses.items())


def _judgement(judged: Mapping[str, Any]) -> Table:
    """Accuracy and regret of the picks and of the baselines."""
    table = Table(box=SIMPLE)
    for heading in ("", "n", "accuracy", "sd", "regret"):
        table.add_column(heading, justify="left" if not heading else "right")
    rows = [("the picks", judged)]
    for label, row in judged["baselines"].items():
        many = row if isinstance(row, list) else [row]
        rows += [(f"{label}, {one['trainings']:,}" if "trainings" in one else label, one) for one in many]
    for label, row in rows:
        table.add_row(*map(escape, _cells(label, row, judged["accuracies"]["best"])))
    return table


def _cells(label: str, row: Mapping[str, Any], best: float) -> tuple[str, ...]:
    accuracy = row.get("accuracy", row)
    figures = accuracy if isinstance(accuracy, Mapping) else {"mean": accuracy, "n": row.get("equally large", 1)}
    mean, sd = figures.get("mean"), figures.get("sd")
    shown = ("–", "–") if mean is None else (f"{mean:.2f}", f"{best - mean:.2f}")
    return label, f"{figures.get('n', '')}", shown[0], "–" if sd is None else f"{sd:.2f}", shown[1]


def _grouped(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"
