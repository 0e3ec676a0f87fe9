"""What a training needs of its images: batches to train on, held-out images to test on, and a fingerprint."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple, Protocol, Self

import torch
from torch import Tensor

from zcbench.datasets.items import Pair
from zcbench.distill.tasks import CLASSIFICATION, Task
from zcbench.distill.training.recipe import Recipe
from zcbench.errors import BatchError
from zcbench.streams import torch_stream

LAYOUTS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
_PIECE = 1024


class DrawnBatch(NamedTuple):
    """A batch before augmentation: images, labels, numbers of the images, epoch, and place of the first image in it."""

    images: Tensor
    labels: Tensor
    indices: Tensor
    epoch: int
    first: int


class BatchOrder(Protocol):
    """The batches of a training by their number, from 0; the same number gives the same batch."""

    def at(self, number: int) -> DrawnBatch:
        """The batch of this number."""


class TrainingSource(ABC):
    """Training images and held-out test images of one task, in memory or streamed.

    Attributes:
        num_classes: classes of the task.
        description: which images these are, for people.
        black: value of a black pixel in each channel, ``(C,)``: what images are padded with before a crop.
        task: what the labels are, and what depends on it.
    """

    num_classes: int
    description: str
    black: Tensor | None
    task: Task = CLASSIFICATION

    @abstractmethod
    def __len__(self) -> int:
        """Number of training images of an epoch."""

    @property
    @abstractmethod
    def image_shape(self) -> tuple[int, int, int]:
        """Shape ``(C, H, W)`` of one image."""

    @property
    @abstractmethod
    def test_count(self) -> int:
        """Number of test images."""

    @property
    @abstractmethod
    def sha256(self) -> str:
        """Fingerprint: of the content, or of what can be told of a stream without reading it."""

    @property
    @abstractmethod
    def device(self) -> torch.device:
        """Where batches are."""

    @abstractmethod
    def to(self, device: str | torch.device, layout: str = "contiguous") -> Self:
        """The same images on a device, in a memory layout."""

    @abstractmethod
    def probe(self) -> Tensor:
        """Two training images."""

    @abstractmethod
    def take(self, indices: Tensor, *key: object) -> Pair:
        """Training images by their numbers.

        Args:
            indices: their numbers.
            key: names the random stream of transforms that are random.
        """

    @abstractmethod
    def tested(self) -> Iterable[Pair]:
        """All test images in order, in batches."""

    @abstractmethod
    def training_labels(self) -> Tensor:
        """Labels of all training images."""

    @abstractmethod
    def held_out(self, share: float) -> "TrainingSource":
        """The training images in two parts: one to train on, and one, in the place of the test images, to validate on.

        Of each class the same share is drawn, rounded to whole images, in a fixed random draw.

        Raises:
            RecipeError: a class would have no validation image or none left to train on.
        """

    @abstractmethod
    def first(self, count: int) -> "TrainingSource":
        """The first ``count`` images of both splits, in memory."""

    def with_task(self, task: Task) -> Self:
        """The same images for a task with labels of the same form, such as this one with other options.

        Raises:
            BatchError: the labels are of another task.
        """
        if task == self.task:
            return self
        if task.labels != self.task.labels:
            raise BatchError(
                f"Given the task {task.name!r} and {self.description}, whose labels are of the task "
                f"{self.task.name!r}. Expected data of one task, such as {task.dataset}; name another data set, or the "
                f"task of the data."
            )
        return replace(self, task=task)  # type: ignore[type-var]

    def steps_per_epoch(self, recipe: Recipe) -> int:
        """Steps of an epoch.

        Raises:
            RecipeError: there are fewer images than one step needs.
        """
        return recipe.steps_per_epoch(len(self))

    def batch_size(self, recipe: Recipe) -> int:
        """Images in a batch."""
        return recipe.batch_size

    def order(self, recipe: Recipe) -> BatchOrder:
        """Batches of images in random order; an incomplete last batch of an epoch is left out."""
        return _Shuffled(self, recipe)


class _Shuffled:
    """Batches whose images are a random order of all in each epoch, a pure function of the seed and the epoch."""

    def __init__(self, source: TrainingSource, recipe: Recipe) -> None:
        self._source, self._recipe = source, recipe
        self._per_epoch = source.steps_per_epoch(recipe) * recipe.accumulation
        self._order = (-1, torch.empty(0))

    def at(self, number: int) -> DrawnBatch:
        epoch, place = divmod(number, self._per_epoch)
        first = place * self._recipe.batch_size
        indices = self._ordered(epoch)[first : first + self._recipe.batch_size]
        return DrawnBatch(*self._source.take(indices, self._recipe.seed, number), indices, epoch, first)

    def _ordered(self, epoch: int) -> Tensor:
        if self._order[0] != epoch:
            order = torch.randperm(len(self._source), generator=torch_stream("order", self._recipe.seed, epoch))
            self._order = (epoch, order.to(self._source.device))
        return self._order[1]


def check_finite(split: str, images: Tensor) -> None:
    """Refuse images that hold NaN or infinity.

    Raises:
        BatchError: some do.
    """
    if all(bool(part.isfinite().all()) for part in torch.split(images, _PIECE)):
        return
    wrong = sum(int((~part.isfinite()).flatten(1).any(1).sum()) for part in torch.split(images, _PIECE))
    raise BatchError(
        f"{wrong:,} of {len(images):,} {split} images hold NaN or infinity. Expected finite numbers; mend or leave out "
        f"those images, and look for a division by zero in their normalisation."
    )
