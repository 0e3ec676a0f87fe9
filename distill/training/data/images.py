"""Training and test images as tensors in memory."""

import inspect
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property, partial

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from zcbench.datasets import ImageSet, LabelledImages
from zcbench.datasets.batches import content_sha256
from zcbench.datasets.items import Pair
from zcbench.distill.tasks import CLASSIFICATION, Task, task_of
from zcbench.distill.training.data.source import LAYOUTS, TrainingSource, check_finite
from zcbench.distill.training.data.splitting import drawn
from zcbench.distill.training.evaluation import chunks
from zcbench.errors import BatchError


@dataclass(frozen=True, eq=False)
class TrainingData(LabelledImages, TrainingSource):
    """Training images and held-out test images of one task, normalised.

    Attributes:
        test_images: held out, of the same shape as ``images`` but for their number.
        test_labels: likewise.
        num_classes: classes of the task.
        description: which images these are, for people.
        black: value of a black pixel in each channel, ``(C,)``: what images are padded with before a crop.
        task: classification if omitted; `Segmentation` for labels that are masks ``(N, H, W)``, `Detection` for boxes
            ``(N, K, 5)``.

    Raises:
        BatchError: a split is empty, images and labels do not fit, a label is out of range, or an image holds NaN or
            infinity.
    """

    test_images: Tensor
    test_labels: Tensor
    num_classes: int
    description: str = "images as given"
    black: Tensor | None = None
    task: Task = CLASSIFICATION

    def __post_init__(self) -> None:
        _check(self.task, "training", self.images, self.labels, self.num_classes)
        _check(self.task, "test", self.test_images, self.test_labels, self.num_classes)
        if self.images.shape[1:] != self.test_images.shape[1:]:
            raise BatchError(
                f"Given training images of shape {tuple(self.images.shape[1:])} and test images of shape "
                f"{tuple(self.test_images.shape[1:])}. Expected one shape; bring both to one size."
            )

    @classmethod
    def of(cls, train: ImageSet, test: ImageSet) -> "TrainingData":
        """All images of two splits of one data set.

        Raises:
            BatchError: a split is empty, or the two are of different classes or image sizes.
        """
        if train.num_classes != test.num_classes:
            raise BatchError(
                f"Given {train.num_classes} classes to train on and {test.num_classes} to test on. Expected two splits "
                f"of one data set."
            )
        black = torch.tensor([-mean / std for mean, std in zip(train.mean, train.std)]).expand(3).contiguous()
        description = f"{train.description}; {test.description}; {train.image_shape[1]}x{train.image_shape[2]} pixels"
        images = train.images, train.labels, test.images, test.labels
        return cls(*images, train.num_classes, description, black, task_of(train.labels))

    @classmethod
    def from_dataset(
        cls, train: object, test: object = None, num_classes: int | None = None, *, in_memory: bool = False
    ) -> TrainingSource:
        """One or two PyTorch data sets or data loaders, whose images are read in every epoch anew.

        Random transforms are drawn in every epoch anew, on streams of the training's seed. A data loader keeps its
        sampler, batches and workers; its batch size is that of the training.

        Args:
            train: a data set of pairs (image, label), or of dictionaries with an image and a label: float tensors
                ``(C, H, W)`` of one shape, normalised, and whole numbers; or a data loader of batches of these.
            test: held out, likewise; if None, a fifth of the images of ``train``, in a fixed random draw, is held out.
            num_classes: classes of the task; one more than the highest label if None, for which the labels of a data
                set without ``targets`` are read once.
            in_memory: whether all images are read once and kept: faster for small ones, random transforms are then
                drawn once. An iterable data set without a length is always kept.

        Raises:
            BatchError: an item is no such pair, or as in `TrainingData`.
        """
        from zcbench.distill.training.data import streaming  # which makes such data of what it reads

        return streaming.opened(train, test, num_classes, in_memory)

    @classmethod
    def taken(cls, data: object) -> TrainingSource:
        """What a training accepts as data, or what a function without arguments returns of it.

        That is `TrainingData`, a pair of a training and a test data set or data loader, or one data set, as
        `from_dataset` takes them.

        Raises:
            BatchError: something else, such as images and labels without a data set.
        """
        if isinstance(data, TrainingSource):
            return data
        if inspect.isroutine(data) or isinstance(data, partial):
            return cls.taken(data())
        if isinstance(data, tuple | list) and len(data) == 2 and not any(isinstance(item, Tensor) for item in data):
            train, test = data
            if isinstance(train, ImageSet) and isinstance(test, ImageSet):
                return cls.of(train, test)
            return cls.from_dataset(train, test)
        if isinstance(data, Dataset | DataLoader):
            return cls.from_dataset(data)
        raise BatchError(
            f"Given {type(data).__name__} as training data, where training images and held-out test images are needed: "
            f"use TrainingData.from_dataset(train_dataset, test_dataset)."
        )

    @property
    def test_count(self) -> int:
        """Number of test images."""
        return len(self.test_labels)

    @property
    def device(self) -> torch.device:
        """Where the images are."""
        return self.images.device

    def probe(self) -> Tensor:
        """Two training images."""
        return self.images[:2]

    def take(self, indices: Tensor, *key: object) -> Pair:
        """Training images by their numbers."""
        return self.images[indices], self.labels[indices]

    def tested(self) -> Iterable[Pair]:
        """All test images in order, in batches."""
        return chunks(self.test_images, self.test_labels)

    def training_labels(self) -> Tensor:
        """Labels of all training images."""
        return self.labels

    def held_out(self, share: float, seed: int = 0, least: int = 1) -> "TrainingData":
        """Training images in two parts: one to train on, one, in the place of the test images, to validate on.

        Args:
            share: of the training images of each class that is held out, between 0 and 1.
            seed: names the stream of the draw.
            least: fewest validation images of a class.

        Raises:
            RecipeError: a class would have fewer validation images than that, or none left to train on.
        """
        chosen = drawn(*self.task.strata(self.labels, self.num_classes), share, seed, least).to(self.images.device)
        counts = f"{int((~chosen).sum()):,} training and {int(chosen.sum()):,} validation images"
        return TrainingData(
            self.images[~chosen],
            self.labels[~chosen],
            self.images[chosen],
            self.labels[chosen],
            self.num_classes,
            f"{counts}, {share:g} of each class held out, seed {seed}, of: {self.description}",
            self.black,
            self.task,
        )

    def first(self, count: int) -> "TrainingData":
        """The first ``count`` images of both splits."""
        train, test = (self.images[:count], self.labels[:count]), (self.test_images[:count], self.test_labels[:count])
        return TrainingData(*train, *test, self.num_classes, self.description, self.black, self.task)

    @cached_property
    def sha256(self) -> str:
        """Fingerprint of the content."""
        return content_sha256(self.num_classes, self.images, self.labels, self.test_images, self.test_labels)

    def to(self, device: str | torch.device, layout: str = "contiguous") -> "TrainingData":
        """The same images on a device, in a memory layout; itself if they are so already."""
        memory, target = LAYOUTS[layout], torch.empty(0, device=device).device
        if self.images.device == target and self.images.is_contiguous(memory_format=memory):
            return self
        return replace(
            self,
            images=self.images.to(device, memory_format=memory),
            labels=self.labels.to(device),
            test_images=self.test_images.to(device, memory_format=memory),
            test_labels=self.test_labels.to(device),
            black=None if self.black is None else self.black.to(device),
        )


#: What a training accepts as data: all that `TrainingData.taken` does.
DataSource = TrainingData | object


def _check(task: Task, split: str, images: Tensor, labels: Tensor, num_classes: int) -> None:
    task.check(split, images, labels, num_classes)
    check_finite(split, images)
