"""Packages and modules that are imported at the first use, so that a list or a help text starts without them."""

import importlib
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any


def lazy(
    package: str, homes: Mapping[str, str], *own: str
) -> tuple[list[str], Callable[[str], object], Callable[[], list[str]]]:
    """The ``__all__``, ``__getattr__`` and ``__dir__`` of a package.

    Args:
        package: its ``__name__``.
        homes: the module that each public name is imported from; a name without one is a sub-package.
        own: public names that the package has itself.

    Example:
        >>> names, load, _ = lazy("zcbench", {"split_list": "zcbench.specification", "runtime": ""})
        >>> names, load("runtime").__name__
        (['runtime', 'split_list'], 'zcbench.runtime')
    """
    names = sorted([*homes, *own])

    def load(name: str) -> object:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        home = homes[name]
        return getattr(importlib.import_module(home), name) if home else importlib.import_module(f"{package}.{name}")

    return names, load, lambda: names


def load(place: str) -> Any:
    """The object that ``"package.module:name"`` names, imported now: for a package that stands above the caller's.

    >>> load("zcbench.specification:split_list")("a,b")
    ['a', 'b']
    """
    module, _, name = place.partition(":")
    return getattr(importlib.import_module(module), name)


class Postponed(ModuleType):
    """A module that is imported when an attribute of it is first read.

    With ``from __future__ import annotations`` its classes may stand in annotations::

        if TYPE_CHECKING:
            import pandas as pd
        else:
            pd = Postponed("pandas")

    Example:
        >>> Postponed("math").floor(2.5)
        2
    """

    def __getattr__(self, name: str) -> object:
        return getattr(importlib.import_module(self.__name__), name)
