"""From a name to a data set with masks."""

import inspect
from typing import Any

from zcbench.datasets.base import ImageSet
from zcbench.datasets.dense.layouts import load_layout
from zcbench.datasets.dense.scenes import Scenes, load_scenes
from zcbench.errors import BatchError, unknown
from zcbench.specification import read_specification

SCENES = "digits_scenes"
LAYOUTS = ("cityscapes", "voc")
#: Data sets with masks, by name.
NAMES = (*LAYOUTS, SCENES)

_PLAIN = ("side", "images", "test_images")


def is_dense(text: str) -> bool:
    """Whether a name is a data set with masks, such as ``digits_scenes(side=48)``."""
    return text.partition("(")[0] in NAMES


def load(text: str, split: str = "train") -> ImageSet:
    """One split of a data set whose labels are masks ``(N, H, W)``, 255 where a pixel does not count.

    Args:
        text: ``digits_scenes`` with the options of `zcbench.datasets.dense.scenes.Scenes`; ``cityscapes(path='…')`` or
            ``voc(path='…')`` with ``side``, ``images`` and ``test_images``.
        split: ``train`` or ``test``.

    Raises:
        UnknownNameError: no data set or option has this name.
        BatchError: an option is out of range.
        DataError: files are missing, damaged or in another layout.

    Example:
        >>> load("digits_scenes(side=16,test_images=3)", "test").labels.shape
        torch.Size([3, 16, 16])
    """
    name, options = read_specification(text, example="digits_scenes(side=48)")
    if name not in NAMES:
        raise unknown("data set with masks", name, NAMES)
    if split not in ("train", "test"):
        raise unknown("split", split, ("train", "test"))
    known = tuple(inspect.signature(Scenes).parameters) if name == SCENES else ("path", *_PLAIN)
    for option in options:
        if option not in known:
            raise unknown(f"option of the data set {name!r}", option, known)
    given: dict[str, Any] = dict(options)
    if name == SCENES:
        return load_scenes(split, **given)
    if not isinstance(given.get("path"), str):
        raise BatchError(f"The data set {name!r} was given no path. Expected one, as in {name}(path='{name}').")
    for option in _PLAIN:
        value = given.get(option, 1)
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise BatchError(f"{option}={value!r} was given. Expected a whole number of at least 1.")
    return load_layout(name, split, **given)
