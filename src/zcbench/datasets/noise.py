"""Gaussian noise with random labels: what a score is worth when there is nothing to see."""

import torch

from zcbench.datasets.base import ImageSet
from zcbench.streams import torch_stream

_COUNT = 2048
_CLASSES = 10


def load_noise(split: str = "train", image_size: int | None = None) -> ImageSet:
    """2,048 images with independent N(0, 1) values and labels uniform over ten classes, a pure function of the split.

    Args:
        split: ``train`` or ``test``: two independent draws.
        image_size: side length of the images; 32 if omitted.
    """
    size = image_size or 32
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
