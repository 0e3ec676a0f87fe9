"""``zcbench evolve-distiller``: search a distillation loss for one pair of student and teacher."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer
from rich.box import SIMPLE
from rich.table import Table

from zcbench.cli import recipes
from zcbench.cli.arguments import (
    CROSSOVER,
    POPULATION,
    TOURNAMENT,
    DataDir,
    Drawn,
    Formats,
    execution,
    figure_formats,
)
from zcbench.cli.given import configurable
from zcbench.cli.options import options
from zcbench.cli.output import emitted, status, table_console, tabular, time_named, told_report, warn
from zcbench.cli.verbosity import error_console
from zcbench.runtime.messages import phase
from zcbench.specification import split_list

if TYPE_CHECKING:
    from zcbench import Execution
    from zcbench.benchmarks.scoring.teachers import TeacherChoice
    from zcbench.distill import Recipe
    from zcbench.kdzero.content import DistillerContent
    from zcbench.kdzero.evolution import DistillerSettings, Preset


@tabular
@configurable()
@options(
    recipe=recipes.recipe("validation", "select", seed="Seed of draws, split, initialisation and order of images."),
    execution=execution("Seconds that one candidate may take in a worker."),
)
def evolve_distiller(
    *,
    student: Annotated[str, typer.Option(help="An architecture, or SPACE:ARCH as resnet:resnet8.", show_default=False)],
    teacher: Annotated[
        str,
        typer.Option(
            help="An architecture, SPACE:ARCH as resnet:resnet20, FILE.py:FUNCTION, or trained:NAME of 'zcbench "
            "teachers list'.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the search; one that is there is resumed.",
            show_default="named by time, as runs/evolve-distiller-2026-11-29-0915",
        ),
    ] = None,
    space: Annotated[str, typer.Option(help=recipes.SPACE)] = "nasbench201",
    teacher_checkpoint: Annotated[
        Path | None,
        typer.Option(help=recipes.TEACHER_CHECKPOINT, show_default="trained first, on the training images"),
    ] = None,
    teacher_epochs: Annotated[int, typer.Option(min=1, help=recipes.TEACHER_EPOCHS)] = 10,
    teacher_seed: Annotated[int, typer.Option(help="Seed of the teacher's training.")] = 1000,
    teacher_outputs: recipes.TeacherOutputs = "memory",
    task: Annotated[str, typer.Option(help="classification, or segmentation with its options.")] = "classification",
    dataset: Annotated[
        str | None, typer.Option(help=recipes.IMAGES, show_default="cifar10; digits_scenes for segmentation")
    ] = None,
    validation: Annotated[
        float, typer.Option(help="Share of the training images used as validation images; no test image is used.")
    ] = 0.2,
    algorithm: Annotated[
        str | None,
        typer.Option(
            help="Algorithm: evolution, or random (Rand-KD).", metavar="evolution|random", show_default="evolution"
        ),
    ] = None,
    preset: Annotated[
        str,
        typer.Option(help="Named settings: paper, small or tiny; options override them.", metavar="paper|small|tiny"),
    ] = "small",
    evaluations: Annotated[int | None, typer.Option(help="Different candidates to train.", show_default="200")] = None,
    step: Annotated[
        int | None,
        typer.Option(help="Candidates that are asked for at a time; workers do not change it.", show_default="4"),
    ] = None,
    population: Annotated[int | None, typer.Option(help=POPULATION, show_default="20")] = None,
    tournament: Annotated[
        int | None,
        typer.Option(help=TOURNAMENT, show_default="5, at most the population"),
    ] = None,
    crossover: Annotated[float | None, typer.Option(help=CROSSOVER, show_default="0.5")] = None,
    fitness: Annotated[
        str, typer.Option(help="Terms that are minimised, with commas: ce, sharpness, cka (which is subtracted).")
    ] = "ce,sharpness,cka",
    sharpness: Annotated[str, typer.Option(help="Sharpness gap: exact, absolute or second_order.")] = "exact",
    normalisation: Annotated[
        str,
        typer.Option(
            help="Scale of the terms: robust (spread of the first population), rank (among all candidates so far), or "
            "none (the paper's sum)."
        ),
    ] = "robust",
    prescreen: Annotated[
        int | None,
        typer.Option(
            help="Candidates per training, of which one is selected by its loss before training, or by --known.",
            show_default="1, no pre-screen",
        ),
    ] = None,
    known: Annotated[
        str | None,
        typer.Option(
            help="A truth, as s0/cifar100/kd: the partial correlation of each candidate, as a proxy, given size is "
            "recorded and used by a pre-screen."
        ),
    ] = None,
    known_archs: Annotated[int, typer.Option(min=1, help="Most architectures of --known.")] = 50,
    rejection: Annotated[
        bool, typer.Option(help="Stop a training early if its first losses are excessive, constant or vanish.")
    ] = True,
    shrinkage: Annotated[
        bool | None,
        typer.Option(help="Reduce the weights of operations of bad candidates.", show_default="yes; no for random"),
    ] = None,
    early_stop: Annotated[bool, typer.Option(help="Evaluate a candidate after --share of its steps.")] = True,
    share: Annotated[
        float | None, typer.Option(help="Share of the epochs of a candidate.", show_default="1; paper .05")
    ] = None,
    recipe: "Recipe",
    init: recipes.Init = "default",
    device: recipes.Device = "cpu",
    execution: "Execution",
    against: Annotated[
        list[Path] | None,
        typer.Option(help="Folder of another search to compare with in the report. May be repeated."),
    ] = None,
    report: Drawn = True,
    formats: Formats = "svg",
    data_dir: DataDir = None,
) -> None:
    """Search a distillation loss composed of transforms, distances and weights (KD-Zero).

    Each candidate trains the student in a shortened training; its fitness is measured on validation images. The same
    command continues a search that was stopped or killed.
    """
    from zcbench.benchmarks.training.student import read_student
    from zcbench.distill.tasks import read_task
    from zcbench.distill.training.data.named import kept_data
    from zcbench.distill.training.stored import TeacherOutputs
    from zcbench.errors import ProtocolError, unknown
    from zcbench.kdzero.evolution import PRESETS, CandidateJob, Fitness, KnownAccuracies, Rejection, held_out, read
    from zcbench.kdzero.evolution import evolve_distiller as evolve

    kinds = figure_formats(formats)
    if preset not in PRESETS:
        raise unknown("preset of a distiller search", preset, PRESETS)
    settings = _settings(
        PRESETS[preset],
        shrinkage,
        algorithm=algorithm,
        evaluations=evaluations,
        step=step,
        population=population,
        tournament=tournament,
        crossover=crossover,
        prescreen=prescreen,
        seed=recipe.seed,
        fitness=Fitness(tuple(split_list(fitness)), sharpness, normalisation),
    )
    others = {str(folder): cast("DistillerContent", read(folder)) for folder in against or ()}
    who = read_student(student, space)
    if who.function is not None:
        raise ProtocolError(
            f"Given the student {student!r}. Expected an architecture of a space, such as resnet:resnet8."
        )
    kind, out = read_task(task), out or time_named("evolve-distiller")
    images = kept_data(dataset or kind.dataset, data_dir, kind)
    job = CandidateJob(
        space=kind.space(who.space),
        arch=who.arch,
        data=held_out(images, validation, recipe.seed),
        recipe=recipe,
        teacher=_teacher(teacher, space, teacher_seed, teacher_checkpoint, data_dir),
        share=(PRESETS[preset].share if share is None else share) if early_stop else 1.0,
        rejection=Rejection() if rejection else None,
        init=init,
        device=device,
        dataset=dataset or kind.dataset,
        outputs=TeacherOutputs.named(teacher_outputs, data_dir),
        teacher_recipe=replace(recipe, epochs=teacher_epochs, seed=teacher_seed, warmup=None),
    )
    found = evolve(
        job,
        settings,
        out,
        execution=replace(execution, console=error_console()),
        known=None if known is None else KnownAccuracies.read(known, known_archs, recipe.seed, data_dir, who.arch),
        against=others,
    )
    content = cast("DistillerContent", found.content)
    _print(content)
    status(f"Result: {found.file}")
    if report:
        with phase(error_console(), "Figures and page", str(out / "report")):
            page = _report(content, others, out / "report", kinds)
        told_report(page, out)


def _settings(preset: "Preset", shrinkage: bool | None, **given: Any) -> "DistillerSettings":
    """The preset with what was given in its place; a random search does not shrink its space unless it is told to."""
    from zcbench.kdzero.evolution import Shrinkage

    chosen = {name: value for name, value in given.items() if value is not None}
    population = chosen.get("population", preset.settings.population)
    chosen.setdefault("tournament", min(preset.settings.tournament, population))
    settings = replace(preset.settings, **chosen)
    wanted = settings.algorithm != "random" if shrinkage is None else shrinkage
    own = settings.shrinkage or Shrinkage()
    return replace(settings, shrinkage=replace(own, after=settings.population) if wanted else None)


def _teacher(given: str, space: str, seed: int, checkpoint: Path | None, data_dir: Path | None) -> "TeacherChoice":
    """The teacher; a bare name is of ``space``, whatever the student's space is."""
    from zcbench import spaces
    from zcbench.benchmarks.scoring.teachers import read_teacher

    home = spaces.get(space)
    choice = read_teacher(given, home, seed, checkpoint=checkpoint, data_dir=data_dir)
    return replace(choice, space=home) if choice.file is None and choice.space is None else choice


