"""Labelled images, and a batch drawn from them."""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional

from zcbench.datasets.batches import Batch
from zcbench.errors import BatchError
from zcbench.streams import numpy_stream


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Labelled images, decoded and normalised when they are taken.

    Attributes:
        name: what the registry calls the set ("cifar10").
        split: ``train`` or ``test``.
        pixels: intensities of shape ``(N, 1 or 3, H, W)``: ``uint8`` in 0..255, or floats that are used as they are.
        labels: ``int64`` of shape ``(N,)``, in ``0 .. num_classes - 1``.
        num_classes: how many classes the labels stand for.
        mean: per channel, of intensities on the scale 0..1.
        std: per channel, likewise.
        description: which files or generator the images came from, for people.
        image_size: side length in pixels that images are brought to; their own size if None.
    """

    name: str
    split: str
    pixels: Tensor
    labels: Tensor
    num_classes: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    description: str
    image_size: int | None = None

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Shape ``(3, H, W)`` of one image."""
        height, width = self.pixels.shape[-2:]
        return (3, height, width) if self.image_size is None else (3, self.image_size, self.image_size)

    @cached_property
    def images(self) -> Tensor:
        """All images, ``float32`` of shape ``(N, 3, H, W)``, normalised per channel; made at the first use."""
        return self.take(torch.arange(len(self)))

    def take(self, indices: Tensor) -> Tensor:
        r"""The images at ``indices``, ``float32`` of shape ``(n, 3, H, W)``: :math:`(x - \mu_c) / \sigma_c`.

        A grey image is repeated over three channels; another image size is reached by area average (down) or bilinear
        interpolation (up), before the normalisation.
        """
        chosen = self.pixels[indices]
        images = chosen.float() / 255 if chosen.dtype == torch.uint8 else chosen.float()
        images = resized(images, self.image_shape[-1]) if self.image_size else images
        mean, std = (torch.tensor(values).view(1, -1, 1, 1) for values in (self.mean, self.std))
        return ((images - mean) / std).expand(-1, 3, -1, -1).contiguous()


@dataclass(frozen=True, eq=False)
class LabelledImages:
    """Images and their labels as tensors.

    Attributes:
        images: ``float32`` of shape ``(N, C, H, W)``.
        labels: ``int64`` of shape ``(N,)``.
    """

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Shape ``(C, H, W)`` of one image."""
        channels, height, width = self.images.shape[1:]
        return channels, height, width


def batch(dataset: ImageSet, batch_size: int, seed: int = 0) -> Batch:
    """A batch drawn uniformly without replacement: a pure function of the set, its split, the size and the seed.

    Args:
        dataset: where to draw from. A partial folder is another set than the full one, so it gives another batch.
        batch_size: how many images, at least 2 (batch normalisation in training mode needs them).
        seed: names the stream of the draw.

    Raises:
        BatchError: fewer than 2 images, or more than the set has.
    """
    if not 2 <= batch_size <= len(dataset):
        raise BatchError(
            f"A batch of {batch_size} images was asked of {dataset.name}/{dataset.split}, which has {len(dataset):,}. "
            f"Expected 2 to {len(dataset):,}: batch normalisation needs at least two images; choose another batch size."
        )
    stream = numpy_stream("batch", dataset.name, dataset.split, batch_size, seed)
    indices = torch.from_numpy(stream.choice(len(dataset), size=batch_size, replace=False))
    return Batch(
        images=dataset.take(indices),
        labels=dataset.labels[indices],
        num_classes=dataset.num_classes,
        description=f"{batch_size} of {len(dataset):,} images, seed {seed}: {dataset.description}",
        dataset=dataset.name,
        seed=seed,
    )


def resized(images: Tensor, size: int) -> Tensor:
    """Float ``images`` of shape ``(N, C, H, W)`` as ``(N, C, size, size)``: area average down, bilinear up."""
    if images.shape[-1] >= size and images.shape[-2] >= size:
        return functional.interpolate(images, size=(size, size), mode="area")
    return functional.interpolate(images, size=(size, size), mode="bilinear", align_corners=False)
