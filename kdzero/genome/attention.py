"""Transforms that drop entries, and attention maps."""

import torch
from torch import Generator, Tensor

from zcbench.kdzero.genome.axes import Shape, along
from zcbench.kdzero.genome.operations import ANY, SPATIAL, Transform

_TEMPERATURE = 0.5
_DROPPED = 0.1
_SHOWN = 0.35


def _drop(tensor: Tensor, stream: Generator) -> Tensor:
    r"""A tenth of the channels dropped, the others scaled up.

    .. math::  x_{ic} \, m_{ic} / 0.9, \qquad m_{ic} \sim \operatorname{Bernoulli}(0.9)

    Note:
        The random stream is determined by the place in the sequence and the shape, so that the draw is the same in
        every step; the images at a place of the batch change from step to step.
    """
    kept = torch.rand(tensor.shape[:2], generator=stream) >= _DROPPED
    return tensor * _spread(kept, tensor) / (1 - _DROPPED)


def _mask(tensor: Tensor, stream: Generator) -> Tensor:
    r"""About a third of the positions kept, the others zero, the same for all channels of an image.

    .. math::  x_{icp} \, m_{ip}, \qquad m_{ip} \sim \operatorname{Bernoulli}(0.35)

    Note:
        The kept entries are not scaled up. The draw is that of `drop`.
    """
    shown = torch.rand((len(tensor), 1, *tensor.shape[2:]), generator=stream) < _SHOWN
    return tensor * _spread(shown, tensor)


def _satt(tensor: Tensor) -> Tensor:
    r"""Spatial attention: a softmax over the positions, mean 1.

    .. math::  HW \operatorname{softmax}_{HW}(\operatorname{mean}_c |x| / 0.5)

    Example:
        >>> round(_satt(torch.rand(1, 3, 4, 4)).mean().item(), 4)  # mean 1 over the positions
        1.0

    Note:
        The attention itself with one channel, not the map times its attention.
    """
    return along("HW", tensor.abs().mean(1, keepdim=True), _attention)


def _natt(tensor: Tensor) -> Tensor:
    r"""Attention over the images, mean 1.

    .. math::  N \operatorname{softmax}_N(x / 0.5)
    """
    return along("N", tensor, _attention)


def _catt(tensor: Tensor) -> Tensor:
    r"""Channel attention: a softmax over the channels, mean 1.

    .. math::  C \operatorname{softmax}_C(\operatorname{mean}_{hw} |x| / 0.5)

    Note:
        A vector has one position.
    """
    return along("C", tensor.abs().reshape(*tensor.shape[:2], -1).mean(2), _attention)


def _attention(tensor: Tensor, axis: int) -> Tensor:
    return tensor.shape[axis] * (tensor / _TEMPERATURE).softmax(axis)


def _spread(draw: Tensor, tensor: Tensor) -> Tensor:
    return draw.to(tensor).reshape(*draw.shape, *[1] * (tensor.ndim - draw.ndim))


def _one_channel(shape: Shape) -> Shape:
    return (shape[0], 1, *shape[2:])


def _vectors(shape: Shape) -> Shape:
    return shape[:2]


ATTENTION: tuple[Transform, ...] = (
    Transform("drop", _drop, "x m / 0.9, m = 1 for 9 of 10 channels", random=True),
    Transform("satt", _satt, "HW softmax_HW(mean_C |x| / 0.5)", takes=SPATIAL, gives=_one_channel, over="HW"),
    Transform("natt", _natt, "N softmax_N(x / 0.5)", over="N"),
    Transform("catt", _catt, "C softmax_C(mean_HW |x| / 0.5)", takes=ANY, gives=_vectors, over="C"),
    Transform("mask", _mask, "x m, m = 1 for 35 of 100 positions", takes=SPATIAL, random=True),
)
