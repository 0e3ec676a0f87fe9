"""From a name to a data set with masks or boxes."""

import inspect
from typing import Any

from zcbench.datasets.base import ImageSet
from zcbench.datasets.dense.boxes import load_boxes
from zcbench.datasets.dense.layouts import load_layout
from zcbench.datasets.dense.scenes import Scenes, load_scenes
from zcbench.datasets.forms import BOXES, MASK
from zcbench.errors import BatchError, unknown
from zcbench.specification import read_specification

SCENES = "digits_scenes"
#: Forms of the labels of each data set, the usual one first.
FORMS = {
    "cityscapes": (MASK.name,),
    "voc": (MASK.name, BOXES.name),
    SCENES: (MASK.name, BOXES.name),
    "coco": (BOXES.name,),
}
#: Data sets with masks or boxes, by name.
NAMES = tuple(FORMS)

_PLAIN = ("side", "images", "test_images")


def is_dense(text: str) -> bool:
    """Whether a name is a data set with masks or boxes, such as ``digits_scenes(side=48)``."""
    return text.partition("(")[0] in NAMES


def forms(text: str) -> tuple[str, ...]:
    """Forms of labels that a data set with masks or boxes has, the usual one first.

    Example:
        >>> forms("voc(path='VOC2012')")
        ('mask', 'boxes')
    """
    return FORMS[text.partition("(")[0]]


def load(text: str, split: str = "train", labels: str | None = None) -> ImageSet:
    """One split of a data set with masks ``(N, H, W)``, 255 where a pixel does not count, or boxes ``(N, K, 5)``.

    Args:
        text: ``digits_scenes`` with the options of `zcbench.datasets.dense.scenes.Scenes`; ``cityscapes(path='…')``,
            ``voc(path='…')`` or ``coco(path='…')`` with ``side``, ``images`` and ``test_images``.
        split: ``train`` or ``test``.
        labels: ``mask`` or ``boxes``; the first of `forms` if None.

    Raises:
        UnknownNameError: no data set, option or form of its labels has this name.
        BatchError: an option is out of range.
        DataError: files are missing, damaged or in another layout.

    Example:
        >>> load("digits_scenes(side=16,test_images=3)", "test").labels.shape
        torch.Size([3, 16, 16])
        >>> load("digits_scenes(side=16,test_images=3,digits=1)", "test", "boxes").labels.shape
        torch.Size([3, 1, 5])
    """
    name, options = read_specification(text, example="digits_scenes(side=48)")
    if name not in NAMES:
        raise unknown("data set with masks or boxes", name, NAMES)
    if split not in ("train", "test"):
        raise unknown("split", split, ("train", "test"))
    labels = labels or FORMS[name][0]
    if labels not in FORMS[name]:
        raise unknown(f"form of the labels of {name!r}", labels, FORMS[name])
    known = tuple(inspect.signature(Scenes).parameters) if name == SCENES else ("path", *_PLAIN)
    for option in options:
        if option not in known:
            raise unknown(f"option of the data set {name!r}", option, known)
    given: dict[str, Any] = dict(options)
    if name == SCENES:
        return load_scenes(split, labels, **given)
    if not isinstance(given.get("path"), str):
        raise BatchError(f"The data set {name!r} was given no path. Expected one, as in {name}(path='{name}').")
    for option in _PLAIN:
        value = given.get(option, 1)
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise BatchError(f"{option}={value!r} was given. Expected a whole number of at least 1.")
    if labels == BOXES.name:
        return load_boxes(name, split, **given)
    return load_layout(name, split, **given)
