"""``zcbench truth``: train architectures into a table of accuracies."""

import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zcbench.cli import recipes
from zcbench.cli.arguments import DATA_DIR, execution
from zcbench.cli.given import configurable
from zcbench.cli.options import Record, options
from zcbench.cli.output import emitted, status, tabular, time_named, warn
from zcbench.cli.verbosity import error_console
from zcbench.specification import split_list

if TYPE_CHECKING:
    from zcbench import Execution, Sample
    from zcbench.benchmarks.training.building import TruthResult
    from zcbench.benchmarks.training.options import TruthSetup
    from zcbench.distill import Recipe

app = typer.Typer(
    help="Train architectures, with and without a teacher, into truths of your own.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.callback()
def _group() -> None:
    """Keep ``build`` a command of its own name."""


@app.command()
@tabular
@configurable()
@options(
    sample=Record(
        "zcbench:Sample",
        names={"seed": "archs_seed"},
        defaults={"archs": "200", "subset": "all"},
        options={
            "archs": typer.Option(
                help="How many architectures to sample, 'all', or a text file with one a line. A larger sample begins "
                "with the smaller one of the same seed, so that more may be asked of a folder later."
            ),
            "subset": typer.Option(help="Set that architectures are taken from: all, live or unique."),
        },
    ),
    setup=Record(
        "zcbench.benchmarks.training.options:TruthSetup",
        options={
            "dataset": typer.Option(show_default="cifar10; digits_scenes for segmentation"),
            "label": typer.Option(show_default="its name, and the side given"),
            "distillers": typer.Option(show_default=recipes.DISTILLERS),
            "weights": typer.Option(parser=recipes.read_weights, metavar="<str>", show_default=recipes.WEIGHTS),
            "teacher_checkpoint": typer.Option(show_default="trained first, with the recipe"),
            "teacher_epochs": typer.Option(show_default="--epochs"),
            "teacher_augmentation": typer.Option(show_default="--augmentation"),
            "data_dir": DATA_DIR,
        },
    ),
    recipe=recipes.recipe("seed"),
    execution=execution("Seconds that one training may take in a worker."),
)
def build(
    *,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the truth; one that is there is resumed.",
            show_default="named by time, as runs/truth-2026-11-29-0915",
        ),
    ] = None,
    sample: "Sample",
    way: Annotated[
        str,
        typer.Option("--sample", help="How they are sampled: stratified over the number of parameters, or uniform."),
    ] = "stratified",
    settings: Annotated[
        str, typer.Option(help="Settings of the trainings: vanilla (no teacher), kd, or both with a comma.")
    ] = "vanilla,kd",
    seeds: Annotated[int, typer.Option(min=1, help="Trainings of each architecture and setting, seeds 0, 1, …")] = 2,
    setup: "TruthSetup",
    recipe: "Recipe",
    execution: "Execution",
) -> None:
    """Train architectures and record accuracy, loss and time of every run; resumable at any moment.

    The folder gets one table for each setting, which '--truth' of bench and rank takes: vanilla.parquet, kd.parquet and
    gain.parquet; and trainings.csv with all that was recorded.
    """
    from zcbench.benchmarks.training.building import build_truth
    from zcbench.benchmarks.training.conditions import choose_students, prepare
    from zcbench.distill.tasks import read_task

    kinds, out = split_list(settings), out or time_named("truth")
    conditions = prepare(setup, recipe, kd="kd" in kinds)
    archs, origin = choose_students(conditions.space, sample, way, out)
    result = build_truth(
        conditions,
        archs,
        out,
        settings=kinds,
        seeds=range(seeds),
        execution=replace(execution, console=error_console()),
        notes={"architectures": origin, "data set": setup.dataset or read_task(setup.task).dataset},
    )
    _print(result)
    if result.tables:
        table = out / f"{next(iter(result.tables))}.parquet"
        space = shlex.quote(conditions.space.spec)
        status(f"Truth: {table}; rank with it by 'zcbench bench --space {space} --truth {shlex.quote(str(table))}'.")


@app.command()
@tabular
def pack(
    folder: Annotated[Path, typer.Argument(help="Folder of 'zcbench truth build'.", show_default=False)],
    out: Annotated[Path, typer.Option(help="File to write; ends in .parquet.", show_default=False)],
) -> None:
    """Write all trainings of a truth into one compact file, its protocol inside; the builder may still be at work.

    'zcbench data import FILE' stores its tables on another machine.
    """
    from zcbench.benchmarks.statistics import agreed
    from zcbench.benchmarks.training import packing as truth_packing

    about = truth_packing.pack(folder, out)
    counts = {name: about[name] for name in ("trainings", "architectures", "left_out")}
    if emitted(about["tables"].values(), file=out, **counts):
        return
    rest = f"; {about['left_out']:,} architectures are not finished and left out" if about["left_out"] else ""
    typer.echo(
        f"{about['trainings']:,} trainings of {about['architectures']:,} architectures in {out} "
        f"({out.stat().st_size / 1e3:.0f} kB){rest}"
    )
    for table in about["tables"].values():
        typer.echo(f"{table['name']}: {table['counts']}; {agreed(table)}")


def _print(result: "TruthResult") -> None:
    _warn_of_a_worse_teacher(result)
    if emitted(result.trainings, folder=result.folder, statuses=result.statuses):
        return
    from zcbench.benchmarks.statistics import agreed
    from zcbench.benchmarks.training.tables import counted

    for setting, table in result.tables.items():
        accuracy = table["accuracy"]
        told = "one run each" if table["seed"].nunique() == 1 else agreed(table.protocol)
        typer.echo(
            f"{setting}: {counted(table)}; accuracy {accuracy.min():.2f} to {accuracy.max():.2f}, mean "
            f"{accuracy.mean():.2f}; {told}: {result.folder / setting}.parquet"
        )


def _warn_of_a_worse_teacher(result: "TruthResult") -> None:
    """Say so where most architectures alone are better than the teacher."""
    if "vanilla" not in result.tables:
        return
    teachers = result.trainings[result.trainings["setting"] == "teacher"]
    if teachers.empty:
        return
    teacher, alone = teachers.iloc[-1], result.tables["vanilla"].averaged()["accuracy"]
    if (better := int((alone > teacher["accuracy"]).sum())) * 2 > len(alone):
        warn(
            f"the teacher {teacher['arch']} ({teacher['accuracy']:.2f} %) is worse than {better:,} of the "
            f"{len(alone):,} architectures trained alone."
        )
