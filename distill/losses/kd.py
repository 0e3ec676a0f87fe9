"""KD: divergence of softened probabilities.

Hinton, Vinyals, Dean, "Distilling the Knowledge in a Neural Network", 2015, arXiv:1503.02531, section 2.
"""

from torch import Tensor
from torch.nn.functional import kl_div, log_softmax

from zcbench.distill.contract import distiller
from zcbench.distill.hyperparameters import Positive
from zcbench.distill.outputs import Outputs


@distiller("kd", reads="logits", source="arXiv:1503.02531, section 2")
def kd(student: Outputs, teacher: Outputs, *, temperature: Positive = 4.0) -> Tensor:
    r"""Divergence of the student's softened probabilities from the teacher's.

    .. math::  L = \frac{T^2}{B} \sum_i \operatorname{KL}\!\left(\sigma(z^T_i / T) \,\Vert\, \sigma(z^S_i / T)\right)

    :math:`z` are the logits, :math:`\sigma` the softmax, :math:`T` the temperature.

    Args:
        student: needs ``logits`` ``(B, N)``.
        teacher: needs ``logits`` ``(B, N)``.
        temperature: softens both; :math:`T^2` keeps the size of the gradients.

    Returns:
        Nats times :math:`T^2`, mean over the batch, from 0, which it is for equal logits up to a shift per image.

    Example:
        >>> import torch
        >>> student = Outputs(logits=torch.tensor([[0.0, 0.0]]))
        >>> teacher = Outputs(logits=torch.tensor([[3.0, 1.0]]).log())
        >>> round(kd.configured(temperature=1)(student, teacher).item(), 4)  # 3/4 log(3/2) + 1/4 log(1/2)
        0.1308

    Note:
        The paper minimises the cross-entropy with the soft targets; the KL divergence differs from it by the teacher's
        entropy, which has no gradient. The cross-entropy with the labels is added by the training recipe.
    """
    one, other = (log_softmax(outputs.logits / temperature, dim=1) for outputs in (student, teacher))
    return temperature**2 * kl_div(one, other, reduction="batchmean", log_target=True)
