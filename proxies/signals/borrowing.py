"""Context managers that restore a network's state on exit."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.graph import disable_saved_tensors_hooks

from zcbench.datasets.inputs import Given, Inputs
from zcbench.hooks.functions import Args
from zcbench.hooks.modes import modules_of, named_modules_of, training
from zcbench.hooks.weights import named_state
from zcbench.proxies.signals.errors import NotApplicable
from zcbench.proxies.signals.outputs import Output
from zcbench.streams import own_randomness


@contextmanager
def borrowed(network: nn.Module, output: Output | None = None) -> Iterator[nn.Module]:
    """The network in training mode with all parameters differentiable; modes, flags and random states are restored.

    Within the block it is called with one argument, a tensor or `Inputs`, and returns what ``output`` reads.

    Within the block gradients are recorded and numbers have the network's own type, also where the caller has switched
    gradients off or automatic casts on. Parameters and their ``grad`` are never written to by the passes, and buffers
    are `put_back` after each; a proxy that reads the network itself is checked by `zcbench.proxies.scoring.isolation`.
    """
    parameters = list(named_state(network).values())
    flags = [(p, p.requires_grad) for p in parameters if p.is_floating_point() or p.is_complex()]
    with own_randomness(), torch.inference_mode(False), torch.enable_grad(), _without_autocast(network):
        try:
            with training(network), _one_in_one_out(network, output or Output()):
                for parameter, flag in flags:
                    if not flag:
                        parameter.requires_grad_(True)
                yield network
        finally:
            for parameter, flag in flags:
                if parameter.requires_grad is not flag:
                    parameter.requires_grad_(flag)


@contextmanager
def _one_in_one_out(network: nn.Module, output: Output) -> Iterator[None]:
    """Hooks that give the network its inputs one by one, and take its output out of its return value."""

    def give(module: nn.Module, args: Args, kwargs: dict[str, object]) -> tuple[Args, dict[str, object]] | None:
        if len(args) == 1 and isinstance(args[0], Inputs):
            return args[0].args, {**args[0].kwargs, **kwargs}
        return None

    handles = [
        network.register_forward_pre_hook(give, with_kwargs=True),
        network.register_forward_hook(lambda module, args, returned: output(returned)),
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _without_autocast(network: nn.Module) -> torch.autocast:
    device = next((parameter.device.type for parameter in network.parameters()), "cpu")
    return torch.autocast(device if device != "meta" else "cpu", enabled=False)


@contextmanager
def same_buffers(network: nn.Module) -> Iterator[None]:
    """Give the buffers back after the block, such as the running statistics that a forward pass moves."""
    buffers = copied_buffers(network)
    try:
        yield
    finally:
        put_back(buffers)


class Buffer(NamedTuple):
    """A buffer: whose it is, its name, itself, and a copy of its values."""

    module: nn.Module
    name: str
    tensor: Tensor
    copy: Tensor


def copied_buffers(network: nn.Module) -> list[Buffer]:
    """Every buffer; a forward pass may write to it or put another there."""
    return [
        Buffer(module, name, buffer, buffer.clone())
        for module in modules_of(network)
        for name, buffer in module._buffers.items()
        if buffer is not None
    ]


def put_back(buffers: list[Buffer]) -> None:
    """Let every buffer be in its place again, with the values that it had when it was copied."""
    with torch.no_grad():
        for module, name, tensor, copy in buffers:
            module._buffers[name] = tensor.copy_(copy)


RECOMPUTED = (
    "The network computes maps anew in its backward pass (torch.utils.checkpoint), when it has its own weights again. "
    "Switch that off."
)


def with_state(network: nn.Module, state: Mapping[str, Tensor], images: Given) -> object:
    """Output of ``network`` for ``images`` with the parameters and buffers of ``state`` in place of its own.

    Where modules share a tensor it is replaced in all of them, and in each once: PyTorch's own tying replaces it twice
    in a module that is registered under two names, and leaves the first replacement behind.

    Raises:
        NotApplicable: the network would compute maps anew in a backward pass, when it has its own weights again.
    """
    try:
        with disable_saved_tensors_hooks(RECOMPUTED), _replaced(network, state):
            return network(images)
    except RuntimeError as error:
        if RECOMPUTED in str(error):
            raise NotApplicable(RECOMPUTED) from None
        raise


@contextmanager
def _replaced(network: nn.Module, state: Mapping[str, Tensor]) -> Iterator[None]:
    names: dict[int, str] = {}
    own: list[tuple[dict[str, Any], str, Tensor]] = []
    for path, module in named_modules_of(network):
        places: tuple[dict[str, Any], ...] = module._parameters, module._buffers
        for kept in places:
            for key, tensor in kept.items():
                if tensor is not None and names.setdefault(id(tensor), f"{path}.{key}" if path else key) in state:
                    own.append((kept, key, tensor))
    try:
        for kept, key, tensor in own:
            kept[key] = state[names[id(tensor)]]
        yield
    finally:
        for kept, key, tensor in own:
            kept[key] = tensor
