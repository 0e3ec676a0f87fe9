"""Conditions: all that a score depends on besides its architecture, proxy and seed, as one record of objects."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import nn

from zcbench import datasets, references, spaces
from zcbench.benchmarks.scoring.options import AUTO, LARGEST, NO_TEACHER, NetworkOptions, Setup, faster_layout
from zcbench.benchmarks.scoring.teachers import TeacherChoice, build_teacher, read_teacher
from zcbench.datasets import Batch, dense
from zcbench.datasets.dense.layouts import IGNORED as UNLABELLED
from zcbench.datasets.forms import MASK
from zcbench.distill import tasks
from zcbench.errors import BatchError, TeacherError, unknown
from zcbench.proxies import Loss, Output, Proxy, resolve
from zcbench.proxies.signals.objective import IGNORED, LOSSES, Objective, Task
from zcbench.spaces import Networks, Space, SpaceError
from zcbench.spaces.base import ImageShape
from zcbench.spaces.initialisation import INITIALISATIONS
from zcbench.spaces.networks import Example


@dataclass(frozen=True)
class Conditions(NetworkOptions):
    """What all scores of a run have in common.

    Attributes:
        space: where the architectures are from.
        batch: inputs and labels; their classes are those of the networks.
        teacher: for proxies that compare with one, as `read_teacher` gives it.
        output: reads the output of every network; see ``output`` of `zcbench.score`.
        loss: of every network; see ``loss`` of `zcbench.score`.

    The layout ``auto`` becomes the one that it stands for.

    Raises:
        ProtocolError: an unknown ``dtype`` or ``layout``.
        UnknownNameError: an unknown initialisation.

    Example:
        >>> batch = datasets.batch(datasets.load("noise", image_size=8), 4)
        >>> conditions = Conditions(spaces.get("nasbench201", channels=4, cells=1), batch, init="kaiming")
        >>> conditions.num_classes, conditions.image_shape
        (10, (3, 8, 8))
    """

    space: Space
    batch: Batch
    teacher: TeacherChoice | None = None
    output: Output = field(default_factory=Output)
    loss: Loss = field(default_factory=Loss)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.layout == AUTO:
            object.__setattr__(self, "layout", faster_layout(len(self.image_shape), self.device))
        if self.init not in INITIALISATIONS:
            raise unknown("initialisation", self.init, INITIALISATIONS)

    @property
    def num_classes(self) -> int:
        """Classes of the networks."""
        return self.batch.num_classes

    @property
    def image_shape(self) -> ImageShape:
        """``(C, H, W)``, or the shape of another input."""
        return self.batch.image_shape

    def build(self, arch: str, seed: int) -> nn.Module:
        """The network of ``arch``, in training mode, with the weights of ``seed``."""
        return self.space.build(arch, self.num_classes, seed, self.image_shape, self.init)

    def build_teacher(self, student: str | None = None) -> nn.Module | None:
        """The teacher's network, in training mode; None without a teacher.

        Args:
            student: the architecture that it teaches, where the space is one of pairs.

        Raises:
            TeacherError: the function or the checkpoint does not give a network for these classes and images.
            SpaceError: its space has no network for them.
        """
        if self.teacher is None:
            return None
        given = (self.init, self.num_classes, self.image_shape, student, self._task)
        return build_teacher(self.teacher, self.space, *given)

    @property
    def _task(self) -> tasks.Task:
        """What the end of a teacher of a file, or of another space, is for."""
        if isinstance(self.loss.function, tasks.Criterion):
            return self.loss.function.task
        return tasks.Segmentation() if MASK.fits(self.batch.labels) else tasks.CLASSIFICATION


def prepare(setup: Setup, proxies: Iterable[str | Proxy] = ()) -> Conditions:
    """Look up what ``setup`` names.

    Networks of one's own are measured on the first image, and decide the number of classes.

    Args:
        setup: names of space, data set and teacher, or these as objects, and the rest; NAS-Bench-201, cifar10 and
            'largest' if None.
        proxies: what will be scored; a space too large for a largest teacher needs none where none is compared with.

    Raises:
        UnknownNameError: a space, data set, loss or initialisation that is not known.
        TeacherError: the teacher cannot be found.
        DataError: the images are not here.
        BatchError: more images than there are, or fewer than two; or labels that do not fit networks of one's own.
        PluginError: the file of ``output`` or ``loss`` cannot be read.
        SpaceError: networks of one's own that do not take the images, or have different numbers of classes.
    """
    task = _task(setup.loss)
    space, batch, output = find_space(setup), _batch(setup, task), Output.of(named(setup.output))
    if task and isinstance(batch.images, torch.Tensor):
        task.check("training", batch.images, batch.labels, batch.num_classes)
    loss = Loss(task.criterion(batch.image_shape)) if task else Loss.of(named(setup.loss))
    if isinstance(space, Networks):
        space = space.on(Example(batch.images[:1], output))
        batch = fitted(batch, {name: space.card(name, batch.image_shape).outputs for name in space}, loss)
    return Conditions(
        space,
        batch,
        _teacher(setup, space, proxies),
        output,
        loss,
        init=setup.init,
        dtype=setup.dtype,
        layout=setup.layout,
        device=setup.device,
    )


def find_space(setup: Setup) -> Space:
    """The space that ``setup`` names, or has; NAS-Bench-201 if None."""
    return setup.space if isinstance(setup.space, Space) else spaces.get(setup.space or "nasbench201")


def named(given: object) -> Any:
    """The function that a text ``FILE.py:FUNCTION`` names; anything else as it is."""
    return references.load(given) if isinstance(given, str) and references.read(given) else given


def _task(loss: object) -> tasks.Task | None:
    """The task whose loss is named, as ``detection``; None for another loss.

    Raises:
        UnknownNameError: a text names neither a task, nor another loss, nor a function of a file.
    """
    if not isinstance(loss, str) or loss in LOSSES or references.read(loss):
        return None
    if (name := loss.partition("(")[0]) not in tasks.TASKS:
        raise unknown("loss", name, (*LOSSES, *tasks.TASKS))
    return tasks.read_task(loss)


def _batch(setup: Setup, task: tasks.Task | None) -> Batch:
    if isinstance(setup.dataset, Batch):
        return setup.dataset
    if setup.dataset and dense.is_dense(setup.dataset):
        return _dense(setup, setup.dataset, task)
    images = datasets.load(setup.dataset or "cifar10", setup.data_dir, image_size=setup.image_size)
    return datasets.batch(images, setup.batch_size, setup.batch_seed)


def _dense(setup: Setup, name: str, task: tasks.Task | None) -> Batch:
    """A batch with the labels of a task, or with masks as the loss of each position takes them."""
    if setup.image_size is not None:
        raise BatchError(
            f"Given image_size={setup.image_size} for {name!r}. Expected the side among the options of a data set with "
            f"masks or boxes, as in digits_scenes(side=24)."
        )
    form = task.labels if task else MASK
    batch = datasets.batch(dense.load(name, "train", form.name), setup.batch_size, setup.batch_seed)
    if task:
        return batch
    labels = batch.labels.long()
    return replace(batch, labels=labels.masked_fill(labels == UNLABELLED, IGNORED))


def fitted(batch: Batch, outputs: Mapping[str, tuple[int, ...]], loss: Loss) -> Batch:
    """The batch with the number of classes that the outputs of all networks have.

    Args:
        batch: inputs and labels.
        outputs: shape of the output of each network for one input, by name.
        loss: that was given.

    Raises:
        SpaceError: the outputs have different numbers of classes.
        BatchError: labels and outputs fit no loss, or a label is no class of the networks.
    """
    found: dict[tuple[int, ...], str] = {}
    for name, shape in outputs.items():
        found.setdefault(shape[:1], name)
    if len(found) > 1:
        pairs = [(name, *(shape or (1,))) for shape, name in found.items()]
        told = " and ".join(f"{name!r} has {number}" for name, number in pairs[:2])
        raise SpaceError(
            f"The networks have different numbers of classes: {told}. Expected one number; rank those of one task "
            f"together."
        )
    shape = next(iter(outputs.values()))
    task = Objective.of(batch.labels, loss).task(torch.empty(1, *shape))
    if task not in (Task.CLASSES, Task.POSITIONS):
        return batch
    if (most := int(batch.labels.max())) >= shape[0]:
        raise BatchError(
            f"The batch has the label {most}, and the networks have {shape[0]} classes. Expected labels from 0 to "
            f"{shape[0] - 1}; give networks and inputs of one task."
        )
    return replace(batch, num_classes=shape[0])


def _teacher(setup: Setup, space: Space, proxies: Iterable[str | Proxy]) -> TeacherChoice | None:
    given = setup.teacher or LARGEST
    if isinstance(given, TeacherChoice) or given == NO_TEACHER:
        return given if isinstance(given, TeacherChoice) else None
    try:
        return read_teacher(
            given, space, setup.teacher_seed, checkpoint=setup.teacher_checkpoint, data_dir=setup.data_dir
        )
    except TeacherError:  # a space too large to be listed has no largest
        needed = any(proxy.needs_teacher for proxy in resolve(proxies))
        if given != LARGEST or setup.teacher_checkpoint or needed:
            raise
        return None
