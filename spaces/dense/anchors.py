"""Places that a detector's outputs belong to: anchors and locations, in the order of its columns."""

from collections.abc import Sequence

import torch
from torch import Tensor


def level_sizes(size: tuple[int, int], levels: Sequence[int]) -> list[tuple[int, int]]:
    """Height and width of each level of images of ``size``.

    Example:
        >>> level_sizes((20, 32), (4, 8))
        [(5, 8), (3, 4)]
    """
    height, width = size
    return [(-(-height // level), -(-width // level)) for level in levels]


def locations(size: tuple[int, int], levels: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Centre of each position of the levels, and its stride.

    Args:
        size: height and width of the images.
        levels: strides.

    Returns:
        ``(x, y)`` in pixels, ``(L, 2)``, and strides ``(L,)``; fine to coarse, then by rows.

    Example:
        >>> locations((4, 8), (4,))[0].tolist()
        [[2.0, 2.0], [6.0, 2.0]]
    """
    found, strides = list[Tensor](), list[Tensor]()
    for level, (height, width) in zip(levels, level_sizes(size, levels)):
        rows, columns = ((torch.arange(count) + 0.5) * level for count in (height, width))
        y, x = torch.meshgrid(rows, columns, indexing="ij")
        found.append(torch.stack([x, y], -1).view(-1, 2))
        strides.append(torch.full((height * width,), float(level)))
    return torch.cat(found), torch.cat(strides)


def anchor_sides(level: int, size: int, scales: int) -> list[int]:
    """Sides of the square anchors of a level: ``size`` strides, times powers of 2 up to the next level, rounded down.

    Example:
        >>> anchor_sides(8, 4, 3), anchor_sides(128, 4, 3)  # those of RetinaNet
        ([32, 40, 50], [512, 645, 812])
    """
    return [int(size * level * 2 ** (scale / scales)) for scale in range(scales)]


def anchors(
    image_size: tuple[int, int], levels: Sequence[int], size: int, scales: int, ratios: Sequence[float]
) -> Tensor:
    """Anchors ``(A, 4)`` as left, top, right and bottom edge in pixels.

    Args:
        image_size: height and width of the images.
        levels: strides.
        size: side of the smallest anchor of a level, in strides; 4 in the paper.
        scales: sizes of a level.
        ratios: height divided by width, at equal area.

    Returns:
        For each location of `locations` the ratios, and for each ratio the sizes.

    Source:
        Lin et al., "Focal Loss for Dense Object Detection", ICCV 2017, arXiv:1708.02002, section 4.

    Example:
        >>> anchors((4, 4), (4,), size=2, scales=1, ratios=(1.0, 4.0)).tolist()
        [[-2.0, -2.0, 6.0, 6.0], [0.0, -6.0, 4.0, 10.0]]
    """
    centres, _ = locations(image_size, levels)
    parts = list[Tensor]()
    for level, (height, width) in zip(levels, level_sizes(image_size, levels)):
        sides = [
            (side / ratio**0.5, side * ratio**0.5) for ratio in ratios for side in anchor_sides(level, size, scales)
        ]
        parts.append(torch.tensor(sides).expand(height * width, -1, -1))
    own, middle = torch.cat(parts), centres[:, None]
    return torch.cat([middle - own / 2, middle + own / 2], -1).view(-1, 4)
