"""What networks must be made for, known before any image is."""

from zcbench.datasets.cifar import CIFAR10, CIFAR100
from zcbench.datasets.digits import load_digits
from zcbench.datasets.loading import names
from zcbench.datasets.noise import load_noise
from zcbench.errors import unknown
from zcbench.specification import read_specification

_LAYOUTS = {"cifar10": CIFAR10, "cifar100": CIFAR100}
_MADE = {"digits": load_digits, "noise": load_noise}
_CIFAR_SIDE = 32


def task(name: str, image_size: int | None = None) -> tuple[int, tuple[int, int, int]]:
    """Classes, and image shape ``(3, H, W)``, of a data set; no file is read.

    Args:
        name: a data set, with options or without.
        image_size: side length that images are brought to; their own if omitted.

    Raises:
        UnknownNameError: no data set has this name.

    >>> task("cifar100"), task("digits")
    ((100, (3, 32, 32)), (10, (3, 8, 8)))
    """
    kind, options = read_specification(name, example="cifar10(files=2)")
    if kind not in names():
        raise unknown("data set", kind, names())
    side = image_size or options.get("side")
    size = side if isinstance(side, int) else None
    if kind in _MADE:
        images = _MADE[kind](split="test", image_size=size)
        return images.num_classes, images.image_shape
    size = size or _CIFAR_SIDE
    return _LAYOUTS[kind].num_classes, (3, size, size)
