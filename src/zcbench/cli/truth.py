"""``zcbench truth``: train architectures into a table of accuracies."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from zcbench.cli import recipes
from zcbench.cli.bench import DataDir
from zcbench.specification import split_list

if TYPE_CHECKING:
    from zcbench.benchmarks.training.building import TruthResult

SAMPLES = ("stratified", "uniform")

app = typer.Typer(
    help="Train architectures, with and without a teacher, into truths of your own.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.callback()
def _group() -> None:
    """Keep ``build`` a command of its own name."""


@app.command()
def build(
    out: Annotated[Path, typer.Option(help="Folder of the truth; one that is there is resumed.", show_default=False)],
    space: Annotated[
        str, typer.Option(help="Architecture space, with options as in nasbench201(channels=8,cells=3).")
    ] = "nasbench201",
    archs: Annotated[
        str,
        typer.Option(
            help="How many architectures to sample, 'all', or a text file with one a line. A larger sample begins with "
            "the smaller one of the same seed, so that more may be asked of a folder later."
        ),
    ] = "200",
    subset: Annotated[str, typer.Option(help="Set that architectures are taken from: all, live or unique.")] = "all",
    archs_seed: Annotated[int, typer.Option(help="Seed of the sample.")] = 0,
    sample: Annotated[str, typer.Option(help="stratified over the number of parameters, or uniform.")] = "stratified",
    settings: Annotated[str, typer.Option(help="vanilla (no teacher), kd, or both with a comma.")] = "vanilla,kd",
    seeds: Annotated[int, typer.Option(min=1, help="Trainings of each architecture and setting, seeds 0, 1, …")] = 2,
    dataset: Annotated[
        str,
        typer.Option(
            help="Images: cifar10, cifar100 or digits, with options as in cifar10(files=1,side=16,images=10000,"
            "test_images=5000). Accuracies are on the test split."
        ),
    ] = "cifar10",
    label: Annotated[
        str | None, typer.Option(help="What the table calls the data set.", show_default="its name, and the side given")
    ] = None,
    epochs: recipes.Epochs = 10,
    batch_size: recipes.BatchSize = 128,
    optimizer: recipes.Optimizer = "sgd",
    lr: recipes.Rate = 0.1,
    weight_decay: recipes.WeightDecay = 5e-4,
    schedule: recipes.Schedule = "one_cycle",
    warmup: recipes.Warmup = None,
    label_smoothing: recipes.Smoothing = 0.0,
    augmentation: recipes.Augmentation = "none",
    precision: recipes.Precision = "float32",
    layout: recipes.Layout = "channels_last",
    distillers: recipes.Distillers = None,
    weights: recipes.Weights = None,
    teacher: Annotated[
        str,
        typer.Option(
            help="Teacher of the setting kd: an architecture, 'largest', SPACE:ARCH as resnet:resnet20, or "
            "FILE.py:FUNCTION."
        ),
    ] = "largest",
    teacher_checkpoint: Annotated[
        Path | None, typer.Option(help="Its weights.", show_default="trained first, with the recipe")
    ] = None,
    teacher_seed: Annotated[int, typer.Option(help="Seed of its training.")] = 1000,
    teacher_epochs: Annotated[int | None, typer.Option(help="Epochs of its training.", show_default="--epochs")] = None,
    teacher_augmentation: Annotated[
        str | None, typer.Option(help="Augmentation of its training.", show_default="--augmentation")
    ] = None,
    init: Annotated[str, typer.Option(help="Initialisation: default, kaiming, xavier or normal.")] = "default",
    device: Annotated[str, typer.Option(help="Where to train: cpu or cuda.")] = "cpu",
    workers: Annotated[int, typer.Option(min=0, help="Processes, one thread each; 0 for none but this one.")] = 2,
    timeout: Annotated[float | None, typer.Option(help="Seconds that one training may take in a worker.")] = None,
    retry_failed: Annotated[bool, typer.Option(help="Retry time-outs, lack of memory and dead workers.")] = False,
    plugin: recipes.Plugins = None,
    data_dir: DataDir = None,
) -> None:
    """Train architectures and record accuracy, loss and time of every run; resumable at any moment.

    The folder gets one table for each setting, which '--truth' of bench and rank takes: vanilla.parquet, kd.parquet and
    gain.parquet; and trainings.csv with all that was recorded.
    """
    from dataclasses import replace

    from zcbench import datasets, spaces
    from zcbench.benchmarks.ranking.study import choose_architectures
    from zcbench.benchmarks.scoring.sampling import stratified, uniform
    from zcbench.benchmarks.scoring.teachers import read_teacher
    from zcbench.benchmarks.training.building import build_truth
    from zcbench.benchmarks.training.protocol import sample_in
    from zcbench.distill.training.images import TrainingData
    from zcbench.distill.training.recipe import Recipe
    from zcbench.errors import unknown
    from zcbench.spaces.base import SpaceError

    where, console = spaces.get(space), Console(stderr=True)
    recipe = Recipe(
        epochs=epochs,
        batch_size=batch_size,
        optimizer=optimizer,
        lr=lr,
        weight_decay=weight_decay,
        schedule=schedule,
        warmup=warmup,
        label_smoothing=label_smoothing,
        augmentation=augmentation,
        precision=precision,
        layout=layout,
    )
    kinds, taught = split_list(settings), "kd" in split_list(settings)
    if sample not in SAMPLES:
        raise unknown("way of sampling", sample, SAMPLES)
    if not taught:
        recipes.refuse_without_teacher(distillers, weights, "add kd to --settings")
    if archs.isdecimal() and sample == "uniform":
        chosen = uniform(where, int(archs), archs_seed, subset)
        origin = f"{archs} of {subset!r}, uniform, seed {archs_seed}"
    elif archs.isdecimal():
        try:
            chosen = stratified(where, int(archs), archs_seed, subset)
        except SpaceError as error:
            raise SpaceError(f"{error} A uniform sample, of --sample uniform, needs no list.") from error
        origin = f"{archs} of {subset!r}, stratified over parameters, seed {archs_seed}"
        chosen = sample_in(out, chosen, origin)
    else:
        chosen, origin = choose_architectures(where, archs, subset, archs_seed)
    images = TrainingData.of(*(datasets.load(dataset, data_dir, split=split) for split in ("train", "test")))
    result = build_truth(
        where,
        chosen,
        images,
        label or _label(dataset, images.image_shape[1]),
        out,
        settings=kinds,
        seeds=range(seeds),
        recipe=recipe,
        distillers=split_list(recipes.DISTILLERS if distillers is None else distillers),
        weights=recipes.read_weights(weights),
        teacher=read_teacher(teacher, where, teacher_seed, checkpoint=teacher_checkpoint) if taught else None,
        teacher_recipe=replace(
            recipe,
            epochs=teacher_epochs or epochs,
            augmentation=teacher_augmentation or augmentation,
            seed=teacher_seed,
            warmup=None if teacher_epochs else warmup,
        ),
        init=init,
        device=device,
        workers=workers,
        timeout=timeout,
        plugins=plugin or (),
        retry_failed=retry_failed,
        notes={"architectures": origin, "data set": dataset},
        console=console,
    )
    _print(result)


@app.command()
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
    rest = f"; {about['left_out']:,} architectures are not finished and left out" if about["left_out"] else ""
    typer.echo(
        f"{about['trainings']:,} trainings of {about['architectures']:,} architectures in {out} "
        f"({out.stat().st_size / 1e3:.0f} kB){rest}"
    )
    for table in about["tables"].values():
        typer.echo(f"{table['name']}: {table['counts']}; {agreed(table)}")


def _label(dataset: str, side: int) -> str:
    """Name of the data set in the table: its own, with the side in pixels where the images were brought to another."""
    from zcbench.specification import read_specification

    name, options = read_specification(dataset)
    return f"{name}-{side}" if "side" in options else name


def _print(result: "TruthResult") -> None:
    from zcbench.benchmarks.statistics import agreed
    from zcbench.benchmarks.training.tables import counted

    for setting, table in result.tables.items():
        accuracy = table["accuracy"]
        told = "one run each" if table["seed"].nunique() == 1 else agreed(table.protocol)
        typer.echo(
            f"{setting}: {counted(table)}; accuracy {accuracy.min():.2f} to {accuracy.max():.2f}, mean "
            f"{accuracy.mean():.2f}; {told}: {result.folder / setting}.parquet"
        )
    _warn_of_a_worse_teacher(result)


def _warn_of_a_worse_teacher(result: "TruthResult") -> None:
    """Say so where most architectures alone are better than the teacher."""
    if "vanilla" not in result.tables:
        return
    teachers = result.trainings[result.trainings["setting"] == "teacher"]
    if teachers.empty:
        return
    teacher, alone = teachers.iloc[-1], result.tables["vanilla"].averaged()["accuracy"]
    if (better := int((alone > teacher["accuracy"]).sum())) * 2 > len(alone):
        typer.echo(
            f"Warning: the teacher {teacher['arch']} ({teacher['accuracy']:.2f} %) is worse than {better:,} of the "
            f"{len(alone):,} architectures trained alone.",
            err=True,
        )
