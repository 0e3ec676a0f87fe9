"""Spaces by name: those of this package, of a plug-in file, or of an installed package."""

import inspect
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeGuard, TypeVar

from zcbench import references
from zcbench.errors import unknown
from zcbench.registry import Registry, import_package, is_own
from zcbench.spaces.base import Space, SpaceError
from zcbench.specification import SpecificationError, read_specification

if TYPE_CHECKING:
    from zcbench.spaces.networks import Networks

#: Name of the space of networks of one's own, which is not registered.
NETWORKS = "networks"

#: Name of the spaces of dense networks, which is not registered: each is made of another space.
DENSE = "dense"


def _builtins() -> None:
    import_package("zcbench.spaces")


SPACES: Registry[Callable[..., Space]] = Registry("space", "zcbench.spaces", _builtins)

S = TypeVar("S", bound=type[Space])


def register(name: str, factory: Callable[..., Space]) -> None:
    """Make ``factory`` known as ``name``; its keyword arguments are the options of the space.

    Raises:
        RegistrationError: the name has other characters than letters, digits, ``_``, ``-`` and ``.``, or is reserved.
        DuplicateNameError: another factory has this name.
    """
    SPACES.add(name, factory, f"{factory.__module__}.{factory.__qualname__}", own=is_own(factory))


def space(kind: S) -> S:
    """Class decorator that registers a space under its ``name``."""
    register(kind.name, kind)
    return kind


def names() -> list[str]:
    """Names of all known spaces, those of installed plug-ins included."""
    return SPACES.names()


def get(name: str, **options: object) -> Space:
    """The space called ``name``, of the size that ``options`` say.

    Args:
        name: a registered name, a whole specification such as ``"nasbench201(channels=4,cells=1)"``;
            ``"dense(backbone='resnet')"`` for its networks with a head of segmentation, see
            `zcbench.spaces.dense.Dense`; or ``FILE.py:NAME`` for a mapping of networks of one's own, see
            `zcbench.spaces.Networks`.
        options: keyword arguments of the space; they go before those of a specification.

    Raises:
        UnknownNameError: no space has this name, or it has no such option; the message has the nearest ones.
        SpaceError: an option is out of range, or the specification cannot be read, or the file has no networks.
        PluginError: the file cannot be read.

    Example:
        >>> get("nasbench201", channels=4, cells=1).spec
        'nasbench201(channels=4,cells=1)'
    """
    if references.read(name):
        from zcbench.spaces.networks import Networks  # imports PyTorch, which a list of spaces does without

        return Networks(name)
    try:
        name, written = read_specification(name, example="nasbench201(channels=4,cells=1)")
    except SpecificationError as error:
        raise SpaceError(str(error)) from None
    options = written | options
    factory = _dense() if name == DENSE else SPACES.get(name)
    known = inspect.signature(factory).parameters
    for option in options:
        if option not in known:
            raise unknown(f"option of the space {name!r}", option, known)
    return factory(**options)


def _dense() -> Callable[..., Space]:
    from zcbench.spaces.dense.space import Dense  # imports PyTorch, which a list of spaces does without

    return Dense


def has_networks(given: object) -> TypeGuard["Networks"]:
    """Whether it is a space of networks of one's own; PyTorch is not imported to find out.

    >>> has_networks(get("nasbench201"))
    False
    """
    home = sys.modules.get("zcbench.spaces.networks")
    return home is not None and isinstance(given, home.Networks)
