"""GradSign: agreement of the signs of the gradients of single images.

Zhang and Jia, "GradSign: Model Performance Inference with Theoretical Insights", ICLR 2022, arXiv:2110.08616, alg. 1.
"""

from zcbench.proxies.scoring.contract import proxy
from zcbench.proxies.signals.errors import NotANumber
from zcbench.proxies.signals.signals import Signals


@proxy("gradsign", reads="image_gradients", higher_is_better=True, source="arXiv:2110.08616, alg. 1")
def gradsign(signals: Signals) -> float:
    r"""How far the signs of the single images' gradients agree, summed over the weights.

    .. math::  s = \sum_k \Bigl\lvert \sum_{i=1}^{b} \operatorname{sign} \frac{\partial l_i}{\partial \theta_k}
                   \Bigr\rvert

    :math:`l_i` is the loss of image i alone, of classes the cross-entropy.

    Args:
        signals: needs ``image_gradients``, ``(b, *shape)`` for every convolution and linear weight.

    Returns:
        The score, between 0 and b times the number of weights; higher ranks better. It grows with the size of the
        network: compare it with ``params``.

    Raises:
        NotApplicable: a batch normalisation sees one value per channel, which has no variance.
        NotANumber: a gradient has entries that are not a number.

    Example:
        >>> from zcbench.proxies import example, score
        >>> round(score(*example(), ["gradsign"])["gradsign"], -3)
        123000.0

    Note:
        The authors forward one image at a time in training mode, so batch normalisation sees each image by itself; so
        do we. The sum over weights is the paper's; of the versions of the code one takes it too, another the mean over
        weights, which ranks NAS-Bench-201 the other way round. b is 16 (the first images of the batch), theirs 128.
    """
    gradients = signals.image_gradients.values()
    if any(g.numel() and g.amax().isnan() for g in gradients):
        raise NotANumber("A gradient has entries that are not a number, and so no sign.")
    return sum(g.sign().sum(0).abs().sum().item() for g in gradients)
