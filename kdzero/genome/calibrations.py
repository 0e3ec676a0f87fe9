"""The five calibrations: weights of the images, without gradient. All but two have mean 1 over the batch."""

import math

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from zcbench.distill.losses.geometry import TINY, direction
from zcbench.distill.outputs import Outputs
from zcbench.kdzero.genome.operations import Calibration

_MEAN = "where all are zero, all images weigh 1"


def _none(student: Outputs, teacher: Outputs, labels: Tensor | None) -> Tensor:
    r"""Equal weights.

    .. math::  w_i = 1
    """
    return torch.ones(())


@torch.no_grad()
def _entropy(student: Outputs, teacher: Outputs, labels: Tensor | None) -> Tensor:
    r"""Larger weights for images of which the teacher is uncertain.

    .. math::  w_i = H_i / \bar H, \qquad H_i = -\sum_c p^T_{ic} \log p^T_{ic}

    Note:
        The paper only names it. Uncertain images are weighted more, since their soft labels differ from the label.
    """
    logarithms = teacher.logits.log_softmax(1)
    return _mean_one(-(logarithms.exp() * logarithms).sum(1))


@torch.no_grad()
def _focal(student: Outputs, teacher: Outputs, labels: Tensor | None) -> Tensor:
    r"""Smaller weights for images on which the student has a lower cross-entropy than the teacher.

    .. math::  w_i = 1 - e^{-\ell^S_i / (\ell^T_i + 10^{-7})}

    :math:`\ell` is the cross-entropy with the label.

    Example:
        >>> outputs = Outputs(logits=torch.tensor([[0.0, 0.0]]))
        >>> round(_focal(outputs, outputs, torch.tensor([0])).item(), 4)  # 1 - 1/e
        0.6321

    Note:
        The paper cites WSLD (arXiv:2102.00650) for it, whose weight this is. It lies between 0 and 1, is 0.63 where
        both have the same cross-entropy, and is not scaled to mean 1, so that WSLD is in the space.
    """
    assert labels is not None
    own, other = (cross_entropy(outputs.logits, labels, reduction="none") for outputs in (student, teacher))
    return -torch.expm1(-own / (other + 1e-7))


@torch.no_grad()
def _sim(student: Outputs, teacher: Outputs, labels: Tensor | None) -> Tensor:
    r"""Larger weights for images on which student and teacher agree.

    .. math::  w_i = a_i / \bar a, \qquad a_i = 1 + \cos(z^S_i, z^T_i)

    Note:
        The paper only names it; 1 is added, since a negative weight would increase the distance.
    """
    one, other = (direction(outputs.logits) for outputs in (student, teacher))
    return _mean_one(1 + (one * other).sum(1))


@torch.no_grad()
def _conf(student: Outputs, teacher: Outputs, labels: Tensor | None) -> Tensor:
    r"""Larger weights for images of which the teacher is certain.

    .. math::  w_i = m_i / \bar m, \qquad m_i = \max_c p^T_{ic}

    Example:
        >>> teacher = Outputs(logits=torch.tensor([[3.0, 1.0], [1.0, 1.0]]).log())
        >>> [round(value, 4) for value in _conf(teacher, teacher, None).tolist()]  # 3/4 and 1/2 over their mean
        [1.2, 0.8]
    """
    return _mean_one(teacher.logits.softmax(1).amax(1))


def _mean_one(weights: Tensor) -> Tensor:
    mean = weights.mean()
    return (weights / mean.where(mean > TINY, math.inf)).where(mean > TINY, 1.0)


_ALL: tuple[Calibration, ...] = (
    Calibration("none", _none, "1", reads=frozenset()),
    Calibration("entropy", _entropy, "H(p_T) / mean H(p_T)", _MEAN),
    Calibration("focal", _focal, "1 - exp(-CE_S / CE_T)", "1e-7 is added to CE_T", labels=True),
    Calibration("sim", _sim, "(1 + cos(z_S, z_T)) / mean(1 + cos(z_S, z_T))", _MEAN),
    Calibration("conf", _conf, "max p_T / mean max p_T"),
)

#: All calibrations by name.
CALIBRATIONS: dict[str, Calibration] = {calibration.name: calibration for calibration in _ALL}
