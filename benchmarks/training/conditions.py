"""Conditions of a truth: what all its trainings have in common, by name and as objects; and which students it has."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from zcbench import spaces
from zcbench.benchmarks.scoring.choosing import choose
from zcbench.benchmarks.scoring.options import Sample
from zcbench.benchmarks.scoring.sampling import stratified, uniform
from zcbench.benchmarks.scoring.teachers import TeacherChoice, read_teacher
from zcbench.benchmarks.training.options import TruthSetup
from zcbench.benchmarks.training.protocol import sample_in
from zcbench.distill.errors import RecipeError
from zcbench.distill.tasks import read_task
from zcbench.distill.training.data.images import TrainingData
from zcbench.distill.training.data.named import kept_data
from zcbench.distill.training.recipe import Recipe
from zcbench.distill.training.stored import TeacherOutputs
from zcbench.errors import unknown
from zcbench.spaces import Space
from zcbench.spaces.base import SpaceError
from zcbench.specification import read_specification

WAYS = ("stratified", "uniform")
DISTILLERS = ("kd",)


@dataclass(frozen=True)
class KDSetting:
    """The setting ``kd``: one fixed teacher, and the losses under it.

    Attributes:
        teacher: with its checkpoint, measured once on the test images, or trained first.
        recipe: how it is trained; as the students, if None.
        distillers: the losses.
        weights: of ``ce`` and of each distiller; the defaults of `default_weights` where not given.
        outputs: where the teacher's outputs for the training images are stored; in the memory of each worker if None.
    """

    teacher: TeacherChoice
    recipe: Recipe | None = None
    distillers: Sequence[str] = DISTILLERS
    weights: Mapping[str, float] = field(default_factory=dict)
    outputs: TeacherOutputs | None = None


@dataclass(frozen=True)
class TruthConditions:
    """What all trainings of a truth have in common.

    Attributes:
        space: where the architectures are from.
        data: training and held-out test images.
        dataset: what the table calls them.
        recipe: of all students; its own seed is not used.
        kd: teacher and losses; for the setting ``kd``.
        init: initialisation scheme of the networks.
        device: where to train.
    """

    space: Space
    data: TrainingData
    dataset: str
    recipe: Recipe = field(default_factory=Recipe)
    kd: KDSetting | None = None
    init: str = "default"
    device: str = "cpu"


def prepare(setup: TruthSetup, recipe: Recipe, *, kd: bool = True) -> TruthConditions:
    """Look up what ``setup`` names.

    Args:
        setup: names of space, data set, teacher and losses, and the rest.
        recipe: of the students, and of the teacher where ``setup`` says nothing else.
        kd: whether there is a setting ``kd``; without it there is no teacher.

    Raises:
        RecipeError: losses or weights without a setting ``kd``.
        ZcbenchError: a name is not known, or its files are not here.
    """
    for option, given in (("distillers", setup.distillers), ("weights", setup.weights)):
        if given and not kd:
            raise RecipeError(
                f"Given {option}={given!r} and no teacher. Expected the setting kd, without which they have no effect; "
                f"add kd to the settings, or leave the {option} out."
            )
    space = spaces.get(setup.space)
    task = read_task(setup.task)
    dataset = setup.dataset or task.dataset
    data, space = kept_data(dataset, setup.data_dir, task), task.space(space)
    return TruthConditions(
        space,
        data,
        setup.label or dataset_label(dataset, data.image_shape[1]),
        recipe,
        _kd(setup, recipe, space) if kd else None,
        setup.init,
        setup.device,
    )


def _kd(setup: TruthSetup, recipe: Recipe, space: Space) -> KDSetting:
    own = replace(
        recipe,
        epochs=setup.teacher_epochs or recipe.epochs,
        augmentation=setup.teacher_augmentation or recipe.augmentation,
        seed=setup.teacher_seed,
        warmup=None if setup.teacher_epochs else recipe.warmup,
    )
    teacher = read_teacher(
        setup.teacher, space, setup.teacher_seed, checkpoint=setup.teacher_checkpoint, data_dir=setup.data_dir
    )
    distillers = DISTILLERS if setup.distillers is None else setup.distillers
    outputs = TeacherOutputs.named(setup.teacher_outputs, setup.data_dir)
    return KDSetting(teacher, own, distillers, setup.weights or {}, outputs)


def dataset_label(dataset: str, side: int) -> str:
    """Name of the data set in the table: its own, with the side in pixels where the images were brought to another.

    >>> dataset_label("cifar10(files=1,side=16)", 16), dataset_label("digits", 8)
    ('cifar10-16', 'digits')
    """
    name, options = read_specification(dataset)
    return f"{name}-{side}" if "side" in options else name


def choose_students(space: Space, sample: Sample, way: str, folder: Path) -> tuple[list[str], str]:
    """The architectures of a truth, and a sentence that says which.

    Args:
        space: where they are from.
        sample: how many, ``"all"``, a list, or a file with one a line.
        way: ``"stratified"`` over the number of parameters, or ``"uniform"``; a larger sample begins with the smaller
            one of the same seed.
        folder: of the truth, which goes on with the sample that it has.

    Raises:
        UnknownNameError: no way of sampling has this name.
        SpaceError: the space is too large for a stratified sample.
        ProtocolError, ArchitectureError: as `zcbench.benchmarks.scoring.choosing.choose_architectures`.
    """
    if way not in WAYS:
        raise unknown("way of sampling", way, WAYS)
    wanted, subset, seed = sample.archs, sample.subset or "all", sample.seed
    if not isinstance(wanted, str) or not wanted.isdecimal():
        return choose(space, sample)
    if way == "uniform":
        return uniform(space, int(wanted), seed, subset), f"{wanted} of {subset!r}, uniform, seed {seed}"
    origin = f"{wanted} of {subset!r}, stratified over parameters, seed {seed}"
    try:
        chosen = stratified(space, int(wanted), seed, subset)
    except SpaceError as error:
        raise SpaceError(f"{error} A uniform sample, of --sample uniform, needs no list.") from error
    return sample_in(folder, chosen, origin), origin
