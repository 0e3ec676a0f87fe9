"""Options that several commands have."""

from pathlib import Path
from typing import Annotated

import typer

from zcbench.cli.options import Record
from zcbench.specification import split_list

Run = Annotated[Path, typer.Argument(help="Folder of the run.", show_default=False)]
TRUTH_HELP = (
    "Accuracies that the scores are compared with, such as nasbench201/cifar100 or nasbench201/cifar10/valid@12, or a "
    "CSV file with the columns arch and accuracy. May be repeated, or separated by commas; 'zcbench data list' shows "
    "what there is."
)
Truths = Annotated[list[str], typer.Option("--truth", help=TRUTH_HELP)]
TOP = "top:"  # begins an entry that stands for the best names of a ranking
TRUTH = ["nasbench201/cifar10"]
_DATA_DIR = "Folder with images and accuracies."
#: ``--data-dir`` as a field of a record.
DATA_DIR = typer.Option(help=_DATA_DIR, envvar="ZCBENCH_DATA", show_default="user data folder")
DataDir = Annotated[Path | None, typer.Option(help=_DATA_DIR, envvar="ZCBENCH_DATA", show_default="user data folder")]
PLUGINS = "Python file with plug-ins: proxies, losses, spaces and others. May be repeated."
Plugins = Annotated[list[Path] | None, typer.Option("--plugin", help=PLUGINS)]
Batches = Annotated[
    list[str] | None,
    typer.Option(
        help="Other runs that differ in --batch-seed alone: a score is then its mean over all batches and seeds, and "
        "the table has the spread over each. May be repeated, or separated by commas."
    ),
]
Beside = Annotated[
    list[str] | None,
    typer.Option(
        help="Other scores, named as the run is, whose proxies are ranked too, on the architectures of the run. May be "
        "repeated, or separated by commas."
    ),
]
PROXIES = (
    "Proxies, separated by commas: names, patterns such as 'kd:*', or 'all'; a '-' before one leaves it out, as in "
    "'all,-vkdnw*'."
)
SPACE = (
    "Architecture space, with options as in nasbench201(channels=4,cells=1), or FILE.py:NAME for networks of your own."
)
SCORES = "Folder of a run, file of 'zcbench scores pack', or name of 'zcbench scores list', as nasbench201."
TRACKER = "Send the result to a tracker too: tensorboard, wandb, mlflow, or one of a plug-in."
Tracker = Annotated[str | None, typer.Option(help=TRACKER, show_default="none")]
Drawn = Annotated[bool, typer.Option("--report/--no-report", help="Draw figures and page.")]
POPULATION = "Size of the population (evolution, nsga2)."
TOURNAMENT = "Draws among which the fittest is a parent (evolution)."
CROSSOVER = "Share of children with two parents."
_DRAWS = "Bootstrap draws for the confidence intervals; 0 for the delta method, which draws nothing."
Draws = Annotated[int, typer.Option(min=0, max=100_000, help=_DRAWS)]
Ensembles = Annotated[
    str,
    typer.Option(
        help="Rank aggregations: 'all' named ones whose members were scored, 'none', or a list such as "
        "az_nas,log_rank(macs,jacov)."
    ),
]
Formats = Annotated[str, typer.Option(help="Formats of the figures, of png, svg and pdf, separated by commas.")]

REPORT = Record("zcbench:ReportOptions", options={"tracker": typer.Option(help=TRACKER, show_default="none")})
_RANKING = {
    "draws": typer.Option(min=0, max=100_000, help=_DRAWS),
    "confidence": typer.Option(min=0.5, max=0.999, help="Confidence level of the intervals."),
    "k": typer.Option(help="K of P@K, BR@K and WR@K: a count, or a share below 1."),
    "supervised": typer.Option(
        help="Regressions on the scores, shown apart: ridge, boosting, both with a comma, or 'none'."
    ),
    "supervised_train": typer.Option(help="Accuracies that each regression learns from."),
    "failures_last": typer.Option(
        "--failures-last",
        help="Give an architecture on which a proxy failed that proxy's worst score, in place of leaving it out.",
    ),
}


def ranking(*omit: str) -> Record:
    """Options of a ranking, without those fields."""
    return Record("zcbench:RankingOptions", omit=("seed", "unit", *omit), names={"k": "top_k"}, options=_RANKING)


def execution(timeout: str, most: int | None = None) -> Record:
    """Options of the execution, with what a time limit is to this command."""
    return Record(
        "zcbench:Execution",
        omit=("console",),
        names={"plugins": "plugin"},
        options={
            "workers": typer.Option(min=0, max=most),
            "timeout": typer.Option(help=timeout),
            "plugins": typer.Option("--plugin", help=PLUGINS),
        },
    )


def figure_formats(given: str) -> tuple[str, ...]:
    """Formats of figures in a list with commas, each one that is known."""
    from zcbench.workflows.rank import require_formats

    kinds = tuple(split_list(given))
    require_formats(kinds)
    return kinds
