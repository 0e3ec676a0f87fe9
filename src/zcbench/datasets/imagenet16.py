"""ImageNet16-120: the first 120 classes of ImageNet at 16x16 pixels, the third data set of NAS-Bench-201.

P. Chrabaszcz, I. Loshchilov and F. Hutter, "A Downsampled Variant of ImageNet as an Alternative to the CIFAR datasets",
arXiv:1707.08819; the classes are those of X. Dong and Y. Yang, "NAS-Bench-201", ICLR 2020, arXiv:2001.00326, section 2.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from zcbench.errors import DataError
from zcbench.lazy import Postponed
from zcbench.storage.files import replaced

if TYPE_CHECKING:
    import torch

    from zcbench.datasets.base import ImageSet
else:  # a list of archives starts without PyTorch
    torch = Postponed("torch")

NAME = "imagenet16-120"
SIDE = 16
CLASSES = 120
#: Images of the 120 classes; the 6,000 are the validation images of ImageNet, which NAS-Bench-201 halves.
COUNTS = {"train": 151_700, "test": 6_000}
#: Of the training images, as NAS-Bench-201 normalises them: 122.68, 116.66, 104.01 and 63.22, 61.26, 65.09 of 255.
MEAN, STD = (0.4811, 0.4575, 0.4079), (0.2479, 0.2402, 0.2553)

_MEMBER = re.compile(r"(?:.*/)?(?:train_data_batch_(\d+)|val_data)\.npz")
Arrays = tuple[NDArray[np.uint8], NDArray[np.int64]]


def load_imagenet16(
    data_dir: Path, split: str = "train", image_size: int | None = None, partial: bool = True
) -> ImageSet:
    """The images that ``zcbench data fetch imagenet16-120`` has stored.

    Args:
        data_dir: data folder.
        split: ``train`` or ``test``, the validation images of ImageNet.
        image_size: side length to bring the images to; 16 if omitted.
        partial: without effect; a split is one file.

    Raises:
        DataError: the file is missing or damaged.
    """
    file = _file(data_dir, split)
    try:
        with np.load(file, allow_pickle=False) as content:
            pixels, labels = content["pixels"], content["labels"]
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise DataError(
            f"No ImageNet16-120 at {file}: {type(error).__name__}. Run 'zcbench data fetch {NAME}', or name another "
            f"folder with --data-dir or ZCBENCH_DATA."
        ) from error
    from zcbench.datasets.base import ImageSet

    return ImageSet(
        name=NAME,
        split=split,
        pixels=torch.from_numpy(pixels),
        labels=torch.from_numpy(labels),
        num_classes=CLASSES,
        mean=MEAN,
        std=STD,
        description=f"ImageNet16-120 {split} ({len(labels):,} images)",
        image_size=image_size,
    )


def here(data_dir: Path) -> bool:
    """Whether both splits are in a data folder."""
    return all(_file(data_dir, split).is_file() for split in COUNTS)


def of_zip(archive: zipfile.ZipFile) -> Arrays:
    """Pixels ``(N, 3, 16, 16)`` and labels of the 120 classes in a published archive, in its order.

    The published labels begin at 1.
    """
    parts = list(_parts(archive))
    return np.concatenate([pixels for pixels, _ in parts]), np.concatenate([labels for _, labels in parts])


def _parts(archive: zipfile.ZipFile) -> Iterator[Arrays]:
    members = [(int(match[1] or 0), name) for name in archive.namelist() if (match := _MEMBER.fullmatch(name))]
    for _, name in sorted(members):
        with archive.open(name) as stream, np.load(stream, allow_pickle=False) as content:
            labels = content["labels"].astype(np.int64)
            chosen = labels <= CLASSES
            yield content["data"][chosen].astype(np.uint8).reshape(-1, 3, SIDE, SIDE), labels[chosen] - 1


def write(data_dir: Path, train: Arrays, test: Arrays) -> Path:
    """Store both splits in a data folder.

    Returns:
        Their folder.

    Raises:
        DataError: a split has another number of images than the published one.
    """
    for split, (pixels, labels) in (("train", train), ("test", test)):
        if len(labels) != COUNTS[split]:
            raise DataError(
                f"The archive of ImageNet16 has {len(labels):,} {split} images of the first {CLASSES} classes. "
                f"Expected {COUNTS[split]:,}; it is another version."
            )
        with replaced(_file(data_dir, split)) as draft, draft.open("wb") as stream:
            np.savez(stream, pixels=pixels, labels=labels)
    return _file(data_dir, "train").parent


def _file(data_dir: Path, split: str) -> Path:
    return data_dir / NAME / f"{split}.npz"
