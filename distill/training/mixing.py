"""Weights of several teachers that their gradients agree on."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

#: Largest share of a teacher, as a multiple of the equal share.
MOST = 2.0


def agreed_shares(losses: Sequence[Tensor], outputs: Sequence[Tensor]) -> list[float]:
    r"""Shares of the losses under several teachers whose mean gradient is shortest (AE-KD).

    .. math::  \min_\alpha \tfrac12 \Big\lVert \sum_k \alpha_k \nabla_f L_k \Big\rVert^2, \qquad
               \sum_k \alpha_k = 1, \quad 0 \le \alpha_k \le C

    The step that follows lowers the loss under every teacher as equally as the bound allows. :math:`f` are the outputs
    of the student that the loss reads.

    Args:
        losses: one for each teacher, K scalars.
        outputs: of the student.

    Returns:
        K numbers from 0 to C that add up to 1; 1/K each where no gradient differs from zero.

    Example:
        >>> logits = torch.tensor([0.0, 0.0], requires_grad=True)
        >>> agreed_shares([logits[0] * 1.0, logits[1] * 2.0], [logits])  # lengths 1 and 2 at a right angle: 4 to 1
        [0.8, 0.2]

    Note:
        Du et al., "Agree to Disagree: Adaptive Ensemble Knowledge Distillation in Gradient Space", NeurIPS 2020. The
        tolerance C is ours: 2/K, between 1/K, the average, and 1.
    """
    count = len(losses)
    wanted = [tensor for tensor in outputs if tensor.requires_grad]
    if count == 1 or not wanted or not torch.is_grad_enabled():
        return [1 / count] * count
    flat = torch.stack([_gradient(loss, wanted) for loss in losses]).double()
    return shortest(np.asarray((flat @ flat.T).cpu()), min(1.0, MOST / count))


def shortest(products: np.ndarray, most: float) -> list[float]:
    """Shares of vectors whose sum is shortest, none above ``most``, from their inner products ``(K, K)``."""
    from scipy.optimize import LinearConstraint, minimize

    count = len(products)
    equal, scale = np.full(count, 1 / count), float(np.trace(products))
    if not np.isfinite(scale) or scale <= 0:
        return [1 / count] * count
    gram = products / scale

    def length(share: np.ndarray) -> float:
        return float(share @ gram @ share) / 2

    def slope(share: np.ndarray) -> np.ndarray:
        return np.asarray(gram @ share)

    whole, bounds = LinearConstraint(np.ones((1, count)), 1.0, 1.0), [(0.0, most)] * count
    found = minimize(length, equal, jac=slope, bounds=bounds, constraints=whole, method="SLSQP", tol=1e-14)
    shares = np.clip(found.x, 0.0, most)
    return [round(float(share), 6) for share in shares / shares.sum()]


def _gradient(loss: Tensor, outputs: Sequence[Tensor]) -> Tensor:
    found: Sequence[Tensor | None] = [None] * len(outputs)
    if loss.requires_grad:
        found = torch.autograd.grad(loss, outputs, retain_graph=True, allow_unused=True)
    parts = [torch.zeros_like(one) if part is None else part for one, part in zip(outputs, found)]
    return torch.cat([part.detach().flatten() for part in parts])
