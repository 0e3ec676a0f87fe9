"""Data sets of one's own: a function by name, from a plug-in file, an entry point, or ``FILE.py:FUNCTION``."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from zcbench import references
from zcbench.datasets.base import ImageSet
from zcbench.datasets.items import kept
from zcbench.errors import BatchError, told
from zcbench.plugins import PluginError
from zcbench.references import accepted
from zcbench.registry import Registry, defined_at

Function = Callable[..., object]
#: Data sets of other packages and of plug-in files, by name.
REGISTRY: Registry[Function] = Registry("data set", "zcbench.datasets")

EXPECTED = (
    "Expected a zcbench.datasets.ImageSet, a pair (images, labels), a PyTorch data set of such pairs, or a pair of a "
    "training and a test set"
)


def dataset(name: str) -> Callable[[Function], Function]:
    """Register a function as the data set ``name``: in a plug-in file, or for an entry point in ``zcbench.datasets``.

    The function is called with those of these keywords that it takes: ``split`` (train or test), ``data_dir``, and the
    options in parentheses after the name. It returns an `ImageSet`; images ``(N, C, H, W)`` and labels ``(N,)``, floats
    as they are or bytes, which are brought to -1 to 1; or a PyTorch data set of pairs. Without ``split`` it returns a
    pair of a training and a test set.

    Example:
        >>> @dataset("stripes")
        ... def stripes(split, count=8):
        ...     return torch.zeros(count, 3, 8, 8), torch.arange(count) % 2
        >>> load_own(stripes, "stripes", "train", {"count": 4}).num_classes
        2
    """

    def register(function: Function) -> Function:
        REGISTRY.add(name, function, defined_at(function))
        return function

    return register


def is_own(name: str) -> bool:
    """Whether a name is a data set of another package or of a plug-in file."""
    return name in REGISTRY


def given_by(
    function: Function | references.Reference, name: str, options: dict[str, object], data_dir: Path
) -> tuple[object, object]:
    """What a function gives as training and test data.

    Raises:
        PluginError: it fails, does not take an option, or returns no pair where it takes no ``split``.
    """
    called = references.load(function) if isinstance(function, references.Reference) else function
    if not callable(called):
        raise PluginError(f"{function} is of type {type(called).__name__}. Expected a function.")
    known = accepted(called, {"split": "train", "data_dir": data_dir, **options})
    if unknown := [option for option in options if option not in known]:
        raise PluginError(f"The data set {name!r} was given {unknown[0]!r}, which its function does not take.")
    if "split" in known:
        train, test = (_call(called, name, {**known, "split": split}) for split in ("train", "test"))
        return train, test
    found = _call(called, name, known)
    if isinstance(found, tuple | list) and len(found) == 2 and not isinstance(found[0], Tensor):
        return found[0], found[1]
    return found, None


def load_own(
    function: Function | references.Reference,
    name: str,
    split: str,
    options: dict[str, object],
    data_dir: Path = Path(),
    image_size: int | None = None,
) -> ImageSet:
    """One split of what a function gives, in memory.

    Raises:
        PluginError: as `given_by`.
        BatchError: it gives no images and labels, or none of this split.
    """
    found = given_by(function, name, options, data_dir)[split == "test"]
    if found is None:
        raise BatchError(f"The data set {name!r} has no {split} images. {EXPECTED}.")
    return image_set(found, name, split, image_size)


def _call(function: Function, name: str, keywords: dict[str, object]) -> object:
    try:
        return function(**keywords)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # it may call sys.exit
        raise PluginError(f"The data set {name!r} fails: {told(error)}.") from error


def is_arrays(found: object) -> bool:
    """Whether something is a pair of tensors or arrays, images and labels."""
    return isinstance(found, tuple | list) and len(found) == 2 and all(hasattr(item, "__array__") for item in found)


def image_set(found: object, name: str, split: str, image_size: int | None = None) -> ImageSet:
    """One split of images from what a function of the user's returns.

    Raises:
        BatchError: it is no images and labels.
    """
    if isinstance(found, ImageSet):
        return found
    if is_arrays(found):
        pixels, labels = (torch.as_tensor(item) for item in found)  # type: ignore[attr-defined]
    else:
        items = kept(split, found.dataset if isinstance(found, DataLoader) else found)
        pixels, labels = items.few(len(items))
    labels = labels.long() if not labels.is_floating_point() else labels
    fits = pixels.ndim == 4 and pixels.shape[1] in (1, 3) and labels.shape == pixels.shape[:1] and len(labels) > 0
    if not fits or labels.is_floating_point() or int(labels.min()) < 0:
        raise BatchError(
            f"The data set {name!r} gives images of {pixels.dtype} {tuple(pixels.shape)} and labels of {labels.dtype} "
            f"{tuple(labels.shape)}. {EXPECTED}: images (N, 1 or 3, H, W) and N class indices."
        )
    middle = (0.5,) if pixels.dtype == torch.uint8 else None
    return ImageSet(
        name=name,
        split=split,
        pixels=pixels if middle else pixels.float(),
        labels=labels,
        num_classes=1 + int(labels.max()),
        mean=middle or (0.0,),
        std=middle or (1.0,),
        description=f"{name} {split} ({len(labels):,} images)",
        image_size=image_size,
    )
