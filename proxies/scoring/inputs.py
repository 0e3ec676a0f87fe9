"""Checks of the network and the batch that are scored."""

import inspect
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from zcbench.datasets.batches import Batch, parts
from zcbench.datasets.inputs import Given, Inputs, checked_inputs
from zcbench.errors import BatchError
from zcbench.hooks.modes import modules_of
from zcbench.proxies.signals.objective import Loss, Objective
from zcbench.proxies.signals.signals import Minibatch


def minibatch(given: object, loss: Loss | None = None) -> Minibatch:
    """The batch that passes run on, from whatever `Batch.of` takes.

    Raises:
        BatchError: it is no batch, or inputs and labels do not fit together.
    """
    batch = Batch.of(given)
    images, labels = parts((batch.images, batch.labels))
    return Minibatch(images, labels, Objective.of(labels, loss))


def on_network(network: nn.Module, batch: Minibatch) -> Minibatch:
    """The batch on the network's device and in its floating type, with names that the network has for its inputs.

    Raises:
        BatchError: a part of the network has no values, being on the meta device or lazy, or can have no gradients, or
            hides its layers; or the network has other names for its inputs.
    """
    modules = modules_of(network)
    for module in {type(module): module for module in modules}.values():
        _refuse_module(module)
    if any("_orig_mod" in module._modules for module in modules):
        raise BatchError("Given a compiled module. Give the module it was made from, its ._orig_mod.")
    parameters = [p for module in modules for p in module._parameters.values() if p is not None]
    buffers = [b for module in modules for b in module._buffers.values() if b is not None]
    _refuse_state(network, [*parameters, *buffers])
    batch = batch._replace(images=_named(network, batch.images))
    parameter = next((p for p in parameters if p.is_floating_point()), None)
    if parameter is None:
        return batch
    device, dtype = parameter.device, parameter.dtype
    return batch._replace(images=batch.images.to(device, dtype), labels=batch.labels.to(device))


def _named(network: nn.Module, images: Given) -> Given:
    """The inputs as the network takes them: a single one by position, where the network has no such name."""
    if not isinstance(images, Inputs) or images.names is None:
        return images
    forward = inspect.signature(network.forward)
    try:
        forward.bind(**images.kwargs)
    except TypeError as error:
        if len(images.tensors) == 1:
            return checked_inputs(images.tensors)
        raise BatchError(
            f"Given inputs with the names {', '.join(images.names)} for {type(network).__name__}.forward{forward}: "
            f"{error}. Expected names of its arguments; rename or leave out keys of the batch."
        ) from None
    return images


def _is_exported(module: torch.fx.GraphModule) -> bool:
    return any(isinstance(node.target, torch._ops.OpOverload) for node in module.graph.nodes)


def _refuse_module(module: nn.Module) -> None:
    """Refuse a module of a kind that hides its layers."""
    if isinstance(module, torch.jit.ScriptModule):
        raise BatchError(
            f"{type(module).__name__} is TorchScript, which hides its layers. Give the module it was made from."
        )
    if isinstance(module, torch.fx.GraphModule) and _is_exported(module):
        raise BatchError(
            f"{type(module).__name__} comes from torch.export, which fixes its mode and hides its layers. Give the "
            f"module it was made from."
        )
    if isinstance(module, nn.DataParallel | nn.parallel.DistributedDataParallel):
        raise BatchError(f"{type(module).__name__} copies its network. Give the network itself, its .module.")


def _refuse_state(network: nn.Module, state: Sequence[Tensor]) -> None:
    """Refuse parameters and buffers that have no values, or take part in no gradient."""
    if any(nn.parameter.is_lazy(tensor) for tensor in state):
        raise BatchError(
            f"{type(network).__name__} has lazy layers, whose weights have no shape yet. Call it once on the images."
        )
    if any(tensor.is_meta for tensor in state):
        raise BatchError(
            f"{type(network).__name__} is on the meta device, in whole or in part, and has no values there. Give one "
            f"with to_empty() and an init."
        )
    if any(tensor.is_inference() for tensor in state):
        raise BatchError(
            f"{type(network).__name__} was built under torch.inference_mode(), whose tensors take part in no gradient. "
            f"Build it outside, or give a copy made outside by copy.deepcopy."
        )
