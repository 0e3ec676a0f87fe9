"""Scenarios of distillation, and trainings in turn, each network under the previous one.

With networks of one architecture these are born-again networks (Furlanello et al., ICML 2018, arXiv:1805.04770, section
3.1): the first is trained alone, each further one under its predecessor from a fresh start. With a large teacher and
networks of falling size the ones between are teacher assistants (Mirzadeh et al., AAAI 2020, arXiv:1902.03393, section
3.2). Several teachers at once are given to `train`; students that teach each other are those of `train_together`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import torch
from torch import nn

from zcbench.distill.errors import RecipeError
from zcbench.distill.functions import Loss
from zcbench.distill.training.course import Running, TrainingResult
from zcbench.distill.training.data.images import DataSource, TrainingData
from zcbench.distill.training.loop import train
from zcbench.distill.training.recipe import Recipe
from zcbench.distill.training.sharing import require_apart
from zcbench.distill.training.teaching import Teacher

#: Names of the scenarios on the command line.
SCENARIOS: dict[str, str] = {
    "teacher": "one teacher, or several at once",
    "self": "born-again: the student's own architecture, generation after generation",
    "mutual": "students that are trained together, each under all the others",
    "assistant": "a chain: the teacher teaches the assistants in turn, and the last of them the student",
}


def train_in_turn(
    networks: Sequence[nn.Module],
    teacher: nn.Module | Teacher | None,
    data: DataSource,
    recipe: Recipe | None = None,
    *,
    distillers: Sequence[Loss] = ("kd",),
    weights: Mapping[str, float] | None = None,
    device: str | torch.device = "cpu",
    running: Callable[[int], Running] = lambda number: Running(),
) -> list[TrainingResult]:
    """Train each network under the one before it, the first under ``teacher`` or, without one, alone.

    The seed of the recipe goes up by one from network to network, so that no two see the images in the same order.

    Args:
        networks: in the order of their training; the last one is the student.
        teacher: of the first one.
        data: training and test images.
        recipe: of every training.
        distillers: losses of every training under a teacher.
        weights: as in `train`.
        device: where to train.
        running: checkpoints, observers and the like of each training, by its number; see `Running`.

    Returns:
        Every network, in that order.

    Raises:
        RecipeError: there is no network, or two of them share parts; otherwise the errors of `train`.
    """
    if not networks:
        raise RecipeError("No network is given to train. Expected at least one.")
    first = teacher.network if isinstance(teacher, Teacher) else teacher
    require_apart(
        [(f"network {number + 1}", network) for number, network in enumerate(networks)],
        [] if first is None else [("teacher", first)],
    )
    data, done = TrainingData.taken(data), list[TrainingResult]()
    for number, network in enumerate(networks):
        before = done[-1].network if done else teacher
        own = recipe or Recipe()
        result = train(
            network,
            before,
            data,
            replace(own, seed=own.seed + number),
            distillers=() if before is None else distillers,
            weights=None if before is None else weights,
            device=device,
            **running(number),
        )
        done.append(result)
    return done
