"""Folders of images with masks or boxes: masks in the layouts of Cityscapes and of Pascal VOC are read here."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from zcbench.datasets.base import ImageSet
from zcbench.errors import DataError, shortened
from zcbench.storage.files import is_folder

#: Class of pixels that count neither in training nor in evaluation.
IGNORED = 255

#: Ids of the 19 classes of Cityscapes that are trained and evaluated, in order; the other ids up to 33 are ignored.
CITYSCAPES = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
VOC_CLASSES = 21

_MOST_BYTES = 4 << 30
#: Of the pixels of ImageNet, by which images of all layouts are normalised.
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_HOW = {
    "cityscapes": "leftImg8bit/SPLIT/CITY/*_leftImg8bit.png and gtFine/SPLIT/CITY/*_gtFine_labelIds.png, with SPLIT "
    "train and val",
    "voc": "JPEGImages/*.jpg, SegmentationClass/*.png and ImageSets/Segmentation/train.txt and val.txt",
}


@dataclass(frozen=True)
class Pairs:
    """Files of one split, and how ids in mask files become classes.

    Attributes:
        files: image and mask.
        classes: of the task.
        table: class of each id from 0; an id behind its end is an error, but for 255, which is ignored.
        shape: height and width as multiples of ``side``.
    """

    files: list[tuple[Path, Path]]
    classes: int
    table: np.ndarray
    shape: tuple[int, int]


def cityscapes(root: Path, split: str) -> Pairs:
    """Files of Cityscapes (Cordts et al., CVPR 2016, arXiv:1604.01685): fine annotations of ``train`` or ``val``.

    Raises:
        DataError: another layout, no image, or an image without a mask.
    """
    part = {"train": "train", "test": "val"}[split]
    images = root / "leftImg8bit" / part
    found = sorted(images.glob("*/*_leftImg8bit.png"))
    _require(bool(found), "cityscapes", root, f"no image in {images}")
    masks = root / "gtFine" / part
    table = np.full(34, IGNORED, dtype=np.uint8)
    table[list(CITYSCAPES)] = np.arange(len(CITYSCAPES))
    files = [
        (path, masks / path.parent.name / path.name.replace("_leftImg8bit.png", "_gtFine_labelIds.png"))
        for path in found
    ]
    return Pairs(files, len(CITYSCAPES), table, (1, 2))


def voc(root: Path, split: str) -> Pairs:
    """Files of Pascal VOC (Everingham et al., IJCV 2010): the images of the lists ``train`` or ``val`` of segmentation.

    Raises:
        DataError: another layout, or a list that is empty.
    """
    listed = root / "ImageSets" / "Segmentation" / {"train": "train.txt", "test": "val.txt"}[split]
    _require(listed.is_file(), "voc", root, f"no file {listed}")
    names = listed.read_text(encoding="utf-8").split()
    _require(bool(names), "voc", root, f"an empty list {listed}")
    files = [(root / "JPEGImages" / f"{name}.jpg", root / "SegmentationClass" / f"{name}.png") for name in names]
    return Pairs(files, VOC_CLASSES, np.arange(VOC_CLASSES, dtype=np.uint8), (1, 1))


_LAYOUTS = {"cityscapes": cityscapes, "voc": voc}


def load_layout(
    name: str,
    split: str,
    path: str | Path,
    side: int | None = None,
    images: int | None = None,
    test_images: int | None = None,
) -> ImageSet:
    """One split of a folder, in memory: pixels ``uint8`` ``(N, 3, H, W)`` and masks ``uint8`` ``(N, H, W)``.

    Args:
        name: ``cityscapes`` or ``voc``.
        split: ``train``, or ``test`` for the validation images of the layout, whose masks are public.
        path: the folder.
        side: height that images are brought to (area average down, bilinear up; masks by the nearest pixel); the width
            is twice as much for Cityscapes and the same for VOC. The images' own size if None.
        images: so many training images, the first ones.
        test_images: so many test images.

    Raises:
        DataError: another layout; an image without a mask, or with one of another size or with an id that is too
            large, or without a labelled pixel; images of several sizes, or too many for the memory.
    """
    root = Path(path).expanduser()
    if not is_folder(root):
        raise DataError(f"No folder at {str(path)!r}. Expected the layout of {name}: {_HOW[name]}.")
    pairs = _LAYOUTS[name](root, split)
    count = images if split == "train" else test_images
    files = pairs.files[:count]
    size = None if side is None else (side * pairs.shape[0], side * pairs.shape[1])
    require_memory(files[0][0], len(files), size)
    pixels, masks = stacked(_read(image, mask, pairs, size) for image, mask in files)
    return ImageSet(
        name=name,
        split=split,
        pixels=pixels,
        labels=torch.stack(masks),
        num_classes=pairs.classes,
        mean=MEAN,
        std=STD,
        description=f"{name} {root.name} {split} ({len(files):,} images of {pairs.classes} classes)",
    )


def _require(there: bool, name: str, root: Path, what: str) -> None:
    if not there:
        others = [
            other for other, mark in (("cityscapes", "leftImg8bit"), ("voc", "JPEGImages")) if (root / mark).is_dir()
        ]
        hint = "".join(f" The folder has the layout of {other}." for other in others if other != name)
        raise DataError(f"{str(root)!r} has {what}. Expected the layout of {name}: {_HOW[name]}.{hint}")


def require_memory(first: Path, count: int, size: tuple[int, int] | None) -> None:
    """Refuse more images of this size, or of that of the first one, than fit into the memory.

    Raises:
        DataError: they do not.
    """
    height, width = size or read_pixels(first, "RGB").shape[:2]
    if 4 * height * width * count > _MOST_BYTES // 4:  # they become float32
        raise DataError(
            f"{count:,} images of {width}x{height} pixels were asked for at once. Expected at most 4 GiB; bring "
            f"them to a smaller side, or take fewer, as in voc(path='…',side=64,images=1000)."
        )


def stacked(pairs: Iterable[tuple[Tensor, Tensor, Path]]) -> tuple[Tensor, list[Tensor]]:
    """Images ``(N, 3, H, W)``, and the labels of each, of images with labels and paths.

    Raises:
        DataError: two images have different sizes.
    """
    images, labels = list[Tensor](), list[Tensor]()
    for image, label, path in pairs:
        if images and image.shape != images[0].shape:
            raise DataError(
                f"{str(path)!r} has {image.shape[2]}x{image.shape[1]} pixels, and the first image {images[0].shape[2]}x"
                f"{images[0].shape[1]}. Expected one size; bring them to one with side=, as in voc(path='…',side=64)."
            )
        images.append(image)
        labels.append(label)
    return torch.stack(images), labels


def _read(image: Path, mask: Path, pairs: Pairs, size: tuple[int, int] | None) -> tuple[Tensor, Tensor, Path]:
    """Pixels and classes of one image, and its path."""
    if not mask.is_file():
        raise DataError(f"The image {str(image)!r} has no mask. Expected {str(mask)!r}; add it, or remove the image.")
    pixels, ids = read_pixels(image, "RGB"), read_pixels(mask, None)
    if ids.ndim != 2 or ids.shape != pixels.shape[:2]:
        raise DataError(
            f"The mask {str(mask)!r} has the shape {ids.shape}, and its image {pixels.shape}. Expected one id for each "
            f"pixel of the image, in a file of one channel or with a palette."
        )
    known = len(pairs.table)
    wrong = ids[(ids >= known) & (ids != IGNORED)]
    if wrong.size:
        raise DataError(
            f"The mask {str(mask)!r} has the id {int(wrong.max())}. Expected ids from 0 to {known - 1}, and {IGNORED} "
            f"for pixels that are ignored."
        )
    classes = np.concatenate([pairs.table, np.full(256 - known, IGNORED, np.uint8)])[ids]
    found = sized(torch.from_numpy(pixels.copy()).permute(2, 0, 1), size, smooth=True)
    labels = sized(torch.from_numpy(classes)[None], size, smooth=False)[0]
    if bool((labels == IGNORED).all()):
        raise DataError(
            f"The mask {str(mask)!r} has no labelled pixel. Expected at least one of the {pairs.classes} classes; "
            f"remove the image, or take a larger side."
        )
    return found, labels, image


def read_pixels(path: Path, mode: str | None) -> np.ndarray:
    """Pixels of an image file, ``(H, W, 3)`` in the mode ``RGB``, or as the file has them.

    Raises:
        DataError: it is no image.
    """
    from PIL import Image  # takes a while to import

    try:
        with Image.open(path) as image:
            return np.asarray(image if mode is None else image.convert(mode))
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(
            f"Cannot read {str(path)!r} as an image: {shortened(str(error))}. Expected an image file; mend or "
            f"remove it."
        ) from error


def sized(values: Tensor, size: tuple[int, int] | None, *, smooth: bool) -> Tensor:
    """``uint8`` values ``(C, H, W)`` at another size."""
    if size is None or tuple(values.shape[1:]) == size:
        return values
    given = values[None].float()
    if not smooth:
        found = interpolate(given, size=size, mode="nearest-exact")
    elif values.shape[1] >= size[0] and values.shape[2] >= size[1]:
        found = interpolate(given, size=size, mode="area")
    else:
        found = interpolate(given, size=size, mode="bilinear", align_corners=False)
    return found[0].round().to(torch.uint8)
