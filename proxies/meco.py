"""MeCo: smallest eigenvalue of the correlations between the channels of each feature map.

Jiang et al., "MeCo: Zero-Shot NAS with One Data and Single Forward Pass via Minimum Eigenvalue of Correlation",
NeurIPS 2023.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from zcbench.proxies.scoring.contract import proxy
from zcbench.proxies.signals.signals import Signals
from zcbench.proxies.signals.spectra import by_shape, eigenvalues

CHANNELS = 8  # that meco_opt takes of each map, as in the authors' code


@proxy("meco", reads="channel_maps", higher_is_better=True, uses_labels=False, source="NeurIPS 2023, MeCo")
def meco(signals: Signals) -> float:
    r"""Sum of the smallest eigenvalues of the correlations between the channels of every feature map.

    .. math::  s = \sum_{\ell} \lambda_{\min}\bigl(P(F_\ell)\bigr)

    :math:`F_\ell` is the output ``(C, H*W)`` of module :math:`\ell` for one standard normal image, and P the Pearson
    correlation matrix of its C rows.

    Args:
        signals: needs ``channel_maps``, one ``(C, H*W)`` per call of a module.

    Returns:
        The score, dimensionless, from 0 to the number of modules; higher ranks better. It grows with the number
        of modules: compare it with ``n_convs``.

    Raises:
        NotApplicable: no module outputs a feature map, or the network cannot take a single image in training mode.
        SingularScore: a map has infinities or not-a-numbers.

    Example:
        >>> from zcbench.proxies import example, score
        >>> round(score(*example(), ["meco"])["meco"], 1)
        16.1

    Note:
        The paper sums over layers. Its code hooks every module, containers too, so that a convolution with its
        batch normalisation in a Sequential counts three times and a skip connection once; the published figures were
        made so, and we keep it. The score therefore depends on how a network is cut into modules. A constant channel
        correlates with nothing, and C ≥ H·W channels are always linearly dependent once centred: both give exactly 0,
        as in exact arithmetic. On NAS-Bench-201 at 32x32 the third stage, 64 channels on 8x8 positions, therefore adds
        nothing to the score of any cell (docs/results/nasbench201-proxies.md). Symmetric eigen-solver, float64.
    """
    return sum(smallest_eigenvalues(signals.channel_maps))


@proxy("meco_opt", reads="channel_maps", higher_is_better=True, uses_labels=False, source="NeurIPS 2023, MeCo_opt")
def meco_opt(signals: Signals) -> float:
    r"""`meco` on 8 random channels of every feature map, scaled back to all of them.

    .. math::  s = \sum_{\ell} \frac{C_\ell}{8} \lambda_{\min}\bigl(P(F_\ell[\text{8 channels}])\bigr)

    Args:
        signals: needs ``channel_maps``, one ``(C, H*W)`` per call of a module.

    Returns:
        The score, dimensionless, non-negative; higher ranks better.

    Raises:
        NotApplicable, SingularScore: as `meco`.

    Example:
        >>> from zcbench.proxies import example, score
        >>> round(score(*example(), ["meco_opt"])["meco_opt"], 1)
        52.8

    Note:
        Eight channels are not linearly dependent on a small map, where all of them are. A map of fewer than 8 channels
        is taken whole. Every call of a module draws anew, a container too.
    """
    maps = signals.channel_maps
    chosen = [one[torch.randperm(len(one))[:CHANNELS].to(one.device)] for one in maps]
    return sum(len(one) / len(few) * value for one, few, value in zip(maps, chosen, smallest_eigenvalues(chosen)))


def smallest_eigenvalues(maps: Sequence[Tensor]) -> list[float]:
    """Smallest eigenvalue of the Pearson correlation matrix of the rows of each ``(C, D)``, in the given order."""
    return by_shape(maps, _smallest)


def _smallest(stack: Tensor) -> Tensor:
    """Smallest eigenvalue of ``(n, C, D)`` each; 0 if C ≥ D, or if a row is constant up to rounding."""
    if stack.shape[1] >= stack.shape[2]:
        return stack.new_zeros(len(stack))
    rounding = torch.finfo(stack.dtype).eps * stack.double().norm(dim=2)
    centred = stack.double() - stack.double().mean(dim=2, keepdim=True)
    norms = centred.norm(dim=2)
    constant = (norms <= rounding).any(1)
    unit = centred / torch.where(norms > 0, norms, 1)[..., None]
    return eigenvalues(unit @ unit.mT)[:, 0].masked_fill(constant, 0)
