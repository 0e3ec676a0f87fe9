"""``zcbench bench``, ``rank`` and ``report``: score, hold against truth, draw."""

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.box import SIMPLE
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from zcbench.cli.embedded import choose, named_truths
from zcbench.cli.output import table_console
from zcbench.specification import split_list
from zcbench.storage.files import is_folder

if TYPE_CHECKING:
    import pandas as pd

    from zcbench.benchmarks.ranking.ranking import Ranking

Run = Annotated[Path, typer.Argument(help="Folder of the run.", show_default=False)]
TRUTH_HELP = (
    "Accuracies to hold the scores against, such as nasbench201/cifar100 or nasbench201/cifar10/valid@12, or a CSV "
    "file with the columns arch and accuracy. May be repeated, or separated by commas; 'zcbench data list' shows what "
    "there is."
)
Truths = Annotated[
    list[str],
    typer.Option("--truth", help=TRUTH_HELP),
]
DataDir = Annotated[
    Path | None,
    typer.Option(help="Folder with images and accuracies.", envvar="ZCBENCH_DATA", show_default="user data folder"),
]
Plugins = Annotated[
    list[Path] | None, typer.Option("--plugin", help="Python file that defines proxies or spaces. May be repeated.")
]
Batches = Annotated[
    list[str] | None,
    typer.Option(
        help="Other runs that differ in --batch-seed alone: a score is then its mean over all batches and seeds, and "
        "the table has the spread over each. May be repeated, or separated by commas."
    ),
]
Draws = Annotated[int, typer.Option(min=1, max=100_000, help="Bootstrap draws for the confidence intervals.")]
Confidence = Annotated[float, typer.Option(min=0.5, max=0.999, help="Confidence level of the intervals.")]
TopK = Annotated[float, typer.Option("--top-k", help="K of P@K, BR@K and WR@K: a count, or a share below 1.")]
Ensembles = Annotated[
    str,
    typer.Option(
        help="Rank aggregations: 'all' named ones whose members were scored, 'none', or a list such as "
        "az_nas,log_rank(macs,jacov)."
    ),
]
Supervised = Annotated[
    str, typer.Option(help="Regressions on the scores, shown apart: ridge, boosting, both with a comma, or 'none'.")
]
SupervisedTrain = Annotated[int, typer.Option(help="Accuracies that each regression learns from.")]
Formats = Annotated[str, typer.Option(help="Formats of the figures, of png, svg and pdf, separated by commas.")]
Title = Annotated[str | None, typer.Option(help="Heading of the page.")]

SHOWN = ("proxy", "kind", "n", "coverage %", "τ", "ρ", "τ common", "τ | params", "τ top 10 %", "P@k", "ms")
TRUTH = ["nasbench201/cifar10"]
DRAWS, QUICK = 1000, 200