def _report(
    content: "DistillerContent", others: Mapping[str, "DistillerContent"], folder: Path, formats: tuple[str, ...]
) -> Path:
    from zcbench.kdzero.evolution import on_one_scale
    from zcbench.kdzero.report import write_distiller_report

    label = f"{content['search']['algorithm']} (this search)"
    names = {where: Path(where).name for where in others}
    alike = len(set(names.values())) < len(names)
    beside = {f"{c['search']['algorithm']} ({where if alike else names[where]})": c for where, c in others.items()}
    curves = on_one_scale({label: content, **beside})
    return write_distiller_report(content, curves, folder, formats=formats)


def _print(content: "DistillerContent") -> None:
    """The best candidate, the student alone and the teacher."""
    if emitted(content["history"], best=content["best"], references=content["references"]):
        return
    console, best, search = table_console(), content["best"], content["search"]
    statuses = ", ".join(f"{count:,} {status}" for status, count in content["statuses"].items())
    terms = ", ".join(f"{name} {value:.4f}" for name, value in best["terms"].items())
    duplicates = f"{len(content['duplicates']):,} duplicates left out"
    for line in (
        f"Best: {best['formula']}",
        f"Fitness {best['fitness']:.4f}, minimised: {search['minimised']}, {search['fitness']['normalisation']} scale",
        f"Its terms: {terms}; found at evaluation {best['evaluation']}",
        f"Candidates: {statuses}; {duplicates}; {content['stopped']}",
    ):
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    console.print(_references(content))
    for warning in content["warnings"]:
        warn(warning)


def _references(content: "DistillerContent") -> Table:
    """Terms on the validation images of the best, of the student trained alone, and of the teacher."""
    from zcbench.kdzero.content import judged_by

    table = Table(box=SIMPLE)
    known = content["references"]
    best = next(row for row in content["history"] if row["formula"] == content["best"]["formula"])
    names = ("ce", "sharpness", "cka", "accuracy", "agreement")
    table.add_column("on validation images")
    for name in names:
        table.add_column(judged_by(content) if name == "accuracy" else name, justify="right")
    rows = {
        "student under the best": best["terms"],
        "student alone": known["student alone"].get("terms"),
        "teacher": known["teacher"],
    }
    for label, terms in rows.items():
        table.add_row(label, *(f"{terms[name]:.4g}" if terms else "–" for name in names))
    return table
