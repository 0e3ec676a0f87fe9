"""Fisher: Fisher information of the output channels.

Theis et al., "Faster gaze prediction with dense networks and Fisher pruning", arXiv:1801.05787, and Turner et al.,
"BlockSwap", ICLR 2020, arXiv:1906.04113, eq. 2; as a proxy for whole networks in Abdelfattah et al., arXiv:2101.08134.
"""

from zcbench.proxies.scoring.contract import proxy
from zcbench.proxies.signals.signals import Signals


@proxy("fisher", reads=("parameters", "channel_saliency"), higher_is_better=True, source="arXiv:1906.04113, eq. 2")
def fisher(signals: Signals) -> float:
    r"""Fisher information of every output channel, counted once for each weight of the channel.

    .. math::  \Delta_{\ell c} = \frac{1}{2B} \sum_{n} \Bigl( \sum_{h,w} a_{nchw} \, g_{nchw} \Bigr)^2,
               \qquad s = \sum_{\ell} K_\ell \sum_c \Delta_{\ell c}

    a is the output of a convolution or linear layer, g the gradient of the mean loss for it, of classes the
    cross-entropy, and :math:`K_\ell` the number of weights behind one output channel.

    Args:
        signals: needs ``channel_saliency``, the inner sum as ``(B, C_out)`` per layer, and ``parameters`` for K.

    Returns:
        The score, in squared units of the loss, non-negative; higher ranks better.

    Example:
        >>> from zcbench.proxies import example, score
        >>> round(score(*example(), ["fisher"])["fisher"], 3)
        0.563

    Note:
        The factor K comes from the widely used code of arXiv:2101.08134, which spreads each channel's value over its
        weights before it sums; the papers have no such factor. A layer that is called several times adds its sums
        before they are squared, as for one gate that all its calls share.
    """
    weights, saliency = signals.parameters, signals.channel_saliency
    per_channel = {name: weights[name].numel() // channels.shape[1] for name, channels in saliency.items()}
    return sum(per_channel[name] * value for name, value in _information(signals).items())


@proxy("fisher_channel", reads="channel_saliency", higher_is_better=True, source="arXiv:1906.04113, eq. 2")
def fisher_channel(signals: Signals) -> float:
    r"""Fisher information summed over output channels, each counted once.

    .. math::  s = \sum_{\ell} \sum_c \Delta_{\ell c}

    with :math:`\Delta_{\ell c}` as in `fisher`: the definition of the paper, without the factor of the common code.

    Args:
        signals: needs ``channel_saliency``, ``(B, C_out)`` per layer.

    Returns:
        The score, in squared units of the loss, non-negative; higher ranks better.

    Example:
        >>> from zcbench.proxies import example, score
        >>> round(score(*example(), ["fisher_channel"])["fisher_channel"], 4)
        0.0067
    """
    return sum(_information(signals).values())


def _information(signals: Signals) -> dict[str, float]:
    """Sum of Δ over the output channels of each layer."""
    saliency = signals.channel_saliency.items()
    return signals.once("fisher information", lambda: {n: s.square().mean(0).sum().item() / 2 for n, s in saliency})
