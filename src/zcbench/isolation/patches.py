"""Detects and restores functions and classes of PyTorch, NumPy and zcbench that foreign code has replaced."""

import builtins
import math
import random
import sys
from collections.abc import Iterable, Iterator
from functools import lru_cache
from types import ModuleType

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

_OWN, _COMPILER = "zcbench", ("/torch/_dynamo/", "/torch/_compile.py")
_FOLLOWS = "torch.Storage"  # the default dtype
_MODULES: tuple[ModuleType, ...] = (
    *(torch, F, torch._C, torch._C._nn, torch.functional, torch.linalg, torch.fft, torch.special, torch.random),
    *(torch.autograd, torch.func, torch.overrides, nn, nn.init, nn.modules.module, nn.utils),
    *(np, np.linalg, np.random, math, random, builtins),
)
Owner = ModuleType | type
_CLASSES: tuple[type, ...] = (torch.Tensor, nn.Parameter, nn.Module)


class Originals:
    """Attributes of modules and classes: those of PyTorch, NumPy and zcbench, and the classes of some networks.

    Args:
        networks: their classes are included.
    """

    def __init__(self, networks: Iterable[nn.Module] = ()) -> None:
        own = {kind for network in networks for module in network.modules() for kind in type(module).__mro__}
        owners = dict.fromkeys([*_owners(len(sys.modules)), *sorted(own - {object}, key=repr)])
        self._known = [(owner, dict(vars(owner))) for owner in owners]

    def restore(self) -> list[str]:
        """Restore replaced and deleted attributes, and remove those added to a class; returns the names of all."""
        return [name for owner, known in self._known if _differ(owner, known) for name in _restored(owner, known)]


@lru_cache(maxsize=1)
def _owners(loaded: int) -> tuple[Owner, ...]:
    """Modules and classes to watch, found anew whenever another number of modules is ``loaded``."""
    own = [module for name, module in sorted(sys.modules.items()) if name.partition(".")[0] == _OWN and module]
    layers = [module for name, module in sorted(sys.modules.items()) if name.startswith("torch.nn.modules.") and module]
    return (*_MODULES, *layers, *_CLASSES, *_classes(layers), *own, *_classes(own))


def _classes(modules: Iterable[ModuleType]) -> Iterator[type]:
    for module in modules:
        kinds = (value for value in vars(module).values() if isinstance(value, type))
        yield from (kind for kind in kinds if kind.__module__ == module.__name__)


def _differ(owner: Owner, known: dict[str, object]) -> bool:
    try:
        return dict(vars(owner)) != known
    except Exception:  # values that cannot be compared, such as two arrays
        return True


def _restored(owner: Owner, known: dict[str, object]) -> Iterator[str]:
    now, home = dict(vars(owner)), _name(owner)
    for name, value in known.items():
        new = now.get(name, known)
        if new is not value and _counts(home, name, value) and not _compiles(new):
            setattr(owner, name, value)
            yield f"{home}.{name}"
    for name in now.keys() - known.keys() if isinstance(owner, type) else ():
        if _counts(home, name, now[name]) or (isinstance(owner, type) and _hides(owner, name)):
            delattr(owner, name)
            yield f"{home}.{name}"


def _counts(home: str, name: str, value: object) -> bool:
    """Whether it matters: functions and all of zcbench do; counters, caches and Python's own attributes do not."""
    if callable(value) or isinstance(value, property | staticmethod | classmethod):
        return f"{home}.{name}" != _FOLLOWS
    return home.partition(".")[0] == _OWN and not name.startswith("__")


def _hides(kind: type, name: str) -> bool:
    """Whether an attribute of a class stands before one of its bases."""
    return not name.startswith("__") and any(hasattr(base, name) for base in kind.__mro__[1:])


def _compiles(value: object) -> bool:
    """Whether PyTorch itself has put this here, as it does when its compiler is imported."""
    file = getattr(getattr(value, "__code__", None), "co_filename", "").replace("\\", "/")
    return any(part in file for part in _COMPILER)


def _name(owner: Owner) -> str:
    return f"{owner.__module__}.{owner.__qualname__}" if isinstance(owner, type) else str(owner.__name__)
