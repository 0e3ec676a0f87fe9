"""Spectra of symmetric matrices, and how even they are."""

import torch
from torch import Tensor

from zcbench.proxies.errors import SingularScore


def eigenvalues(matrices: Tensor) -> Tensor:
    """Eigenvalues of symmetric positive semi-definite ``(..., n, n)``, ascending, in float64: ``(..., n)``.

    Those that rounding makes negative are zero.

    Raises:
        SingularScore: an entry is infinite or not a number.
    """
    if not torch.isfinite(matrices).all():
        raise SingularScore("A matrix has entries that are infinite or not a number, so it has no spectrum.")
    return torch.linalg.eigvalsh(matrices.double()).clamp(min=0)


def entropy(values: Tensor) -> Tensor:
    """Entropy in nats of non-negative ``(..., n)`` divided by their sum: ``(...)``; 0 where all are zero."""
    total = values.sum(-1, keepdim=True)
    return torch.special.entr(values / torch.where(total > 0, total, 1)).sum(-1)
