"""Train a student under a teacher, a network alone, or several students that teach each other."""

from collections.abc import Mapping, Sequence
from typing import Unpack

import torch
from torch import nn

from zcbench.distill.errors import RecipeError
from zcbench.distill.functions import Loss, as_distillers
from zcbench.distill.training.course import Running, TrainingResult
from zcbench.distill.training.data.images import DataSource, TrainingData
from zcbench.distill.training.objective import CE, TrainingObjective
from zcbench.distill.training.recipe import Recipe
from zcbench.distill.training.teaching import Teacher
from zcbench.distill.training.training import Training


def train(
    student: nn.Module,
    teacher: nn.Module | Teacher | Sequence[nn.Module | Teacher] | None,
    data: DataSource,
    recipe: Recipe | None = None,
    *,
    distillers: Sequence[Loss] = (),
    weights: Mapping[str, float] | None = None,
    mixture: str = "average",
    device: str | torch.device = "cpu",
    **running: Unpack[Running],
) -> TrainingResult:
    """Train ``student`` in place: alone, or under one or several teachers.

    On one machine and build the weights are a pure function of the arguments; global random states are left unchanged.
    A training with a checkpoint is resumed from it, to the same bits. An incomplete last batch of an epoch is left out,
    so that all batches have the same size.

    Args:
        student: gives logits ``(B, N)``; it is moved to ``device``. Parts in evaluation mode, such as a frozen batch
            normalisation, stay so; a student that is in it as a whole is put into training mode.
        teacher: one or several trained networks that share nothing with the student, or None for plain training.
        data: training and test images; or two PyTorch data sets, for training and test, or one, of which a fifth is
            held out, as `TrainingData.from_dataset` takes them; or a function that returns any of these.
        recipe: how; the defaults of `Recipe` if omitted.
        distillers: losses by name, specification, as objects or as plain functions of student and teacher, see
            `zcbench.distill.functions.as_distillers`; each is trained with the adapters that it needs.
        weights: of ``ce`` and of each distiller by name; where not given those of `default_weights`.
        mixture: how several teachers are weighed: ``average``, ``adaptive`` or ``gradient``.
        device: where to train.
        running: checkpoints, observers and the like, see `Running`.

    Returns:
        The network of the last epoch; no epoch is selected by the test images.

    Raises:
        BatchError: labels and classes of the networks do not fit, or a network returns no logits.
        RecipeError: a recipe that cannot be carried out, distillers without a teacher, or a teacher without distillers;
            a teacher that shares parts with the student; nothing to train; or NaN in a network.
        WeightError: weights are out of range or of unknown terms.
        DistillError: an output that a distiller reads is missing, or shapes do not fit.
        DivergedLoss: a loss is NaN or infinite.
        CheckpointError: a checkpoint cannot be written or is of another training.
        TrainingStopped: ``stop`` returned True.

    Example:
        >>> from zcbench import datasets, spaces
        >>> digits = TrainingData.of(datasets.load("digits"), datasets.load("digits", split="test"))
        >>> space = spaces.get("nasbench201(channels=4,cells=1)")
        >>> student = space.build(space[1462], image_shape=digits.image_shape)
        >>> train(student, None, digits, Recipe(epochs=1)).steps
        11
    """
    given = [] if teacher is None else [teacher] if isinstance(teacher, nn.Module | Teacher) else list(teacher)
    teachers = [item if isinstance(item, Teacher) else Teacher(item) for item in given]
    recipe = recipe or Recipe()
    objective = TrainingObjective(distillers, weights, recipe.label_smoothing, mixture)
    _require_teachers(objective, teachers)
    training = Training([student], [objective], teachers, TrainingData.taken(data), recipe, device)
    return training.run(**running)[0]


def train_together(
    students: Sequence[nn.Module],
    data: DataSource,
    recipe: Recipe | None = None,
    *,
    distillers: Sequence[Loss] = ("kd(temperature=1)",),
    weights: Mapping[str, float] | None = None,
    device: str | torch.device = "cpu",
    **running: Unpack[Running],
) -> list[TrainingResult]:
    """Train several students at once, each under all the others (deep mutual learning).

    Zhang et al., "Deep Mutual Learning", CVPR 2018, arXiv:1706.00384, eqs. 2 to 9: cross-entropy plus the mean KL
    divergence from the other students, each with weight 1. All students take their step on one forward pass of each,
    where the paper renews the others' outputs after every student.

    Args:
        students: at least two.
        data: training and test images.
        recipe: how; the defaults of `Recipe` if omitted.
        distillers: losses between every two students; the teacher's side has no gradient.
        weights: of ``ce`` and of each distiller; 1 where not given.
        device: where to train.
        running: as in `train`; observers receive the rows of the first student.

    Returns:
        Each student; the rows of a history are about that student.

    Raises:
        RecipeError: fewer than two students, students that share parts, or no distiller.
    """
    if len(students) < 2:
        raise RecipeError(f"Given {len(students)} students to learn from each other. Expected at least two.")
    recipe = recipe or Recipe()
    losses = as_distillers(distillers)
    ones = dict.fromkeys([CE, *(loss.name for loss in losses)], 1.0)
    objectives = [TrainingObjective(losses, ones | dict(weights or {}), recipe.label_smoothing) for _ in students]
    if not objectives[0].active:
        raise RecipeError("No distiller is given for students that learn from each other. Name at least one.")
    training = Training(list(students), objectives, [], TrainingData.taken(data), recipe, device)
    return training.run(**running)


def _require_teachers(objective: TrainingObjective, teachers: Sequence[Teacher]) -> None:
    taught = [item for item in objective.active if not item.alone]
    if taught and not teachers:
        names = ", ".join(item.name for item in taught)
        raise RecipeError(f"The distillers {names} need a teacher, and none is given. Name one, or leave them out.")
    if teachers and not objective.active:
        raise RecipeError("A teacher is given and no distiller. Name at least one distiller with a weight above 0.")
