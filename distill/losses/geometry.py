"""Operations that several losses share: unit vectors, similarities, and maps of one size."""

import math
from collections.abc import Iterable
from functools import reduce

from torch import Tensor
from torch.linalg import vector_norm
from torch.nn.functional import adaptive_avg_pool2d

from zcbench.distill.outputs import Outputs

Size = tuple[int, int]

#: A vector shorter than this counts as zero.
TINY = 1e-12


def total(terms: Iterable[Tensor]) -> Tensor:
    """Sum of at least one tensor."""
    return reduce(Tensor.add, terms)


def direction(vectors: Tensor, dim: int = 1) -> Tensor:
    """Vectors along ``dim`` at unit length; a zero vector stays zero and gets no gradient."""
    lengths: Tensor = vector_norm(vectors, dim=dim, keepdim=True)
    return vectors / lengths.where(lengths > TINY, math.inf)


def correlation(one: Tensor, other: Tensor, dim: int) -> Tensor:
    """Pearson correlation along ``dim``; 0 where one of the two is constant."""
    one, other = (direction(x - x.mean(dim, keepdim=True), dim) for x in (one, other))
    return (one * other).sum(dim)


def image_products(outputs: Outputs) -> Tensor:
    """Gram matrix of the flattened feature maps of the images, ``(B, B)``."""
    flat = outputs.features.flatten(1)
    return flat @ flat.T


def at_one_size(one: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
    """Two maps at the smaller height and the smaller width of both."""
    size = common_size(one, other)
    return at_size(one, size), at_size(other, size)


def common_size(one: Tensor, other: Tensor) -> Size:
    """The smaller height and the smaller width of two maps."""
    return min(one.shape[-2], other.shape[-2]), min(one.shape[-1], other.shape[-1])


def common_sizes(student: Outputs, teacher: Outputs) -> list[tuple[int, Size]]:
    """Number and `common_size` of each pair of stages."""
    return list(enumerate(map(common_size, student.stages, teacher.stages)))


def at_size(maps: Tensor, size: Size) -> Tensor:
    """Maps at this height and width, by adaptive average pooling."""
    return maps if maps.shape[-2:] == size else adaptive_avg_pool2d(maps, size)
