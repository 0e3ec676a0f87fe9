"""What a network of TransNAS-Bench-101 costs, from its modules and its cell alone.

A convolution of kernel k from a to b channels has :math:`k^2 a b + 2 b` parameters, those of its batch normalisation
included, and :math:`p k^2 a b` multiply-accumulates on p pixels of its output.
"""

from collections.abc import Callable, Iterator, Sequence

from zcbench.spaces.base import ImageShape
from zcbench.spaces.cost import Cost
from zcbench.spaces.nasbench201.cell import EDGES
from zcbench.spaces.transnas.network import STEM, Step, steps

Convolution = tuple[int, int, int]
"""Kernel, channels before and behind."""

_KERNELS = {"2": 1, "3": 3}


def block_convolutions(step: Step) -> Iterator[Convolution]:
    """Convolutions of a residual block: two of 3x3, and one of 1x1 where the shape changes."""
    yield 3, step.inputs, step.outputs
    yield 3, step.outputs, step.outputs
    if step.stride > 1 or step.inputs != step.outputs:
        yield 1, step.inputs, step.outputs


def cell_convolutions(operations: Sequence[str], step: Step) -> Iterator[Convolution]:
    """Convolutions of a cell; a skip that changes the shape is two of 1x1 with half the channels each."""
    changes = step.stride > 1 or step.inputs != step.outputs
    for (source, _), operation in zip(EDGES, operations):
        inputs = step.outputs if source else step.inputs
        if operation in _KERNELS:
            yield _KERNELS[operation], inputs, step.outputs
        elif operation == "1" and source == 0 and changes:
            half = step.outputs // 2
            yield from ((1, inputs, half), (1, inputs, step.outputs - half))


def cell_depth(operations: Sequence[str], step: Step) -> int | None:
    """Most convolutions on one path from input to output of a cell, None if no path joins them."""
    changes = step.stride > 1 or step.inputs != step.outputs
    longest: list[int | None] = [0, None, None, None]
    for (source, target), operation in zip(EDGES, operations):
        before, best = longest[source], longest[target]
        if operation != "0" and before is not None:
            length = before + (operation in _KERNELS or (source == 0 and changes))
            longest[target] = length if best is None else max(best, length)
    return longest[3]


def cost(
    macro: Sequence[str],
    convolutions: Callable[[Step], Iterator[Convolution]],
    depth: Callable[[Step], int | None],
    image_shape: ImageShape,
    num_classes: int,
) -> Cost:
    """Sizes of one network.

    Args:
        macro: a digit per module.
        convolutions: those of a cell or block.
        depth: most of them on one path, None where none joins its ends.
        image_shape: (channels, height, width).
        num_classes: number of logits.
    """
    half, pixels = STEM // 2, image_shape[1] * image_shape[2] // 4
    sizes = [(3, image_shape[0], half, pixels), (3, half, STEM, pixels // 4)]
    pixels, lengths = pixels // 4, []
    channels = STEM
    for step in (step for module in steps(macro) for step in module):
        pixels, channels = pixels // step.stride**2, step.outputs
        sizes += [(*convolution, pixels) for convolution in convolutions(step)]
        lengths.append(depth(step))
    params = sum(kernel**2 * inputs * outputs + 2 * outputs for kernel, inputs, outputs, _ in sizes)
    macs = sum(kernel**2 * inputs * outputs * area for kernel, inputs, outputs, area in sizes)
    return Cost(
        params + (channels + 1) * num_classes,
        macs + channels * num_classes,
        len(sizes),
        0 if None in lengths else 2 + sum(length or 0 for length in lengths),
        sum(outputs for _, _, outputs, _ in sizes),
    )
