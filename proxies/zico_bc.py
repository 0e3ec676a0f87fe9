"""ZiCo-BC: ZiCo with a penalty for deep and thin networks.

Bhardwaj et al., "ZiCo-BC: A Bias Corrected Zero-Shot NAS for Vision Tasks", ICCV Workshops 2023, arXiv:2309.14666,
eq. 2.
"""

import math

from zcbench.proxies.scoring.contract import proxy
from zcbench.proxies.signals.errors import NotApplicable
from zcbench.proxies.signals.signals import OutputSize, Signals
from zcbench.proxies.zico import layer_logs

#: Weight β of the penalty: the paper's for classification and detection; it takes 2 for segmentation.
PENALTY = 1.0


@proxy("zico_bc", reads=("half_gradients", "output_sizes"), higher_is_better=True, source="arXiv:2309.14666, eq. 2")
def zico_bc(signals: Signals) -> float:
    r"""`zico` minus the logarithms of the layers' positions over the root of their channels.

    .. math::  s = \mathrm{zico} - \beta \sum_{\ell} \log \frac{H_\ell W_\ell}{\sqrt{C_\ell}}, \qquad \beta = 1

    :math:`H_\ell W_\ell` are the positions of the output of layer :math:`\ell` and :math:`C_\ell` its channels. The
    layers are those that `zico` adds up.

    Args:
        signals: needs ``half_gradients``, as `zico`, and ``output_sizes``, the channels and positions of every weight's
            output.

    Returns:
        The score, dimensionless, unbounded; higher ranks better. The penalty grows with the resolution of the images.

    Raises:
        NotApplicable: the batch has fewer than four images, or a recurrent layer has weights, which has no map.
        SingularScore: as `zico`.

    Example:
        >>> from zcbench.proxies import example, score
        >>> round(score(*example(), ["zico_bc"])["zico_bc"], 1)
        126.5

    Note:
        The paper derives it for spaces of repeated blocks at one input size. The first line of its eq. 2 has the
        penalty inside the logarithm, with a sign that the next lines do not have; we take the last line. The classifier
        has one position, also a convolution. Of tokens every one is a position. A layer that `zico` leaves out, such
        as one on a dead edge, has no penalty.
    """
    return sum(term.item() - PENALTY * _thinness(name, signals) for name, term in layer_logs(signals).items())


def _thinness(name: str, signals: Signals) -> float:
    """Logarithm of positions over root of channels."""
    size: OutputSize | None = signals.output_sizes.get(name)
    if size is None:
        raise NotApplicable(
            f"The output of {name!r} has no positions and channels: it is no convolution or linear map."
        )
    return math.log(size.positions / math.sqrt(size.channels))
