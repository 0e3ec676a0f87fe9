"""grad_norm: norm of the gradient of the loss at initialisation.

Abdelfattah et al., "Zero-Cost Proxies for Lightweight NAS", ICLR 2021, arXiv:2101.08134, section 3.2.
"""

from zcbench.proxies.scoring.contract import proxy
from zcbench.proxies.signals.signals import Signals


@proxy("grad_norm", reads="gradients", higher_is_better=True, source="arXiv:2101.08134, section 3.2")
def grad_norm(signals: Signals) -> float:
    r"""Sum over layers of the norm of the loss gradient.

    .. math::  s = \sum_{\ell} \lVert \partial L / \partial \theta_\ell \rVert_2

    L is the mean loss of the batch, of classes the cross-entropy.

    Args:
        signals: needs ``gradients``: one tensor per convolution or linear weight, biases left out.

    Returns:
        The score, in units of the loss per weight, non-negative; higher ranks better.

    Example:
        >>> from zcbench.proxies import example, score
        >>> round(score(*example(), ["grad_norm"])["grad_norm"], 2)
        15.2

    Note:
        The paper names the norm of the gradient; its code adds the norms of the layers, and so do we.
    """
    return sum(float(gradient.norm()) for gradient in signals.gradients.values())
