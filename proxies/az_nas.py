"""AZ-NAS: expressivity, progressivity, trainability and complexity of the blocks of a network.

Lee and Ham, "AZ-NAS: Assembling Zero-Cost Proxies for Network Architecture Search", CVPR 2024, arXiv:2403.19232,
section 3.2. The paper ranks a population by the four parts together; each is a proxy here.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor

from zcbench.proxies.counts import macs
from zcbench.proxies.scoring.contract import proxy
from zcbench.proxies.signals.errors import NotApplicable
from zcbench.proxies.signals.signals import Signals
from zcbench.proxies.signals.spectra import eigenvalues, entropy, wide

FLOOR = 1e-6  # added to a spectral norm before it is inverted, as in the authors' code


@proxy(
    "az_expressivity", reads="blocks", higher_is_better=True, uses_labels=False, source="arXiv:2403.19232, section 3.2"
)
def az_expressivity(signals: Signals) -> float:
    r"""Sum over blocks of the entropy of the principal components of their feature maps.

    .. math::  s = \sum_{\ell} H_\ell, \qquad H_\ell = -\sum_k p_{\ell k} \log p_{\ell k}, \qquad
               p_{\ell k} = \lambda_{\ell k} / \textstyle\sum_j \lambda_{\ell j}

    :math:`\lambda_{\ell k}` are the eigenvalues of the covariance ``(C, C)`` of the channels of block :math:`\ell`
    over images and positions.

    Args:
        signals: needs ``blocks``, whose ``features`` are one ``(B, C, H, W)`` per block for standard normal images.

    Returns:
        The score, in nats, from 0 to the sum of all log C; higher ranks better.

    Raises:
        NotApplicable: the network has no block.
        SingularScore: a feature map has infinities or not-a-numbers.

    Example:
        >>> from zcbench.proxies import example, score
        >>> round(score(*example(), ["az_expressivity"])["az_expressivity"], 1)
        15.8

    Note:
        The authors initialise with Kaiming's rule; here the weights are those of the protocol, whose scale batch
        normalisation takes away. A map that does not vary, as behind a cell of zeros, has entropy 0; the authors' code
        gives −∞ to the whole network. Eigenvalues that rounding makes negative count as zero.
    """
    return sum(_entropies(signals))


@proxy(
    "az_progressivity", reads="blocks", higher_is_better=True, uses_labels=False, source="arXiv:2403.19232, section 3.2"
)
def az_progressivity(signals: Signals) -> float:
    r"""Smallest increase of the entropy from one block to the next.

    .. math::  s = \min_{\ell} \, (H_{\ell + 1} - H_\ell), \qquad H \text{ as in } \texttt{az\_expressivity}

    Args:
        signals: needs ``blocks``, whose ``features`` are one ``(B, C, H, W)`` per block for standard normal images.

    Returns:
        The score, in nats, mostly negative; higher ranks better.

    Raises:
        NotApplicable: the network has fewer than two blocks.
        SingularScore: a feature map or gradient has infinities or not-a-numbers.

    Example:
        >>> from zcbench.proxies import example, score
        >>> round(score(*example(), ["az_progressivity"])["az_progressivity"], 4)
        0.0027
    """
    if len(signals.blocks.features) < 2:
        raise NotApplicable("An increase from block to block needs at least two blocks.")
    return min(after - before for before, after in pairwise(_entropies(signals)))


@proxy(
    "az_trainability",
    reads="blocks",
    higher_is_better=True,
    uses_labels=False,
    version=2,
    source="arXiv:2403.19232, section 3.2",
)
def az_trainability(signals: Signals) -> float:
    r"""How close the blocks come to passing gradients on at their size, on average.

    .. math::  s = \frac{1}{L} \sum_{\ell} \Bigl( 2 - \sigma_\ell - \frac{1}{\sigma_\ell + 10^{-6}} \Bigr), \qquad
               \sigma_\ell = \Bigl\lVert \mathbb{E}\bigl[ g_{\text{in}} \, g_{\text{out}}^\top \bigr] \Bigr\rVert_2

    :math:`g_{\text{out}}` are random signs for the output of a block, :math:`g_{\text{in}}` what backpropagation
    through the block makes of them; the mean runs over images and output positions. σ estimates the spectral norm of
    the block's Jacobian at one position, and each term is at most 0, where σ = 1.

    Args:
        signals: needs ``blocks``, whose ``signs`` and ``pulled`` are one ``(B, C, H, W)`` each per block but the first.

    Returns:
        The score, dimensionless, from about −10^6 to about 0; higher ranks better.

    Raises:
        NotApplicable: the network has fewer than two blocks.
        SingularScore: a feature map or gradient has infinities or not-a-numbers.

    Example:
        >>> from zcbench.proxies import example, score
        >>> round(score(*example(), ["az_trainability"])["az_trainability"], 3)
        -0.266

    Note:
        Where a block shrinks the map, the gradient's s×s positions under one output position are s² channels, as in
        the code; sizes that are no multiples are cut or padded with zeros at the end. A block that passes its input on
        unchanged would have the best σ without learning anything: the code gives −∞ to its network, we give the block
        the value of σ = 0, as to a block that passes nothing, so that the network ranks among the last and keeps a
        score. 400 of the 15,625 cells of NAS-Bench-201 pass their input on, 341 pass nothing.
    """
    _, signs, pulled = signals.blocks
    if not signs:
        raise NotApplicable("A gradient from block to block needs at least two blocks.")
    norms = [spectral_norm(source, target) for source, target in zip(pulled, signs)]
    return sum(2 - norm - 1 / (norm + FLOOR) for norm in norms) / len(norms)


@proxy("az_complexity", reads="costs", higher_is_better=True, uses_labels=False, source="arXiv:2403.19232, section 3.2")
def az_complexity(signals: Signals) -> float:
    """Multiply-accumulates of one image: ``macs`` under the name that it has among the four parts.

    Args:
        signals: needs ``costs``.

    Returns:
        A count, non-negative; higher ranks better. The authors call it FLOPs.

    Example:
        >>> from zcbench.proxies import example, score
        >>> score(*example(), ["az_complexity"])["az_complexity"]
        1890624.0
    """
    return macs.function(signals)


def _entropies(signals: Signals) -> list[float]:
    return signals.once("entropies of blocks", lambda: entropies(signals.blocks.features))


def entropies(features: Sequence[Tensor]) -> list[float]:
    """Entropy of the principal components of each map ``(B, C, H, W)``, in nats; 0 for a map that is constant."""
    return [entropy(eigenvalues(_covariance(one))).item() for one in features]


def _covariance(features: Tensor) -> Tensor:
    """Covariance ``(C, C)`` of the channels over images and positions; zeros if they vary by rounding only."""
    rows = _channels(features)
    mean = rows.mean(dim=1, keepdim=True)
    covariance = (rows - mean) @ (rows - mean).T / rows.shape[1]
    rounding = (4 * torch.finfo(features.dtype).eps * mean).square().sum()
    return torch.where(covariance.trace() <= rounding, 0, covariance)


def spectral_norm(pulled: Tensor, signs: Tensor) -> float:
    """σ of one block; 0 if the block passes its gradient on as it is."""
    if pulled.shape == signs.shape and torch.equal(pulled, signs):
        return 0.0
    target = _channels(signs)
    product = (_channels(_unshuffle(pulled, signs.shape[2:])) @ target.T / target.shape[1]).double()
    gram = product @ product.T if len(product) < product.shape[1] else product.T @ product
    return eigenvalues(gram)[-1].sqrt().item()


def _unshuffle(maps: Tensor, size: torch.Size) -> Tensor:
    """``(B, C, H, W)`` as ``(B, C*s*t, *size)``: the s×t positions under one output position become channels."""
    height, width = size
    tall, wide = max(1, round(maps.shape[2] / height)), max(1, round(maps.shape[3] / width))
    fitted = F.pad(maps, (0, width * wide - maps.shape[3], 0, height * tall - maps.shape[2]))
    parts = fitted.reshape(*maps.shape[:2], height, tall, width, wide)
    return parts.permute(0, 1, 3, 5, 2, 4).flatten(1, 3)


def _channels(maps: Tensor) -> Tensor:
    """``(B, C, H, W)`` as ``(C, B*H*W)``, in float32 or better."""
    return wide(maps.transpose(0, 1).flatten(1))
