"""DKD: separate terms for the target class and for the other classes.

Zhao et al., "Decoupled Knowledge Distillation", CVPR 2022, arXiv:2203.08679, equations 5 to 7.
"""

import torch
from torch import Tensor
from torch.nn.functional import kl_div, log_softmax, one_hot

from zcbench.distill.contract import distiller
from zcbench.distill.hyperparameters import Positive
from zcbench.distill.outputs import Outputs


@distiller("dkd", reads="logits", source="arXiv:2203.08679, equation 7")
def dkd(
    student: Outputs,
    teacher: Outputs,
    labels: Tensor,
    *,
    alpha: float = 1.0,
    beta: float = 8.0,
    temperature: Positive = 4.0,
) -> Tensor:
    r"""KD split into the probability of the target class and the distribution over the other classes.

    .. math::  L = \frac{T^2}{B} \sum_i \alpha \operatorname{KL}(b^T_i \Vert b^S_i)
               + \beta \operatorname{KL}(\hat p^T_i \Vert \hat p^S_i)

    :math:`b = (p_y, 1 - p_y)` with :math:`p = \sigma(z / T)`; :math:`\hat p` is the softmax over the N − 1 classes
    other than :math:`y`.

    Args:
        student: needs ``logits`` ``(B, N)``.
        teacher: needs ``logits`` ``(B, N)``.
        labels: class indices ``(B,)``.
        alpha: weight of the target part.
        beta: weight of the other classes.
        temperature: :math:`T`.

    Returns:
        Nats times :math:`T^2`, mean over the batch, from 0, which it is for equal logits up to a shift per image.

    Example:
        >>> student = Outputs(logits=torch.zeros(1, 3))
        >>> teacher = Outputs(logits=torch.tensor([[2.0, 1.0, 1.0]]).log())
        >>> labels = torch.tensor([0])
        >>> loss = dkd.configured(temperature=1)(student, teacher, labels)
        >>> round(loss.item(), 4)  # KL of (1/2, 1/2) from (1/3, 2/3); the other classes agree
        0.0589

    Note:
        With ``beta`` replaced by each image's :math:`1 - p^T_y` and ``alpha`` 1 it is `kd`. The released code hides the
        target by subtracting 1000 from its logit; here it is taken out.
    """
    (one, rest_one), (other, rest_other) = (_split(x.logits / temperature, labels) for x in (student, teacher))
    target = kl_div(one, other, reduction="batchmean", log_target=True)
    rest = kl_div(rest_one, rest_other, reduction="batchmean", log_target=True)
    return temperature**2 * (alpha * target + beta * rest)


def _split(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Log-probabilities of (target, not target), and of the other classes among themselves."""
    hit = one_hot(labels, logits.shape[1]).bool()
    target, others = logits[hit][:, None], logits[~hit].reshape(len(logits), -1)
    return log_softmax(torch.cat([target, others.logsumexp(1, keepdim=True)], 1), 1), log_softmax(others, 1)
