"""What a training asks of a task: its networks, its loss, its metric, and how its labels are read."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import ClassVar

from torch import Tensor, nn

from zcbench.datasets.forms import LabelForm
from zcbench.datasets.items import Pair
from zcbench.distill.contract import Distiller
from zcbench.distill.outputs import Outputs, Shapes
from zcbench.distill.training.data.augmentation import Cut
from zcbench.distill.training.metrics import Metric
from zcbench.spaces import Space, SpaceError
from zcbench.spaces.base import ImageShape
from zcbench.specification import write_specification

#: Tasks by name, those of plug-in files included: every subclass of `Task`.
TASKS: dict[str, type["Task"]] = {}


class Task(ABC):
    """One kind of labels, with the networks, loss and metrics that belong to it.

    A task is a subclass and a frozen dataclass; its fields are the options of its name. It belongs to the data of a
    training (`TrainingSource.task`), and everything that depends on the kind of labels is one of its methods.

    Attributes:
        name: as on the command line.
        metric: what a network is judged by, in percent, higher is better: ``test_METRIC`` in rows and files.
        title: the metric in words.
        loss_title: the loss with the labels in words.
        dataset: data set where none is named.
        labels: form of the labels; `zcbench.datasets.forms` has those of the data sets.
    """

    name: ClassVar[str]
    labels: ClassVar[LabelForm]
    metric: ClassVar[str]
    title: ClassVar[str]
    loss_title: ClassVar[str] = "cross-entropy"
    dataset: ClassVar[str]

    def __init_subclass__(cls) -> None:
        """Make a task known by its name."""
        TASKS[cls.name] = cls

    @property
    def spec(self) -> str:
        """Name and the options that differ from their defaults."""
        changed = {
            item.name: value
            for item in fields(self)  # type: ignore[arg-type]
            if (value := getattr(self, item.name)) != item.default
        }
        return write_specification(self.name, changed)

    @abstractmethod
    def build(
        self, space: Space, arch: str, num_classes: int, seed: int, image_shape: ImageShape, init: str
    ) -> nn.Module:
        """Untrained network of an architecture, for these classes and images.

        Raises:
            SpaceError: the space has no network for this task or these images.
        """

    def space(self, space: Space) -> Space:
        """The networks of this task as a space, for truths and searches: those of a space of classifiers, changed.

        Raises:
            SpaceError: this task has none.
        """
        raise SpaceError(
            f"Given: the task {self.name!r} for architectures of {space.name}. Expected: classification or "
            f"segmentation, whose networks are a space."
        )

    @abstractmethod
    def logits_shape(self, num_classes: int, image_shape: ImageShape) -> tuple[int, ...]:
        """Shape of the logits of one image."""

    @abstractmethod
    def check(self, split: str, images: Tensor, labels: Tensor, num_classes: int) -> None:
        """Refuse labels that do not belong to the images or to this task.

        Raises:
            BatchError: they do not.
        """

    @abstractmethod
    def check_losses(self, losses: Sequence[Distiller]) -> None:
        """Refuse distillation losses that are not defined for this task.

        Raises:
            RecipeError: one is not.
        """

    @abstractmethod
    def classes(self, labels: Tensor) -> Tensor:
        """The class of every label that counts, ``(P,)``, ``int64``."""

    @abstractmethod
    def strata(self, labels: Tensor, num_classes: int) -> tuple[Tensor, int]:
        """A stratum for each image, ``(N,)``, and the number of strata; the same share of each is held out."""

    @abstractmethod
    def cropped(self, labels: Tensor, cut: Cut, size: tuple[int, int]) -> Tensor:
        """Labels of augmented images.

        Args:
            labels: of the images before.
            cut: the crops and flips of the images, which it applies to maps or boxes.
            size: height and width of the images.
        """

    def targets(self, labels: Tensor, image_shape: ImageShape) -> Tensor:
        """What `rows` takes as the labels of a batch of images ``(C, H, W)``: the labels."""
        return labels

    @abstractmethod
    def rows(
        self, students: Sequence[Outputs], teachers: Sequence[Outputs], labels: Tensor
    ) -> tuple[Sequence[Outputs], Sequence[Outputs], Tensor]:
        """Outputs with logits ``(P, N)``, and the class of each row ``(P,)``: what losses are computed from.

        Args:
            students: their outputs for a batch.
            teachers: likewise.
            labels: of `targets`.
        """

    def compared(self, outputs: Outputs, labels: Tensor) -> tuple[Outputs, Tensor]:
        """What distillation losses read of the outputs and labels of `rows`: these."""
        return outputs, labels

    def shapes(self, shapes: Shapes) -> Shapes:
        """Shapes of `compared` outputs, of those of a network."""
        return shapes

    def judged(self, logits: Tensor, labels: Tensor) -> Pair:
        """Logits and classes whose agreement is the training accuracy, of those of `rows`: all."""
        return logits, labels

    @abstractmethod
    def loss(self, logits: Tensor, labels: Tensor, weight: Tensor | None, smoothing: float) -> Tensor:
        """Loss of logits with the labels, a scalar.

        Args:
            logits: ``(P, N)``, as `rows` gives them.
            labels: ``(P,)``.
            weight: of each class, ``(N,)``.
            smoothing: share of the label that is spread over all classes.
        """

    def criterion(self, image_shape: ImageShape) -> "Criterion":
        """The loss of what a network returns and the labels of a data set, for images of this shape.

        Example:
            >>> import torch
            >>> from zcbench.distill.tasks import read_task
            >>> loss = read_task("segmentation").criterion((3, 2, 2))
            >>> round(loss(torch.zeros(1, 4, 2, 2), torch.tensor([[[0, 1], [2, 255]]], dtype=torch.uint8)).item(), 3)
            1.386
        """
        return Criterion(self, image_shape)

    @abstractmethod
    def metrics(self, given: Sequence[str | Metric], num_classes: int) -> list[Metric]:
        """Metrics by name or as objects, beyond those that are always computed.

        Raises:
            UnknownNameError: a name that the task does not have.
        """

    @abstractmethod
    def measure(self, network: nn.Module, batches: Iterable[Pair], metrics: Sequence[Metric] = ()) -> dict[str, float]:
        """Accuracy, loss, the task's metric and others, in evaluation mode and float32, by name.

        Args:
            network: its modes are restored.
            batches: images and labels on the device of the network.
            metrics: of `metrics`.
        """

    def predicted(self, network: nn.Module, images: Tensor) -> Tensor | None:
        """Labels that a network gives, in evaluation mode; None where a task has one class for each image.

        Masks ``(B, H, W)``, or detections ``(B, M, 6)``: class, four edges, score, the class -1 where there is none.
        """
        return None

    def chance(self, num_classes: int) -> float:
        """Value of the metric that guessing gives, in percent."""
        return 100 / num_classes

    @abstractmethod
    def near_chance(self, score: float, num_classes: int, images: int) -> bool:
        """Whether a value of the metric, on so many images, is hardly above that of guessing."""


@dataclass(frozen=True)
class Criterion:
    """Loss of a task as a function of output and labels, a scalar, such as ``loss`` of `zcbench.score` takes.

    Attributes:
        task: whose loss it is, without class weights and smoothing.
        image_shape: ``(C, H, W)`` of the images.
    """

    task: Task
    image_shape: ImageShape

    @property
    def label(self) -> str:
        """The task with its options."""
        return self.task.spec

    def __call__(self, output: Tensor, labels: Tensor) -> Tensor:
        """The loss of a batch.

        Raises:
            BatchError: the output has another shape than the task's.
        """
        targets = self.task.targets(labels, self.image_shape)
        (rows,), _, classes = self.task.rows([Outputs(logits=output)], [], targets)
        return self.task.loss(rows.logits, classes, None, 0.0)