def bench(
    out: Annotated[Path, typer.Option(help="Folder of the run; a run that is there is resumed.")] = Path("runs/bench"),
    space: Annotated[
        str | None,
        typer.Option(
            help="Architecture space, with options as in nasbench201(channels=4,cells=1).",
            show_default="that of the truth",
        ),
    ] = None,
    truth: Annotated[
        list[str] | None,
        typer.Option(
            help=TRUTH_HELP, show_default="those that ship; with --space, --subset or --archs FILE, nasbench201/cifar10"
        ),
    ] = None,
    archs: Annotated[
        str | None,
        typer.Option(
            help="How many architectures to sample, 'all', or a text file with one a line.",
            show_default="1000; of the truths that ship, all",
        ),
    ] = None,
    subset: Annotated[
        str | None,
        typer.Option(
            help="Set that architectures are taken from: all, live, unique, or known, those that every truth has.",
            show_default="all; with the truths that ship, known",
        ),
    ] = None,
    archs_seed: Annotated[int, typer.Option(help="Seed of the sample.")] = 0,
    proxies: Annotated[
        str,
        typer.Option(
            help="Proxies, separated by commas: names, patterns such as 'kd:*', or 'all'; a '-' before one leaves it "
            "out, as in 'all,-vkdnw*'."
        ),
    ] = "all",
    seeds: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=10_000,
            help="Initialisations of each architecture, seeds 0, 1, …",
            show_default="3; with the truths that ship, 1",
        ),
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option(
            help="Images of the batch: cifar10, cifar100, digits or noise; 'cifar10(files=2)' takes the first two "
            "training files only, whatever else is there.",
            show_default="cifar10; with the truths that ship, at 16x16, or digits where it is not here",
        ),
    ] = None,
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
        str | None,
        typer.Option(
            help="Teacher of all students: an architecture of the space, 'largest' for the one with the most MACs, "
            "SPACE:ARCH for one of another space as in resnet:resnet56, or FILE.py:FUNCTION for a network of your own.",
            show_default="largest",
        ),
    ] = None,
    teacher_checkpoint: Annotated[
        Path | None,
        typer.Option(help="File with the teacher's weights, a state_dict.", show_default="drawn from the seed"),
    ] = None,
    teacher_seed: Annotated[
        int,
        typer.Option(help="Initialisation of the teacher; outside the students' seeds, or it may be its own student."),
    ] = 1000,
    workers: Annotated[
        int, typer.Option(min=0, max=1_000, help="Processes, one thread each; 0 for none but this one.")
    ] = 2,
    timeout: Annotated[float | None, typer.Option(help="Seconds that a pass or a proxy may take.")] = None,
    plugin: Plugins = None,
    retry_failed: Annotated[bool, typer.Option(help="Retry time-outs, lack of memory and dead workers.")] = False,
    draws: Draws = 1000,
    confidence: Confidence = 0.95,
    top_k: TopK = 10,
    ensembles: Ensembles = "all",
    supervised: Supervised = "none",
    supervised_train: SupervisedTrain = 200,
    formats: Formats = "png,svg,pdf",
    title: Title = None,
    data_dir: DataDir = None,
) -> None:
    """Score architectures, rank the proxies against trained accuracies, and write the report.

    Where neither --space nor --truth is given, nor --subset nor a file as --archs, it does so for the networks whose
    accuracies ship, trained with and without a teacher, or for so many of them as --archs says: docs/training.md.
    """
    from zcbench import datasets, spaces
    from zcbench.benchmarks.ranking.study import check_truths, choose_architectures, rank_run, require_enough
    from zcbench.benchmarks.scoring.run import score_run
    from zcbench.benchmarks.scoring.teachers import read_teacher
    from zcbench.errors import TeacherError
    from zcbench.proxies import REGISTRY

    asked, console = choose(space, truth, archs, subset, dataset, teacher, seeds, data_dir), Console(stderr=True)
    where, truths = spaces.get(asked.space), resolve_truths(asked.truths, data_dir)
    chosen, origin = choose_architectures(where, asked.archs, asked.subset, archs_seed, truths)
    check_truths(where, truths, chosen)
    kinds, names = figure_formats(formats), _proxies(proxies)
    how = _how(draws, confidence, top_k, ensembles, supervised, supervised_train, names)
    require_enough(where, truths, chosen, how["options"].supervised)
    try:
        choice = read_teacher(asked.teacher, where, teacher_seed, checkpoint=teacher_checkpoint)
    except TeacherError:  # a space too large to be listed has no largest
        if asked.teacher != "largest" or teacher_checkpoint or any(REGISTRY.get(name).needs_teacher for name in names):
            raise
        choice = None
    images = datasets.load(asked.dataset, data_dir, image_size=image_size)
    for note in asked.notes.values():
        console.print(f"Images: {note}.", highlight=False, soft_wrap=True)
    score_run(
        where,
        chosen,
        names,
        range(asked.seeds),
        datasets.batch(images, batch_size, batch_seed),
        out,
        init=init,
        dtype=dtype,
        layout=layout,
        device=device,
        teacher=choice,
        workers=workers,
        timeout=timeout,
        plugins=plugin or (),
        retry_failed=retry_failed,
        notes={"architectures": origin, **asked.notes},
        console=console,
    )
    ranking = rank_run(out, truths, **how, subsets=asked.subsets)
    ranking.save(out / "ranking")
    _report(ranking, out, kinds, title, console)
    print_ranking(ranking)


def rank(
    run: Annotated[
        str,
        typer.Argument(
            help="Folder of a run, file of 'zcbench scores pack', or name of 'zcbench scores list', as nasbench201.",
            show_default=False,
        ),
    ],
    truth: Truths = TRUTH,
    beside: Annotated[
        list[str] | None,
        typer.Option(
            help="Other scores, named as the run is, whose proxies are ranked too, on the architectures of the run. "
            "May be repeated, or separated by commas."
        ),
    ] = None,
    batches: Batches = None,
    subset: Annotated[str, typer.Option(help="Architectures that are printed: all, live, unique or sample.")] = "all",
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for the ranking, which 'zcbench report' draws.", show_default="the folder of the run"
        ),
    ] = None,
    plugin: Plugins = None,
    draws: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=100_000,
            help="Bootstrap draws for the confidence intervals.",
            show_default=f"{DRAWS}, or {QUICK} for scores from a file without --out",
        ),
    ] = None,
    confidence: Confidence = 0.95,
    top_k: TopK = 10,
    ensembles: Ensembles = "all",
    supervised: Supervised = "none",
    supervised_train: SupervisedTrain = 200,
    failures_last: Annotated[
        bool,
        typer.Option(
            "--failures-last",
            help="Give an architecture on which a proxy failed that proxy's worst score, in place of leaving it out.",
        ),
    ] = False,
    data_dir: DataDir = None,
) -> None:
    """Compare scores with trained accuracies and print the ranking of the proxies.

    The ranking of a run is kept in its folder; scores from a file are ranked on one subset and printed, unless --out
    says where the whole ranking goes.
    """
    from zcbench.benchmarks.ranking.study import rank_run

    home = out or (Path(run) if is_folder(run) else None)
    how = _how(draws or (DRAWS if home else QUICK), confidence, top_k, ensembles, supervised, supervised_train)
    others = split_list(beside or ())
    subsets = None if home else (subset,)
    ranking = rank_run(
        run,
        resolve_truths(truth, data_dir),
        batches=split_list(batches or ()),
        beside=others,
        subsets=subsets,
        failures_last=failures_last,
        **how,
    )
    if home:
        ranking.save(home / "ranking")
    print_ranking(ranking, subset)


