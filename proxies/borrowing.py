"""Borrow a network: whatever happens inside, it is given back as it was."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from zcbench.distill.taps import weight_layers
from zcbench.streams import derive


@contextmanager
def borrowed(network: nn.Module) -> Iterator[nn.Module]:
    """The network in training mode with all weights differentiable; modes, flags and randomness are given back.

    Within the block gradients are recorded, also where the caller has switched that off. Parameters and their ``grad``
    are never written to by the passes, whose buffers `same_buffers` gives back; a proxy that is handed the network
    itself is watched by `Snapshot`.
    """
    modes = [(module, module.training) for module in network.modules()]
    weights = [layer.weight for layer in weight_layers(network).values()]
    flags = [(weight, weight.requires_grad) for weight in weights]
    with own_randomness(), torch.inference_mode(False), torch.enable_grad():
        try:
            network.train()
            for weight in weights:
                weight.requires_grad_(True)
            yield network
        finally:
            for weight, flag in flags:
                weight.requires_grad_(flag)
            for module, training in modes:
                module.training = training


@contextmanager
def same_buffers(network: nn.Module) -> Iterator[None]:
    """Give the buffers back after the block, such as the running statistics that a forward pass moves."""
    buffers = [(buffer, buffer.clone()) for buffer in network.buffers()]
    try:
        yield
    finally:
        with torch.no_grad():
            for buffer, copy in buffers:
                buffer.copy_(copy)


@contextmanager
def own_randomness() -> Iterator[None]:
    """Put the global states of PyTorch, NumPy and ``random`` back after the block."""
    numpy_state, python_state = np.random.get_state(), random.getstate()  # noqa: NPY002 - what a proxy may touch
    with torch.random.fork_rng():
        try:
            yield
        finally:
            np.random.set_state(numpy_state)  # noqa: NPY002
            random.setstate(python_state)


def seed_everything(*key: object) -> None:
    """Set the global generators to the stream of ``key``; only inside `own_randomness`."""
    seed = derive(*key)
    torch.manual_seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002
    random.seed(seed)


HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


class Snapshot:
    """State of a network that a proxy is about to be handed.

    Gradients, buffers, modes and hooks may change while it works and are put back in silence; parameters may not.
    """

    def __init__(self, network: nn.Module) -> None:
        self._parameters = [(name, p, p.data, p.detach().clone()) for name, p in network.named_parameters()]
        self._buffers = [(buffer, buffer.clone()) for buffer in network.buffers()]
        self._grads = [(p, p.grad, None if p.grad is None else p.grad.clone()) for p in network.parameters()]
        self._modules = [(m, m.training, {h: set(getattr(m, h)) for h in HOOKS}) for m in network.modules()]

    def restore(self) -> list[str]:
        """Put everything back and return the names of the parameters that had been changed."""
        changed = [name for name, parameter, _, copy in self._parameters if not _same(parameter, copy)]
        with torch.no_grad():
            for name, parameter, storage, copy in self._parameters:
                if name in changed:
                    parameter.data = storage.copy_(copy)  # the signals share this storage
            for buffer, copy in self._buffers:
                buffer.copy_(copy)
            for parameter, grad, values in self._grads:
                parameter.grad = grad
                if grad is not None and values is not None:
                    grad.copy_(values)
        for module, training, hooks in self._modules:
            module.training = training
            for kind, before in hooks.items():
                for key in set(getattr(module, kind)) - before:
                    del getattr(module, kind)[key]
        return changed


def _same(one: Tensor, other: Tensor) -> bool:
    """Equal bits, not-a-number included."""
    return one.dtype == other.dtype and one.shape == other.shape and bool(((one == other) | (one != one)).all())
