"""Two scores as other code computes them, beside ``zen`` and ``naswot``: plug-ins that need the network itself.

They declare ``reads="network"``, work on a copy, and hook what they want to see. The released code of Zen-score
differs from the paper's algorithm 1 in two places: the change of the feature map is a sum of absolute values, and the
scales are the running variances of batch normalisation, which after two passes are still 81 % their initial 1. NASWOT
in evaluation mode, where an untrained batch normalisation does nothing, is a known fault.
"""

import copy
import math

import torch
from torch import nn

from zcbench import proxy
from zcbench.proxies import Signals, SingularScore


@proxy("zen_released", reads="network", higher_is_better=True, uses_labels=False, source="arXiv:2102.01063, its code")
def zen_released(signals: Signals) -> float:
    """Log of the mean L1 change of the feature map, plus the log scales from running variances."""
    network = copy.deepcopy(signals.network)
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    maps: list[torch.Tensor] = []
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.normal_(module.weight)
        if isinstance(module, nn.AdaptiveAvgPool2d):
            module.register_forward_pre_hook(lambda _, inputs: maps.append(inputs[0]))
    for norm in norms:
        norm.reset_running_stats()
    image, noise = torch.randn(2, 16, *signals.images.shape[1:]).unbind()
    with torch.no_grad():
        network(image)
        network(image + 0.01 * noise)
    change = (maps[0] - maps[1]).abs().sum((1, 2, 3)).mean().item()
    if change == 0:
        raise SingularScore("The feature map does not react to the image.")
    scales = [norm.running_var for norm in norms if norm.running_var is not None]
    return math.log(change) + sum(scale.mean().log().item() / 2 for scale in scales)


@proxy("naswot_eval", reads="network", higher_is_better=True, uses_labels=False, source="arXiv:2006.04647, eval mode")
def naswot_eval(signals: Signals) -> float:
    """NASWOT with batch normalisation in evaluation mode."""
    network = copy.deepcopy(signals.network).eval()
    kernel = torch.zeros(signals.batch_size, signals.batch_size, dtype=torch.float64)

    def add(_: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        code = (inputs[0] > 0).flatten(1).float() * 2 - 1
        kernel.add_((code.shape[1] + code @ code.T) / 2)

    for module in network.modules():
        if isinstance(module, nn.ReLU):
            module.register_forward_pre_hook(add)
    with torch.no_grad():
        network(signals.images)
    return signals.log_abs_det(kernel)
