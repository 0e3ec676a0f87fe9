"""Size counts: the baselines that every proxy has to beat."""

from zcbench.proxies.contract import proxy
from zcbench.proxies.signals import Signals


@proxy("params", reads="costs", higher_is_better=True, baseline=True)
def params(signals: Signals) -> float:
    """Number of trainable values in the network.

    Unit: parameters. Range: non-negative integers. Direction: higher ranks better. Analytic where the space knows it.
    """
    return float(signals.costs.params)


@proxy("macs", reads="costs", higher_is_better=True, baseline=True)
def macs(signals: Signals) -> float:
    """Multiply-accumulates of convolutions and linear layers for one image.

    Unit: MACs, which many tables print as "FLOPs"; additions, normalisations and poolings are not counted. Range:
    non-negative integers. Direction: higher ranks better.
    """
    return float(signals.costs.macs)


@proxy("n_convs", reads="costs", higher_is_better=True, baseline=True)
def n_convs(signals: Signals) -> float:
    """Number of convolutions that one forward pass executes.

    Unit: convolutions. Range: non-negative integers. Direction: higher ranks better.
    """
    return float(signals.costs.n_convs)
