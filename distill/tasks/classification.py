"""Classification: one class for each image."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from zcbench.datasets.forms import CLASS, LabelForm
from zcbench.datasets.items import Pair
from zcbench.distill.contract import Distiller
from zcbench.distill.outputs import Outputs
from zcbench.distill.tasks.base import Task
from zcbench.distill.training.data.augmentation import Cut
from zcbench.distill.training.evaluation import measure
from zcbench.distill.training.metrics import Metric, read_metrics
from zcbench.errors import BatchError
from zcbench.spaces import Space
from zcbench.spaces.base import ImageShape


@dataclass(frozen=True)
class Classification(Task):
    """Labels ``(N,)``, logits ``(B, N)``, cross-entropy, and the share of images whose class is found.

    Example:
        >>> Classification().logits_shape(10, (3, 32, 32))
        (10,)
    """

    name: ClassVar[str] = "classification"
    labels: ClassVar[LabelForm] = CLASS
    metric: ClassVar[str] = "accuracy"
    title: ClassVar[str] = "accuracy"
    dataset: ClassVar[str] = "cifar10"

    def build(
        self, space: Space, arch: str, num_classes: int, seed: int, image_shape: ImageShape, init: str
    ) -> nn.Module:
        """The network of the space."""
        return space.build(arch, num_classes, seed, image_shape, init)

    def space(self, space: Space) -> Space:
        """The space itself."""
        return space

    def logits_shape(self, num_classes: int, image_shape: ImageShape) -> tuple[int, ...]:
        """One logit for each class."""
        return (num_classes,)

    def check(self, split: str, images: Tensor, labels: Tensor, num_classes: int) -> None:
        """Refuse all but one class index for each image."""
        if images.ndim != 4 or not images.is_floating_point() or labels.shape != images.shape[:1]:
            raise BatchError(
                f"Given {split} images of {images.dtype} {tuple(images.shape)} and labels of shape "
                f"{tuple(labels.shape)}. Expected floating images (N, C, H, W) and N labels."
            )
        if len(labels) == 0:
            raise BatchError(
                f"The {split} split is empty. Expected at least one image; choose another split or more files."
            )
        check_classes(split, labels, num_classes)

    def check_losses(self, losses: Sequence[Distiller]) -> None:
        """All losses are defined."""

    def classes(self, labels: Tensor) -> Tensor:
        """The labels."""
        return labels

    def strata(self, labels: Tensor, num_classes: int) -> tuple[Tensor, int]:
        """The classes."""
        return labels, num_classes

    def cropped(self, labels: Tensor, cut: Cut, size: tuple[int, int]) -> Tensor:
        """The labels: a crop of an image has its class."""
        return labels

    def rows(
        self, students: Sequence[Outputs], teachers: Sequence[Outputs], labels: Tensor
    ) -> tuple[Sequence[Outputs], Sequence[Outputs], Tensor]:
        """All as it is: a row is an image."""
        return students, teachers, labels

    def loss(self, logits: Tensor, labels: Tensor, weight: Tensor | None, smoothing: float) -> Tensor:
        """Cross-entropy in nats, mean over the images."""
        return cross_entropy(logits.float(), labels, weight=weight, label_smoothing=smoothing)

    def metrics(self, given: Sequence[str | Metric], num_classes: int) -> list[Metric]:
        """As `zcbench.distill.training.metrics.read_metrics`."""
        return read_metrics(given, num_classes)

    def measure(self, network: nn.Module, batches: Iterable[Pair], metrics: Sequence[Metric] = ()) -> dict[str, float]:
        """Accuracy in percent, cross-entropy in nats, and the other metrics."""
        return measure(network, batches, metrics)

    def near_chance(self, score: float, num_classes: int, images: int) -> bool:
        """Whether it is within three standard errors of 100/N %, or a twentieth of the way from there to 100 %."""
        chance = 100 / num_classes
        error = float((chance * (100 - chance) / images) ** 0.5)
        return score <= chance + max(3 * error, (100 - chance) / 20)


def check_classes(split: str, labels: Tensor, num_classes: int) -> None:
    """Refuse labels that are no class indices.

    Raises:
        BatchError: they are floating, or out of range.
    """
    if labels.is_floating_point() or int(labels.min()) < 0 or int(labels.max()) >= num_classes:
        raise BatchError(
            f"Given {split} labels of {labels.dtype} from {labels.min().item()} to {labels.max().item()}. Expected "
            f"class indices from 0 to {num_classes - 1}."
        )


CLASSIFICATION = Classification()
