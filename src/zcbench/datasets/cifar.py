"""CIFAR-10 and CIFAR-100 in their official Python layout.

A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009; https://www.cs.toronto.edu/~kriz/cifar.html
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from zcbench.errors import BatchError, DataError, shortened
from zcbench.lazy import Postponed
from zcbench.storage.pickles import loads

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from zcbench.datasets.base import ImageSet
else:  # a list of archives starts without PyTorch
    torch = Postponed("torch")


@dataclass(frozen=True)
class Layout:
    """Names in one of the two official folders; mean and standard deviation are those of the 50,000 training images."""

    title: str
    folder: str
    train_files: tuple[str, ...]
    test_file: str
    meta_file: str
    label_key: bytes
    num_classes: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    archive: str

    def files(self, split: str) -> tuple[str, ...]:
        """File names that make up ``split``."""
        return self.train_files if split == "train" else (self.test_file,)

    def has_class(self, label: object) -> bool:
        """Whether ``label`` is the number of a class."""
        return isinstance(label, int | np.integer) and 0 <= int(label) < self.num_classes


CIFAR10 = Layout(
    title="CIFAR-10",
    folder="cifar-10-batches-py",
    train_files=tuple(f"data_batch_{i}" for i in range(1, 6)),
    test_file="test_batch",
    meta_file="batches.meta",
    label_key=b"labels",
    num_classes=10,
    mean=(0.4914, 0.4822, 0.4465),
    std=(0.2470, 0.2435, 0.2616),
    archive="https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
)
CIFAR100 = Layout(
    title="CIFAR-100",
    folder="cifar-100-python",
    train_files=("train",),
    test_file="test",
    meta_file="meta",
    label_key=b"fine_labels",
    num_classes=100,
    mean=(0.5071, 0.4865, 0.4409),
    std=(0.2673, 0.2564, 0.2762),
    archive="https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz",
)


def load_cifar(
    name: str,
    layout: Layout,
    data_dir: Path,
    split: str = "train",
    image_size: int | None = None,
    partial: bool = True,
    files: int | None = None,
) -> ImageSet:
    """CIFAR images from the files of ``layout`` that are in ``data_dir``.

    Args:
        name: what the set is called.
        layout: which of the two sets.
        data_dir: the folder that holds ``cifar-10-batches-py`` or ``cifar-100-python``.
        split: ``train`` or ``test``.
        image_size: side length to bring the images to; 32 if omitted.
        partial: whether a folder that lacks some of the training files will do; the description then says which it has.
        files: how many of the first training files to take, which must be there; all that are there if omitted.

    Raises:
        BatchError: ``files`` is out of range.
        DataError: the folder or a needed file is missing, damaged or not what it says it is.
    """
    chosen = _first(layout, split, files)
    found, wanted = _present(layout, data_dir, split, chosen, partial and files is None), layout.files(split)
    parts = [_read(data_dir / layout.folder / file, layout) for file in found]
    labels = torch.cat([labels for _, labels in parts])
    part = f"{', '.join(found)} of {len(wanted)}" if len(found) < len(wanted) else ", ".join(found)
    from zcbench.datasets.base import ImageSet

    return ImageSet(
        name=name,
        split=split,
        pixels=torch.cat([pixels for pixels, _ in parts]),
        labels=labels,
        num_classes=layout.num_classes,
        mean=layout.mean,
        std=layout.std,
        description=f"{layout.title} {split} ({part}; {len(labels):,} images)",
        image_size=image_size,
    )


def _first(layout: Layout, split: str, files: int | None) -> tuple[str, ...]:
    names = layout.files(split)
    if files is None or split != "train":
        return names
    if not isinstance(files, int) or isinstance(files, bool) or not 1 <= files <= len(names):
        raise BatchError(
            f"files={shortened(repr(files))} was given. Expected 1 to {len(names)}, the training files of "
            f"{layout.title}."
        )
    return names[:files]


def _present(layout: Layout, data_dir: Path, split: str, wanted: tuple[str, ...], partial: bool) -> list[str]:
    folder = data_dir / layout.folder
    remedy = (
        f"Run 'zcbench data fetch {layout.title.lower().replace('-', '')}', or name another folder with --data-dir or "
        f"ZCBENCH_DATA."
    )
    if not folder.is_dir():
        raise DataError(f"No {layout.title} at {folder}. Expected the folder of the official Python archive. {remedy}")
    found = [file for file in wanted if (folder / file).is_file()]
    if not found or (len(found) < len(wanted) and not partial):
        missing = ", ".join(file for file in wanted if file not in found)
        raise DataError(f"{folder} lacks {missing}. Expected {', '.join(wanted)} for the {split} split. {remedy}")
    return found


def _read(path: Path, layout: Layout) -> tuple[Tensor, Tensor]:
    content = _content(path)
    pixels, labels = content.get(b"data"), content.get(layout.label_key)
    if not (
        isinstance(pixels, np.ndarray) and pixels.dtype == np.uint8 and pixels.ndim == 2 and pixels.shape[1] == 3072
    ):
        raise DataError(f"{path} holds no images of {layout.title}. Expected a uint8 array b'data' of shape (N, 3072).")
    if not (isinstance(labels, list) and len(labels) == len(pixels) and all(map(layout.has_class, labels))):
        raise DataError(
            f"{path} holds no labels for its {len(pixels)} images. Expected a list {layout.label_key!r} of as many "
            f"numbers from 0 to {layout.num_classes - 1}."
        )
    return torch.from_numpy(pixels).view(-1, 3, 32, 32), torch.tensor(labels, dtype=torch.int64)


def _content(path: Path) -> dict[bytes, object]:
    """Dictionary that a CIFAR file holds, its keys as bytes; nothing in the file is ever executed."""
    try:
        content = loads(path.read_bytes(), encoding="bytes")
    except OSError as error:
        raise DataError(
            f"Cannot read {path}: {error.strerror}. Expected a file of the official Python layout."
        ) from error
    except DataError as error:
        raise DataError(
            f"{path} is no readable CIFAR file: {error} Expected a pickle of arrays and text only, complete; download "
            f"the official archive again."
        ) from error
    if not isinstance(content, dict):
        raise DataError(
            f"{path} holds a {type(content).__name__}. Expected the dictionary of the official Python layout."
        )
    return content
