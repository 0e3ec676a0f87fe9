"""SNIP: how much would the loss notice if single weights were cut?

Lee et al., "SNIP: Single-shot Network Pruning based on Connection Sensitivity", ICLR 2019, arXiv:1810.02340, eq. 6;
summed over the network by Abdelfattah et al., arXiv:2101.08134, eq. 1.
"""

from zcbench.proxies.scoring.contract import proxy
from zcbench.proxies.signals.signals import Signals


@proxy("snip", reads=("parameters", "gradients"), higher_is_better=True, source="arXiv:1810.02340, eq. 6")
def snip(signals: Signals) -> float:
    r"""Sum of the connection sensitivities of all weights.

    .. math::  s = \sum_{\theta} \left\lvert \theta \, \partial L / \partial \theta \right\rvert

    Args:
        signals: needs ``parameters`` and ``gradients``: convolution and linear weights, and the gradient of the mean
            loss for each, of classes the cross-entropy.

    Returns:
        The score, in units of the loss, non-negative; higher ranks better. It is not divided by its sum, as pruning
        would do: what is compared here are networks.

    Example:
        >>> from zcbench.proxies import example, score
        >>> round(score(*example(), ["snip"])["snip"], 2)
        23.89
    """
    gradients = signals.gradients
    return sum((weight * gradients[name]).abs().sum().item() for name, weight in signals.parameters.items())
