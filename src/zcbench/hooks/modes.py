"""The modules of a network, and its training and evaluation mode, set for a while."""

import inspect
from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


def modules_of(network: nn.Module) -> list[nn.Module]:
    """Every module of a network once, itself first, in the order of ``network.modules()``."""
    found: dict[nn.Module, None] = {}
    waiting = [network]
    while waiting:
        module = waiting.pop()
        if module not in found:
            found[module] = None
            if module._modules:
                waiting += [part for part in reversed(module._modules.values()) if part is not None]
    return list(found)


def named_modules_of(network: nn.Module) -> list[tuple[str, nn.Module]]:
    """Every module of a network once, with its path, in the order of ``network.named_modules()``.

    PyTorch's own walk hands each module up through a generator for every level above it.
    """
    found: dict[nn.Module, str] = {}
    waiting: list[tuple[str, nn.Module]] = [("", network)]
    while waiting:
        path, module = waiting.pop()
        if module not in found:
            found[module] = path
            if module._modules:
                before = f"{path}." if path else ""
                parts = reversed(module._modules.items())
                waiting += [(before + name, part) for name, part in parts if part is not None]
    return [(path, module) for module, path in found.items()]


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Run a block with ``network`` in evaluation mode, and give the modes of its modules back."""
    with _in_mode(network, False):
        yield


@contextmanager
def training(network: nn.Module) -> Iterator[None]:
    """Run a block with ``network`` in training mode, and give the modes of its modules back."""
    with _in_mode(network, True):
        yield


def set_mode(network: nn.Module, mode: bool) -> None:
    """Put a network into training or evaluation mode.

    A ``train`` method of the network's own is called if it takes a ``mode``, as PyTorch's does; one that does something
    else, such as ``train(self, loader, epochs)``, is left alone and the flags of the modules are set.
    """
    _set_mode(network, modules_of(network), mode)


def is_leaf(module: nn.Module) -> bool:
    """Whether a module holds no other, but for those that compute its weights."""
    return all(name == "parametrizations" for name, _ in module.named_children())


@contextmanager
def _in_mode(network: nn.Module, mode: bool) -> Iterator[None]:
    modules = modules_of(network)
    flags = [module.training for module in modules]
    try:
        _set_mode(network, modules, mode)
        yield
    finally:
        for module, flag in zip(modules, flags):
            _set_flag(module, flag)


def _set_mode(network: nn.Module, modules: list[nn.Module], mode: bool) -> None:
    own = [method for module in modules if (method := type(module).train) is not nn.Module.train]
    if own and all("mode" in inspect.signature(method).parameters for method in own):
        network.train(mode)
        return
    for module in modules:
        _set_flag(module, mode)


def _set_flag(module: nn.Module, mode: bool) -> None:
    """Set ``module.training``; PyTorch's own way to set an attribute looks first whether it is a parameter."""
    if module.training is not mode:
        if type(module).__setattr__ is nn.Module.__setattr__:
            object.__setattr__(module, "training", mode)
        else:
            module.training = mode
