"""From a name to a data set."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial as partial_of
from pathlib import Path
from typing import Any, NamedTuple

from zcbench import references
from zcbench.datasets import dense, imagenet16, own
from zcbench.datasets.base import ImageSet
from zcbench.datasets.cifar import CIFAR10, CIFAR100, load_cifar
from zcbench.datasets.digits import load_digits
from zcbench.datasets.folder import load_folder
from zcbench.datasets.noise import SIDE as NOISE_SIDE
from zcbench.datasets.noise import load_noise
from zcbench.errors import BatchError, shortened, unknown
from zcbench.specification import read_specification
from zcbench.storage.files import data_folder, is_folder


class _Known(NamedTuple):
    """How a data set is loaded, its classes, the side of its images, and whether and how it comes from files."""

    load: Callable[..., ImageSet]
    num_classes: int
    side: int
    from_files: bool = False
    options: tuple[str, ...] = ()


_FILES = ("files",)
_KNOWN = {
    "cifar10": _Known(partial_of(load_cifar, "cifar10", CIFAR10), CIFAR10.num_classes, 32, True, _FILES),
    "cifar100": _Known(partial_of(load_cifar, "cifar100", CIFAR100), CIFAR100.num_classes, 32, True, _FILES),
    "digits": _Known(load_digits, 10, 8),
    imagenet16.NAME: _Known(imagenet16.load_imagenet16, imagenet16.CLASSES, imagenet16.SIDE, from_files=True),
    "noise": _Known(load_noise, 10, NOISE_SIDE),
}
_AS_A_NAME = {imagenet16.NAME: imagenet16.NAME.replace("-", "_")}  # in the grammar of names with options
_SPLITS = ("train", "test")
_OPTIONS = ("images", "test_images", "side")
SIDES = 1024  # pixels of the largest image
FOLDER = "folder"  # the data set of image files


def names() -> list[str]:
    """Names of all data sets, those of plug-ins included, in alphabetical order.

    >>> names()[:5]
    ['cifar10', 'cifar100', 'digits', 'imagenet16-120', 'noise']
    """
    return sorted({*_KNOWN, *own.REGISTRY.names()})


def load(
    name: str,
    data_dir: str | Path | None = None,
    *,
    split: str = "train",
    image_size: int | None = None,
    partial: bool = True,
) -> ImageSet:
    """The data set called ``name``, its images normalised per channel.

    Args:
        name: ``cifar10``, ``cifar100`` (official Python layout), ``imagenet16-120``, ``digits`` (scikit-learn) or
            ``noise``; as ``cifar10(files=2)`` the first training files only, whatever else is there, so that a batch
            from them is the same for everybody. For every set ``images=N`` takes the first N training images,
            ``test_images=N`` the first N test images, and ``side=N`` is its ``image_size``, as in
            ``cifar10(files=1,side=16)``. Further names: a folder of image files, as ``flowers/`` or
            ``folder(path='flowers',side=32)``, see `zcbench.datasets.folder.folder_splits`; a data set of a plug-in,
            see `zcbench.datasets.dataset`; and ``FILE.py:FUNCTION``, a function as of such a data set.
        data_dir: folder that holds the CIFAR folders; ``ZCBENCH_DATA`` if omitted, else the user's data directory.
        split: ``train`` or ``test``.
        image_size: side length to bring the images to: area average down, bilinear up; their own size if omitted.
        partial: whether a CIFAR folder that lacks some training files will do; the description says which it has.

    Raises:
        UnknownNameError: no data set, split or option has this name.
        BatchError: an image size or number of files that is out of range.
        DataError: files are missing, damaged, unsafe or not what they say they are.

    >>> load("digits", image_size=16).image_shape
    (3, 16, 16)
    """
    if split not in _SPLITS:
        raise unknown("split", split, _SPLITS)
    if outside(name):
        return _load_outside(name, data_folder(data_dir), split, image_size)
    name, options, image_size = read_name(name, image_size)
    counts = {"train": options.pop("images", None), "test": options.pop("test_images", None)}
    known = _KNOWN[name]
    if known.from_files:
        whole = known.load(data_folder(data_dir), split=split, image_size=image_size, partial=partial, **options)
    else:
        whole = known.load(split=split, image_size=image_size)
    return _first(whole, counts[split])


def outside(text: str) -> bool:
    """Whether a name is a folder of images, a data set of a plug-in, or ``FILE.py:FUNCTION``."""
    return is_folder(text) or references.read(text) is not None or _call_name(text) not in _KNOWN


def read_outside(text: str) -> tuple[str, dict[str, Any]]:
    """Name and options of what `outside` is about; a folder is called ``folder`` and has the option ``path``.

    Raises:
        UnknownNameError: no data set or option has this name.
        BatchError: a side or a number of images is out of range.
    """
    if is_folder(text):
        return FOLDER, {"path": text}
    if references.read(text):
        return text, {}
    name, options = read_specification(text, example="folder(path='flowers',side=32)")
    if dense.is_dense(name):
        raise BatchError(
            f"Given {text!r}, whose labels are masks or boxes. Expected a class for each image; these images are for "
            f"'zcbench distill --task segmentation' or detection, and for zcbench.datasets.dense.load."
        )
    if name != FOLDER and not own.is_own(name):
        raise unknown("data set", name, [*names(), FOLDER, *dense.NAMES])
    for option, value in options.items():
        if name == FOLDER and option not in ("path", *_OPTIONS):
            raise unknown(f"option of the data set {name!r}", option, ("path", *_OPTIONS))
        if option in _OPTIONS:
            _check(option, value, SIDES if option == "side" else None)
    if name == FOLDER and not isinstance(options.get("path"), str):
        raise BatchError("The data set 'folder' was given no path. Expected one, as in folder(path='flowers').")
    return name, options


def function_of(name: str) -> own.Function | references.Reference:
    """The function of a data set of a plug-in, or of ``FILE.py:FUNCTION``."""
    return references.read(name) or own.REGISTRY.get(name)


def _load_outside(text: str, data_dir: Path, split: str, image_size: int | None) -> ImageSet:
    name, options = read_outside(text)
    side = options.pop("side", None)
    side = side if image_size is None else image_size
    if name == FOLDER:
        return load_folder(split=split, image_size=side, **options)
    counts = {"train": options.pop("images", None), "test": options.pop("test_images", None)}
    return _first(own.load_own(function_of(name), name, split, options, data_dir, side), counts[split])


def _call_name(text: str) -> str:
    return next((name for name in _KNOWN if text == name or text.startswith(f"{name}(")), text.partition("(")[0])


def task(name: str, image_size: int | None = None) -> tuple[int, tuple[int, int, int]]:
    """Classes, and image shape ``(3, H, W)``, of a data set; no file of the named ones is read, all of others.

    Args:
        name: a data set, with options or without.
        image_size: side length that images are brought to; their own if omitted.

    Raises:
        UnknownNameError: no data set or option has this name.
        BatchError: an option is out of range.

    >>> task("cifar100"), task("digits")
    ((100, (3, 32, 32)), (10, (3, 8, 8)))
    """
    if outside(name):
        found = load(name, image_size=image_size)
        return found.num_classes, found.image_shape
    name, _, given = read_name(name, image_size)
    known = _KNOWN[name]
    side = given or known.side
    return known.num_classes, (3, side, side)


def read_name(text: str, image_size: int | None = None) -> tuple[str, dict[str, Any], int | None]:
    """Name of a data set, its options but ``side``, and the side length that its images are brought to.

    Raises:
        UnknownNameError: no data set or option has this name.
        BatchError: an option is no whole number, or out of range.
    """
    for known_name, written in _AS_A_NAME.items():
        text = f"{written}{text.removeprefix(known_name)}" if text.startswith(f"{known_name}(") else text
    name, options = read_specification(text, example="cifar10(files=2)")
    name = next((known_name for known_name, written in _AS_A_NAME.items() if written == name), name)
    if name not in names():
        raise unknown("data set", name, names())
    known = (*_KNOWN[name].options, *_OPTIONS)
    for option, value in options.items():
        if option not in known:
            raise unknown(f"option of the data set {name!r}", option, known)
        if option != "files":
            _check(option, value, SIDES if option == "side" else None)
    side: Any = options.pop("side", None)
    if image_size is not None:
        _check("image_size", image_size, SIDES)
    return name, options, side if image_size is None else image_size


def _check(option: str, value: object, most: int | None) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1 or value > (most or value):
        expected = "of at least 1" + (f", at most {most:,}" if most else "")
        raise BatchError(f"{option}={shortened(repr(value))} was given. Expected a whole number {expected}.")


def _first(whole: ImageSet, count: int | None) -> ImageSet:
    if count is None or count == len(whole):
        return whole
    if count > len(whole):
        raise BatchError(
            f"{count:,} images were asked of {whole.description}. Expected at most {len(whole):,}; ask for fewer, or "
            f"add files."
        )
    description = f"the first {count:,} of {whole.description}"
    return replace(whole, pixels=whole.pixels[:count], labels=whole.labels[:count], description=description)
