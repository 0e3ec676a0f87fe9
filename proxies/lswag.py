"""L-SWAG: spread of the gradients of two batches times the number of activation patterns.

Casarin et al., "L-SWAG: Layer-Sample Wise Activation with Gradients Information for Zero-Shot NAS on Vision
Transformers", CVPR 2025, arXiv:2505.07300, section 3.1.
"""

import torch
from torch import Tensor

from zcbench.proxies.scoring.contract import proxy
from zcbench.proxies.signals.errors import SingularScore
from zcbench.proxies.signals.signals import Signals


@proxy("lswag", reads=("half_gradients", "unit_patterns"), higher_is_better=True, source="arXiv:2505.07300, eq. 1")
def lswag(signals: Signals) -> float:
    r"""`lswag_gradients` times the number of different sample-wise activation patterns.

    .. math::  s = \Lambda \, \Psi, \qquad
               \Psi = \bigl\lvert \{ (c_{1v}, \dots, c_{bv}) : v = 1, \dots, V \} \bigr\rvert, \qquad b = 64

    :math:`c_{iv} \in \{0, 1\}` says whether unit v is active for image i, one of the first b of the batch; V is the
    number of units of all ReLU and GELU calls, one for each channel and position.

    Args:
        signals: needs ``half_gradients``, and ``unit_patterns``, the signs of each unit over the images as an integer.

    Returns:
        The score, dimensionless; higher ranks better. With 64 images nearly every live unit has a pattern of its own,
        so that Ψ is close to V, a size: compare it with ``macs``.

    Raises:
        NotApplicable: the network calls no ReLU or GELU, or the batch has fewer than four images.
        SingularScore: no weight has gradients of two sizes.

    Example:
        >>> from zcbench.proxies import example, score
        >>> round(score(*example(), ["lswag"])["lswag"], -1)
        70470.0

    Note:
        The paper reads the gradients of the layers :math:`\hat\ell` to :math:`\hat L`, and the patterns of the layers 1
        to :math:`\hat L`; it finds this interval on 1,000 networks of each space, so that it is tuned on a benchmark.
        Here all layers count, which the paper's ablation has as the weaker choice. No code of the authors was found.
    """
    return trainability(signals) * len(torch.unique(torch.cat(once(signals.unit_patterns))))


@proxy("lswag_gradients", reads="half_gradients", higher_is_better=True, source="arXiv:2505.07300, eq. 5")
def lswag_gradients(signals: Signals) -> float:
    r"""Logarithm of the summed inverse spread of the size of every weight's gradients, summed over layers.

    .. math::  \Lambda = \sum_{\ell} \log \sum_{\omega \in \ell}
                 \frac{1}{\sqrt{\operatorname{Var} \lvert g_\omega \rvert}}
               = \sum_{\ell} \log \sum_{\omega \in \ell}
                 \frac{2}{\bigl\lvert \lvert g^1_\omega \rvert - \lvert g^2_\omega \rvert \bigr\rvert}

    It is `zico` without the mean. The variance is over batches; there are two here, the halves of the batch.

    Args:
        signals: needs ``half_gradients``, two mappings from weight to gradient of the mean loss, of classes
            the cross-entropy.

    Returns:
        The score, unbounded; higher ranks better. It grows with the number of layers and of their weights.

    Raises:
        NotApplicable: the batch has fewer than four images.
        SingularScore: no weight has gradients of two sizes.

    Example:
        >>> from zcbench.proxies import example, score
        >>> round(score(*example(), ["lswag_gradients"])["lswag_gradients"], 1)
        275.3

    Note:
        As in `zico`, a weight whose gradients have one size is left out, and so is a layer that has none left.
    """
    return trainability(signals)


def trainability(signals: Signals) -> float:
    """Λ over all layers."""
    first, second = signals.half_gradients
    sums = [_inverse_spreads(first[name].double(), second[name].double()) for name in first]
    logs = [total.log() for total in sums if total > 0]
    if not logs:
        raise SingularScore("Both halves of the batch give every weight a gradient of the same size.")
    return torch.stack(logs).sum().item()


def once(patterns: tuple[Tensor, ...]) -> list[Tensor]:
    """Each tensor once."""
    return list({id(pattern): pattern for pattern in patterns}.values())


def _inverse_spreads(one: Tensor, other: Tensor) -> Tensor:
    """Sum of 2 / ||g¹| − |g²|| over the weights where it is defined."""
    spread = (one.abs() - other.abs()).abs()
    return torch.where(spread == 0, 0, 2 / spread).sum()
