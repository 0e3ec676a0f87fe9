"""The networks of TransNAS-Bench-101, layer for layer as released.

Stem, modules of two cells or blocks, and a linear classifier on the global average. A module may double the channels
and halve the image, both in its first cell or block.

Duan et al., "TransNAS-Bench-101", CVPR 2021, arXiv:2105.11871; yawen-d/TransNASBench, ``lib/models``.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import reduce
from operator import add
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from zcbench.spaces.classifying import classifying
from zcbench.spaces.nasbench201.cell import EDGES
from zcbench.spaces.nasbench201.network import relu_conv_bn

STEM = 64
CELLS = 2  # in each module


class Step(NamedTuple):
    """Channels before and behind, and the stride, of one cell or block."""

    inputs: int
    outputs: int
    stride: int


def steps(macro: Sequence[str]) -> Iterator[tuple[Step, ...]]:
    """Cells or blocks of every module.

    Args:
        macro: a digit per module: 1 keeps the shape, 2 doubles the channels, 3 halves the image, 4 does both.
    """
    channels = STEM
    for digit in macro:
        outputs = channels * (2 if digit in "24" else 1)
        yield (Step(channels, outputs, 2 if digit in "34" else 1), *[Step(outputs, outputs, 1)] * (CELLS - 1))
        channels = outputs


class FactorisedReduction(nn.Module):
    """A skip that changes the shape: (B, C, H, W) to (B, C', H/s, W/s).

    ReLU; two 1x1 convolutions of C'/2 channels, the second on the image moved by one pixel; their outputs one behind
    the other; batch normalisation.
    """

    def __init__(self, step: Step) -> None:
        super().__init__()
        half = step.outputs // 2
        self.relu = nn.ReLU()
        self.first = nn.Conv2d(step.inputs, half, 1, step.stride, bias=False)
        self.second = nn.Conv2d(step.inputs, step.outputs - half, 1, step.stride, bias=False)
        self.norm = nn.BatchNorm2d(step.outputs)

    def forward(self, images: Tensor) -> Tensor:
        """The skip of ``images``."""
        images = self.relu(images)
        moved = pad(images, (0, 1, 0, 1))[:, :, 1:, 1:]
        both: Tensor = self.norm(torch.cat([self.first(images), self.second(moved)], dim=1))
        return both


def _convolution(kernel: int) -> Callable[[Step], nn.Module]:
    return lambda step: relu_conv_bn(step.inputs, step.outputs, kernel, step.stride)


def _skip(step: Step) -> nn.Module:
    return nn.Identity() if step.stride == 1 and step.inputs == step.outputs else FactorisedReduction(step)


#: Operations of a cell by their digit; 0 is none.
OPERATIONS: dict[str, Callable[[Step], nn.Module]] = {"1": _skip, "2": _convolution(1), "3": _convolution(3)}


class Cell(nn.Module):
    """A cell of four nodes, each the sum of its edges: (B, C, H, W) to (B, C', H/s, W/s).

    Edges out of the first node change the shape, the others keep it.

    Args:
        operations: a digit per edge, in the order of ``EDGES``.
        step: channels and stride.
    """

    def __init__(self, operations: Sequence[str], step: Step) -> None:
        super().__init__()
        self._step = step
        self.edges = nn.ModuleDict()
        self._inputs: list[list[tuple[str, int]]] = [[], [], []]
        inner = Step(step.outputs, step.outputs, 1)
        for (source, target), operation in zip(EDGES, operations):
            if operation != "0":
                self.edges[f"{source}_{target}"] = OPERATIONS[operation](inner if source else step)
                self._inputs[target - 1].append((f"{source}_{target}", source))

    def forward(self, images: Tensor) -> Tensor:
        """Output of the last node; a node without inputs is zero, and keeps its place in the gradient's graph."""
        nodes = [images]
        for inputs in self._inputs:
            terms = [self.edges[name](nodes[source]) for name, source in inputs] or [self._zero(images)]
            nodes.append(reduce(add, terms))
        return nodes[-1]

    def _zero(self, images: Tensor) -> Tensor:
        zero = images[:, :, :: self._step.stride, :: self._step.stride] * 0.0
        repeats = self._step.outputs // self._step.inputs
        return zero.repeat(1, repeats, 1, 1) if repeats > 1 else zero


class Block(nn.Module):
    """Residual block of two 3x3 convolutions, without a ReLU on its sum: (B, C, H, W) to (B, C', H/s, W/s)."""

    def __init__(self, step: Step) -> None:
        super().__init__()
        self.first = relu_conv_bn(step.inputs, step.outputs, 3, step.stride)
        self.second = relu_conv_bn(step.outputs, step.outputs, 3)
        changes = step.stride > 1 or step.inputs != step.outputs
        self.shortcut = nn.Sequential(*_projection(step)) if changes else nn.Identity()

    def forward(self, images: Tensor) -> Tensor:
        """The two convolutions of ``images``, and the shortcut."""
        total: Tensor = self.second(self.first(images)) + self.shortcut(images)
        return total


def _projection(step: Step) -> Iterable[nn.Module]:
    return nn.Conv2d(step.inputs, step.outputs, 1, step.stride, bias=False), nn.BatchNorm2d(step.outputs)


def network(
    macro: Sequence[str], make: Callable[[Step], nn.Module], image_channels: int, num_classes: int
) -> nn.Sequential:
    """Images (B, image_channels, H, W) in, logits (B, num_classes) out.

    Args:
        macro: a digit per module.
        make: a cell or block with these channels and this stride.
        image_channels: channels of an image.
        num_classes: number of logits.
    """
    half = STEM // 2
    layers: dict[str, nn.Module] = {
        "stem": nn.Sequential(
            nn.Conv2d(image_channels, half, 3, 2, 1, bias=False),
            nn.BatchNorm2d(half),
            nn.ReLU(),
            nn.Conv2d(half, STEM, 3, 2, 1, bias=False),
            nn.BatchNorm2d(STEM),
        )
    }
    modules = list(steps(macro))
    for number, module in enumerate(modules, 1):
        layers[f"module{number}"] = nn.Sequential(*map(make, module))
    return classifying(layers, modules[-1][-1].outputs, num_classes)
