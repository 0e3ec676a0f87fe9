"""GraSP: effect of removing a weight on the gradient flow.

Wang et al., "Picking Winning Tickets Before Training by Preserving Gradient Flow", ICLR 2020, arXiv:2002.07376, eq. 8;
as a proxy for whole networks in Abdelfattah et al., arXiv:2101.08134, eq. 1.
"""

from zcbench.proxies.scoring.contract import proxy
from zcbench.proxies.signals.signals import Signals


@proxy(
    "grasp",
    reads=("parameters", "hessian_gradient"),
    higher_is_better=True,
    version=2,
    source="arXiv:2002.07376, eq. 8",
)
def grasp(signals: Signals) -> float:
    r"""Inner product of the weights and the Hessian times the gradient, with a minus sign.

    .. math::  s = -\sum_{\theta} \theta \odot (H g), \qquad g = \partial L / \partial \theta

    Args:
        signals: needs ``parameters`` and ``hessian_gradient``: θ and H·g for every convolution and linear weight. L is
            the mean loss, of classes the cross-entropy at temperature 1, H its Hessian over the same weights.

    Returns:
        The score, in squared units of the loss, of either sign; higher ranks better.

    Raises:
        NotApplicable: the network is in half precision, which leaves the product too few digits.

    Example:
        >>> from zcbench.proxies import example, score
        >>> round(score(*example(), ["grasp"])["grasp"], 2)
        3.16

    Note:
        The original pruning code divides the logits by a temperature of 200; the proxy code uses 1, and so do we.
    """
    products = signals.hessian_gradient
    return -sum((weight * products[name]).sum().item() for name, weight in signals.parameters.items())
