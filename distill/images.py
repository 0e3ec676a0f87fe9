"""The images that a training sees, as whole tensors in memory."""

from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from zcbench.datasets import ImageSet
from zcbench.datasets.base import content_sha256
from zcbench.errors import BatchError

_LAYOUTS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}


@dataclass(frozen=True, eq=False)
class TrainingData:
    """Training images and held-out test images of one task, normalised.

    Attributes:
        images: for training, ``float32`` of shape ``(N, C, H, W)``.
        labels: ``int64`` of shape ``(N,)``, in ``0 .. num_classes - 1``.
        test_images: held out, of the same shape but for their number.
        test_labels: likewise.
        num_classes: classes of the task.
        description: which images these are, for people.
        black: value of a black pixel in each channel, ``(C,)``: what images are padded with before a crop.

    Raises:
        BatchError: a split is empty, images and labels do not fit, or a label is out of range.
    """

    images: Tensor
    labels: Tensor
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

    def first(self, count: int) -> "TrainingData":
        """The first ``count`` images of both splits."""
        train, test = (self.images[:count], self.labels[:count]), (self.test_images[:count], self.test_labels[:count])
        return TrainingData(*train, *test, self.num_classes, self.description, self.black)

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Shape ``(C, H, W)`` of one image."""
        channels, height, width = self.images.shape[1:]
        return channels, height, width

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
