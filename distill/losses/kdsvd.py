"""KD-SVD: singular vectors of the maps of consecutive stages.

Lee et al., "Self-supervised Knowledge Distillation Using Singular Value Decomposition", ECCV 2018, arXiv:1807.06819,
section 3.
"""

import math
from itertools import pairwise

import torch
from torch import Tensor
from torch.linalg import eigh, vector_norm

from zcbench.distill.contract import distiller
from zcbench.distill.hyperparameters import Count
from zcbench.distill.losses.geometry import TINY, total
from zcbench.distill.outputs import Outputs

#: Eigenvalues closer than this part of the largest count as equal.
SAME = 1e-6


@distiller("kdsvd", reads="stages", adapts="channels", min_stages=2, source="arXiv:1807.06819, section 3")
def kdsvd(student: Outputs, teacher: Outputs, *, rank: Count = 1) -> Tensor:
    r"""Squared distance of the kernels between the singular vectors of consecutive stages.

    .. math::  L = \frac1B \sum_i \sum_{l \ge 2} \sum_{cc'k} \left( R^S_{ilcc'k} - R^T_{ilcc'k} \right)^2, \qquad
               R_{lcc'k} = \exp\!\left( -\tfrac18 (v_{lck} - v_{l-1,c'k})^2 \right)

    :math:`v_{lck}` is entry c of the k-th right singular vector of the ``(H*W, C)`` map of stage l, times the teacher's
    k-th singular value (the values of a stage at unit length). Of the student's first k + 3 vectors the one nearest to
    each of the teacher's is taken, with its sign.

    Args:
        student: needs ``stages``, ``(B, C_l, H_l, W_l)`` each, at least two.
        teacher: needs as many, of as many channels each; H and W may differ.
        rank: how many singular vectors of the teacher are used.

    Returns:
        Dimensionless, mean over the batch, from 0 for equal maps.

    Raises:
        ShapeMismatch: one stage, or different channels.

    Example:
        >>> stages = [torch.eye(4).view(1, 4, 2, 2) * torch.arange(1.0, 5.0).view(1, 4, 1, 1) for _ in range(2)]
        >>> scaled = Outputs(stages=[2 * maps for maps in stages])
        >>> round(kdsvd(Outputs(stages=stages), scaled).item(), 4)  # the singular vectors are the same
        0.0

    Note:
        The sign of a singular vector is arbitrary, and the kernel depends on the signs of two stages; the teacher's are
        fixed by making the largest entry positive, which the released code leaves to the solver. The vectors are found
        as eigenvectors of the C×C Gram matrix, and their gradient by first-order perturbation theory: how vector k
        turns towards vector j is divided by the gap of the eigenvalues, and dropped where the two are equal. Small gaps
        still make large gradients: unstable in training, as reported.
    """
    vectors = student.once(_spectra, rank + 3)
    aligned = [_aligned(own, *target) for (_, own), target in zip(vectors, teacher.once(_targets, rank))]
    losses = (
        (one - other).square().sum() for one, other in zip(_kernels(aligned), teacher.once(_target_kernels, rank))
    )
    return total(losses) / len(student.stages[0])


def _spectra(outputs: Outputs, rank: int) -> list[tuple[Tensor, Tensor]]:
    return [_decomposed(maps, rank) for maps in outputs.stages]


def _targets(teacher: Outputs, rank: int) -> list[tuple[Tensor, Tensor]]:
    """Singular values ``(B, 1, k)`` of each stage at unit length, and vectors ``(B, C, k)`` with their signs fixed."""
    return [
        (
            values / vector_norm(values, dim=2, keepdim=True).clamp(min=TINY),
            vectors * vectors.gather(1, vectors.abs().argmax(1, keepdim=True)).sign(),
        )
        for values, vectors in teacher.once(_spectra, rank)
    ]


def _target_kernels(teacher: Outputs, rank: int) -> list[Tensor]:
    return _kernels([vectors * values for values, vectors in teacher.once(_targets, rank)])


def _aligned(own: Tensor, values: Tensor, other: Tensor) -> Tensor:
    """Of the student's singular vectors ``(B, C, k')`` the nearest to each of the teacher's, scaled: ``(B, C, k)``."""
    cosines = own.mT @ other
    nearest = cosines.abs().argmax(1, keepdim=True)
    return own.gather(2, nearest.expand(-1, own.shape[1], -1)) * cosines.gather(1, nearest).sign() * values


def _kernels(stages: list[Tensor]) -> list[Tensor]:
    return [_kernel(one, before) for before, one in pairwise(stages)]


def _decomposed(maps: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """First singular values ``(B, 1, k)``, without gradient, and right singular vectors ``(B, C, k)``."""
    flat = maps.flatten(2)
    gram = flat @ flat.mT
    fixed = gram.detach()
    if not fixed.isfinite().all():
        return fixed[:, :1, :rank] * math.nan, gram[:, :, :rank] * math.nan
    values, vectors = (x.flip(-1) for x in eigh(fixed))
    first, values_first = vectors[:, :, :rank], values[:, None, :rank].clamp(min=0).sqrt()
    if not (torch.is_grad_enabled() and gram.requires_grad):
        return values_first, first
    gaps = values[:, None, :rank] - values[:, :, None]
    near = gaps.abs() <= SAME * values[:, :1, None]
    turn = (vectors.mT @ (gram - fixed) @ first) / gaps.masked_fill(near, math.inf)
    return values_first, first + vectors @ turn


def _kernel(one: Tensor, before: Tensor) -> Tensor:
    return (-(one[:, :, None] - before[:, None]).square() / 8).exp()
