"""ZiCo: agreement of the gradients of two batches.

Li et al., "ZiCo: Zero-shot NAS via Inverse Coefficient of Variation on Gradients", ICLR 2023, arXiv:2301.11300, eq. 12.
"""

import torch

from zcbench.proxies.scoring.contract import proxy
from zcbench.proxies.signals.errors import SingularScore
from zcbench.proxies.signals.signals import Signals


@proxy("zico", reads="half_gradients", higher_is_better=True, source="arXiv:2301.11300, eq. 12")
def zico(signals: Signals) -> float:
    r"""Logarithm of the summed ratio of mean size to spread of every weight's gradients, summed over layers.

    .. math::  s = \sum_{\ell} \log \sum_{\omega \in \ell} \frac{\mathbb{E} \lvert g_\omega \rvert}{\sigma(g_\omega)}
               = \sum_{\ell} \log \sum_{\omega \in \ell}
                 \frac{\lvert g^1_\omega \rvert + \lvert g^2_\omega \rvert}{\lvert g^1_\omega - g^2_\omega \rvert}

    Mean and standard deviation are over batches. There are two here, the halves of the batch, with gradients
    :math:`g^1` and :math:`g^2`, so that both have the closed form on the right.

    Args:
        signals: needs ``half_gradients``, two mappings from weight to gradient of the mean loss, of classes
            the cross-entropy.

    Returns:
        The score, dimensionless; each layer adds at least the logarithm of its number of weights, since no ratio is
        below 1. Higher ranks better.

    Raises:
        NotApplicable: the batch has fewer than four images.
        SingularScore: no weight has two different gradients.

    Example:
        >>> from zcbench.proxies import example, score
        >>> round(score(*example(), ["zico"])["zico"], 1)
        174.6

    Note:
        As in the authors' code the standard deviation divides by the number of batches, a weight whose gradients are
        equal is left out, and so is a layer that has none left. Their loop over the batches clears no gradient, so that
        it records :math:`g^1` and :math:`g^1 + g^2`; of the code made from it some clears gradients and some does not.
        We take each batch's own gradient, as eq. 12 has it. Their batches are two of the loader; ours are the halves of
        one, so that no proxy needs other images than the rest.
    """
    return torch.stack(list(layer_logs(signals).values())).sum().item()


def layer_logs(signals: Signals) -> dict[str, torch.Tensor]:
    """The term of each weight, in float64; a weight whose gradients do not differ has none.

    Raises:
        SingularScore: no weight has one.
    """
    first, second = signals.half_gradients
    ratios = {name: _ratio_sum(first[name].double(), second[name].double()) for name in first}
    logs = {name: ratio.log() for name, ratio in ratios.items() if ratio != 0}
    if not logs:
        raise SingularScore("Both halves of the batch give every weight the same gradient.")
    return logs


def _ratio_sum(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """Sum of (|g¹| + |g²|) / |g¹ − g²| over the weights whose gradients differ."""
    spread = (one - other).abs()
    return torch.where(spread == 0, 0, (one.abs() + other.abs()) / spread).sum()
