"""What networks must be made for, known before any image is."""

from zcbench.datasets.cifar import CIFAR10, CIFAR100
from zcbench.datasets.loading import read_name
from zcbench.datasets.noise import SIDE as NOISE_SIDE

_CIFAR_SIDE, _DIGITS_SIDE = 32, 8
_KNOWN = {
    "cifar10": (CIFAR10.num_classes, _CIFAR_SIDE),
    "cifar100": (CIFAR100.num_classes, _CIFAR_SIDE),
    "digits": (10, _DIGITS_SIDE),
    "noise": (10, NOISE_SIDE),
}


def task(name: str, image_size: int | None = None) -> tuple[int, tuple[int, int, int]]:
    """Classes, and image shape ``(3, H, W)``, of a data set; no file is read.

    Args:
        name: a data set, with options or without.
        image_size: side length that images are brought to; their own if omitted.

    Raises:
        UnknownNameError: no data set or option has this name.
        BatchError: an option is out of range.

    >>> task("cifar100"), task("digits")
    ((100, (3, 32, 32)), (10, (3, 8, 8)))
    """
    kind, _, side = read_name(name, image_size)
    classes, own = _KNOWN[kind]
    return classes, (3, side or own, side or own)
