"""Architecture spaces: a string in, a network out.

>>> space = get("nasbench201")
>>> len(space), space[6111]
(15625, '|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_1x1~2|')
"""

if __name__ == "spaces":  # imported from the source folder: this would be a second copy of the package
    raise ImportError(
        "Given: 'import spaces'. Expected: 'import zcbench.spaces'. Install zcbench and import it from there."
    )

import inspect
from collections.abc import Callable

from zcbench.errors import unknown
from zcbench.registry import Registry
from zcbench.spaces.autoformer import AutoFormer
from zcbench.spaces.base import Space, SpaceError
from zcbench.spaces.mobilenetv2 import MobileNetV2
from zcbench.spaces.nasbench201 import NASBench201
from zcbench.spaces.pit import PiT
from zcbench.spaces.product import ProductSpace
from zcbench.spaces.residual import S0, ResNet
from zcbench.spaces.residual_large import ResNetLarge
from zcbench.spaces.shufflenet import ShuffleNet
from zcbench.spaces.vgg import VGG
from zcbench.spaces.wide import WideResNet
from zcbench.specification import SpecificationError, read_specification

__all__ = ["SPACES", "NASBench201", "ProductSpace", "Space", "SpaceError", "get", "names", "register"]

SPACES: Registry[Callable[..., Space]] = Registry("space", group="zcbench.spaces")


def register(name: str, factory: Callable[..., Space]) -> None:
    """Make ``factory`` known as ``name``; its keyword arguments are the options of the space.

    Raises:
        RegistrationError: the name has other characters than letters, digits, ``_``, ``-`` and ``.``, or is reserved.
        DuplicateNameError: another factory has this name.
    """
    SPACES.add(name, factory, f"{factory.__module__}.{factory.__qualname__}")


def names() -> list[str]:
    """Names of all known spaces, those of installed plug-ins included."""
    return SPACES.names()


def get(name: str, **options: object) -> Space:
    """The space called ``name``, of the size that ``options`` say.

    Args:
        name: a registered name, or a whole specification such as ``"nasbench201(channels=4,cells=1)"``.
        options: keyword arguments of the space; they go before those of a specification.

    Raises:
        UnknownNameError: no space has this name, or it has no such option; the message has the nearest ones.
        SpaceError: an option is out of range, or the specification cannot be read.

    Example:
        >>> get("nasbench201", channels=4, cells=1).spec
        'nasbench201(channels=4,cells=1)'
    """
    name, written = _read_specification(name)
    options = written | options
    factory = SPACES.get(name)
    known = inspect.signature(factory).parameters
    for option in options:
        if option not in known:
            raise unknown(f"option of the space {name!r}", option, known)
    return factory(**options)


def _read_specification(text: str) -> tuple[str, dict[str, object]]:
    try:
        return read_specification(text, example="nasbench201(channels=4,cells=1)")
    except SpecificationError as error:
        raise SpaceError(str(error)) from None


for _space in (AutoFormer, MobileNetV2, NASBench201, PiT, ResNet, ResNetLarge, S0, ShuffleNet, VGG, WideResNet):
    register(_space.name, _space)
