"""What a training asks of a task: its networks, its loss, its metric, and how its labels are read."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields
from typing import ClassVar

from torch import Tensor, nn

from zcbench.datasets.items import Pair
from zcbench.distill.contract import Distiller
from zcbench.distill.outputs import Outputs
from zcbench.distill.training.metrics import Metric
from zcbench.spaces import Space
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
        dataset: data set where none is named.
        axes: of the labels of all images, the first of which are the images.
    """

    name: ClassVar[str]
    axes: ClassVar[int]
    metric: ClassVar[str]
    title: ClassVar[str]
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
        """The class of every prediction that counts, ``(P,)``, ``int64``."""

    @abstractmethod
    def strata(self, labels: Tensor, num_classes: int) -> tuple[Tensor, int]:
        """A stratum for each image, ``(N,)``, and the number of strata; the same share of each is held out."""

    @abstractmethod
    def cropped(self, labels: Tensor, crop: Callable[[Tensor, float], Tensor]) -> Tensor:
        """Labels of augmented images.

        Args:
            labels: of the images before.
            crop: applies the crops and flips of the images to maps ``(B, C, H, W)``, with a value for what is outside.
        """

    @abstractmethod
    def rows(
        self, students: Sequence[Outputs], teachers: Sequence[Outputs], labels: Tensor
    ) -> tuple[Sequence[Outputs], Sequence[Outputs], Tensor]:
        """Outputs with logits ``(P, N)``, and the class of each row ``(P,)``: what losses are computed from."""

    @abstractmethod
    def loss(self, logits: Tensor, labels: Tensor, weight: Tensor | None, smoothing: float) -> Tensor:
        """Loss of logits with the labels, a scalar.

        Args:
            logits: ``(P, N)``, as `rows` gives them.
            labels: ``(P,)``.
            weight: of each class, ``(N,)``.
            smoothing: share of the label that is spread over all classes.
        """

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
        """Class of each pixel, ``(B, H, W)``, in evaluation mode; None where a task has one for each image."""
        return None

    @abstractmethod
    def near_chance(self, score: float, num_classes: int, images: int) -> bool:
        """Whether a value of the metric, on so many images, is hardly above that of guessing."""
