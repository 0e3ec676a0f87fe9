"""A proxy of your own: give this file to any command with ``--plugin examples/my_proxy.py``."""

from zcbench import proxy
from zcbench.proxies import Signals


@proxy("grad_norm_sq", reads="gradients", higher_is_better=True, source="arXiv:2101.08134, section 3.2")
def grad_norm_sq(signals: Signals) -> float:
    """Sum of squared loss gradients over all weights."""
    return sum(gradient.square().sum().item() for gradient in signals.gradients.values())
