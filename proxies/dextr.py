"""Dextr: condition numbers of the feature maps, and curvature of the output along a path of images.

Asthana et al., "Dextr: Zero-Shot Neural Architecture Search with Singular Value Decomposition and Extrinsic Curvature",
TMLR 2025, arXiv:2508.12977.
"""

import math

import torch
from torch import Tensor

from zcbench.proxies.scoring.contract import proxy
from zcbench.proxies.signals.errors import SingularScore
from zcbench.proxies.signals.signals import Signals
from zcbench.proxies.signals.spectra import by_shape, singular_values


@proxy(
    "dextr",
    reads=("image_maps", "circle"),
    higher_is_better=True,
    uses_labels=False,
    source="arXiv:2508.12977, released code",
)
def dextr(signals: Signals) -> float:
    r"""Half the harmonic mean of two logarithms: of inverse condition numbers, and of the curvature of the output.

    .. math::  s = \frac{a\,b}{a + b}, \qquad
               a = \log\Bigl(1 + \sum_\ell \frac{\sigma_{\min}(F_\ell)}{\sigma_{\max}(F_\ell)}\Bigr), \qquad
               b = \log(1 + \kappa), \qquad
               \kappa = \frac{\sqrt{|\dot z|^2 |\ddot z|^2 - \langle \dot z, \ddot z \rangle^2}}{|\dot z|^3}

    :math:`F_\ell` is the output ``(C, H*W)`` of module :math:`\ell` for the first image of the batch, σ its singular
    values; z are the logits as the input moves on a circle through random orthonormal images.

    Args:
        signals: needs ``image_maps``, one ``(C, H*W)`` per call of a module, and ``circle``, two ``(N,)``.

    Returns:
        The score, dimensionless, non-negative; higher ranks better.

    Raises:
        NotApplicable: no module outputs a feature map, or the network cannot take a single image in training mode.
        SingularScore: the logits do not move, so that their path has no curvature; a map or logit is not finite.

    Example:
        >>> from zcbench.proxies import example, score
        >>> round(score(*example(), ["dextr"])["dextr"], 2)
        1.74

    Note:
        As in the authors' code every module counts, containers too (as in `meco`), a map of zeros counts 0, κ is taken
        at one point of the circle, and batch normalisation sees a single image. Theirs also counts modules that put
        out vectors, 1 each, and draws its circle among images of 64 x 64; ours are of the shape of the batch. The path
        of a ReLU network is bent by batch normalisation and has kinks between its pieces, which κ does not see.
    """
    conditioning = math.log1p(sum(by_shape(signals.image_maps, inverse_conditions)))
    bending = math.log1p(curvature(*signals.circle))
    return conditioning * bending / (conditioning + bending) if conditioning and bending else 0.0


def inverse_conditions(stack: Tensor) -> Tensor:
    """σ_min / σ_max of each of ``(k, C, D)``: ``(k,)``; 0 for a map of zeros."""
    values = singular_values(stack)
    return torch.where(values[:, -1] > 0, values[:, 0] / values[:, -1], 0)


def curvature(velocity: Tensor, acceleration: Tensor) -> float:
    """Extrinsic curvature of a path: the part of its acceleration across it, over the square of its speed.

    Raises:
        SingularScore: the velocity is zero, or one of them is not finite.
    """
    v, a = velocity.double(), acceleration.double()
    if not (v.isfinite().all() and a.isfinite().all()):
        raise SingularScore("The logits' path has a derivative that is infinite or not a number.")
    speed = v.norm()
    if speed == 0:
        raise SingularScore("The logits do not move with the image, so their path has no curvature.")
    across = a - (a @ v) / speed**2 * v
    return float(across.norm() / speed**2)
