"""Transforms that normalise: to mean and variance, to a range, to unit length, to probabilities."""

from functools import partial

from torch import Tensor

from zcbench.distill.losses.geometry import TINY, direction
from zcbench.kdzero.genome.axes import AXES, along, rows
from zcbench.kdzero.genome.operations import ANY, SPATIAL, Transform

_TAKES = {"HW": SPATIAL, "C": ANY, "N": ANY}
_LENGTH = "a vector shorter than 1e-12 becomes zero, without gradient"


def _batchnorm(tensor: Tensor) -> Tensor:
    r"""Each channel at mean 0 and variance 1 over the images and positions.

    .. math::  (x - \mu_c) / \sqrt{\sigma_c^2 + 10^{-12}}

    Note:
        The biased variance, no learned scale or shift, and no running average: the statistics of this batch.
    """
    flat = rows(tensor)
    others = [axis for axis in range(flat.ndim) if axis != AXES["C"]]
    centred = flat - flat.mean(others, keepdim=True)
    return (centred / (centred.square().mean(others, keepdim=True) + TINY).sqrt()).reshape(tensor.shape)


def _min_max(tensor: Tensor) -> Tensor:
    r"""All entries of the batch from 0 to 1.

    .. math::  (x - \min x) / (\max x - \min x)

    Note:
        Minimum and maximum of the whole tensor, as in other public code of the authors.
    """
    least, most = tensor.amin(), tensor.amax()
    span = most - least
    return (tensor - least) / span.where(span > TINY, float("inf"))


def _norm(tensor: Tensor, axis: str) -> Tensor:
    r"""Vectors at unit length.

    .. math::  x / \lVert x \rVert_2

    Note:
        The paper's figure says "norm"; with the Euclidean norm AT, SP and ICKD are in the space, and other
        public code of the authors uses it.
    """
    return along(axis, tensor, direction)


def _softmax(tensor: Tensor, axis: str) -> Tensor:
    r"""Probabilities.

    .. math::  e^{x_i} / \sum_j e^{x_j}
    """
    return along(axis, tensor, Tensor.softmax)


def _logsoftmax(tensor: Tensor, axis: str) -> Tensor:
    r"""Logarithms of probabilities.

    .. math::  x_i - \log \sum_j e^{x_j}
    """
    return along(axis, tensor, Tensor.log_softmax)


NORMALISATION: tuple[Transform, ...] = (
    Transform("batchnorm", _batchnorm, "(x - mean_NHW x) / sqrt(var_NHW x + 1e-12)", "1e-12 in the root", over="N"),
    Transform("min_max", _min_max, "(x - min x) / (max x - min x)", "a constant tensor becomes 0"),
    *(
        Transform(f"norm_{axis}", partial(_norm, axis=axis), f"x / |x| along {axis}", _LENGTH, takes, over=axis)
        for axis, takes in _TAKES.items()
    ),
    *(
        Transform(
            f"softmax_{axis}", partial(_softmax, axis=axis), f"exp x / sum exp x along {axis}", "", takes, over=axis
        )
        for axis, takes in _TAKES.items()
    ),
    *(
        Transform(
            f"logsoftmax_{axis}",
            partial(_logsoftmax, axis=axis),
            f"x - log sum exp x along {axis}",
            "",
            takes,
            over=axis,
        )
        for axis, takes in _TAKES.items()
    ),
)
