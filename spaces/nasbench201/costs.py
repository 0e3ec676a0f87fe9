"""What a NAS-Bench-201 network costs, from the counts of its cell's operations alone.

One cell of width :math:`w` has :math:`n_1` convolutions of 1x1 and :math:`n_3` of 3x3, dead ones included: the
published network carries and executes them too. Each number may be an array, one entry per architecture.
"""

from dataclasses import dataclass

import numpy as np

from zcbench.spaces.options import ImageShape

Count = int | np.ndarray


@dataclass(frozen=True)
class Skeleton:
    """All that a network has around its cells' operations: three stages of ``cells`` cells of widths w, 2w and 4w."""

    channels: int
    cells: int
    image_shape: ImageShape
    num_classes: int

    @property
    def widths(self) -> tuple[int, int, int]:
        """Channels of the three stages."""
        return self.channels, 2 * self.channels, 4 * self.channels

    @property
    def pixels(self) -> tuple[int, int, int]:
        """Pixels of a feature map in the three stages."""
        area = self.image_shape[1] * self.image_shape[2]
        return area, area // 4, area // 16


def params(n1: Count, n3: Count, skeleton: Skeleton) -> Count:
    r"""Trainable parameters.

    .. math::  P = P_\text{skeleton} + N \sum_s \bigl[ n_1 (w_s^2 + 2 w_s) + n_3 (9 w_s^2 + 2 w_s) \bigr]
    """
    cell: Count = 0
    for width in skeleton.widths:
        cell = cell + n1 * (width**2 + 2 * width) + n3 * (9 * width**2 + 2 * width)
    first, *_, last = skeleton.widths
    stem = 9 * skeleton.image_shape[0] * first + 2 * first
    blocks = sum(w * 2 * w * (9 + 18 + 1) + 2 * (2 * w) * 2 for w in skeleton.widths[:2])
    head = 2 * last + (last + 1) * skeleton.num_classes
    return stem + blocks + head + skeleton.cells * cell


def macs(n1: Count, n3: Count, skeleton: Skeleton) -> Count:
    r"""Multiply-accumulates of convolutions and the linear layer for one image.

    .. math::  M = M_\text{skeleton} + N \sum_s p_s w_s^2 (n_1 + 9 n_3)

    with :math:`p_s` pixels in stage s. At 16 channels, 5 cells, 32x32 and 10 classes this is 7.783 M + 3.932 M
    :math:`n_1` + 35.389 M :math:`n_3`. Normalisation, pooling and sums are not counted, as in the published table.
    """
    cell = sum(pixels * width**2 for pixels, width in zip(skeleton.pixels, skeleton.widths)) * (n1 + 9 * n3)
    stem = 9 * skeleton.image_shape[0] * skeleton.channels * skeleton.pixels[0]
    blocks = sum(p * w * 2 * w * (9 + 18 + 1) for p, w in zip(skeleton.pixels[1:], skeleton.widths))
    head = skeleton.widths[2] * skeleton.num_classes
    return stem + blocks + head + skeleton.cells * cell


def n_convs(n1: Count, n3: Count, skeleton: Skeleton) -> Count:
    """Convolutions that one forward pass executes: those of the cells, the stem, and three in each of two blocks."""
    return 7 + 3 * skeleton.cells * (n1 + n3)


def depth(cell_depth: Count, skeleton: Skeleton) -> Count:
    """Most convolutions between image and logits: stem, two in each block, and the cells; 0 where cells cut the path.

    Args:
        cell_depth: most convolutions on a path through one cell, -1 where no path joins its ends.
        skeleton: the rest of the network.
    """
    return (5 + 3 * skeleton.cells * cell_depth) * (cell_depth >= 0)


def width(n1: Count, n3: Count, skeleton: Skeleton) -> Count:
    r"""Channels of all batch normalisations: one per convolution of a cell, the stem's, two per block and the last one.

    .. math::  W = w + 4 w + 8 w + 4 w + 7 w N (n_1 + n_3)
    """
    return 17 * skeleton.channels + sum(skeleton.widths) * skeleton.cells * (n1 + n3)
