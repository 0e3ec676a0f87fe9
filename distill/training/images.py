"""Training and test images as tensors in memory."""

import inspect
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor
from torch.utils.data import Dataset

from zcbench.datasets import ImageSet, LabelledImages
from zcbench.datasets.batches import content_sha256
from zcbench.errors import BatchError
from zcbench.streams import torch_stream

_LAYOUTS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}


@dataclass(frozen=True, eq=False)
class TrainingData(LabelledImages):
    """Training images and held-out test images of one task, normalised.

    Attributes:
        test_images: held out, of the same shape as ``images`` but for their number.
        test_labels: likewise.
        num_classes: classes of the task.
        description: which images these are, for people.
        black: value of a black pixel in each channel, ``(C,)``: what images are padded with before a crop.

    Raises:
        BatchError: a split is empty, images and labels do not fit, a label is out of range, or an image holds NaN or
            infinity.
    """

    test_images: Tensor
    test_labels: Tensor
    num_classes: int
    description: str = "images as given"
    black: Tensor | None = None

    def __post_init__(self) -> None:
        _check("training", self.images, self.labels, self.num_classes)
        _check("test", self.test_images, self.test_labels, self.num_classes)
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
        return cls(train.images, train.labels, test.images, test.labels, train.num_classes, description, black)

    @classmethod
    def from_dataset(cls, train: object, test: object = None, num_classes: int | None = None) -> "TrainingData":
        """All images of one or two PyTorch data sets, read once, so that random transforms are drawn once.

        Args:
            train: a map-style or iterable data set of pairs (image, label): float tensors ``(C, H, W)`` of one shape,
                normalised, and whole numbers.
            test: held out, likewise; if None, a fifth of the images of ``train``, in a fixed random draw, is held out.
            num_classes: classes of the task; one more than the highest label if None.

        Raises:
            BatchError: an item is no such pair, or as in `TrainingData`.
        """
        name, (images, labels) = f"{type(train).__name__} as given", _materialised("training", train)
        if test is None:
            rest, held = _held_out(len(labels))
            about = f"{name}, {len(held):,} of its {len(labels):,} images held out"
            return cls(images[rest], labels[rest], images[held], labels[held], num_classes or _classes(labels), about)
        test_images, test_labels = _materialised("test", test)
        classes = num_classes or _classes(torch.cat([labels, test_labels]))
        return cls(images, labels, test_images, test_labels, classes, name)

    @classmethod
    def taken(cls, data: object) -> "TrainingData":
        """What a training accepts as data, or what a function without arguments returns of it.

        That is `TrainingData`, a pair of a training and a test data set, or one data set, as `from_dataset` takes them.

        Raises:
            BatchError: something else, such as images and labels without a data set.
        """
        if isinstance(data, cls):
            return data
        if inspect.isroutine(data) or isinstance(data, partial):
            return cls.taken(data())
        if isinstance(data, tuple | list) and len(data) == 2 and not any(isinstance(item, Tensor) for item in data):
            train, test = data
            if isinstance(train, ImageSet) and isinstance(test, ImageSet):
                return cls.of(train, test)
            return cls.from_dataset(train, test)
        if isinstance(data, Dataset):
            return cls.from_dataset(data)
        raise BatchError(
            f"Given {type(data).__name__} as training data, where training images and held-out test images are needed: "
            f"use TrainingData.from_dataset(train_dataset, test_dataset)."
        )

    def first(self, count: int) -> "TrainingData":
        """The first ``count`` images of both splits."""
        train, test = (self.images[:count], self.labels[:count]), (self.test_images[:count], self.test_labels[:count])
        return TrainingData(*train, *test, self.num_classes, self.description, self.black)

    @cached_property
    def sha256(self) -> str:
        """Fingerprint of the content."""
        return content_sha256(self.num_classes, self.images, self.labels, self.test_images, self.test_labels)

    def to(self, device: str | torch.device, layout: str = "contiguous") -> "TrainingData":
        """The same images on a device, in a memory layout; itself if they are so already."""
        memory, target = _LAYOUTS[layout], torch.empty(0, device=device).device
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

_PIECE = 1024
_SHARE = 5  # of so many images of one data set one is held out