def report(run: Run, formats: Formats = "png,svg,pdf", title: Title = None) -> None:
    """Write tables, figures and the page from the ranking of a run."""
    from zcbench.benchmarks.ranking.ranking import Ranking

    _report(Ranking.load(run / "ranking"), run, figure_formats(formats), title, Console(stderr=True))


def resolve_truths(names: list[str], data_dir: Path | None) -> "dict[str, pd.DataFrame]":
    """Tables of accuracies by name; each of ``names`` may be several with commas, or files."""
    from zcbench.benchmarks.truths.lookup import truth
    from zcbench.benchmarks.truths.name import labels

    return {label: truth(name, data_dir) for label, name in labels(named_truths(names)).items()}


def _proxies(given: str) -> list[str]:
    from zcbench.proxies import REGISTRY

    entries = split_list(given)
    chosen = REGISTRY.select(entries)
    broken = {name: error for name in chosen if name not in entries and (error := REGISTRY.trouble(name))}
    for error in broken.values():
        typer.echo(f"Left out: {error}", err=True)
    return [name for name in chosen if name not in broken]


def _how(
    draws: int,
    confidence: float,
    top_k: float,
    ensembles: str,
    supervised: str,
    supervised_train: int,
    scored: Collection[str] | None = None,
) -> dict[str, Any]:
    """Options of the ranking, checked before anything is scored as far as the names of what is scored are known."""
    from zcbench.benchmarks.ranking.ensembles import choose
    from zcbench.benchmarks.ranking.options import RankingOptions
    from zcbench.benchmarks.ranking.supervised import names
    from zcbench.proxies import REGISTRY

    if scored is not None:
        choose(ensembles, REGISTRY.names(), scored)
    learners = names(supervised)
    options = RankingOptions(draws, confidence, top_k, supervised=learners, supervised_train=supervised_train)
    return {"options": options, "ensembles": ensembles}


def _report(ranking: "Ranking", run: Path, formats: tuple[str, ...], title: str | None, console: Console) -> None:
    from zcbench.reports import write_report

    page = write_report(ranking, run / "report", formats=formats, **({"title": title} if title else {}))
    console.print(f"Report: {page}", highlight=False, soft_wrap=True)


def figure_formats(given: str) -> tuple[str, ...]:
    """Formats of figures in a list with commas, each one that is known."""
    from zcbench.errors import unknown
    from zcbench.reports import FORMATS

    kinds = tuple(split_list(given))
    for kind in kinds:
        if kind not in FORMATS:
            raise unknown("figure format", kind, FORMATS)
    return kinds


def print_ranking(ranking: "Ranking", subset: str = "all") -> None:
    """The protocol in a few lines, and one table per truth over one subset; the report has all subsets."""
    from zcbench.reports import detail_table, shared

    console, card = table_console(), ranking.protocol["scores"]
    for line in (
        f"Architectures: {len(ranking.scores):,} of {card['space']}; asked for: {card['architectures']}",
        f"Batch: {card['batch']}",
        f"Networks: init {card['init']}, seeds {', '.join(map(str, card['init seeds']))}, {card['dtype']}",
        *_beside_lines(ranking.protocol.get("beside", {})),
    ):
        console.print(line, highlight=False, soft_wrap=True)
    for truth in ranking.accuracies:
        rows = detail_table(ranking, str(truth), subset)
        table = Table(title=f"Against {truth}, subset {subset}", title_justify="left", box=SIMPLE, padding=(0, 1, 0, 0))
        headings = [name for name in SHOWN if name != "τ common" or rows["n"].nunique() > 1]
        for heading in headings:
            left, folds = heading in ("proxy", "kind"), heading == "proxy"  # the name of an ensemble may be long
            table.add_column(heading, justify="left" if left else "right", no_wrap=not folds, overflow="fold")
        for row in rows[headings].itertuples(index=False):
            table.add_row(*map(escape, map(str, row)))
        console.print(table)
        if text := shared(ranking, str(truth), subset):
            console.print(text, highlight=False, soft_wrap=True)
        for scored, names in rows.groupby(rows["note"].str.extract(r"(scored on [\d,]+ of [\d,]+)")[0])["proxy"]:
            console.print(f"{scored}: {', '.join(names)}", highlight=False, soft_wrap=True)


def _beside_lines(sources: "Mapping[str, Mapping[str, Any]]") -> Iterator[str]:
    """What was taken from other scores, what was not, and how they differ."""
    for name, source in sources.items():
        seeds = ", ".join(map(str, source["seeds"]))
        yield f"Beside, from {name}, seeds {seeds}: {', '.join(source['proxies']) or 'nothing'}"
        for proxy, why in source["left out"].items():
            yield f"  not taken: {proxy} ({why})"
        for difference in source["differences"]:
            yield f"  differs (these → {name}): {difference}"
