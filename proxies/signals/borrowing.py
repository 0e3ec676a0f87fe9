"""Context managers that restore a network's state on exit."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.autograd.graph import disable_saved_tensors_hooks
from torch.func import functional_call

from zcbench.datasets.inputs import Given, Inputs
from zcbench.hooks.functions import Args
from zcbench.hooks.modes import training
from zcbench.proxies.signals.errors import NotApplicable
from zcbench.proxies.signals.outputs import Output
from zcbench.streams import own_randomness


@contextmanager
def borrowed(network: nn.Module, output: Output | None = None) -> Iterator[nn.Module]:
    """The network in training mode with all parameters differentiable; modes, flags and random states are restored.

    Within the block it is called with one argument, a tensor or `Inputs`, and returns what ``output`` reads.

    Within the block gradients are recorded and numbers have the network's own type, also where the caller has switched
    gradients off or automatic casts on. Parameters and their ``grad`` are never written to by the passes, whose buffers
    `same_buffers` restores; a proxy that reads the network itself is checked by `zcbench.proxies.scoring.isolation`.
    """
    flags = [(p, p.requires_grad) for p in network.parameters() if p.is_floating_point() or p.is_complex()]
    with own_randomness(), torch.inference_mode(False), torch.enable_grad(), _without_autocast(network):
        try:
            with training(network), _one_in_one_out(network, output or Output()):
                for parameter, _ in flags:
                    parameter.requires_grad_(True)
                yield network
        finally:
            for parameter, flag in flags:
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


Buffers = list[tuple[nn.Module, str, Tensor, Tensor]]


def copied_buffers(network: nn.Module) -> Buffers:
    """Every buffer: whose it is, its name, itself, and a copy; a forward pass may write to it or put another there."""
    return [
        (module, name, buffer, buffer.clone())
        for module in network.modules()
        for name, buffer in module._buffers.items()
        if buffer is not None
    ]


def put_back(buffers: Buffers) -> None:
    """Let every buffer be in its place again, with the values that it had when it was copied."""
    with torch.no_grad():
        for module, name, buffer, copy in buffers:
            module._buffers[name] = buffer.copy_(copy)


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
    names = {id(tensor): name for name, tensor in [*network.named_parameters(), *network.named_buffers()]}
    places = {
        f"{path}.{key}" if path else key: state[name]
        for path, module in network.named_modules()
        for key, tensor in [*module._parameters.items(), *module._buffers.items()]
        if (name := names.get(id(tensor), "")) in state
    }
    try:
        with disable_saved_tensors_hooks(RECOMPUTED):
            return functional_call(network, places, (images,), tie_weights=False)
    except RuntimeError as error:
        if RECOMPUTED in str(error):
            raise NotApplicable(RECOMPUTED) from None
        raise
