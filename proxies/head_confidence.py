"""Head confidence: how much of a query's attention its first key takes.

Serianni and Kalita, "Training-free Neural Architecture Search for RNNs and Transformers", ACL 2023, arXiv:2306.00288,
after Voita et al., ACL 2019, arXiv:1905.09418.
"""

import torch

from zcbench.proxies.scoring.contract import proxy
from zcbench.proxies.signals.signals import Signals


@proxy(
    "head_confidence",
    reads="attention_peaks",
    higher_is_better=True,
    uses_labels=False,
    source="arXiv:2306.00288",
)
def head_confidence(signals: Signals) -> float:
    r"""Largest weight that a query gives to a key, averaged over queries, images and heads.

    .. math::  s = \operatorname{mean}_{h} \operatorname{mean}_{n, q} \max_k A_h(x_n)_{qk}

    :math:`A_h(x_n)` are the weights of head h for image n: a row for every query, which sums to 1.

    Args:
        signals: needs ``attention_peaks``: the maxima ``(B, heads, queries)`` of every attention.

    Returns:
        The score, dimensionless, from one over the number of keys to 1; higher ranks better. The fewer keys there
        are, the larger it is, whatever the weights.

    Raises:
        NotApplicable: the network has no attention, as a convolutional one.

    Example:
        >>> from zcbench.proxies import example, score
        >>> round(score(*example("pit"), ["head_confidence"])["head_confidence"], 4)
        0.5815

    Note:
        The authors' code takes the largest value over the second axis of a layer's output, which of the weights ``(B,
        heads, queries, keys)`` is that of the heads; and its table has one column for outputs of the linear maps for
        queries, keys and values, and another for the weights. We take the paper's form on the weights.
    """
    return torch.cat([peaks.double().mean((0, 2)) for peaks in signals.attention_peaks]).mean().item()
