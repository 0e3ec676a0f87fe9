"""SWAP: number of different activation patterns of the ReLU units over the images of a batch.

Peng et al., "SWAP-NAS: Sample-Wise Activation Patterns for Ultra-fast NAS", ICLR 2024, arXiv:2403.04161, section 3.
"""

import math
from collections.abc import Iterable

import torch
from torch import Tensor

from zcbench.proxies.scoring.contract import proxy
from zcbench.proxies.signals.signals import Signals

#: First images of the batch that a pattern runs over, as in the authors' code.
IMAGES = 16

#: Centre and width of the size term of `swap_reg`, in millions of parameters: those of the largest network of
#: NAS-Bench-201, and equal, as in every setting that section 4 of the paper reports.
CENTRE = 1.5
WIDTH = 1.5


@proxy("swap", reads="relu_codes", higher_is_better=True, uses_labels=False, source="arXiv:2403.04161, def. 3.3")
def swap(signals: Signals) -> float:
    r"""Number of different sample-wise activation patterns.

    .. math::  s = \bigl\lvert \{ (c_{1v}, \dots, c_{bv}) : v = 1, \dots, V \} \bigr\rvert, \qquad b = 16

    :math:`c_{iv} \in \{0, 1\}` says whether ReLU unit v is active for image i, one of the first b of the batch; V is
    the number of units of all ReLU calls, one for each channel and position. Where NASWOT compares images by their
    units, this compares units by their images.

    Args:
        signals: needs ``relu_codes``, one boolean tensor ``(B, D)`` per ReLU call.

    Returns:
        A count from 1 to min(V, 2^b); higher ranks better. A batch of fewer than 16 images leaves so few patterns that
        large networks have them all.

    Raises:
        NotApplicable: the network calls no ReLU.

    Example:
        >>> from zcbench.proxies import example, score
        >>> score(*example(), ["swap"])["swap"]
        256.0

    Note:
        With more images almost every live unit has a pattern of its own, and the count is close to V; the code of
        the paper takes 16, and so do we. It averages 32 draws of normal weights; here the weights are those of the
        protocol, and batch normalisation sees the whole batch. The code reads ReLUs on feature maps only, the
        definition all of them, and so do we.
    """
    return float(_count(signals))


@proxy(
    "swap_reg",
    reads=("relu_codes", "size"),
    higher_is_better=True,
    uses_labels=False,
    source="arXiv:2403.04161, def. 3.4 and 3.5",
)
def swap_reg(signals: Signals) -> float:
    r"""Logarithm of the SWAP-Score times a bell curve over the number of parameters.

    .. math::  s = \log \Bigl( \text{swap} \cdot e^{-(\Theta - \mu)^2 / \sigma} \Bigr), \qquad \mu = \sigma = 1.5

    Args:
        signals: needs ``relu_codes``, and ``size`` for Θ, the parameters in millions.

    Returns:
        The natural logarithm of the score, because the score itself underflows for networks far from μ; unbounded;
        higher ranks better.

    Raises:
        NotApplicable: the network calls no ReLU.

    Example:
        >>> from zcbench.proxies import example, score
        >>> round(score(*example(), ["swap_reg"])["swap_reg"], 2)
        4.16

    Note:
        μ and σ are hyperparameters of the search ("which size do you want?"), and no source that we found gives them
        for NAS-Bench-201. As in the paper's searches we take μ = σ, and set them to the size of the largest network of
        NAS-Bench-201, without a look at any accuracy; for other spaces define a proxy with constants of their own. The
        exponent is divided by σ, not by its square, in the paper and in its code.
    """
    millions = signals.size / 1e6
    return math.log(_count(signals)) - (millions - CENTRE) ** 2 / WIDTH


def _count(signals: Signals) -> int:
    return signals.once("swap patterns", lambda: count_patterns(signals.relu_codes))


def count_patterns(codes: Iterable[Tensor]) -> int:
    """Number of different columns in the first 16 rows of boolean ``(B, D)``; a tensor that comes again adds none.

    Each column is a whole number of 16 bits; a table of 2^16 entries notes which numbers occur.
    """
    rows = torch.cat([code[:IMAGES] for code in {id(code): code for code in codes}.values()], dim=1).view(torch.uint8)
    seen = torch.zeros(2**IMAGES, dtype=torch.bool, device=rows.device)
    seen[_written(rows[: IMAGES // 2]) + 2 ** (IMAGES // 2) * _written(rows[IMAGES // 2 :])] = True
    return int(seen.sum())


def _written(rows: Tensor) -> Tensor:
    """Each column of up to 8 rows of zeros and ones as a number, the first row being its lowest bit."""
    number = rows.new_zeros(rows.shape[1])
    for place, row in enumerate(rows):
        number |= row << place
    return number.int()
