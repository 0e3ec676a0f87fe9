"""Size counts: the baselines that every proxy has to beat."""

from zcbench.proxies.scoring.contract import proxy
from zcbench.proxies.signals.errors import NotApplicable
from zcbench.proxies.signals.signals import Signals


@proxy("params", reads="size", higher_is_better=True, baseline=True)
def params(signals: Signals) -> float:
    """Number of trainable values in the network.

    Unit: parameters. Range: non-negative integers. Direction: higher ranks better. Analytic where the space knows it.

    Example:
        >>> from zcbench.proxies import example, score
        >>> score(*example(), ["params"])["params"]
        56818.0
    """
    return float(signals.size)


@proxy("macs", reads="costs", higher_is_better=True, baseline=True)
def macs(signals: Signals) -> float:
    """Multiply-accumulates of convolutions and linear layers for one image.

    Unit: MACs, which many tables print as "FLOPs"; additions, normalisations and poolings are not counted. Range:
    non-negative integers. Direction: higher ranks better.

    Example:
        >>> from zcbench.proxies import example, score
        >>> score(*example(), ["macs"])["macs"]
        1890624.0
    """
    return _counted(signals, signals.costs.macs)


@proxy("n_convs", reads="costs", higher_is_better=True, baseline=True)
def n_convs(signals: Signals) -> float:
    """Number of convolutions that one forward pass executes.

    A convolution of one position with a kernel of size 1 is a linear map, as a classifier may be, and is not counted.
    Unit: convolutions. Range: non-negative integers. Direction: higher ranks better.

    Example:
        >>> from zcbench.proxies import example, score
        >>> score(*example(), ["n_convs"])["n_convs"]
        19.0
    """
    return _counted(signals, signals.costs.n_convs)


@proxy("depth", reads="costs", higher_is_better=True, baseline=True)
def depth(signals: Signals) -> float:
    """Number of convolutions, linear maps and recurrent layers on the longest path from the images to the logits.

    Unit: layers; the classifier, the linear map that gives the logits, is left out. A recurrent layer counts once,
    however many steps it takes. Range: non-negative integers. Direction: higher ranks better.

    Raises:
        NotApplicable: the costs that were given do not say it, or the network does not return one tensor.

    Example:
        >>> from zcbench.proxies import example, score
        >>> score(*example(), ["depth"])["depth"]
        14.0
    """
    return _counted(signals, signals.costs.depth)


@proxy("width", reads="costs", higher_is_better=True, baseline=True)
def width(signals: Signals) -> float:
    r"""Channels that are normalised, added up over the normalisations that one forward pass executes.

    .. math::  \sum_{l} C_l

    :math:`C_l` is the number of channels of the input of normalisation l: ``num_features`` of a batch or instance
    normalisation, ``num_channels`` of a group normalisation, ``normalized_shape`` of a layer or RMS normalisation, of
    several axes that of the channels. A normalisation that is written in other functions than PyTorch's is not counted,
    and neither is one of weights.

    Unit: channels. Range: non-negative integers, 0 without normalisations. Direction: higher ranks better.

    Raises:
        NotApplicable: the costs that were given do not say it.

    Example:
        >>> from zcbench.proxies import example, score
        >>> score(*example(), ["width"])["width"]
        360.0
    """
    return _counted(signals, signals.costs.width)


def _counted(signals: Signals, count: int | None) -> float:
    if count is None:
        trouble = signals.costs.trouble or "the costs that were given lack it, or the network does not return logits"
        raise NotApplicable(f"It was not counted: {trouble}.")
    return float(count)
