"""What a NAS-Bench-101 network costs, from its cell alone.

A convolution of kernel k from a to b channels has :math:`k^2 a b + 2 b` parameters, those of its batch normalisation
included, and :math:`p k^2 a b` multiply-accumulates on p pixels. The operations of a graph add up vertex by vertex, so
that the costs of all its cells follow from one table.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from zcbench.spaces.base import ImageShape
from zcbench.spaces.cost import Cost
from zcbench.spaces.nasbench101.cell import OPERATIONS, Graph, Sources
from zcbench.spaces.nasbench101.network import CELLS, KERNELS, STACKS, STEM, Convolution, operations, projections, steps


class Sums(NamedTuple):
    """Parameters and channels of all stacks together, and multiply-accumulates per pixel of each stack."""

    params: int
    width: int
    per_pixel: tuple[int, ...]


@lru_cache(maxsize=10_000)
def _tables(sources: Sources) -> tuple[Sums, tuple[dict[int, Sums], ...]]:
    """Costs of the projections, and of each convolution that each vertex may be."""
    inner = len(sources) - 1
    base = _sum([(stack, c) for stack, a, b in steps() for _, c in projections(Graph(sources, (0,) * inner), a, b)])
    vertices: tuple[dict[int, Sums], ...] = tuple({} for _ in range(inner))
    for operation in KERNELS:
        every = [
            (stack, item) for stack, a, b in steps() for item in operations(Graph(sources, (operation,) * inner), a, b)
        ]
        for vertex in range(1, inner + 1):
            vertices[vertex - 1][operation] = _sum([(stack, c) for stack, (where, c) in every if where == vertex])
    return base, vertices


def _sum(found: list[tuple[int, Convolution]]) -> Sums:
    params = sum(c.kernel**2 * c.inputs * c.outputs + 2 * c.outputs for _, c in found)
    per_pixel = (sum(c.kernel**2 * c.inputs * c.outputs for s, c in found if s == stack) for stack in range(STACKS))
    return Sums(params, sum(c.outputs for _, c in found), tuple(per_pixel))


def cost(graph: Graph, num_classes: int, image_shape: ImageShape) -> Cost:
    """Sizes of one network."""
    base, vertices = _tables(graph.sources)
    chosen = [base, *(vertices[v][o] for v, o in enumerate(graph.operations) if o in KERNELS)]
    pixels = [image_shape[1] // 2**stack * (image_shape[2] // 2**stack) for stack in range(STACKS)]
    stem, last = 9 * image_shape[0] * STEM, STEM * 2 ** (STACKS - 1)
    per_pixel = np.sum([sums.per_pixel for sums in chosen], axis=0, dtype=np.int64)
    convolutions = sum(0 in sources for sources in graph.sources) + sum(o in KERNELS for o in graph.operations)
    return Cost(
        params=sum(sums.params for sums in chosen) + stem + 2 * STEM + (last + 1) * num_classes,
        macs=int(np.dot(per_pixel, pixels)) + stem * pixels[0] + last * num_classes,
        n_convs=1 + STACKS * CELLS * convolutions,
        depth=1 + STACKS * CELLS * _depth(graph),
        width=STEM + sum(sums.width for sums in chosen),
    )


def _depth(graph: Graph) -> int:
    """Most convolutions on one path through a cell."""
    longest = [0]
    for vertex, sources in enumerate(graph.sources, 1):
        own = vertex <= len(graph.operations) and OPERATIONS[graph.operations[vertex - 1]] != "maxpool3x3"
        longest.append(own + max(longest[source] if source else 1 for source in sources))
    return longest[-1]
