"""``zcbench distill``: train a student under a teacher."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Unpack

import typer

from zcbench.cli import recipes
from zcbench.cli.arguments import DataDir, Drawn, Tracker, execution
from zcbench.cli.given import configurable
from zcbench.cli.options import options
from zcbench.cli.output import emitted, status, tabular, time_named, told_report
from zcbench.cli.students import read_distillers
from zcbench.cli.tables import print_table
from zcbench.cli.verbosity import error_console
from zcbench.runtime.messages import phase
from zcbench.specification import split_list, split_readable

if TYPE_CHECKING:
    from zcbench import Execution
    from zcbench.benchmarks.training.student import Student, StudentResult
    from zcbench.benchmarks.training.students import StudentOptions
    from zcbench.distill import Recipe
    from zcbench.distill.tasks import Task
    from zcbench.distill.training.data.source import TrainingSource

NONE = "none"


@tabular
@configurable()
@options(
    recipe=recipes.recipe(
        seed="Seed of initialisation, order of images and augmentation.", defaults={"augmentation": "crop_flip"}
    ),
    execution=execution("Seconds that one of several trainings may take in a worker."),
)
def distill(
    *,
    student: Annotated[
        str,
        typer.Option(
            help="An architecture, SPACE:ARCH or SPACE:NUMBER, FILE.py:FUNCTION, or the search.json of 'zcbench "
            "search', for its best architecture; several with commas.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the training; one that is there is resumed.",
            show_default="named by time, as runs/distill-2026-11-29-0915",
        ),
    ] = None,
    seeds: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Train each student with so many seeds, --seed and those after it, in workers, into a folder each.",
            show_default="one training in this process",
        ),
    ] = None,
    space: Annotated[str, typer.Option(help=recipes.SPACE)] = "nasbench201",
    teacher: Annotated[
        str,
        typer.Option(
            help="Teachers with commas: architectures of the space, SPACE:ARCH as resnet:resnet56, 'largest', "
            "FILE.py:FUNCTION, or trained:NAME of 'zcbench teachers list'; 'none' trains the student alone."
        ),
    ] = NONE,
    teacher_checkpoint: Annotated[
        list[Path] | None,
        typer.Option(help=f"{recipes.TEACHER_CHECKPOINT} Once for each teacher.", show_default="trained first"),
    ] = None,
    teacher_epochs: Annotated[int | None, typer.Option(help=recipes.TEACHER_EPOCHS, show_default="--epochs")] = None,
    teacher_outputs: recipes.TeacherOutputs = "memory",
    distillers: Annotated[
        str | None,
        typer.Option(
            help="Losses with hyperparameters, separated by commas, as kd(temperature=2),at; top:2@RUN takes the "
            "two best kd: proxies of a ranking, by tau or, as top:2@RUN:COLUMN, by another column; FILE.json the best "
            "distiller of 'zcbench evolve-distiller'; FILE.py:FUNCTION a function of student and teacher.",
            show_default=recipes.DISTILLERS,
        ),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            help="Weights of the cross-entropy and of the losses, as ce=.1,kd=.9; or 'balanced': each loss then has a "
            "gradient of the length of that of the cross-entropy in the first step.",
            show_default="1 each; ce=.1,kd=.9 for kd alone under a teacher",
        ),
    ] = None,
    scenario: Annotated[
        str,
        typer.Option(
            help="Who teaches: teacher (one or several at once), self (born-again generations), mutual (students that "
            "teach each other) or assistant (the teachers in a chain, each taught by the previous one)."
        ),
    ] = "teacher",
    mixture: Annotated[
        str, typer.Option(help="Weights of several teachers in the scenario teacher: average, adaptive or gradient.")
    ] = "average",
    frame: Annotated[
        str,
        typer.Option(
            help="Frame of every loss: ensemble(projectors=3), l2t(steps=1,every=10,rate=0.001), n_to_one(segments=4) "
            "or review; 'none' compares once."
        ),
    ] = NONE,
    generations: Annotated[int, typer.Option(min=2, help="Number of networks of 'self' and 'mutual'.")] = 2,
    task: Annotated[
        str,
        typer.Option(
            help="classification; segmentation: a head on the architecture gives a class for each pixel; or detection: "
            "boxes with a class each. With options as in segmentation(head='deeplabv3',stride=4) or "
            "detection(head='fcos',levels=(4,8,16))."
        ),
    ] = "classification",
    dataset: Annotated[
        str | None,
        typer.Option(
            help=f"{recipes.IMAGES} For segmentation: digits_scenes(side=32,digits=2,difficulty=1), "
            "cityscapes(path='…',side=64) or voc(path='…',side=64). For detection: digits_scenes, voc or "
            "coco(path='…',side=64).",
            show_default="cifar10; digits_scenes for segmentation and detection",
        ),
    ] = None,
    recipe: "Recipe",
    init: recipes.Init = "default",
    device: recipes.Device = "cpu",
    threads: Annotated[
        int | None, typer.Option(min=1, help="Threads on a CPU; another number may give other bits.")
    ] = None,
    checkpoint_every: Annotated[
        int | None, typer.Option(min=1, help="Steps between two checkpoints.", show_default="an epoch")
    ] = None,
    evaluate_every: Annotated[
        int, typer.Option(min=1, help="Epochs between two evaluations on test and validation images.")
    ] = 1,
    metrics: Annotated[
        str,
        typer.Option(
            help="Metrics beyond accuracy and loss, with commas: balanced_accuracy, calibration, top5, or one of "
            "torchmetrics, as MulticlassF1Score(average='macro').",
            show_default="none",
        ),
    ] = NONE,
    baseline: Annotated[
        bool, typer.Option("--baseline", help="Train the student alone too, and show both accuracies.")
    ] = False,
    export: Annotated[
        str, typer.Option(help="Files of the student with commas: pt (weights), pt2 (torch.export), onnx.")
    ] = "pt",
    report: Drawn = True,
    tracker: Tracker = None,
    execution: "Execution",
    data_dir: DataDir = None,
) -> None:
    """Train a student, alone or under a teacher; write weights, log, curves and result.json to a folder.

    If a training is stopped or killed, the same command resumes it. Several students or seeds, or a cluster, are
    trained in workers, one thread each, and the folder gets students.csv and a folder of each training.
    """
    import torch

    from zcbench.benchmarks.scoring.catalogue import placed
    from zcbench.benchmarks.scoring.teachers import read_teacher
    from zcbench.benchmarks.training.student import StudentFiles, Teaching, read_student, train_student
    from zcbench.distill.tasks import read_task
    from zcbench.distill.training.balancing import BALANCED
    from zcbench.distill.training.data.named import named_data
    from zcbench.distill.training.stored import TeacherOutputs

    out = out or time_named("distill")
    plugins = recipes.load_plugins(map(Path, execution.plugins))
    if threads is not None:
        torch.set_num_threads(threads)
    named = () if metrics == NONE else tuple(split_list(metrics))
    kind = read_task(task)
    dataset = dataset or kind.dataset
    everyone = [read_student(text, space) for text in split_readable(student, lambda one: read_student(one, space))]
    who, several = everyone[0], len(everyone) > 1 or seeds is not None or execution.cluster is not None
    _require(several, execution, threads)
    losses, origins = read_distillers(
        recipes.DISTILLERS if distillers is None else distillers, who.space.name, data_dir
    )
    notes = {"data set": dataset, "top": origins, "plugins": plugins}
    files = StudentFiles(split_list(export), checkpoint_every, evaluate_every, named, tracker, notes)
    teachers = [] if teacher == NONE else split_readable(teacher, lambda name: read_teacher(name, who.space))
    teachers = [placed(name, data_dir) for name in teachers]
    teaching = Teaching(
        scenario=scenario,
        teachers=teachers,
        checkpoints=teacher_checkpoint or (),
        recipe=None if teacher_epochs is None else replace(recipe, epochs=teacher_epochs, warmup=None),
        losses=losses,
        weights=BALANCED if weights == BALANCED else recipes.read_weights(weights),
        mixture=mixture,
        frame=None if frame == NONE else frame,
        generations=generations,
        outputs=TeacherOutputs.named(teacher_outputs, data_dir),
    )
    if scenario == "teacher" and not teachers:
        recipes.refuse_without_teacher(distillers, weights, "name one with --teacher")
    data = named_data(dataset, data_dir, kind.labels.name).with_task(kind)
    if several:
        how: StudentOptions = {
            "teaching": teaching,
            "init": init,
            "device": device,
            "files": files,
            "baseline": baseline,
        }
        _train_several(everyone, data, out, recipe, seeds or 1, execution, **how)
        return
    result = train_student(
        who,
        data,
        out,
        recipe,
        teaching=teaching,
        init=init,
        device=device,
        files=files,
        baseline=baseline,
        console=error_console(),
    )
    page = _report(result, out, _title(who.label, scenario, teacher)) if report else None
    if not emitted(result.training.history, folder=out, accuracy=result.accuracy, loss=result.training.loss):
        _print(result, recipe, kind, out, taught=scenario != "teacher" or bool(teachers))
    told_report(page, out)


def _title(student: str, scenario: str, teachers: str) -> str:
    """Heading of the page: what was trained, and who taught."""
    under = f" under {teachers}" if teachers != NONE else ""
    return f"{student}{under}" + (f", {scenario}" if scenario != "teacher" else "" if under else ", trained alone")


def _report(result: "StudentResult", out: Path, title: str) -> Path:
    """Curves and page of the training; the path of the page."""
    from zcbench.reports.training.curves import write_curves
    from zcbench.reports.training.page import write_training_report
    from zcbench.storage.run_folder import RunFolder

    history, alone = result.training.history, result.alone.history if result.alone else ()
    with phase(error_console(), "Figures and page", str(out / "report")):
        about = RunFolder(out).read_json("result.json")
        write_curves(history, out, title, alone=alone, loss=str(about["label_loss"]))
        return write_training_report(
            about, history, out / "report", title=title, alone=alone, predictions=result.predictions
        )


def _require(several: bool, execution: "Execution", threads: int | None) -> None:
    """Refuse options that have no effect."""
    from zcbench.errors import ProtocolError

    for option, given, needed in (
        ("--timeout", execution.timeout is not None, True),
        ("--retry-failed", execution.retry_failed, True),
        ("--threads", threads is not None, False),
    ):
        if given and several != needed:
            what = "several students or seeds" if needed else "one student and seed, since a worker has one thread"
            raise ProtocolError(f"{option} was given. Expected {what}; leave it out, or see --seeds.")


def _train_several(
    students: "Sequence[Student]",
    data: "TrainingSource",
    out: Path,
    recipe: "Recipe",
    seeds: int,
    execution: "Execution",
    **options: "Unpack[StudentOptions]",
) -> None:
    """Train students with several seeds, and print a row for each and the mean of each student."""
    from zcbench.benchmarks.training.students import TABLE, train_students

    execution = replace(execution, console=error_console())
    numbers = range(recipe.seed, recipe.seed + seeds)
    result = train_students(students, data, out, recipe, seeds=numbers, execution=execution, **options)
    status(f"Students: {out / TABLE}")
    if emitted(result.table, folder=out, statuses=result.statuses):
        return
    names = [str(name) for name in result.table if name not in ("reason", "folder")]
    print_table(names, ([_cell(value) for value in row] for row in result.table[names].to_numpy().tolist()))
    for name, own in result.table[result.table["status"] == "ok"].groupby("student", sort=False)["accuracy"]:
        spread = f" ± {own.std():.2f}" if len(own) > 1 else ""
        typer.echo(f"{name}: test {data.task.title} {own.mean():.2f}{spread} % over {len(own)} seeds")


def _cell(value: object) -> object:
    if isinstance(value, float):
        return "–" if value != value else f"{value:.4g}"
    return "–" if value is None else value


def _print(result: "StudentResult", recipe: "Recipe", task: "Task", out: Path, *, taught: bool) -> None:
    """Metric and loss of the student, and what a taught one gained where it was trained alone too."""
    chosen = f" (epoch {result.training.epoch}, by {recipe.select})" if recipe.select != "last" else ""
    typer.echo(
        f"Test {task.title} {result.score:.2f} %, loss {result.training.loss:.4f}, after {result.training.steps:,} "
        f"steps{chosen}: {out}"
    )
    for name, value in result.training.kept.items():
        if name.startswith("test_") and name not in ("test_accuracy", "test_loss", f"test_{task.metric}"):
            typer.echo(f"{name.removeprefix('test_')}: {value:.4g}")
    if result.gain is not None and taught:
        typer.echo(f"The student alone: {result.baseline:.2f} %. Difference: {result.gain:+.2f} percentage points.")
