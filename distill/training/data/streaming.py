"""PyTorch data sets and data loaders as training data, read while a training runs."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol, Self

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from zcbench.datasets.items import IndexedSplit, Pair, as_indexed
from zcbench.distill.errors import RecipeError
from zcbench.distill.tasks.classification import check_classes
from zcbench.distill.training.data.images import TrainingData
from zcbench.distill.training.data.loading import LoadedOrder, LoadedSplit
from zcbench.distill.training.data.source import LAYOUTS, BatchOrder, TrainingSource, check_finite
from zcbench.distill.training.data.splitting import drawn
from zcbench.distill.training.recipe import Recipe
from zcbench.errors import BatchError
from zcbench.streams import torch_stream

_SHARE = 5  # of so many images of one data set one is held out


class Split(Protocol):
    """One split of a stream."""

    @property
    def name(self) -> str:
        """``training``, ``test`` or ``validation``."""

    def __len__(self) -> int: ...

    def batches(self, *key: object) -> Iterator[Pair]:
        """All images in order."""

    def few(self, count: int) -> Pair:
        """The first ``count`` images."""

    def labels(self) -> Tensor:
        """All labels in order."""


def opened(train: object, test: object, num_classes: int | None, in_memory: bool) -> TrainingSource:
    """The data of `zcbench.distill.TrainingData.from_dataset`."""
    name = f"{type(train).__name__} as given"
    first = _split("training", train)
    if test is None:
        if not isinstance(first, IndexedSplit):
            raise BatchError("Given one DataLoader. Expected one of training images and one of held-out test images.")
        rest, held = _held_out(len(first))
        splits: tuple[Split, Split] = first.part(rest), replace(first.part(held), name="test")
        name = f"{name}, {len(held):,} of its {len(first):,} images held out"
    else:
        splits = first, _split("test", test)
    classes = num_classes or _classes(splits)
    found = StreamedData(*splits, classes, name)
    return found.read() if in_memory or _in_memory(splits) else found


def _split(name: str, given: object) -> Split:
    return LoadedSplit(name, given) if isinstance(given, DataLoader) else as_indexed(name, given)


def _in_memory(splits: tuple[Split, Split]) -> bool:
    """Whether both splits have been read already."""
    return all(isinstance(split, IndexedSplit) and split.read for split in splits)


def _classes(splits: tuple[Split, Split]) -> int:
    return 1 + max(int(split.labels().max()) for split in splits if len(split))


def _held_out(count: int) -> tuple[Tensor, Tensor]:
    """Numbers of the images to train on, and of those to test on, each in order."""
    shuffled = torch.randperm(count, generator=torch_stream("held out", count))
    held = min(max(1, count // _SHARE), count - 1)
    return shuffled[held:].sort().values, shuffled[:held].sort().values


@dataclass(frozen=True, eq=False)
class StreamedData(TrainingSource):
    """Training and test images that are read when they are needed.

    Attributes:
        train: training images.
        test: held-out test images.
        num_classes: classes of the task.
        description: which images these are, for people.
        black: value of a black pixel in each channel.
        place: device of the batches.
        layout: their memory layout.

    Raises:
        BatchError: a split is empty, or the two have different image sizes.
    """

    train: Split
    test: Split
    num_classes: int
    description: str
    black: Tensor | None = None
    place: str | torch.device = "cpu"
    layout: str = "contiguous"

    def __post_init__(self) -> None:
        shapes = []
        for split in (self.train, self.test):
            if len(split) == 0:
                raise BatchError(f"The {split.name} split is empty. Expected at least one image; choose another split.")
            images, labels = split.few(1)
            check_finite(split.name, images)
            check_classes(split.name, labels, self.num_classes)
            shapes.append(tuple(images.shape[1:]))
        if shapes[0] != shapes[1]:
            raise BatchError(
                f"Given training images of shape {shapes[0]} and test images of shape {shapes[1]}. Expected one shape; "
                f"bring both to one size."
            )

    def __len__(self) -> int:
        return len(self.train)

    @cached_property
    def image_shape(self) -> tuple[int, int, int]:
        """Shape ``(C, H, W)`` of one image."""
        channels, height, width = self.train.few(1)[0].shape[1:]
        return channels, height, width

    @property
    def test_count(self) -> int:
        """Number of test images."""
        return len(self.test)

    @cached_property
    def sha256(self) -> str:
        """Fingerprint of the numbers of images and classes and of the first images of both splits."""
        digest = hashlib.sha256(repr((self.description, len(self.train), len(self.test), self.num_classes)).encode())
        for split in (self.train, self.test):
            for tensor in split.few(2):
                digest.update(tensor.contiguous().numpy().data)
        return digest.hexdigest()

    @property
    def device(self) -> torch.device:
        """Where batches are; the numbers of images stay on the CPU."""
        return torch.device("cpu")

    def to(self, device: str | torch.device, layout: str = "contiguous") -> Self:
        """The same images, their batches on a device and in a memory layout."""
        return replace(self, place=device, layout=layout)

    def probe(self) -> Tensor:
        """Two training images."""
        return self._placed(self.train.few(2))[0]

    def take(self, indices: Tensor, *key: object) -> Pair:
        """Training images by their numbers; those of a data loader have none."""
        if not isinstance(self.train, IndexedSplit):
            return self._placed(self.train.few(len(indices)))
        return self._placed(self.train.take(indices, *key))

    def tested(self) -> Iterable[Pair]:
        """All test images in order, in batches."""
        return map(self._placed, self.test.batches("test"))

    def training_labels(self) -> Tensor:
        """Labels of all training images; the images are read for it."""
        return self.train.labels()

    def held_out(self, share: float) -> "StreamedData":
        """Training images in two parts, as `TrainingSource.held_out` says.

        Raises:
            RecipeError: as there, or the training images come from a data loader.
        """
        if not isinstance(self.train, IndexedSplit):
            raise RecipeError(
                f"Given validation={share:g} and a DataLoader. Expected a data set in place of the loader, of which "
                f"validation images can be held out."
            )
        chosen = drawn(self.train.labels(), self.num_classes, share)
        rest, held = ((mask.nonzero().flatten()) for mask in (~chosen, chosen))
        validation = replace(self.train.part(held), name="validation")
        about = f"{len(rest):,} training and {len(held):,} validation images, {share:g} of each class held out, of: "
        return replace(self, train=self.train.part(rest), test=validation, description=f"{about}{self.description}")

    def first(self, count: int) -> TrainingSource:
        """The first ``count`` images of both splits, in memory."""
        parts = (*self.train.few(count), *self.test.few(count))
        return TrainingData(*parts, self.num_classes, self.description, self.black)

    def read(self) -> TrainingData:
        """All images of both splits, in memory; those of a data loader as one pass gives them."""
        train, test = ([torch.cat(parts) for parts in zip(*split.batches("read"))] for split in (self.train, self.test))
        (images, labels), (test_images, test_labels) = train, test
        return TrainingData(images, labels, test_images, test_labels, self.num_classes, self.description, self.black)

    def steps_per_epoch(self, recipe: Recipe) -> int:
        """Steps of an epoch: whole batches, those of the data loader if there is one."""
        if isinstance(self.train, LoadedSplit):
            return self.train.steps(recipe.accumulation)
        return super().steps_per_epoch(recipe)

    def batch_size(self, recipe: Recipe) -> int:
        """Images in a batch, those of the data loader if there is one."""
        return self.train.batch_size if isinstance(self.train, LoadedSplit) else recipe.batch_size

    def order(self, recipe: Recipe) -> BatchOrder:
        """Batches in random order, or those of the data loader."""
        if isinstance(self.train, LoadedSplit):
            return LoadedOrder(self.train, recipe, self._placed)
        return super().order(recipe)

    def _placed(self, pair: Pair) -> Pair:
        images, labels = pair
        check_finite("streamed", images)
        check_classes("streamed", labels, self.num_classes)
        return images.to(self.place, memory_format=LAYOUTS[self.layout]), labels.to(self.place)
