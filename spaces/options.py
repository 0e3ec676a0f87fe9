"""The checks that all spaces make of numbers and image shapes."""

from collections.abc import Iterable

import numpy as np

from zcbench.spaces.listing import SpaceError

#: Shape of one input; of an image (channels, height, width), which every space of zcbench expects.
ImageShape = tuple[int, ...]


def positive(option: str, value: object, most: int = 1_000_000) -> int:
    """``value`` as a whole number.

    Raises:
        SpaceError: it is none, less than 1, or more than ``most``.
    """
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise SpaceError(f"Given: {option}={value!r}. Expected: a whole number of at least 1. Pass one.")
    if value > most:
        raise SpaceError(f"Given: {option}={value!r}. Expected: at most {most:,}, or no machine could build it.")
    return int(value)


def image_sizes(image_shape: object, multiple: int, smallest: int = 1) -> ImageShape:
    """``image_shape`` as (channels, height, width).

    Raises:
        SpaceError: it has another form, or a height or width that is too small or no multiple of ``multiple``.
    """
    shape = tuple(image_shape) if isinstance(image_shape, Iterable) else ()
    whole = len(shape) == 3 and all(isinstance(size, int | np.integer) and size >= 1 for size in shape)
    if not whole or any(size % multiple or size < smallest for size in shape[1:]):
        least = f" and at least {smallest}" if smallest > multiple else ""
        raise SpaceError(
            f"Given: the image shape {image_shape!r}. Expected: (channels, height, width) with height and width "
            f"multiples of {multiple}{least}, since the network shrinks the image by whole steps. Crop, pad or resize "
            "the images."
        )
    return int(shape[0]), int(shape[1]), int(shape[2])
