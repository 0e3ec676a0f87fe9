"""``zcbench bench``, ``rank`` and ``report``: score, hold against truth, draw."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.box import SIMPLE
from rich.console import Console
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    import pandas as pd

    from zcbench.benchmarks.ranking import Ranking

Run = Annotated[Path, typer.Argument(help="Folder of the run.", show_default=False)]
Truths = Annotated[
    list[str],
    typer.Option(
        "--truth",
        help="Accuracies to hold the scores against, such as nasbench201/cifar100 or nasbench201/cifar10/valid@12, "
        "or a CSV file with the columns arch and accuracy. May be repeated, or separated by commas; 'zcbench data "
        "list' shows what there is.",
    ),
]
DataDir = Annotated[
    Path | None,
    typer.Option(help="Folder with images and accuracies.", envvar="ZCBENCH_DATA", show_default="user data folder"),
]
Plugins = Annotated[
    list[Path] | None, typer.Option("--plugin", help="Python file that defines proxies. May be repeated.")
]
Draws = Annotated[int, typer.Option(min=1, help="Bootstrap draws for the confidence intervals.")]
Confidence = Annotated[float, typer.Option(min=0.5, max=0.999, help="Confidence level of the intervals.")]
TopK = Annotated[float, typer.Option("--top-k", help="K of P@K, BR@K and WR@K: a count, or a share below 1.")]
Formats = Annotated[str, typer.Option(help="Formats of the figures, of png, svg and pdf, separated by commas.")]
Title = Annotated[str | None, typer.Option(help="Heading of the page.")]

WIDTH = 110
SHOWN = ("proxy", "n", "coverage %", "τ", "ρ", "τ | params", "τ top 10 %", "P@k", "ms")
TRUTH = ["nasbench201/cifar10"]


def bench(
    out: Annotated[Path, typer.Option(help="Folder of the run; a run that is there is resumed.", show_default=False)],
    space: Annotated[
        str, typer.Option(help="Architecture space, with options as in nasbench201(channels=4,cells=1).")
    ] = "nasbench201",
    truth: Truths = TRUTH,
    archs: Annotated[
        str, typer.Option(help="How many architectures to sample, 'all', or a text file with one a line.")
    ] = "1000",
    subset: Annotated[str, typer.Option(help="Set that architectures are taken from: all, live or unique.")] = "all",
    archs_seed: Annotated[int, typer.Option(help="Seed of the sample.")] = 0,
    proxies: Annotated[str, typer.Option(help="Proxies, separated by commas, or 'all'.")] = "all",
    seeds: Annotated[int, typer.Option(min=1, help="Initialisations of each architecture, seeds 0, 1, …")] = 3,
    dataset: Annotated[str, typer.Option(help="Images of the batch: cifar10, cifar100, digits or noise.")] = "cifar10",
    batch_size: Annotated[int, typer.Option(help="Images in the batch.")] = 64,
    batch_seed: Annotated[int, typer.Option(help="Seed that chooses the images.")] = 0,
    image_size: Annotated[int | None, typer.Option(help="Side length to bring images to.")] = None,
    init: Annotated[str, typer.Option(help="Initialisation: default, kaiming, xavier or normal.")] = "default",
    dtype: Annotated[str, typer.Option(help="float32, float64, bfloat16 or float16.")] = "float32",
    layout: Annotated[
        str, typer.Option(help="Memory layout: contiguous, or channels_last, which is faster and rounds differently.")
    ] = "contiguous",
    device: Annotated[str, typer.Option(help="Where networks run: cpu or cuda.")] = "cpu",
    teacher: Annotated[
        str, typer.Option(help="Untrained teacher: an architecture, or 'largest' for the most MACs in the space.")
    ] = "largest",
    teacher_seed: Annotated[
        int,
        typer.Option(help="Initialisation of the teacher; outside the students' seeds, or it may be its own student."),
    ] = 1000,
    workers: Annotated[int, typer.Option(min=0, help="Processes, one thread each; 0 for none but this one.")] = 2,
    timeout: Annotated[float | None, typer.Option(help="Seconds that a pass or a proxy may take.")] = None,
    plugin: Plugins = None,
    retry_failed: Annotated[bool, typer.Option(help="Retry time-outs, lack of memory and dead workers.")] = False,
    draws: Draws = 1000,
    confidence: Confidence = 0.95,
    top_k: TopK = 10,
    formats: Formats = "png,svg,pdf",
    title: Title = None,
    data_dir: DataDir = None,
) -> None:
    """Score architectures, rank the proxies against trained accuracies, and write the report."""
    from zcbench import datasets, spaces
    from zcbench.benchmarks.protocol import TeacherChoice
    from zcbench.benchmarks.run import score_run
    from zcbench.benchmarks.study import check_truths, choose_architectures, largest

    where, console = spaces.get(space), Console(stderr=True)
    truths = _truths(truth, data_dir)
    chosen, origin = choose_architectures(where, archs, subset, archs_seed)
    check_truths(where, truths, chosen)
    kinds = _formats(formats)
    images = datasets.load(dataset, data_dir, image_size=image_size)
    score_run(
        where,
        chosen,
        _proxies(proxies, plugin),
        range(seeds),
        datasets.batch(images, batch_size, batch_seed),
        out,
        init=init,
        dtype=dtype,
        layout=layout,
        device=device,
        teacher=TeacherChoice(largest(where) if teacher == "largest" else teacher, teacher_seed),
        workers=workers,
        timeout=timeout,
        plugins=plugin or (),
        retry_failed=retry_failed,
        notes={"architectures": origin},
        console=console,
    )
    ranking = _rank(out, truths, draws, confidence, top_k)
    _report(ranking, out, kinds, title, console)


def rank(
    run: Run,
    truth: Truths = TRUTH,
    plugin: Plugins = None,
    draws: Draws = 1000,
    confidence: Confidence = 0.95,
    top_k: TopK = 10,
    data_dir: DataDir = None,
) -> None:
    """Hold the scores of a run against trained accuracies and print the ranking of the proxies."""
    from zcbench.registry import load_file

    for file in plugin or ():
        load_file(file)
    _rank(run, _truths(truth, data_dir), draws, confidence, top_k)


def report(run: Run, formats: Formats = "png,svg,pdf", title: Title = None) -> None:
    """Write tables, figures and the page from the ranking of a run."""
    from zcbench.benchmarks.ranking import Ranking

    _report(Ranking.load(run / "ranking"), run, _formats(formats), title, Console(stderr=True))


def _truths(names: list[str], data_dir: Path | None) -> "dict[str, pd.DataFrame]":
    from zcbench.benchmarks.truth import truth

    flat = [name.strip() for given in names for name in given.split(",") if name.strip()]
    return {Path(name).name if Path(name).is_file() else name: truth(name, data_dir) for name in flat}


def _proxies(given: str, plugins: list[Path] | None) -> list[str]:
    from zcbench.proxies import REGISTRY
    from zcbench.registry import load_file

    for file in plugins or ():
        load_file(file)
    if given != "all":
        return [name.strip() for name in given.split(",") if name.strip()]
    items, broken = REGISTRY.usable()
    for error in broken.values():
        typer.echo(f"Left out: {error}", err=True)
    return [item.name for item in items]


def _rank(run: Path, truths: "dict[str, pd.DataFrame]", draws: int, confidence: float, top_k: float) -> "Ranking":
    from zcbench.benchmarks.study import rank_run

    ranking = rank_run(run, truths, draws=draws, confidence=confidence, k=top_k)
    ranking.save(run / "ranking")
    _print(ranking)
    return ranking


def _report(ranking: "Ranking", run: Path, formats: tuple[str, ...], title: str | None, console: Console) -> None:
    from zcbench.reports import write_report

    page = write_report(ranking, run / "report", formats=formats, **({"title": title} if title else {}))
    console.print(f"Report: {page}", highlight=False, soft_wrap=True)


def _formats(given: str) -> tuple[str, ...]:
    from zcbench.errors import unknown
    from zcbench.reports import FORMATS

    kinds = tuple(kind.strip() for kind in given.split(",") if kind.strip())
    for kind in kinds:
        if kind not in FORMATS:
            raise unknown("figure format", kind, FORMATS)
    return kinds


def _print(ranking: "Ranking") -> None:
    """The protocol in a few lines, and one table per truth over all architectures; the report has the subsets."""
    from zcbench.reports import detail_table

    console, card = Console(), ranking.protocol["scores"]
    console = console if console.is_terminal else Console(width=WIDTH)
    for line in (
        f"Architectures: {card['architectures']} of {card['space']}",
        f"Batch: {card['batch']}",
        f"Networks: init {card['init']}, seeds {', '.join(map(str, card['init seeds']))}, {card['dtype']}",
    ):
        console.print(line, highlight=False, soft_wrap=True)
    for truth in ranking.accuracies:
        rows = detail_table(ranking, str(truth), "all")[list(SHOWN)]
        table = Table(title=f"Against {truth}", title_justify="left", box=SIMPLE, padding=(0, 1, 0, 0))
        for heading in SHOWN:
            table.add_column(heading, justify="left" if heading == "proxy" else "right", no_wrap=True)
        for row in rows.itertuples(index=False):
            table.add_row(*map(escape, map(str, row)))
        console.print(table)
