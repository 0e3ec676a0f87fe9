"""WSLD: soft labels with a weight for each image.

Zhou et al., "Rethinking Soft Labels for Knowledge Distillation: A Bias-Variance Tradeoff Perspective", ICLR 2021,
arXiv:2102.00650, section 4.
"""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, log_softmax

from zcbench.distill.contract import distiller
from zcbench.distill.hyperparameters import Positive
from zcbench.distill.outputs import Outputs


@distiller("wsld", reads="logits", source="arXiv:2102.00650, section 4")
def wsld(student: Outputs, teacher: Outputs, labels: Tensor, *, temperature: Positive = 2.0) -> Tensor:
    r"""Cross-entropy with the teacher's soft labels, with a weight for each image.

    .. math::  L = \frac{T^2}{B} \sum_i \left(1 - e^{-\ell^S_i / \ell^T_i}\right)
               \operatorname{CE}\!\left(\sigma(z^T_i / T),\, \sigma(z^S_i / T)\right)

    :math:`\ell_i` is the cross-entropy with the label, without temperature; the weight has no gradient.

    Args:
        student: needs ``logits`` ``(B, N)``.
        teacher: needs ``logits`` ``(B, N)``.
        labels: class indices ``(B,)``.
        temperature: :math:`T`.

    Returns:
        Nats times :math:`T^2`, mean over the batch, from 0. For equal logits it does not vanish: it is
        :math:`(1 - 1/e)\,T^2` times the entropy of the soft labels, with a gradient of zero.

    Example:
        >>> outputs = Outputs(logits=torch.zeros(1, 2))
        >>> loss = wsld.configured(temperature=1)(outputs, outputs, torch.tensor([0]))
        >>> round(loss.item(), 4)  # (1 - 1/e) log 2
        0.4382

    Note:
        As in the released code, :math:`10^{-7}` is added to :math:`\ell^T`. The published weight is 2.5.
    """
    with torch.no_grad():
        own, other = (cross_entropy(outputs.logits, labels, reduction="none") for outputs in (student, teacher))
        weight = -torch.expm1(-own / (other + 1e-7))
    soft = -((teacher.logits / temperature).softmax(1) * log_softmax(student.logits / temperature, 1)).sum(1)
    return temperature**2 * (weight * soft).mean()
