"""Transforms that change the scale or the layout of a map."""

from functools import partial
from math import prod

import torch
from torch import Tensor
from torch.nn.functional import max_pool2d

from zcbench.kdzero.genome.axes import Shape, rows
from zcbench.kdzero.genome.operations import MAPS, SPATIAL, Transform

_PYRAMID = (1, 2, 4)


def _scale(tensor: Tensor) -> Tensor:
    r"""From the range of -1 to 1 to that of 0 to 1.

    .. math::  (x + 1) / 2

    Note:
        The paper only names it; this is the definition in other public code of the authors.
    """
    return (tensor + 1) / 2


def _multi_scale(tensor: Tensor) -> Tensor:
    r"""The map at full, half and quarter size, side by side.

    .. math::  [\operatorname{maxpool}_1(x), \operatorname{maxpool}_2(x), \operatorname{maxpool}_4(x)]
               \in \mathbb{R}^{B \times C \times \frac{21}{16} HW}

    Example:
        >>> _multi_scale(torch.arange(16.0).view(1, 1, 4, 4))[0, 0, 16:]  # largest of the 2x2 squares, and of all
        tensor([ 5.,  7., 13., 15., 15.])

    Note:
        The paper only names it, next to the single scales r1 and r2; it is interpreted as several scales at once.
    """
    return torch.cat([rows(max_pool2d(tensor, size)) for size in _PYRAMID], 2)


def _scale_r(tensor: Tensor, size: int) -> Tensor:
    r"""The largest entry of each square of r by r positions.

    .. math::  \max_{p \in \text{square}} x_p

    Note:
        With r = 1 it is the identity; the table of the paper lists it.
    """
    return max_pool2d(tensor, size)


def _local_r1(tensor: Tensor) -> Tensor:
    r"""Every position of every channel as a channel.

    .. math::  (B, C, H, W) \to (B, C \cdot H \cdot W)

    Note:
        The squares are of r by r positions, as in other public code of the authors; a square of one position is a
        number, so this one is `batch`.
    """
    return tensor.flatten(1)


def _local_r(tensor: Tensor, size: int) -> Tensor:
    r"""Every square of r by r positions of every channel as a channel.

    .. math::  (B, C, H, W) \to (B, C \cdot \tfrac{H}{r} \cdot \tfrac{W}{r}, r, r)

    Example:
        >>> _local_r(torch.arange(16.0).view(1, 1, 4, 4), 2)[0, 1]  # the upper right square
        tensor([[2., 3.],
                [6., 7.]])
    """
    batch, channels, height, width = tensor.shape
    cut = tensor.reshape(batch, channels, height // size, size, width // size, size)
    return cut.transpose(3, 4).reshape(batch, -1, size, size)


def _batch(tensor: Tensor) -> Tensor:
    r"""One row for each image.

    .. math::  (B, C, H, W) \to (B, C \cdot H \cdot W)
    """
    return tensor.flatten(1)


def _channel(tensor: Tensor) -> Tensor:
    r"""One row for each channel of each image.

    .. math::  (B, C, H, W) \to (B, C, H \cdot W)
    """
    return tensor.flatten(2)


def _pyramid_shape(shape: Shape) -> Shape:
    return (*shape[:2], sum(prod(shape[2:]) // size**2 for size in _PYRAMID))


def _pooled_shape(shape: Shape, size: int) -> Shape:
    return (*shape[:2], *(side // size for side in shape[2:]))


def _local_shape(shape: Shape, size: int) -> Shape:
    return (shape[0], prod(shape[1:]) // size**2, size, size)


def _flat_shape(shape: Shape) -> Shape:
    return (shape[0], prod(shape[1:]))


def _rows_shape(shape: Shape) -> Shape:
    return (*shape[:2], prod(shape[2:]))


def _pooling(size: int) -> Transform:
    function, gives = partial(_scale_r, size=size), partial(_pooled_shape, size=size)
    return Transform(f"scale_r{size}", function, f"max-pool {size}x{size}", takes=MAPS, gives=gives, side=size)


def _patches(size: int) -> Transform:
    function, gives = partial(_local_r, size=size), partial(_local_shape, size=size)
    formula = f"(B, C HW/{size**2}, {size}, {size}), squares of {size}x{size}"
    return Transform(f"local_r{size}", function, formula, takes=MAPS, gives=gives, side=size)


SCALES: tuple[Transform, ...] = (
    Transform("scale", _scale, "(x + 1) / 2"),
    Transform(
        "multi_scale",
        _multi_scale,
        "max-pools of 1x1, 2x2 and 4x4, side by side",
        takes=MAPS,
        gives=_pyramid_shape,
        side=max(_PYRAMID),
    ),
    _pooling(1),
    _pooling(2),
    Transform("local_r1", _local_r1, "(B, C HW)", takes=MAPS, gives=_flat_shape),
    _patches(2),
    _patches(4),
    Transform("batch", _batch, "(B, C HW)", takes=SPATIAL, gives=_flat_shape),
    Transform("channel", _channel, "(B, C, HW)", takes=MAPS, gives=_rows_shape),
)
