"""The axes that operations run along: images, channels, positions, rows."""

from collections.abc import Callable
from math import prod

from torch import Tensor

#: Sizes of a tensor, images first; `IMAGES` of them where no batch is known.
Shape = tuple[int, ...]

IMAGES = 8

#: Number of the axis once the positions are flattened.
AXES: dict[str, int] = {"N": 0, "C": 1, "HW": 2}

#: What an operation may compare: each word of `AXES`, and a row, which is the last axis of `rows`.
MEANINGS: dict[str, str] = {"N": "images", "C": "channels", "HW": "positions", "row": "entries of a row"}


def rows(tensor: Tensor) -> Tensor:
    """The tensor with its positions on one axis: ``(B, C, H*W)``; ``(B, D)`` stays as it is."""
    return tensor.flatten(2) if tensor.ndim > 2 else tensor


def along(axis: str, tensor: Tensor, work: Callable[[Tensor, int], Tensor]) -> Tensor:
    """``work`` along one of `AXES`, which keeps the shape."""
    return work(rows(tensor), AXES[axis]).reshape(tensor.shape)


def per_image(values: Tensor) -> Tensor:
    """Mean over all entries of an image, ``(B,)``."""
    return values.reshape(len(values), -1).mean(1)


def extents(shape: Shape) -> dict[str, int]:
    """Number of each of `MEANINGS`."""
    flat = (*shape[:2], *([prod(shape[2:])] if len(shape) > 2 else []))
    return {"N": flat[0], "C": flat[1], "HW": flat[2] if len(flat) > 2 else 0, "row": flat[-1]}
