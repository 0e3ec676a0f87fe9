"""Axes of matrix products and of other functions of two tensors."""

from collections.abc import Sequence

import torch
from torch import Tensor

from zcbench.hooks.axes import Images
from zcbench.hooks.flow import through
from zcbench.hooks.functions import Args, Kwargs, argument
from zcbench.hooks.trace import Trace
from zcbench.hooks.weights import Weight


def kept(source: Tensor, trace: Trace, result: Tensor, right: bool) -> tuple[Images | None, int | None]:
    """Images and channels of an operand in a matrix product; ``right`` says that it is the second one."""
    lost = source.ndim - (2 if right and source.ndim > 1 else 1)
    shift = result.ndim - source.ndim
    if shift < 0:  # a vector on the other side: the axis of the products is gone
        return through([axis for axis in range(source.ndim) if axis != lost], trace)
    places = [None if axis == lost else axis for axis in range(source.ndim)]
    return through([*[None] * shift, *places], trace)


def channel_axis(weight: Weight, result: Tensor, left: bool) -> int:
    """Axis of a weight's output channels; ``left`` says that it is the left factor."""
    if weight.kind == "convolution":
        return 1
    return result.ndim - 2 if left and result.ndim > 1 else result.ndim - 1


def first_axis(args: Args, kwargs: Kwargs) -> bool:
    """Whether a tensordot sums over the first axis of its second operand."""
    dims = argument(2, "dims", args, kwargs, 2)
    return not isinstance(dims, list | tuple) or torch.as_tensor(dims[1]).flatten()[0].item() % 2 == 0


def with_argument(place: int, keyword: str, value: Tensor, args: Args, kwargs: Kwargs) -> tuple[Args, Kwargs]:
    """The arguments of a call, with one exchanged."""
    if len(args) > place:
        return (args if args[place] is value else (*args[:place], value, *args[place + 1 :])), kwargs
    return args, {**kwargs, keyword: value}


def einsum_axes(equation: str) -> tuple[list[str], str]:
    """Labels of the operands of an einsum, and of its result."""
    given, arrow, written = equation.replace(" ", "").partition("->")
    labels = given.split(",")
    joined = "".join(labels)
    return labels, written if arrow else "".join(sorted(label for label in set(joined) if joined.count(label) == 1))


def entrywise(labels: Sequence[str], written: str) -> bool:
    """Whether an einsum adds nothing up and one operand has all axes of the result: a product entry by entry.

    >>> entrywise(["bchw", "bc"], "bchw"), entrywise(["bi", "bj"], "bij"), entrywise(["bi", "ij"], "bj")
    (True, False, False)
    """
    return set("".join(labels)) == set(written) and any(set(label) == set(written) for label in labels)
