"""The NAS-Bench-101 network, layer for layer as published.

Stem, three stacks of three equal cells with 128, 256 and 512 channels, a 2x2 max-pooling between stacks, and a linear
classifier on the global average.

Ying et al., arXiv:1902.09635, section 2; google-research/nasbench, ``lib/{model_builder,base_ops}.py``.
"""

from collections.abc import Iterator
from functools import reduce
from operator import add
from typing import NamedTuple

import torch
from torch import Tensor, nn

from zcbench.spaces.classifying import classifying
from zcbench.spaces.nasbench101.cell import Graph

STEM, STACKS, CELLS = 128, 3, 3
KERNELS = {0: 3, 1: 1}  # of the operations that are convolutions


def conv_bn_relu(inputs: int, outputs: int, kernel: int) -> nn.Sequential:
    """Convolution without bias that keeps the image size, batch normalisation, ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(outputs, eps=1e-5, momentum=0.003),
        nn.ReLU(),
    )


def channels(graph: Graph, inputs: int, outputs: int) -> tuple[int, ...]:
    """Channels of every vertex of a cell.

    Vertices with an edge to the output share its channels, the first of them one more where they do not divide; every
    other one has as many as the widest vertex that it feeds.
    """
    last = graph.vertices - 1
    found = [inputs, *[0] * (last - 1), outputs]
    ends = [vertex for vertex in graph.sources[-1] if vertex != 0]
    for number, vertex in enumerate(ends):
        found[vertex] = outputs // len(ends) + (number < outputs % len(ends))
    for vertex in reversed(range(1, last)):
        if vertex not in ends:
            found[vertex] = max(found[t] for t in range(vertex + 1, last) if vertex in graph.sources[t - 1])
    return tuple(found)


class Convolution(NamedTuple):
    """Kernel and channels of one convolution of a cell."""

    kernel: int
    inputs: int
    outputs: int


def projections(graph: Graph, inputs: int, outputs: int) -> Iterator[tuple[int, Convolution]]:
    """The 1x1 convolutions of a cell's input, by the vertex that each leads to."""
    widths = channels(graph, inputs, outputs)
    for vertex, sources in enumerate(graph.sources, 1):
        if 0 in sources:
            yield vertex, Convolution(1, inputs, widths[vertex])


def operations(graph: Graph, inputs: int, outputs: int) -> Iterator[tuple[int, Convolution]]:
    """The convolutions of a cell's own operations, by their vertex."""
    widths = channels(graph, inputs, outputs)
    for vertex, operation in enumerate(graph.operations, 1):
        if operation in KERNELS:
            yield vertex, Convolution(KERNELS[operation], widths[vertex], widths[vertex])


class Cell(nn.Module):
    """One cell: images (B, C, H, W) to (B, C', H, W).

    The input of a vertex is the sum of its sources, cut to the vertex's channels; the input of the cell comes through
    a projection of its own. The output is the vertices that lead to it, one behind the other; an edge from input to
    output is added.

    Args:
        graph: the cell.
        inputs: C.
        outputs: C'.
    """

    def __init__(self, graph: Graph, inputs: int, outputs: int) -> None:
        super().__init__()
        self._graph, self._widths = graph, channels(graph, inputs, outputs)
        made = (
            (vertex, conv_bn_relu(c.inputs, c.outputs, c.kernel)) for vertex, c in projections(graph, inputs, outputs)
        )
        self.projections = nn.ModuleDict({str(vertex): module for vertex, module in made})
        own = {vertex: conv_bn_relu(c.inputs, c.outputs, c.kernel) for vertex, c in operations(graph, inputs, outputs)}
        pools = {v: nn.MaxPool2d(3, 1, 1) for v, op in enumerate(graph.operations, 1) if op not in KERNELS}
        self.operations = nn.ModuleDict({str(vertex): module for vertex, module in sorted({**own, **pools}.items())})

    def forward(self, images: Tensor) -> Tensor:
        """Output of the cell."""
        last = self._graph.vertices - 1
        found: dict[int, Tensor] = {}
        for vertex in range(1, last):
            terms = [found[s][:, : self._widths[vertex]] for s in self._graph.sources[vertex - 1] if s != 0]
            found[vertex] = self.operations[str(vertex)](reduce(add, [*terms, *self._projected(vertex, images)]))
        ends = [found[source] for source in self._graph.sources[-1] if source != 0]
        whole = [torch.cat(ends, dim=1)] if len(ends) > 1 else ends
        return reduce(add, [*whole, *self._projected(last, images)])

    def _projected(self, vertex: int, images: Tensor) -> list[Tensor]:
        name = str(vertex)
        return [self.projections[name](images)] if name in self.projections else []


def steps() -> Iterator[tuple[int, int, int]]:
    """Number of the stack, channels before and behind of every cell in order."""
    inputs = STEM
    for stack in range(STACKS):
        outputs = STEM * 2**stack
        for _ in range(CELLS):
            yield stack, inputs, outputs
            inputs = outputs


def network(graph: Graph, image_channels: int, num_classes: int) -> nn.Sequential:
    """Images (B, image_channels, H, W) in, logits (B, num_classes) out."""
    layers: dict[str, nn.Module] = {"stem": conv_bn_relu(image_channels, STEM, 3)}
    for stack in range(STACKS):
        if stack:
            layers[f"pool{stack}"] = nn.MaxPool2d(2)
        cells = (Cell(graph, inputs, outputs) for number, inputs, outputs in steps() if number == stack)
        layers[f"stack{stack + 1}"] = nn.Sequential(*cells)
    return classifying(layers, STEM * 2 ** (STACKS - 1), num_classes)
