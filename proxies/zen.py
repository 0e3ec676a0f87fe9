"""Zen-score: change of the features under a small change of the image, for Gaussian weights.

Lin et al., "Zen-NAS: A Zero-Shot NAS for High-Performance Image Recognition", ICCV 2021, arXiv:2102.01063, algorithm 1.
"""

from zcbench.proxies.scoring.contract import proxy
from zcbench.proxies.signals.errors import NotANumber, SingularScore
from zcbench.proxies.signals.signals import Signals


@proxy("zen", reads="gaussian_response", higher_is_better=True, uses_labels=False, source="arXiv:2102.01063, alg. 1")
def zen(signals: Signals) -> float:
    r"""Logarithm of the expected Gaussian complexity, with the scale that batch normalisation took away.

    .. math::  s = \log \mathbb{E} \lVert \Phi(x) - \Phi(x + \varepsilon x') \rVert_2
               + \sum_{k} \log \sqrt{\tfrac{1}{C_k} \textstyle\sum_c \sigma^2_{kc}}, \qquad \varepsilon = 0.01

    Φ is the feature map before global pooling; weights, x and x' (16 images) are standard normal;
    :math:`\sigma^2_{kc}` is the variance of channel c that batch normalisation k sees in the batch.

    Args:
        signals: needs ``gaussian_response``: the norms per image ``(16,)`` and the variances ``(C,)`` per
            normalisation.

    Returns:
        The score, dimensionless, unbounded; higher ranks better. It reads the shape of the images only.

    Raises:
        NotApplicable: there is no feature map.
        NotANumber: the feature map has entries that are infinite or not a number.
        SingularScore: it does not move.

    Example:
        >>> from zcbench.proxies import example, score
        >>> round(score(*example(), ["zen"])["zen"], 2)
        36.0

    Note:
        As in the paper's algorithm the change is a Euclidean norm and the variances are those of the batch; the
        released code takes the sum of absolute changes, and running variances. One draw of weights per seed: the paper
        averages 32, so average over seeds. Weights are drawn in the order in which the network registers them: the
        same network with another order has another draw. A normalisation that sees a constant, as behind a dead edge,
        scales nothing and is left out. Its author says that it is not meaningful on NAS-Bench-201.
    """
    change, variances = signals.gaussian_response
    if not change.isfinite().all():
        raise NotANumber("The feature map has entries that are infinite or not a number.")
    if not change.double().mean() > 0:
        raise SingularScore("The feature map does not react to the image, so its complexity is zero.")
    scales = [variance.double().mean() for variance in variances]
    return change.double().mean().log().item() + sum(scale.log().item() / 2 for scale in scales if scale > 0)
