"""Spectra of symmetric matrices, and how even they are."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from zcbench.proxies.signals.errors import SingularScore


def wide(tensor: Tensor) -> Tensor:
    """The tensor itself, in float32 if it has half precision."""
    return tensor.float() if tensor.dtype.itemsize < 4 and tensor.is_floating_point() else tensor


def eigenvalues(matrices: Tensor) -> Tensor:
    """Eigenvalues of symmetric positive semi-definite ``(..., n, n)``, ascending, in float64: ``(..., n)``.

    Those that rounding makes negative are zero.

    Raises:
        SingularScore: an entry is infinite or not a number.
    """
    if not torch.isfinite(matrices).all():
        raise SingularScore("A matrix has entries that are infinite or not a number, so it has no spectrum.")
    values: Tensor = torch.linalg.eigvalsh(matrices.double())
    return values.clamp(min=0)


def singular_values(matrices: Tensor) -> Tensor:
    """Singular values of ``(..., m, n)``, ascending, in float64: ``(..., min(m, n))``.

    By the eigenvalues of the smaller Gram matrix.

    Raises:
        SingularScore: an entry is infinite or not a number.
    """
    given = matrices.double()
    rows, columns = given.shape[-2:]
    return eigenvalues(given @ given.mT if rows < columns else given.mT @ given).sqrt()


def by_shape(matrices: Sequence[Tensor], work: Callable[[Tensor], Tensor]) -> list[float]:
    """A number for every matrix, in the given order; those of one shape are taken together, and the same object once.

    Args:
        matrices: ``(m, n)`` each.
        work: makes of a stack ``(k, m, n)`` of them k numbers ``(k,)``.
    """
    groups: dict[torch.Size, dict[int, Tensor]] = {}
    for matrix in matrices:
        groups.setdefault(matrix.shape, {})[id(matrix)] = matrix
    found: dict[int, float] = {}
    for group in groups.values():
        found |= zip(group, work(torch.stack(list(group.values()))).tolist())
    return [found[id(matrix)] for matrix in matrices]


def entropy(values: Tensor) -> Tensor:
    """Entropy in nats of non-negative ``(..., n)`` divided by their sum: ``(...)``; 0 where all are zero."""
    total = values.sum(-1, keepdim=True)
    terms: Tensor = torch.special.entr(values / torch.where(total > 0, total, 1))
    return terms.sum(-1)