def _held_out(count: int) -> tuple[Tensor, Tensor]:
    """Numbers of the images to train on, and of those to test on, each in order."""
    shuffled = torch.randperm(count, generator=torch_stream("held out", count))
    held = min(max(1, count // _SHARE), count - 1)
    return shuffled[held:].sort().values, shuffled[:held].sort().values


def _classes(labels: Tensor) -> int:
    return 1 + int(labels.max())


@runtime_checkable
class _Indexed(Protocol):
    def __getitem__(self, index: int) -> object: ...

    def __len__(self) -> int: ...


def _materialised(split: str, dataset: object) -> tuple[Tensor, Tensor]:
    """Images and labels of a data set as two tensors."""
    if hasattr(dataset, "batch_sampler") and hasattr(dataset, "dataset"):
        raise BatchError(f"Given a {type(dataset).__name__} of {split} images. Expected its data set: give .dataset.")
    images, labels = list[Tensor](), list[int]()
    for number, item in enumerate(_items(split, dataset)):
        image, label = _pair(split, number, item)
        if images and image.shape != images[0].shape:
            raise BatchError(
                f"The {split} images 0 and {number} have the shapes {tuple(images[0].shape)} and "
                f"{tuple(image.shape)}. Expected one shape; resize them in the data set's transform."
            )
        images.append(image)
        labels.append(label)
    if not images:
        raise BatchError(f"The {split} data set is empty. Expected at least one image; choose another split.")
    return torch.stack(images), torch.tensor(labels)


def _items(split: str, dataset: object) -> Iterable[object]:
    """Items of a map-style data set by their number, or those of an iterable one."""
    if isinstance(dataset, _Indexed):
        return (dataset[number] for number in range(len(dataset)))
    if not isinstance(dataset, Iterable):
        raise BatchError(
            f"Given {type(dataset).__name__} as {split} images. Expected a data set of pairs (image, label)."
        )
    return dataset


def _pair(split: str, number: int, item: object) -> tuple[Tensor, int]:
    """Image and label of one item."""
    image, label = item[:2] if isinstance(item, tuple | list) and len(item) >= 2 else (item, None)
    if isinstance(label, Tensor) and label.numel() == 1 and not label.is_floating_point():
        label = label.item()
    whole = hasattr(label, "__index__") and not isinstance(label, bool | Tensor)
    if not (isinstance(image, Tensor) and image.is_floating_point() and image.ndim == 3 and whole):
        shown = f"{image.dtype} {tuple(image.shape)}" if isinstance(image, Tensor) else type(image).__name__
        raise BatchError(
            f"Item {number} of the {split} data set has an image of {shown} and a label of {type(label).__name__}. "
            f"Expected a float tensor (C, H, W) and a class index; convert images in the data set's transform."
        )
    return image.detach().float(), int(label)


def _check_finite(split: str, images: Tensor) -> None:
    if all(bool(part.isfinite().all()) for part in torch.split(images, _PIECE)):
        return
    wrong = sum(int((~part.isfinite()).flatten(1).any(1).sum()) for part in torch.split(images, _PIECE))
    raise BatchError(
        f"{wrong:,} of {len(images):,} {split} images hold NaN or infinity. Expected finite numbers; mend or leave out "
        f"those images, and look for a division by zero in their normalisation."
    )


def _check(split: str, images: Tensor, labels: Tensor, num_classes: int) -> None:
    if images.ndim != 4 or not images.is_floating_point() or labels.shape != images.shape[:1]:
        raise BatchError(
            f"Given {split} images of {images.dtype} {tuple(images.shape)} and labels of shape {tuple(labels.shape)}. "
            f"Expected floating images (N, C, H, W) and N labels."
        )
    if len(labels) == 0:
        raise BatchError(
            f"The {split} split is empty. Expected at least one image; choose another split or more files."
        )
    if labels.is_floating_point() or int(labels.min()) < 0 or int(labels.max()) >= num_classes:
        raise BatchError(
            f"Given {split} labels of {labels.dtype} from {labels.min().item()} to {labels.max().item()}. Expected "
            f"class indices from 0 to {num_classes - 1}."
        )
    _check_finite(split, images)
