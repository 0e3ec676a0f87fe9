"""The pass with constant weights: the logits of a network whose weights are all equal."""

import torch
from torch import Tensor, nn

from zcbench.hooks.recorder import Recorder
from zcbench.hooks.rewrites import Doubled, double_precision
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
    images = batch.images.to(batch.images.device, torch.float64)
    buffers = {name: b.double() if b.is_floating_point() else b.clone() for name, b in network.named_buffers()}
    with (
        torch.no_grad(),
        double_precision(),
        Recorder(parameters, images, replace=lambda weight: parts.get(weight.name), through=Doubled().call),
    ):
        output = with_state(network, parameters | buffers, images)
    return check_logits(output, batch).detach()
