"""SynFlow: product of the weights on the paths from input to output, without data.

Tanaka et al., "Pruning neural networks without any data by iteratively conserving synaptic flow", NeurIPS 2020,
arXiv:2006.05467, section 6; as a proxy for whole networks in Abdelfattah et al., arXiv:2101.08134, eq. 1.
"""

import math

from zcbench.proxies.scoring.contract import proxy
from zcbench.proxies.signals.errors import SingularScore
from zcbench.proxies.signals.signals import Signals


@proxy(
    "synflow", reads="linearised_gradients", higher_is_better=True, uses_labels=False, source="arXiv:2006.05467, eq. 3"
)
def synflow(signals: Signals) -> float:
    r"""Logarithm of the total synaptic flow.

    .. math::  R = \mathbf{1}^\top f_{\lvert \theta \rvert}(\mathbf{1}), \qquad
               s = \log \sum_{\theta} \lvert \theta \rvert \, \partial R / \partial \lvert \theta \rvert

    The network has absolute weights, no batch normalisation, and one image of ones as input.

    Args:
        signals: needs ``linearised_gradients``: per convolution or linear weight the pair |θ|, ∂R/∂|θ| in float64.

    Returns:
        The natural logarithm of the score, which itself reaches 1e28; unbounded; higher ranks better.

    Raises:
        SingularScore: nothing flows: no path leads from the input to the output, or the flow is negative, as it may
            be in a transformer, whose attention and layer normalisation are no sums of its weights.

    Example:
        >>> from zcbench.proxies import example, score
        >>> round(score(*example(), ["synflow"])["synflow"], 1)
        26.8
    """
    pairs = signals.linearised_gradients.values()
    flow = sum((weight * gradient).sum().item() for weight, gradient in pairs)
    if flow <= 0:
        raise SingularScore(f"The synaptic flow that reaches the output is {flow:g}, which has no logarithm.")
    return math.log(flow)
