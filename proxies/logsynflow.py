"""LogSynFlow: synaptic flow with the gradients taken in logarithms.

Cavagnero et al., "FreeREA: Training-Free Evolution-based Architecture Search", WACV 2023, arXiv:2207.05135.
"""

import math

from zcbench.proxies.scoring.contract import proxy
from zcbench.proxies.signals.errors import SingularScore
from zcbench.proxies.signals.signals import Signals


@proxy(
    "logsynflow",
    reads="linearised_gradients",
    higher_is_better=True,
    uses_labels=False,
    source="arXiv:2207.05135, released code",
)
def logsynflow(signals: Signals) -> float:
    r"""Logarithm of the synaptic flow whose gradients are scaled down by a logarithm.

    .. math::  R = \mathbf{1}^\top f_{\lvert \theta \rvert}(\mathbf{1}), \qquad
               s = \log \sum_{\theta} \bigl\lvert \lvert \theta \rvert \,
               \log(1 + \partial R / \partial \lvert \theta \rvert) \bigr\rvert

    The network has absolute weights, no batch normalisation, and one image of ones as input, as in `synflow`, whose
    sum the largest gradients of the first layers make up alone.

    Args:
        signals: needs ``linearised_gradients``: per convolution or linear weight the pair |θ|, ∂R/∂|θ| in float64.

    Returns:
        The natural logarithm of the score, which has the same ranks; unbounded; higher ranks better.

    Raises:
        SingularScore: nothing flows: no path leads from the input to the output; or a gradient is at most −1, as it may
            be in a transformer, whose attention and layer normalisation are no sums of its weights.

    Example:
        >>> from zcbench.proxies import example, score
        >>> round(score(*example(), ["logsynflow"])["logsynflow"], 2)
        10.58

    Note:
        As in the authors' code the logarithm is of the gradient, not of its absolute value. Their score is the sum; we
        print its logarithm, as for `synflow`. Their published scores of NAS-Bench-201 have :math:`\log(g + 10^{-6})` in
        place of the code's :math:`\log(1 + g)`: a weight on a dead edge adds 13.8 |θ| there and nothing here. Where no
        weight is dead ours are equal to them within 1 % (tests/proxies/test_newer.py).
    """
    flow = 0.0
    for weight, gradient in signals.linearised_gradients.values():
        if not (gradient > -1).all():
            raise SingularScore("A gradient of the summed logits is −1 or less, so that 1 + g has no logarithm.")
        flow += (weight * gradient.log1p()).abs().sum().item()
    if flow <= 0:
        raise SingularScore("No synaptic flow reaches the output, so that its logarithm is not defined.")
    return math.log(flow)
