"""Packages whose names are imported at the first use, so that importing the package costs nothing."""

import importlib
from collections.abc import Callable, Mapping
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
