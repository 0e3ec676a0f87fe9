"""Weights that give each loss a gradient of the length of that of the cross-entropy in the first step."""

from collections.abc import Sequence
from copy import deepcopy

import torch
from torch import Tensor, nn

from zcbench.distill.errors import WeightError
from zcbench.distill.functions import Loss
from zcbench.distill.training.data.source import TrainingSource
from zcbench.distill.training.objective import CE, TrainingObjective
from zcbench.distill.training.recipe import Recipe
from zcbench.distill.training.sharing import require_apart
from zcbench.distill.training.teaching import Teacher
from zcbench.distill.training.training import Training
from zcbench.streams import seeded

#: Value of the weights that requests balanced ones.
BALANCED = "balanced"


def balanced_weights(
    student: nn.Module,
    teachers: Sequence[nn.Module | Teacher],
    data: TrainingSource,
    distillers: Sequence[Loss],
    recipe: Recipe | None = None,
    *,
    mixture: str = "average",
    device: str | torch.device = "cpu",
) -> dict[str, float]:
    r"""Weights under which every loss has a gradient as long as that of the cross-entropy in the first step.

    .. math::  w_i = \frac{\lVert \nabla_\theta \operatorname{CE} \rVert}{\lVert \nabla_\theta L_i \rVert}

    :math:`\theta` are the parameters of the student at its initialisation, adapters left out; both gradients are those
    of the first batch that a training with this recipe sees.

    Args:
        student: as it will be trained; it is copied, and stays as it is.
        teachers: one or several trained networks.
        data: training images.
        distillers: losses by name, specification or as objects.
        recipe: how the student will be trained.
        mixture: weighting of several teachers.
        device: where to compute.

    Returns:
        1 for ``ce``, a positive number for each distiller by name.

    Raises:
        WeightError: a loss has no gradient for this student, or one that is not finite.
        DistillError: an output that a distiller reads is missing, or shapes do not fit.

    Note:
        No paper prescribes this. It makes a comparison of losses fair in one stated way where none of them has a weight
        tuned for the pair at hand; a weight tuned on held-out images may be better by far.

    Example:
        >>> from zcbench import datasets, spaces
        >>> from zcbench.distill import TrainingData
        >>> digits = TrainingData.of(datasets.load("digits"), datasets.load("digits", split="test"))
        >>> space = spaces.get("nasbench201(channels=4,cells=1)")
        >>> teacher, student = (space.build(space[1462], seed=seed, image_shape=digits.image_shape) for seed in (0, 1))
        >>> weights = balanced_weights(student, [teacher], digits, ["sp", "cc"])
        >>> weights["ce"], weights["sp"] > weights["cc"] > 0
        (1.0, True)
    """
    recipe, ones = recipe or Recipe(), TrainingObjective(distillers)
    ones = TrainingObjective(ones.distillers, dict.fromkeys([CE, *ones.weights], 1.0), recipe.label_smoothing, mixture)
    given = [item if isinstance(item, Teacher) else Teacher(item) for item in teachers]
    require_apart([("student", student)], [("teacher", item.network) for item in given])
    training = Training([deepcopy(student)], [ones], given, data, recipe, device)
    with seeded("training", recipe.seed):
        terms = training.terms()[0]
    parameters = [parameter for parameter in training.students[0].parameters() if parameter.requires_grad]
    lengths = {name: _length(term, parameters) for name, term in zip(ones.terms[1:], terms[1:], strict=True)}
    for name, length in lengths.items():
        if not 0 < length < float("inf"):
            raise WeightError(
                f"The gradient of {name!r} in the first step has length {length}. Expected one above 0 and finite; "
                f"give its weight as a number."
            )
    return {name: lengths[CE] / length for name, length in lengths.items()}


def _length(term: Tensor, parameters: list[nn.Parameter]) -> float:
    gradients = torch.autograd.grad(term, parameters, retain_graph=True, allow_unused=True)
    lengths = [gradient.double().norm() for gradient in gradients if gradient is not None]
    return torch.stack(lengths).norm().item() if lengths else 0.0
