"""Training and evaluation mode of a network, set for a while."""

import inspect
from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


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
    for module in network.modules():
        method = type(module).train
        if method is not nn.Module.train and "mode" not in inspect.signature(method).parameters:
            for part in network.modules():
                part.training = mode
            return
    network.train(mode)


def is_leaf(module: nn.Module) -> bool:
    """Whether a module holds no other, but for those that compute its weights."""
    return all(name == "parametrizations" for name, _ in module.named_children())


@contextmanager
def _in_mode(network: nn.Module, mode: bool) -> Iterator[None]:
    modes = [(module, module.training) for module in network.modules()]
    try:
        set_mode(network, mode)
        yield
    finally:
        for module, flag in modes:
            module.training = flag
