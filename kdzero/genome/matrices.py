"""Matrix products, the mean over the channels, and the identity."""

from torch import Tensor

from zcbench.kdzero.genome.axes import Shape
from zcbench.kdzero.genome.operations import SPATIAL, Transform


def _no(tensor: Tensor) -> Tensor:
    r"""Identity.

    .. math::  x
    """
    return tensor


def _bmm(tensor: Tensor) -> Tensor:
    r"""Gram matrix of the channels of each image.

    .. math::  F_i F_i^\top / (H W) \in \mathbb{R}^{B \times C \times C}

    Example:
        >>> import torch
        >>> _bmm(torch.tensor([[[1.0, 2.0], [0.0, 3.0]]]))  # 1 + 4, 6 and 9, divided by 2 positions
        tensor([[[2.5000, 3.0000],
                 [3.0000, 4.5000]]])

    Note:
        The divisor is ours: it keeps the size of the map.
    """
    flat = tensor.flatten(2)
    return flat @ flat.mT / flat.shape[2]


def _mm(tensor: Tensor) -> Tensor:
    r"""Gram matrix of the images.

    .. math::  X X^\top / D \in \mathbb{R}^{B \times B}, \qquad X \in \mathbb{R}^{B \times D}

    Example:
        >>> import torch
        >>> _mm(torch.tensor([[1.0, 2.0], [0.0, 3.0]]))  # 1 + 4, 6 and 9, divided by 2 entries
        tensor([[2.5000, 3.0000],
                [3.0000, 4.5000]])

    Note:
        The divisor is ours, as for `bmm`.
    """
    flat = tensor.flatten(1)
    return flat @ flat.T / flat.shape[1]


def _mean_c(tensor: Tensor) -> Tensor:
    r"""Mean over the channels.

    .. math::  \tfrac1C \sum_c x_c

    Note:
        Not in the paper's table: without it the attention maps of AT are not in the space.
    """
    return tensor.mean(1, keepdim=True)


def _between_channels(shape: Shape) -> Shape:
    return (shape[0], shape[1], shape[1])


def _between_images(shape: Shape) -> Shape:
    return (shape[0], shape[0])


def _one_channel(shape: Shape) -> Shape:
    return (shape[0], 1, *shape[2:])


MATRICES: tuple[Transform, ...] = (
    Transform("no", _no, "x"),
    Transform("bmm", _bmm, "F F' / HW, (B, C, C)", takes=SPATIAL, gives=_between_channels),
    Transform("mm", _mm, "X X' / D, (B, B)", gives=_between_images, over="N"),
    Transform("mean_C", _mean_c, "mean_C x", takes=SPATIAL, gives=_one_channel, over="C"),
)
