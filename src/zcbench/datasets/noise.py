"""Gaussian noise with random labels: a baseline without information in the images."""

import torch

from zcbench.datasets.base import ImageSet
from zcbench.errors import BatchError
from zcbench.streams import torch_stream

SIDE = 32
_MOST = 512  # pixels to a side: all 2,048 images are in memory, 6 GiB of them
_COUNT = 2048
_CLASSES = 10


def load_noise(split: str = "train", image_size: int | None = None) -> ImageSet:
    """2,048 images with independent N(0, 1) values and labels uniform over ten classes, a pure function of the split.

    Args:
        split: ``train`` or ``test``: two independent draws.
        image_size: side length of the images; 32 if omitted, at most 512.

    Raises:
        BatchError: larger images.
    """
    size = image_size or SIDE
    if size > _MOST:
        raise BatchError(
            f"Noise of {size} pixels to a side was asked for. Expected at most {_MOST}: it is all in memory."
        )
    stream = torch_stream("noise", split, size)
    return ImageSet(
        name="noise",
        split=split,
        pixels=torch.randn(_COUNT, 3, size, size, generator=stream),
        labels=torch.randint(_CLASSES, (_COUNT,), generator=stream),
        num_classes=_CLASSES,
        mean=(0.0,),
        std=(1.0,),
        description=f"Gaussian noise {split} ({_COUNT:,} images, {_CLASSES} random labels)",
    )
