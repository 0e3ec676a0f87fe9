"""Sum of the absolute weights."""

from zcbench.proxies.scoring.contract import proxy
from zcbench.proxies.signals.signals import Signals


@proxy("abs_weights", reads="parameters", higher_is_better=True)
def abs_weights(signals: Signals) -> float:
    """Sum of the absolute weights of convolutions and linear layers."""
    return float(sum(weight.abs().sum().item() for weight in signals.parameters.values()))
