"""Sharpness gap: difference of the log-sum-exp of the logits.

Rao et al., "Parameter-Efficient and Student-Friendly Knowledge Distillation", arXiv:2205.15308; as a part of the
fitness of KD-Zero, NeurIPS 2023.
"""

from torch import Tensor

from zcbench.distill.contract import distiller
from zcbench.distill.outputs import Outputs


@distiller("sharpness_gap", reads="logits", source="arXiv:2205.15308; KD-Zero, NeurIPS 2023, the fitness")
def sharpness_gap(student: Outputs, teacher: Outputs) -> Tensor:
    r"""Mean difference of the sharpness of the logits, its sign kept.

    .. math::  L = \frac1B \sum_i \Big[ \log \sum_c e^{z^S_{ic}} - \log \sum_c e^{z^T_{ic}} \Big]

    Args:
        student: needs ``logits`` ``(B, N)``.
        teacher: needs ``logits`` ``(B, N)``.

    Returns:
        Nats, mean over the batch, unbounded on both sides; 0 for equal logits.

    Example:
        >>> import torch
        >>> student, teacher = Outputs(logits=torch.zeros(1, 2)), Outputs(logits=torch.tensor([[3.0, 1.0]]).log())
        >>> round(sharpness_gap(student, teacher).item(), 4)  # log 2 - log 4
        -0.6931

    Note:
        A difference, not a distance: it is unbounded below. It is not invariant to a shift of the logits.
    """
    return (student.logits.logsumexp(1) - teacher.logits.logsumexp(1)).mean()


@distiller("sharpness_gap_abs", reads="logits", source="arXiv:2205.15308, absolute value")
def sharpness_gap_abs(student: Outputs, teacher: Outputs) -> Tensor:
    r"""Absolute value of the mean difference of the sharpness of the logits.

    .. math::  L = \frac1B \Big\lvert \sum_i \log \sum_c e^{z^S_{ic}} - \log \sum_c e^{z^T_{ic}} \Big\rvert

    Args:
        student: needs ``logits`` ``(B, N)``.
        teacher: needs ``logits`` ``(B, N)``.

    Returns:
        Nats, from 0, which it is also for networks that are equally sharp on average.

    Example:
        >>> import torch
        >>> student, teacher = Outputs(logits=torch.zeros(1, 2)), Outputs(logits=torch.tensor([[3.0, 1.0]]).log())
        >>> round(sharpness_gap_abs(student, teacher).item(), 4)  # log 4 - log 2
        0.6931

    Note:
        The absolute value is taken after the mean, so that differences of single images may cancel.
    """
    return sharpness_gap.function(student, teacher).abs()
