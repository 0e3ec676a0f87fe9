"""Image files in folders, one folder a class."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from zcbench.datasets.base import ImageSet, resized
from zcbench.errors import DataError
from zcbench.storage.files import is_folder

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm")
#: Folders of the splits; the first that is there is taken.
SPLITS = {"train": ("train", "training"), "test": ("test", "val", "valid", "validation")}

_MEASURED = 1024  # training images from which mean and standard deviation are computed
_MOST_BYTES = 4 << 30


@dataclass(frozen=True)
class Normalisation:
    """Mean and standard deviation of the channels, on the scale 0 to 1."""

    mean: tuple[float, ...]
    std: tuple[float, ...]


class FolderImages:
    """The images of one split, read when they are asked for; a map-style data set of pairs (image, label).

    Args:
        folder: has a folder for each class.
        side: side length in pixels that images are brought to: area average down, bilinear up; their own size if None.
        classes: names of the classes; the folders in alphabetical order if omitted.
        count: the first so many images; all if None.

    Attributes:
        classes: names of the classes; a label is the place of a name.
        targets: label of each image.

    Raises:
        DataError: the folder has no images, or a class that is not among ``classes``.
    """

    def __init__(
        self, folder: Path, side: int | None = None, classes: Sequence[str] | None = None, count: int | None = None
    ) -> None:
        self._folder, self._side = folder, side
        own = sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
        self.classes = list(classes or own)
        if unknown := [name for name in own if name not in self.classes]:
            raise DataError(
                f"The class {unknown[0]!r} of {folder} is none of the training images: {', '.join(self.classes)}."
            )
        files = [(path, label) for label, name in enumerate(self.classes) for path in _images(folder / name)]
        if not files:
            raise DataError(
                f"No image in {folder}. Expected a folder for each class, with files that end in {', '.join(SUFFIXES)}."
            )
        self.files = _spread(files, count)
        self.targets = [label for _, label in self.files]
        self.normalisation: Normalisation | None = None

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, number: int) -> tuple[Tensor, int]:
        path, label = self.files[number]
        pixels = self.pixels(path)
        return (pixels if self.normalisation is None else _normalised(pixels, self.normalisation)), label

    def pixels(self, path: Path) -> Tensor:
        """Intensities of an image, ``float32`` from 0 to 1, ``(3, H, W)``.

        Raises:
            DataError: the file cannot be read as an image.
        """
        from PIL import Image  # takes a while to import

        try:
            with Image.open(path) as image:
                values = np.asarray(image.convert("RGB"))
        except (OSError, ValueError, Image.DecompressionBombError) as error:
            raise DataError(
                f"Cannot read {str(path)!r} as an image: {error}. Expected an image file; mend or remove it."
            ) from error
        pixels = torch.from_numpy(values.copy()).permute(2, 0, 1).float() / 255
        return pixels if self._side is None else resized(pixels[None], self._side)[0]

    @cached_property
    def measured(self) -> Normalisation:
        """Mean and standard deviation over at most 1,024 images in equal steps."""
        step = max(1, len(self) // _MEASURED)
        values = [self.pixels(path).flatten(1).double() for path, _ in self.files[::step][:_MEASURED]]
        mean = torch.stack([value.mean(1) for value in values]).mean(0)
        square = torch.stack([value.square().mean(1) for value in values]).mean(0)
        std = (square - mean.square()).clamp_min(1e-12).sqrt().clamp_min(1e-3)
        return Normalisation(tuple(mean.tolist()), tuple(std.tolist()))


def folder_splits(
    path: str | Path, side: int | None = None, images: int | None = None, test_images: int | None = None
) -> tuple[FolderImages, FolderImages | None]:
    """Training and test images of a folder, normalised by mean and standard deviation of the training images.

    Args:
        path: has the folders ``train`` and ``test`` (or ``val``), each with a folder for each class; or the folders of
            the classes, and no test images.
        side: side length in pixels that images are brought to.
        images: so many training images, in equal numbers of each class as far as there are any.
        test_images: so many test images, likewise.

    Raises:
        DataError: no such folder, no images, or other classes in the test images.
    """
    root = Path(path).expanduser()
    if not is_folder(root):
        raise DataError(f"No folder of images at {str(path)!r}. Expected one with a folder for each class.")
    train_folder, test_folder = (_split(root, split) for split in SPLITS)
    train = FolderImages(train_folder or root, side, count=images)
    train.normalisation = train.measured
    if train_folder is None or test_folder is None:
        return train, None
    test = FolderImages(test_folder, side, train.classes, test_images)
    test.normalisation = train.normalisation
    return train, test


def load_folder(
    path: str | Path,
    split: str = "train",
    image_size: int | None = None,
    images: int | None = None,
    test_images: int | None = None,
) -> ImageSet:
    """One split of a folder of images, in memory.

    Args:
        path: as in `folder_splits`.
        split: ``train`` or ``test``.
        image_size: side length in pixels that images are brought to.
        images: so many training images.
        test_images: so many test images.

    Raises:
        DataError: as in `folder_splits`; no test images; images of different sizes, or too many for the memory.
    """
    splits = folder_splits(path, image_size, images, test_images)
    chosen = splits[0] if split == "train" else splits[1]
    if chosen is None:
        raise DataError(f"No test images in {str(path)!r}. Expected a folder 'test' or 'val' beside 'train'.")
    first = chosen.pixels(chosen.files[0][0])
    if first.nbytes * len(chosen) > _MOST_BYTES:
        raise DataError(
            f"{len(chosen):,} images of {tuple(first.shape)} were asked for at once. Expected at most 4 GiB; bring "
            f"them to a smaller side, or take fewer, as in folder(path='…',side=64,images=5000)."
        )
    pixels = torch.empty(len(chosen), *first.shape)
    for place, (file, _) in enumerate(chosen.files):
        found = chosen.pixels(file)
        if found.shape != first.shape:
            raise DataError(
                f"{str(file)!r} has {found.shape[2]}x{found.shape[1]} pixels, and the first image {first.shape[2]}x"
                f"{first.shape[1]}. Expected one size; bring them to one with side=, as in folder(path='…',side=64)."
            )
        pixels[place] = found
    normalisation = splits[0].measured
    return ImageSet(
        name="folder",
        split=split,
        pixels=pixels,
        labels=torch.tensor(chosen.targets),
        num_classes=len(chosen.classes),
        mean=normalisation.mean,
        std=normalisation.std,
        description=f"{Path(path).name} {split} ({len(chosen):,} images of {len(chosen.classes)} classes)",
    )


def _normalised(pixels: Tensor, by: Normalisation) -> Tensor:
    mean, std = (torch.tensor(values).view(-1, 1, 1) for values in (by.mean, by.std))
    return (pixels - mean) / std


def _split(root: Path, split: str) -> Path | None:
    return next((root / name for name in SPLITS[split] if (root / name).is_dir()), None)


def _images(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)


def _spread(files: list[tuple[Path, int]], count: int | None) -> list[tuple[Path, int]]:
    """So many of the files, the first of each class in turn, in their order."""
    if count is None or count >= len(files):
        return files
    seen: dict[int, int] = {}
    rounds = []
    for place, (_, label) in enumerate(files):
        seen[label] = seen.get(label, 0) + 1
        rounds.append((seen[label], place))
    return [files[place] for place in sorted(place for _, place in sorted(rounds)[:count])]
