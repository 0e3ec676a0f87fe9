"""TE-NAS: is the untrained network easy to train, and does it cut its input space into many pieces?

Chen et al., "Neural Architecture Search on ImageNet in Four GPU Hours: A Theoretically Inspired Perspective", ICLR
2021, arXiv:2102.11535, section 3.
"""

import math

import numpy as np
import torch

from zcbench.proxies.scoring.contract import proxy
from zcbench.proxies.signals.errors import NotApplicable, SingularScore
from zcbench.proxies.signals.signals import Signals


@proxy(
    "te_nas_ntk", reads="tangent_kernel", higher_is_better=False, uses_labels=False, source="arXiv:2102.11535, eq. 5"
)
def te_nas_ntk(signals: Signals) -> float:
    r"""Condition number of the neural tangent kernel.

    .. math::  \kappa = \frac{\lambda_{\max}(\Theta)}{\lambda_{\min}(\Theta)}, \qquad
               \Theta_{ij} = \Bigl\langle \frac{\partial \sum z_i}{\partial \theta},
                                          \frac{\partial \sum z_j}{\partial \theta} \Bigr\rangle

    z_i are the logits of image i; θ runs over the weights of convolutions and linear layers.

    Args:
        signals: needs ``tangent_kernel``, ``(b, b)`` in float64.

    Returns:
        The score, dimensionless, at least 1; lower ranks better: all directions are learned at the same speed.

    Raises:
        NotApplicable: the kernel of one image has no condition number.
        SingularScore: the least eigenvalue is zero, or too small for the precision of the gradients.

    Example:
        >>> from zcbench.proxies import example, score
        >>> round(score(*example(), ["te_nas_ntk"])["te_nas_ntk"], 2)
        2.27

    Note:
        As in the authors' code the logits of an image are summed, batch normalisation runs in training mode on these b
        images, and the scale and shift of normalisations do not count as weights (theirs counts the scale). b is 16
        (the first images of the batch); theirs is 72 on a network of 3 channels and one cell per stage.
    """
    kernel = signals.tangent_kernel
    if len(kernel) < 2:
        raise NotApplicable("A condition number of images needs at least two images in the batch.")
    if not kernel.isfinite().all():
        return math.nan
    eigenvalues = torch.linalg.eigvalsh(kernel)
    least, most = float(eigenvalues[0]), float(eigenvalues[-1])
    precision = (10 * torch.finfo(signals.images.dtype).eps) ** 2  # eigenvalues are squares of what was rounded
    if least <= most * max(precision, len(kernel) * torch.finfo(kernel.dtype).eps):
        raise SingularScore("Two images, or mixtures of them, have the same gradient, so the kernel is singular.")
    return most / least


@proxy(
    "te_nas_regions",
    reads="thin_codes",
    higher_is_better=True,
    uses_labels=False,
    source="arXiv:2102.11535, section 3.2",
)
def te_nas_regions(signals: Signals) -> float:
    r"""Number of linear regions that random inputs fall into.

    .. math::  s = \# \bigl\{ (c_i^1, c_i^2, \dots) : i = 1, \dots, n \bigr\}

    c_i^ℓ is the binary code of ReLU call ℓ for input i. Inputs with equal codes everywhere lie in one region, in which
    the network is linear.

    Args:
        signals: needs ``thin_codes``, boolean ``(n, D)`` per ReLU call.

    Returns:
        The score, a whole number between 1 and n = 3000; higher ranks better.

    Raises:
        NotApplicable: there is no thin network, or it has no ReLU.

    Example:
        >>> from zcbench import spaces
        >>> from zcbench.proxies import evaluate, example
        >>> arch = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_1x1~1|+|skip_connect~0|none~1|nor_conv_3x3~2|"
        >>> (regions,) = evaluate(*example(), ["te_nas_regions"], thin=lambda: spaces.get("nasbench201").thin(arch))
        >>> round(regions.value, -2)
        2200.0

    Note:
        As in the authors' code the network is the architecture with one channel, cut down to a single cell, and the
        inputs are crops of 3 x 3 from single channels of the batch's images; on the network itself every input would
        lie in a region of its own. They average over three draws of the weights: average over seeds.
    """
    codes = {id(code): code for code in signals.thin_codes}.values()
    packed = np.packbits(torch.cat(list(codes), dim=1).cpu().numpy(), axis=1)
    return float(len(np.unique(packed, axis=0)))
