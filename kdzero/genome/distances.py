"""The eight distances. Each gives a number for every image; a row is the last axis once positions are flattened."""

from torch import Tensor
from torch.nn.functional import kl_div, log_softmax, smooth_l1_loss

from zcbench.distill.losses.geometry import correlation, direction
from zcbench.kdzero.genome.axes import per_image, rows
from zcbench.kdzero.genome.operations import Distance

_ZERO = "a vector shorter than 1e-12 has similarity 0"
_CONSTANT = "an entry that is constant in both counts 0, in one of them 1/2"


def _smooth_l1(student: Tensor, teacher: Tensor) -> Tensor:
    r"""Squared where the difference is small, absolute where it is large; mean over all entries.

    .. math::  \tfrac12 d^2 \text{ for } |d| < 1, \quad |d| - \tfrac12 \text{ otherwise}

    Example:
        >>> import torch
        >>> student, teacher = torch.tensor([[0.0, 0.0]]), torch.tensor([[0.5, 3.0]])
        >>> _smooth_l1(student, teacher)  # (0.125 + 2.5) / 2
        tensor([1.3125])
    """
    return per_image(smooth_l1_loss(student, teacher, reduction="none"))


def _l1(student: Tensor, teacher: Tensor) -> Tensor:
    r"""Mean absolute difference.

    .. math::  |s - t|

    Example:
        >>> import torch
        >>> student, teacher = torch.tensor([[0.0, 0.0]]), torch.tensor([[1.0, 3.0]])
        >>> _l1(student, teacher)  # (1 + 3) / 2
        tensor([2.])
    """
    return per_image((student - teacher).abs())


def _l2(student: Tensor, teacher: Tensor) -> Tensor:
    r"""Mean squared difference.

    .. math::  (s - t)^2

    Example:
        >>> import torch
        >>> student, teacher = torch.tensor([[0.0, 0.0]]), torch.tensor([[1.0, 3.0]])
        >>> _l2(student, teacher)  # (1 + 9) / 2
        tensor([5.])
    """
    return per_image((student - teacher).square())


def _kl(student: Tensor, teacher: Tensor) -> Tensor:
    r"""Divergence of the student's row from the teacher's, both as probabilities; mean over the rows.

    .. math::  \operatorname{KL}(\sigma(t) \,\Vert\, \sigma(s)), \qquad \sigma = \operatorname{softmax}_{row}

    Example:
        >>> import torch
        >>> teacher = torch.tensor([[3.0, 1.0]]).log()
        >>> round(_kl(torch.zeros(1, 2), teacher).item(), 4)  # 3/4 log(3/2) + 1/4 log(1/2)
        0.1308

    Note:
        The softmax is part of the distance, so that it is defined for any result of the transforms; log-probabilities
        are unchanged by it.
    """
    one, other = (log_softmax(rows(tensor), -1) for tensor in (student, teacher))
    return per_image(kl_div(one, other, reduction="none", log_target=True).sum(-1))


def _hard(student: Tensor, teacher: Tensor) -> Tensor:
    r"""Cross-entropy of the student's row with the largest entry of the teacher's; mean over the rows.

    .. math::  -\log \sigma(s)_{\operatorname{argmax} t}

    Example:
        >>> import torch
        >>> student, teacher = torch.tensor([[0.0, 0.0]]), torch.tensor([[1.0, 3.0]])
        >>> round(_hard(student, teacher).item(), 4)  # log 2
        0.6931
    """
    largest = rows(teacher).argmax(-1, keepdim=True)
    return per_image(-log_softmax(rows(student), -1).gather(-1, largest))


def _cosine(student: Tensor, teacher: Tensor) -> Tensor:
    r"""One minus the cosine of the rows, mean over them.

    .. math::  1 - \langle s, t \rangle / (\lVert s \rVert \lVert t \rVert)

    Example:
        >>> import torch
        >>> student, teacher = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 5.0]])
        >>> _cosine(student, teacher)  # a right angle
        tensor([1.])
    """
    one, other = (direction(rows(tensor), -1) for tensor in (student, teacher))
    return per_image(1 - (one * other).sum(-1))


def _pearson(student: Tensor, teacher: Tensor) -> Tensor:
    r"""One minus the Pearson correlation of the rows, mean over them.

    .. math::  1 - \rho(s, t)

    Example:
        >>> import torch
        >>> student, teacher = torch.tensor([[1.0, 2.0]]), torch.tensor([[7.0, 3.0]])
        >>> round(_pearson(student, teacher).item(), 4)  # the correlation is -1
        2.0
    """
    return per_image(1 - correlation(rows(student), rows(teacher), -1))


def _correlation(student: Tensor, teacher: Tensor) -> Tensor:
    r"""One minus the Pearson correlation over the images, mean over all entries of an image.

    .. math::  \frac{B}{2D} \sum_d (\hat s_{id} - \hat t_{id})^2, \qquad
               \frac1B \sum_i \ldots = 1 - \tfrac1D \sum_d \rho(s_{\cdot d}, t_{\cdot d})

    :math:`\hat s_{\cdot d}` is entry d of all images, centred and at unit length.

    Example:
        >>> import torch
        >>> student, teacher = torch.tensor([[1.0], [2.0]]), torch.tensor([[7.0], [3.0]])
        >>> round(_correlation(student, teacher).mean().item(), 4)  # the correlation is -1
        2.0

    Note:
        It runs over the images, as in other public code of the authors, and the Pearson distance within one image.
        Without calibration it is the second term of DIST. An entry that is constant over the batch in both networks
        counts 0, in one of them 1/2; DIST counts 1 for both.
    """
    one, other = (direction(tensor - tensor.mean(0), 0) for tensor in (student, teacher))
    return len(one) / 2 * per_image((one - other).square())


_ALL: tuple[Distance, ...] = (
    Distance("smooth_l1", _smooth_l1, "d^2 / 2 where |d| < 1, else |d| - 1/2"),
    Distance("l1", _l1, "|s - t|"),
    Distance("l2", _l2, "(s - t)^2"),
    Distance("kl", _kl, "sum softmax(t) log(softmax(t) / softmax(s)) in a row", "log-softmax", over="row"),
    Distance("hard", _hard, "-log softmax(s)[argmax t] in a row", "log-softmax", over="row"),
    Distance("cosine", _cosine, "1 - cos(s, t) in a row", _ZERO, over="row", normalised=True),
    Distance("pearson", _pearson, "1 - corr(s, t) in a row", _ZERO, over="row", normalised=True),
    Distance("correlation", _correlation, "1 - corr(s, t) over the images", _CONSTANT, over="N", normalised=True),
)

#: All distances by name, in the order of the paper's table 1.
DISTANCES: dict[str, Distance] = {distance.name: distance for distance in _ALL}
