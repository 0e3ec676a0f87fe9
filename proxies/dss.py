"""DSS: diversity of the attention layers of a transformer, and saliency of its other layers.

Zhou et al., "Training-free Transformer Architecture Search", CVPR 2022, arXiv:2203.12217, section 3.
"""

import torch
from torch import Tensor

from zcbench.proxies.scoring.contract import proxy
from zcbench.proxies.signals.errors import NotApplicable
from zcbench.proxies.signals.signals import Pair, Signals


@proxy(
    "dss",
    reads=("linearised_gradients", "attention"),
    higher_is_better=True,
    uses_labels=False,
    source="arXiv:2203.12217, eq. 6",
)
def dss(signals: Signals) -> float:
    r"""Synaptic diversity of the attention layers plus synaptic saliency of the other linear layers.

    .. math::  s = \sum_{W \in \text{MSA}} \lVert \nabla_W R \rVert_* \, \lVert W \rVert_*
               + \sum_{W \in \text{MLP}} \sum \lvert \nabla_W R \odot W \rvert

    :math:`\lVert \cdot \rVert_*` is the nuclear norm, the sum of the singular values. As in `synflow` the weights are
    taken absolute and R sums the logits for an image of ones. MSA are the weights of multi-head self-attention, query,
    key and value together and the projection; MLP are all other linear layers, the classifier too.

    Args:
        signals: needs ``linearised_gradients``, |W| and ∇R in float64 per weight, and ``attention``, the names of the
            weights of MSA.

    Returns:
        The score, dimensionless, non-negative; higher ranks better.

    Raises:
        NotApplicable: no weight belongs to an attention layer, as in a convolutional network.

    Example:
        >>> from zcbench.proxies import example, score
        >>> round(score(*example("pit"), ["dss"])["dss"], 2)
        170.11

    Note:
        For vision transformers only. A weight belongs to an attention if it makes the queries, keys or values of two
        products with a softmax in between, or if it is applied to the second product.
        The patch embedding, a convolution, does not count, as in the authors' code, which knows attention layers by
        their class. Biases and position embeddings are taken absolute too.
    """
    attention, others = _split(signals)
    return _diversity(attention) + sum((weight * gradient).abs().sum().item() for weight, gradient in others)


@proxy(
    "synaptic_diversity",
    reads=("linearised_gradients", "attention"),
    higher_is_better=True,
    uses_labels=False,
    source="arXiv:2203.12217, section 3",
)
def synaptic_diversity(signals: Signals) -> float:
    r"""Nuclear norm of each weight of the attention layers times that of its gradient.

    .. math::  s = \sum_{W \in \text{MSA}} \lVert \nabla_W R \rVert_* \, \lVert W \rVert_*

    The first part of `dss`, which says what the letters stand for.

    Args:
        signals: needs ``linearised_gradients`` and ``attention``, as `dss`.

    Returns:
        The score, dimensionless, non-negative; higher ranks better.

    Raises:
        NotApplicable: no weight belongs to an attention layer, as in a convolutional network.

    Example:
        >>> from zcbench.proxies import example, score
        >>> round(score(*example("pit"), ["synaptic_diversity"])["synaptic_diversity"], 2)
        87.83

    Note:
        Serianni and Kalita (arXiv:2306.00288) take it of language models, with weights as they are and gradients of the
        summed last hidden states for a batch of text, and leave no linear map of an attention's operation out.
    """
    attention, _ = _split(signals)
    return _diversity(attention)


def _split(signals: Signals) -> tuple[list[Pair], list[Pair]]:
    """Weights and gradients of the attention layers, and of the other linear layers."""
    linear = {name: pair for name, pair in signals.linearised_gradients.items() if pair[0].ndim == 2}
    attention = [name for name in linear if name in signals.attention]
    if not attention:
        raise NotApplicable("No linear map belongs to an attention; this proxy is about vision transformers.")
    return [linear.pop(name) for name in attention], list(linear.values())


def _diversity(pairs: list[Pair]) -> float:
    return sum(_nuclear(weight) * _nuclear(gradient) for weight, gradient in pairs)


def _nuclear(matrix: Tensor) -> float:
    return float(torch.linalg.svdvals(matrix).sum())
