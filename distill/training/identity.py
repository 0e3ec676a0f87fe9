"""The identity of a training: what a checkpoint is compared with before the training resumes from it."""

from collections.abc import Sequence

import torch
from torch import nn

from zcbench.distill.code_identity import network_code_sha256
from zcbench.distill.training.checkpoint import CODE, content_sha256, network_sha256
from zcbench.distill.training.data.source import TrainingSource
from zcbench.distill.training.objective import TrainingObjective
from zcbench.distill.training.recipe import Recipe
from zcbench.distill.training.sharing import frozen_parts
from zcbench.distill.training.teaching import Teacher


def initial_identity(
    students: Sequence[nn.Module], objectives: Sequence[TrainingObjective], teachers: Sequence[Teacher]
) -> dict[str, object]:
    """Weights, code and frozen parts of the networks before the first step, and the code of the losses."""
    return {
        "student as it began": [network_sha256(student) for student in students],
        **{f"{CODE}the loss {item.name}": [item.version, item.code_sha256] for item in objectives[0].active},
        f"{CODE}the student": [network_code_sha256(student) for student in students],
        f"{CODE}the teacher": [network_code_sha256(teacher.network) for teacher in teachers],
        "frozen in the student": [frozen_parts(student) for student in students],
    }


def training_identity(
    recipe: Recipe,
    data: TrainingSource,
    objectives: Sequence[TrainingObjective],
    teachers: Sequence[Teacher],
    device: torch.device,
) -> dict[str, object]:
    """Recipe, data, losses, the teachers' weights and the kind of device."""
    return {
        **{f"recipe {name}": value for name, value in recipe.to_dict().items()},
        "data": data.sha256,
        "task": data.task.spec,
        "objective": [objective.to_dict() for objective in objectives],
        "teacher": [content_sha256(teacher.network) for teacher in teachers],
        "teacher outputs": [teacher.outputs.dtype if teacher.outputs else "as computed" for teacher in teachers],
        "device": device.type,
    }
