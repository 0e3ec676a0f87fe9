"""OFA: cross-entropy with the teacher's probabilities after the target class is raised.

Hao et al., "One-for-All: Bridge the Gap Between Heterogeneous Architectures in Knowledge Distillation", NeurIPS 2023,
arXiv:2310.19444, section 3.
"""

from torch import Tensor
from torch.nn.functional import log_softmax, one_hot

from zcbench.distill.contract import distiller
from zcbench.distill.hyperparameters import Positive
from zcbench.distill.outputs import Outputs


@distiller("ofa", reads="logits", source="arXiv:2310.19444, section 3, released code")
def ofa(
    student: Outputs, teacher: Outputs, labels: Tensor, *, eps: Positive = 1.5, temperature: Positive = 1.0
) -> Tensor:
    r"""Cross-entropy with the teacher's probabilities, where that of the target class is raised.

    .. math::  L = -\frac1B \sum_i \sum_c \left[ (p^T_{ic} + 1_{c = y_i})^{\varepsilon} - 1_{c = y_i} \right]
               \log p^S_{ic}

    :math:`p = \sigma(z / T)`, :math:`1_{c = y}` is 1 for the target class.

    Args:
        student: needs ``logits`` ``(B, N)``.
        teacher: needs ``logits`` ``(B, N)``.
        labels: class indices ``(B,)``.
        eps: the modulating exponent; above 1 it raises the target and lowers the rest, 1 leaves the soft labels alone.
        temperature: :math:`T`; no factor :math:`T^2`.

    Returns:
        Nats, mean over the batch, from 0. For equal logits it does not vanish; with ``eps`` 1 it is then the entropy of
        the soft labels, its minimum.

    Example:
        >>> import torch
        >>> outputs = Outputs(logits=torch.zeros(1, 2))
        >>> loss = ofa.configured(eps=2)(outputs, outputs, torch.tensor([0]))
        >>> round(loss.item(), 4)  # (1.5^2 - 1 + 0.5^2) log 2
        1.0397

    Note:
        The formula is the released code's; the paper writes the exponent on the target term only. The code's
        default exponent 1 ignores the labels; 1.5 is that of its published example. The paper reads the
        logits of heads trained on every stage of the student; the loss of one head is this one.
    """
    hit = one_hot(labels, teacher.logits.shape[1]).to(teacher.logits)
    target = ((teacher.logits / temperature).softmax(1) + hit) ** eps - hit
    return -(target * log_softmax(student.logits / temperature, 1)).sum(1).mean()
