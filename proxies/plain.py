"""plain: SNIP without the absolute value.

Abdelfattah et al., "Zero-Cost Proxies for Lightweight NAS", ICLR 2021, arXiv:2101.08134; the baseline in its code.
"""

from zcbench.proxies.scoring.contract import proxy
from zcbench.proxies.signals.signals import Signals


@proxy("plain", reads=("parameters", "gradients"), higher_is_better=True, source="arXiv:2101.08134, released code")
def plain(signals: Signals) -> float:
    r"""Inner product of the weights and the loss gradient.

    .. math::  s = \sum_{\theta} \theta \, \partial L / \partial \theta

    Args:
        signals: needs ``parameters`` and ``gradients``: convolution and linear weights, and the gradient of the mean
            loss for each, of classes the cross-entropy.

    Returns:
        The score, in units of the loss, of either sign; higher ranks better, as its authors have it.

    Example:
        >>> from zcbench.proxies import example, score
        >>> round(score(*example(), ["plain"])["plain"], 3)
        0.051

    Note:
        A convolution whose output is normalised does not feel the scale of its weights, so its inner product is zero
        up to rounding: only layers without batch normalisation behind them speak. On NAS-Bench-201 it correlates
        negatively with accuracy.
    """
    gradients = signals.gradients
    return sum((weight * gradients[name]).sum().item() for name, weight in signals.parameters.items())
