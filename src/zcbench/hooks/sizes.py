"""Multiply-accumulates, convolutions and normalised channels of a forward pass, counted at the called functions."""

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from zcbench.hooks.functions import (
    CELLS,
    CHANNEL_NORMS,
    COMPOSITES,
    CONVOLUTIONS,
    NORMS,
    OPERANDS,
    PRODUCTS,
    RECURRENT,
    TRANSPOSED,
    Args,
    Caller,
    Function,
    Kwargs,
    argument,
    call,
)
from zcbench.hooks.products import einsum_axes, entrywise
from zcbench.hooks.rewrites import Calling
from zcbench.hooks.trace import trace_of


class Sizes(Calling):
    """Counts the called functions: `macs`, `n_convs` and `width`.

    Multiply-accumulates are those of convolutions, linear maps, recurrences and all other products of tensors, such as
    the two of an attention. Additions, scalings, normalisations and poolings are not counted. A convolution of one
    position with a kernel of size 1 is a linear map and not counted as a convolution. The width is the sum of the
    channels of the inputs of batch, group, instance, layer and RMS normalisations; those of tensors that do not depend
    on the input of the network, such as weights, are left out.
    """

    def __init__(self, then: Caller = call) -> None:
        super().__init__(then)
        self.macs = self.n_convs = self.width = 0

    def call(self, func: Function, args: Args, kwargs: Kwargs) -> object:
        """Call ``func``, and count it."""
        body = COMPOSITES.get(func)
        if body is not None:
            with self:
                return body(*args, **kwargs)
        result = self.then(func, args, kwargs)
        if func in CONVOLUTIONS or func in TRANSPOSED:
            self.n_convs += not _is_linear(args, kwargs)
        if func in NORMS:
            self.width += _channels(func, args, kwargs)
        counter = _COUNTERS.get(func)
        if counter is not None:
            self.macs += counter(func, args, kwargs, result)
        return result


def _is_linear(args: Args, kwargs: Kwargs) -> bool:
    """Whether a convolution is a linear map of single positions."""
    given, weight = argument(0, "input", args, kwargs), argument(1, "weight", args, kwargs)
    return set(weight.shape[2:]) == {1} and set(given.shape[given.ndim - weight.ndim + 2 :]) == {1}


def _channels(func: Function, args: Args, kwargs: Kwargs) -> int:
    """Channels of the input of a normalisation; 0 where it does not depend on the input of the network.

    Where several axes are normalised and the recorder does not know which of them has the channels, it is the first.
    """
    given: Tensor = argument(0, "input", args, kwargs)
    trace = trace_of(given)
    if trace is None:
        return 0
    if func in CHANNEL_NORMS:
        return given.shape[1]
    axes = len(argument(1, "normalized_shape", args, kwargs))
    first = given.ndim - axes
    known = trace.channels is not None and first <= trace.channels
    return given.shape[trace.channels if known and axes > 1 and trace.channels is not None else first]


def _convolution(func: Function, args: Args, kwargs: Kwargs, result: Tensor) -> int:
    weight: Tensor = argument(1, "weight", args, kwargs)
    given: Tensor = argument(0, "input", args, kwargs)
    turned = func in TRANSPOSED or (func is torch.convolution and argument(6, "transposed", args, kwargs, False))
    places = given if turned else result
    return places.numel() * weight[0].numel()


def _linear(func: Function, args: Args, kwargs: Kwargs, result: Tensor) -> int:
    weight: Tensor = argument(1, "weight", args, kwargs)
    return result.numel() * weight.shape[-1]


def _bilinear(func: Function, args: Args, kwargs: Kwargs, result: Tensor) -> int:
    weight: Tensor = argument(2, "weight", args, kwargs)
    return result.numel() * weight[0].numel()


def _product(func: Function, args: Args, kwargs: Kwargs, result: Tensor) -> int:
    names = OPERANDS.get(func, ("input", "other"))
    left: Tensor = argument(PRODUCTS[func][0], names[0], args, kwargs)
    right: Tensor = argument(PRODUCTS[func][1], names[1], args, kwargs)
    if func is torch.tensordot:
        return math.isqrt(left.numel() * right.numel() * result.numel())
    batches = left.shape[0] if func in (torch.addbmm, Tensor.addbmm) else 1
    return result.numel() * left.shape[-1] * batches


def _einsum(func: Function, args: Args, kwargs: Kwargs, result: Tensor) -> int:
    operands = args[1] if len(args) == 2 and isinstance(args[1], list | tuple) else args[1:]
    if not isinstance(args[0], str) or len(operands) < 2:
        return 0
    labels, written = einsum_axes(args[0])
    if "." not in args[0] and entrywise(labels, written):
        return 0
    sizes: dict[str, int] = {}
    for label, operand in zip(labels, operands):
        named, dots, after = label.partition("...")
        hidden = operand.shape[len(named) : operand.ndim - len(after)] if dots else ()
        sizes |= {f".{len(hidden) - place}": size for place, size in enumerate(hidden)}
        sizes |= zip(named + after, [*operand.shape[: len(named)], *operand.shape[operand.ndim - len(after) :]])
    return math.prod(sizes.values()) * (len(operands) - 1)


def _attention(func: Function, args: Args, kwargs: Kwargs, result: Tensor) -> int:
    query, key = argument(0, "query", args, kwargs), argument(1, "key", args, kwargs)
    scores = result[..., 0].numel() * key.shape[-2]
    return int(scores * (query.shape[-1] + result.shape[-1]))


def _recurrence(func: Function, args: Args, kwargs: Kwargs, result: object) -> int:
    packed = isinstance(args[1], Tensor) and isinstance(args[3], list | tuple)
    given, flat = args[0], args[3] if packed else args[2]
    steps = given[..., 0].numel() if given.ndim > 1 else 1
    return int(steps * sum(weight.numel() for weight in flat if weight.ndim == 2))


def _cell(func: Function, args: Args, kwargs: Kwargs, result: object) -> int:
    rows = args[0].shape[0] if args[0].ndim > 1 else 1
    return int(rows * sum(weight.numel() for weight in args[2:4]))


_COUNTERS: dict[Function, Callable[[Function, Args, Kwargs, Any], int]] = {
    **dict.fromkeys(CONVOLUTIONS | TRANSPOSED, _convolution),
    **dict.fromkeys(PRODUCTS, _product),
    **dict.fromkeys(RECURRENT, _recurrence),
    **dict.fromkeys(CELLS, _cell),
    F.linear: _linear,
    F.bilinear: _bilinear,
    torch.einsum: _einsum,
    F.scaled_dot_product_attention: _attention,
}
