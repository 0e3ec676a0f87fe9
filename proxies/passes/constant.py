"""The pass with constant weights: the logits of a network whose weights are all equal."""

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zcbench.hooks.functions import Function
from zcbench.hooks.recorder import Recorder
from zcbench.hooks.rewrites import Doubled, Replacing, double_precision
from zcbench.hooks.usage import Usage
from zcbench.proxies.passes.logits import check_logits
from zcbench.proxies.passes.values import Values
from zcbench.proxies.signals.borrowing import with_state
from zcbench.proxies.signals.signals import Minibatch

#: The two constants, as in the released code of epsilon-NAS.
CONSTANTS = (1e-7, 1.0)


def constant_logits(network: nn.Module, batch: Minibatch, usage: Usage) -> Values:
    """Logits ``(B, N)`` of the batch for each of two constants, in float64 and in the mode that the network is in.

    The constant is the value of every weight of a layer and of every factor of a normalisation. Biases are 0; other
    parameters, such as position embeddings, are as they are.
    """
    found = tuple(_logits(network, batch, usage, constant) for constant in CONSTANTS)
    return {"constant_logits": found}


class _OfConstants(Replacing):
    """A convolution whose weights are all equal is one of the sum of its input channels, for all output channels.

    PyTorch's convolution in float64 copies each position's window of each channel.

    Args:
        constants: the weights.
    """

    def __init__(self, constants: Iterable[Tensor]) -> None:
        super().__init__()
        self._constants = {id(weight): weight for weight in constants}

    def _convolve(self, input: Tensor, weight: Tensor, bias: Tensor | None = None, *args: Any, **kwargs: Any) -> Tensor:
        groups = args[3] if len(args) > 3 else kwargs.get("groups", 1)
        if id(weight) not in self._constants or groups != 1 or input.ndim != 4:
            return F.conv2d(input, weight, bias, *args, **kwargs)
        once = F.conv2d(input.sum(1, keepdim=True), weight[:1, :1], None, *args, **kwargs)
        output = once.expand(-1, len(weight), -1, -1)
        return output.contiguous() if bias is None else output + bias[:, None, None]

    replacements: ClassVar[Mapping[Function, Function]] = {F.conv2d: _convolve}


def _logits(network: nn.Module, batch: Minibatch, usage: Usage, constant: float) -> Tensor:
    parameters = {name: parameter.detach().double().clone() for name, parameter in network.named_parameters()}
    for name in usage.biases & parameters.keys():
        parameters[name].zero_()
    for name in usage.gains & parameters.keys():
        parameters[name].fill_(constant)
    for weight in usage.weights:
        if weight.whole:
            parameters[weight.name].fill_(constant)
    parts = {w.name: torch.full_like(w.tensor, constant, dtype=torch.float64) for w in usage.weights if not w.whole}
    constants = [*(parameters[weight.name] for weight in usage.weights if weight.whole), *parts.values()]
    through = Doubled(_OfConstants(constants).call).call
    images = batch.images.to(batch.images.device, torch.float64)
    buffers = {name: b.double() if b.is_floating_point() else b.clone() for name, b in network.named_buffers()}
    with (
        torch.no_grad(),
        double_precision(),
        Recorder(parameters, images, replace=lambda weight: parts.get(weight.name), through=through),
    ):
        output = with_state(network, parameters | buffers, images)
    return check_logits(output, batch).detach()
