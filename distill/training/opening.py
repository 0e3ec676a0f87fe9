"""Networks made ready for a training: on the device, with their readers, and with adapters between them."""

from collections.abc import Sequence

from torch import Tensor, nn

from zcbench.distill.outputs import Shapes
from zcbench.distill.reading import Reader
from zcbench.distill.training.data.source import LAYOUTS, TrainingSource
from zcbench.distill.training.evaluation import to_training_mode
from zcbench.distill.training.objective import TrainingObjective
from zcbench.distill.training.recipe import Recipe
from zcbench.distill.training.teaching import Teacher
from zcbench.errors import BatchError
from zcbench.hooks.modes import evaluating


def open_networks(
    students: Sequence[nn.Module],
    objectives: Sequence[TrainingObjective],
    teachers: Sequence[Teacher],
    data: TrainingSource,
    recipe: Recipe,
) -> tuple[list[Reader], list[Reader]]:
    """Move all networks to the device of ``data`` and build the adapters of the objectives.

    Returns:
        A reader for each student, and one for each teacher.

    Raises:
        BatchError: a network has fewer classes than the labels, or returns no logits.
        DistillError: an output that a distiller reads is missing, or shapes do not fit.
    """
    for objective in objectives:
        data.task.check_losses(objective.active)
    reads = frozenset[str]().union(*(objective.reads for objective in objectives))
    memory, probe = LAYOUTS[recipe.layout], data.probe()
    device = probe.device
    for student in students:
        student.to(device, memory_format=memory)  # type: ignore[call-overload]
        to_training_mode(student)
    readers = [Reader(student, reads, recipe.precision, probe[:1]) for student in students]
    above = [teacher.reader(reads, recipe.precision, probe[:1]) for teacher in teachers]
    own, outside = ([_shapes(reader, probe, data) for reader in some] for some in (readers, above))
    for index, objective in enumerate(objectives):
        objective.adapt(own[index], [*outside, *own[:index], *own[index + 1 :]], recipe.seed)
        objective.to(device).train()
    return readers, above


def _shapes(reader: Reader, images: Tensor, data: TrainingSource) -> Shapes:
    with evaluating(reader.network):
        outputs = reader.without_gradient(images)
    shapes, num_classes = outputs.shapes, data.num_classes
    given, expected = outputs.logits.shape[1:], data.task.logits_shape(num_classes, data.image_shape)
    if len(given) != len(expected) or tuple(given[1:]) != expected[1:]:
        wanted = ", ".join(map(str, ("B", "classes", *expected[1:])))
        raise BatchError(
            f"The network returns {tuple(outputs.logits.shape)} for {len(images)} images, which is none of the task "
            f"{data.task.name}. Expected logits ({wanted}); take a network of this task, or wrap it."
        )
    beside = expected[0] - num_classes  # outputs that are no class logits
    if given[0] - beside < num_classes:
        raise BatchError(
            f"The labels have {num_classes} classes and a network {given[0] - beside}. Expected a network with at "
            f"least as many classes as the data; build it with num_classes={num_classes}."
        )
    return data.task.shapes(shapes)
