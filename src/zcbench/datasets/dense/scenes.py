"""Digits on photographs, with exact masks and boxes: scenes of any size for which nothing has to be downloaded."""

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from zcbench.datasets.base import ImageSet, resized
from zcbench.datasets.dense.boxes import padded
from zcbench.datasets.digits import load_digits
from zcbench.datasets.forms import BOXES, MASK
from zcbench.errors import BatchError
from zcbench.streams import numpy_stream

CLASSES = 11
#: By difficulty: brightness of the background, darkest colour of a digit, and its share in a pixel of full ink.
DIFFICULTIES = ((0.4, 0.6, 1.0), (1.0, 0.0, 1.0), (1.0, 0.0, 0.6))

_TRAINING_SHARE = 0.7  # of the columns of a photograph; test backgrounds are cut from the others
_MOST = 512
_SEEN = 0.25  # least share of a digit's pixels that is not covered, where it has a box


@dataclass(frozen=True)
class Scenes:
    """Options of the scenes.

    Attributes:
        side: pixels to a side, 16 to 512.
        images: training images.
        test_images: test images.
        digits: most digits in an image; at least one is there.
        difficulty: 1: bright digits on photographs at 40 % of their brightness; 2: digits of any colour on photographs
            as they are; 3: these, and a pixel of full ink has 60 % of the digit's colour.
        seed: names the stream of all draws.

    Raises:
        BatchError: an option is no whole number or out of range.
    """

    side: int = 32
    images: int = 800
    test_images: int = 200
    digits: int = 2
    difficulty: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        spans = {
            "side": (16, _MOST),
            "images": (1, 100_000),
            "test_images": (1, 100_000),
            "digits": (1, 20),
            "difficulty": (1, len(DIFFICULTIES)),
            "seed": (0, 2**31),
        }
        for name, (least, most) in spans.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
                raise BatchError(
                    f"Given {name}={value!r} of digits_scenes. Expected a whole number from {least} to {most:,}."
                )


def load_scenes(split: str = "train", labels: str = MASK.name, **options: int) -> ImageSet:
    """Scenes of handwritten digits in random colours on random cuts of photographs, with masks or boxes.

    A digit has a side of one to two thirds of the image's (bilinear), a place and a colour, all drawn uniformly; later
    digits cover earlier ones. A pixel belongs to a digit where its ink is at least half of the full ink, and else to
    the background. The box of a digit is the smallest around its pixels that no later digit covers; a digit of which
    less than a quarter is left has none. Image number i is a pure function of split, options and i, whatever the number
    of images.

    Args:
        split: ``train`` or ``test``: test scenes have digits of other writers, and cuts of other parts of the
            photographs.
        labels: ``mask`` or ``boxes``.
        options: of `Scenes`.

    Returns:
        Pixels ``uint8`` ``(N, 3, side, side)``, and masks ``uint8`` ``(N, side, side)``, 0 for the background and 1 + d
        for the digit d; or boxes ``(N, K, 5)``: the digit, left, top, right and bottom edge in pixels.

    Raises:
        BatchError: an option is out of range.

    Source:
        ``sklearn.datasets.load_digits`` and ``load_sample_images`` (two photographs of 427x640 pixels).

    Example:
        >>> scenes = load_scenes("test", side=16, test_images=2)
        >>> scenes.images.shape, scenes.labels.shape, scenes.num_classes
        (torch.Size([2, 3, 16, 16]), torch.Size([2, 16, 16]), 11)
    """
    scenes = Scenes(**options)
    count = scenes.images if split == "train" else scenes.test_images
    digits = load_digits(split)
    made = [_scene(scenes, split, number, digits) for number in range(count)]
    images, masks, inked = zip(*made)
    boxed = labels == BOXES.name
    found = padded([_boxes(*parts) for parts in zip(masks, inked)]) if boxed else torch.stack(masks)
    about = f"side {scenes.side}, up to {scenes.digits} digits, difficulty {scenes.difficulty}, seed {scenes.seed}"
    return ImageSet(
        name="digits_scenes",
        split=split,
        pixels=torch.stack(images),
        labels=found,
        num_classes=CLASSES - boxed,  # the background has no box
        mean=(0.5, 0.5, 0.5),
        std=(0.25, 0.25, 0.25),
        description=f"digits on photographs {split} ({count:,} images, {about})",
    )


def _scene(scenes: Scenes, split: str, number: int, digits: ImageSet) -> tuple[Tensor, Tensor, list[Tensor]]:
    """Pixels ``(3, S, S)``, mask ``(S, S)``, and the pixels ``(S, S)`` of each digit, of one scene."""
    side, stream = scenes.side, numpy_stream("digits_scenes", scenes.seed, split, scenes.side, number)
    brightness, darkest, opacity = DIFFICULTIES[scenes.difficulty - 1]
    image = _background(split, side, stream) * brightness
    mask, inked = torch.zeros(side, side, dtype=torch.uint8), list[Tensor]()
    for _ in range(int(stream.integers(1, scenes.digits + 1))):
        which, own = int(stream.integers(len(digits))), int(stream.integers(side // 3, 2 * side // 3 + 1))
        top, left = (int(place) for place in stream.integers(0, side - own + 1, size=2))
        colour = torch.from_numpy(stream.uniform(darkest, 1, 3)).float().view(3, 1, 1)
        ink = interpolate(digits.pixels[which][None], size=(own, own), mode="bilinear", align_corners=False)[0]
        place = (slice(top, top + own), slice(left, left + own))
        share = ink * opacity
        image[:, *place] = image[:, *place] * (1 - share) + colour * share
        inked.append(torch.zeros(side, side, dtype=torch.bool))
        inked[-1][place] = ink[0] >= 0.5
        mask[inked[-1]] = 1 + int(digits.labels[which])
    return (image * 255).round().to(torch.uint8), mask, inked


def _boxes(mask: Tensor, inked: list[Tensor]) -> Tensor:
    """Boxes ``(K, 5)`` of the digits that are seen."""
    covered, found = torch.zeros_like(inked[0]), list[list[float]]()
    for own in reversed(inked):
        seen = own & ~covered
        covered = covered | own
        if int(seen.sum()) >= _SEEN * int(own.sum()) > 0:
            rows, columns = (seen.any(axis).nonzero().flatten() for axis in (1, 0))
            edges = int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
            label = int(mask[seen][0]) - 1
            found.insert(0, [float(value) for value in (label, *edges)])
    return torch.tensor(found).view(-1, 5)


def _background(split: str, side: int, stream: np.random.Generator) -> Tensor:
    """A square cut of a photograph, ``(3, side, side)`` from 0 to 1."""
    photographs = _photographs()
    photograph = photographs[int(stream.integers(len(photographs)))]
    _, height, width = photograph.shape
    border = int(_TRAINING_SHARE * width)
    first, last = (0, border) if split == "train" else (border, width)
    most = min(height, width - border)
    cut = int(stream.integers(min(side, most), min(4 * side, most) + 1))
    top, left = int(stream.integers(height - cut + 1)), int(stream.integers(first, last - cut + 1))
    return resized(photograph[None, :, top : top + cut, left : left + cut], side)[0]


@cache
def _photographs() -> list[Tensor]:
    from sklearn import datasets

    found = datasets.load_sample_images().images
    return [torch.from_numpy(np.array(image)).permute(2, 0, 1).float() / 255 for image in found]
