"""The handwritten digits that come with scikit-learn: real images for which nothing has to be downloaded."""

import torch

from zcbench.datasets.base import ImageSet

_TRAIN = 1437  # of 1,797; the last fifth was written by other people


def load_digits(split: str = "train", image_size: int | None = None) -> ImageSet:
    """1,797 grey 8x8 digits in ten classes, repeated to three channels: the first 1,437 train, the last 360 test.

    Args:
        split: ``train`` or ``test``.
        image_size: side length to bring the images to; 8 if omitted.

    Source:
        E. Alpaydin and C. Kaynak, "Optical Recognition of Handwritten Digits", UCI, 1998, test part;
        ``sklearn.datasets.load_digits``.
    """
    from sklearn import datasets

    content = datasets.load_digits()
    rows = slice(None, _TRAIN) if split == "train" else slice(_TRAIN, None)
    labels = torch.from_numpy(content.target[rows]).long()
    return ImageSet(
        name="digits",
        split=split,
        pixels=torch.from_numpy(content.images[rows]).float().unsqueeze(1) / 16,
        labels=labels,
        num_classes=10,
        mean=(0.3053,),
        std=(0.3760,),
        description=f"scikit-learn digits {split} ({len(labels):,} images)",
        image_size=image_size,
    )
