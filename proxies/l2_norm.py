"""l2_norm: norm of the weights before training.

Abdelfattah et al., "Zero-Cost Proxies for Lightweight NAS", ICLR 2021, arXiv:2101.08134; the baseline in its code.
"""

from zcbench.proxies.scoring.contract import proxy
from zcbench.proxies.signals.signals import Signals


@proxy("l2_norm", reads="parameters", higher_is_better=True, source="arXiv:2101.08134, released code")
def l2_norm(signals: Signals) -> float:
    r"""Sum over layers of the norm of the weights.

    .. math::  s = \sum_{\ell} \lVert \theta_\ell \rVert_2

    Args:
        signals: needs ``parameters``: the weights of the convolutions and linear layers, biases left out.

    Returns:
        The score, dimensionless, non-negative; higher ranks better. It depends on neither images nor labels.

    Example:
        >>> from zcbench.proxies import example, score
        >>> round(score(*example(), ["l2_norm"])["l2_norm"], 2)
        49.01
    """
    return sum(float(weight.norm()) for weight in signals.parameters.values())
