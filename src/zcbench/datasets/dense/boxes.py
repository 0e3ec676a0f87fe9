"""Folders of images with boxes in the layouts of COCO and of Pascal VOC."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import torch
from torch import Tensor

from zcbench.datasets.base import ImageSet
from zcbench.datasets.dense import layouts
from zcbench.errors import DataError, shortened
from zcbench.storage.files import is_folder

#: Classes of Pascal VOC in order.
VOC = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable", "dog"),
    *("horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)
HOW = {
    "coco": "annotations/instances_NAME.json, NAME beginning with train and val, and images in NAME/, images/NAME/ or "
    "images/",
    "voc": "JPEGImages/*.jpg, Annotations/*.xml and ImageSets/Main/train.txt and val.txt",
}
_OUTSIDE = 1.0  # pixels by which an edge may lie outside, which real files have by rounding; it is moved inside


@dataclass(frozen=True)
class Boxed:
    """One image and its boxes.

    Attributes:
        image: file.
        annotations: file that has the boxes.
        size: width and height that it says; None if it does not.
        boxes: class, left, top, right and bottom edge in pixels, each.
    """

    image: Path
    annotations: Path
    size: tuple[int, int] | None
    boxes: list[tuple[float, ...]]


def coco(root: Path, split: str) -> tuple[list[Boxed], int]:
    """Images of COCO (Lin et al., ECCV 2014, arXiv:1405.0312) and their number of classes.

    Classes are the categories of the file in the order of their ids. Crowds, and boxes without area, are left out.

    Raises:
        DataError: another layout, or a file that is damaged.
    """
    word = {"train": "train", "test": "val"}[split]
    found = sorted((root / "annotations").glob(f"instances_{word}*.json"))
    if len(found) != 1:
        raise DataError(
            f"{str(root)!r} has {len(found)} files annotations/instances_{word}*.json. Expected one, in the layout of "
            f"coco: {HOW['coco']}."
        )
    file = found[0]
    name = file.stem.removeprefix("instances_")
    folders = (root / name, root / "images" / name, root / "images")
    folder = next((folder for folder in folders if folder.is_dir()), None)
    if folder is None:
        raise DataError(f"{str(root)!r} has no folder of images. Expected the layout of coco: {HOW['coco']}.")
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        ids = sorted(int(category["id"]) for category in content["categories"])
        images = {int(image["id"]): image for image in content["images"]}
        boxes: dict[int, list[tuple[float, ...]]] = {number: [] for number in images}
        for annotation in content["annotations"]:
            if box := _coco_box(file, annotation, ids, boxes):
                boxes[int(annotation["image_id"])].append(box)
        whole = [
            Boxed(folder / str(image["file_name"]), file, (int(image["width"]), int(image["height"])), boxes[number])
            for number, image in images.items()
        ]
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise DataError(
            f"Cannot read {str(file)!r}: {type(error).__name__}: {shortened(str(error))}. Expected the JSON of COCO "
            f"instances, with images, annotations and categories; load the file again."
        ) from error
    return whole, len(ids)


def _coco_box(file: Path, annotation: dict[str, Any], ids: list[int], images: object) -> tuple[float, ...] | None:
    number, label, image = annotation.get("id"), annotation["category_id"], annotation["image_id"]
    if label not in ids or image not in images:  # type: ignore[operator]
        what = f"category {label!r}" if label not in ids else f"image {image!r}"
        raise DataError(
            f"The annotation {number!r} in {str(file)!r} is of the {what}, which the file does not list. Expected one "
            f"of its {'categories' if label not in ids else 'images'}; mend the file."
        )
    left, top, width, height = (float(value) for value in annotation["bbox"])
    if annotation.get("iscrowd") or not (width > 0 and height > 0):
        return None
    return float(ids.index(label)), left, top, left + width, top + height


def voc(root: Path, split: str) -> tuple[list[Boxed], int]:
    """Images of Pascal VOC (Everingham et al., IJCV 2010) in the lists of ``Main``, and the number of classes.

    Pixels are counted from 1 there; an object from 1 to 5 has the edges 0 and 5 here. Difficult objects are left out,
    as in the protocol of the challenge.

    Raises:
        DataError: another layout, or a file that is damaged.
    """
    listed = root / "ImageSets" / "Main" / {"train": "train.txt", "test": "val.txt"}[split]
    if not listed.is_file():
        raise DataError(f"{str(root)!r} has no file {listed}. Expected the layout of voc: {HOW['voc']}.")
    names = [line.split()[0] for line in listed.read_text(encoding="utf-8").splitlines() if line.strip()]
    return [_voc_image(root, name) for name in names], len(VOC)


def _voc_image(root: Path, name: str) -> Boxed:
    file = root / "Annotations" / f"{name}.xml"
    try:
        content = ElementTree.parse(file).getroot()
        boxes = [_voc_box(file, item) for item in content.iter("object") if item.findtext("difficult") != "1"]
        size = content.find("size")
        sides = None if size is None else tuple(int(size.findtext(side) or "") for side in ("width", "height"))
    except (ElementTree.ParseError, ValueError, OSError) as error:
        raise DataError(
            f"Cannot read {str(file)!r}: {shortened(str(error))}. Expected the XML of Pascal VOC, with object, name "
            f"and bndbox; load the file again, or remove {name!r} from the list."
        ) from error
    return Boxed(root / "JPEGImages" / f"{name}.jpg", file, None if sides is None else (sides[0], sides[1]), boxes)


def _voc_box(file: Path, item: ElementTree.Element) -> tuple[float, ...]:
    name = item.findtext("name")
    if name not in VOC:
        raise DataError(f"{str(file)!r} has an object {name!r}. Expected one of: {', '.join(VOC)}.")
    left, top, right, bottom = (
        float(item.findtext(f"bndbox/{edge}") or "") for edge in ("xmin", "ymin", "xmax", "ymax")
    )
    return float(VOC.index(name)), left - 1, top - 1, right, bottom


_READERS = {"coco": coco, "voc": voc}
#: Layouts with boxes.
NAMES = tuple(_READERS)


def load_boxes(
    name: str,
    split: str,
    path: str | Path,
    side: int | None = None,
    images: int | None = None,
    test_images: int | None = None,
) -> ImageSet:
    """One split of a folder, in memory: pixels ``uint8`` ``(N, 3, H, W)`` and boxes ``(N, K, 5)``.

    Images without a box are there too. An edge that lies outside by at most a pixel is moved inside.

    Args:
        name: ``coco`` or ``voc``.
        split: ``train``, or ``test`` for the validation images of the layout, whose boxes are public.
        path: the folder.
        side: height and width that images are brought to, with their boxes; the images' own size if None.
        images: so many training images, the first ones.
        test_images: so many test images.

    Raises:
        DataError: another layout; a file that is damaged or not there; a box outside its image, or of a class that is
            not known; no box in all images; images of several sizes, or too many for the memory.
    """
    root = Path(path).expanduser()
    if not is_folder(root):
        raise DataError(f"No folder at {str(path)!r}. Expected the layout of {name}: {HOW[name]}.")
    whole, classes = _READERS[name](root, split)
    chosen = whole[: images if split == "train" else test_images]
    if not any(item.boxes for item in chosen):
        raise DataError(
            f"The {len(chosen):,} {split} images of {str(root)!r} have no box. Expected at least one; check the "
            f"annotations, or take more images."
        )
    size = None if side is None else (side, side)
    layouts.require_memory(chosen[0].image, len(chosen), size)
    pixels, boxes = layouts.stacked(_read(chosen, size))
    return ImageSet(
        name=name,
        split=split,
        pixels=pixels,
        labels=padded(boxes),
        num_classes=classes,
        mean=layouts.MEAN,
        std=layouts.STD,
        description=f"{name} {root.name} {split} ({len(chosen):,} images with boxes of {classes} classes)",
    )


def padded(boxes: list[Tensor]) -> Tensor:
    """Boxes ``(K_i, 5)`` of several images as one tensor ``(N, K, 5)``, -1 where an image has fewer than K."""
    most = max(len(own) for own in boxes)
    made = torch.full((len(boxes), most, 5), -1.0)
    for place, own in enumerate(boxes):
        made[place, : len(own)] = own
    return made


def _read(items: list[Boxed], size: tuple[int, int] | None) -> Iterator[tuple[Tensor, Tensor, Path]]:
    """Pixels, boxes ``(K, 5)`` and path of each image."""
    for item in items:
        if not item.image.is_file():
            raise DataError(
                f"{str(item.annotations)!r} names the image {str(item.image)!r}, which is not there. Expected the "
                f"file; add it, or take its entry out."
            )
        pixels = layouts.read_pixels(item.image, "RGB")
        height, width = pixels.shape[:2]
        if item.size not in (None, (width, height)):
            raise DataError(
                f"{str(item.image)!r} has {width}x{height} pixels, and {str(item.annotations)!r} says {item.size}. "
                f"Expected one size, or the boxes do not fit; load the image again."
            )
        boxes = torch.tensor(item.boxes, dtype=torch.float32).view(-1, 5)
        _check(item, boxes, width, height)
        edges = torch.minimum(boxes[:, 1:].clamp_min(0), torch.tensor([width, height] * 2))
        own = (height, width) if size is None else size
        scale = torch.tensor([own[1] / width, own[0] / height] * 2)
        image = layouts.sized(torch.from_numpy(np.array(pixels)).permute(2, 0, 1), size, smooth=True)
        yield image, torch.cat([boxes[:, :1], edges * scale], 1), item.image


def _check(item: Boxed, boxes: Tensor, width: int, height: int) -> None:
    edges = boxes[:, 1:]
    inside = (edges[:, :2] >= -_OUTSIDE).all(1) & (edges[:, 2] <= width + _OUTSIDE) & (edges[:, 3] <= height + _OUTSIDE)
    wrong = (~(inside & (edges[:, 2:].clamp_min(0) > edges[:, :2].clamp_min(0)).all(1))).nonzero()
    if len(wrong):
        told = ", ".join(f"{edge:g}" for edge in edges[int(wrong[0])].tolist())
        raise DataError(
            f"{str(item.annotations)!r} has a box with the edges {told} in the image {item.image.name!r} of "
            f"{width}x{height} pixels. Expected left, top, right and bottom edge inside the image, left below right "
            f"and top below bottom; mend the box or take it out."
        )
