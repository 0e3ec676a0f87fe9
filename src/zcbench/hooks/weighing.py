"""Handlers of convolutions, linear maps and matrix products, which apply a weight to a tensor."""

import torch
import torch.nn.functional as F
from torch import Tensor

from zcbench.hooks.functions import (
    CONVOLUTIONS,
    INNER,
    OPERANDS,
    PRODUCTS,
    TRANSPOSED,
    Args,
    Function,
    Kwargs,
    argument,
)
from zcbench.hooks.products import first_axis, kept, with_argument
from zcbench.hooks.record import Handler, Record
from zcbench.hooks.trace import trace_of
from zcbench.hooks.weights import Origin


def _convolve(record: Record, func: Function, args: Args, kwargs: Kwargs) -> object:
    weight: Tensor = argument(1, "weight", args, kwargs)
    if func is torch.convolution:
        groups, turned = argument(8, "groups", args, kwargs, 1), argument(6, "transposed", args, kwargs, False)
    else:
        groups, turned = argument(6, "groups", args, kwargs, 1), func in TRANSPOSED
    outputs = weight.shape[1] * groups if turned else weight.shape[0]
    return _weigh(record, func, args, kwargs, 1, "convolution", outputs)


def _linear(record: Record, func: Function, args: Args, kwargs: Kwargs) -> object:
    return _weigh(record, func, args, kwargs, 1, "linear", argument(1, "weight", args, kwargs).shape[0])


def _bilinear(record: Record, func: Function, args: Args, kwargs: Kwargs) -> object:
    return _weigh(record, func, args, kwargs, 2, "linear", argument(2, "weight", args, kwargs).shape[0])


def _weigh(record: Record, func: Function, args: Args, kwargs: Kwargs, place: int, kind: str, outputs: int) -> object:
    """Call a function whose argument at ``place`` is a weight with an output channel on axis 0."""
    given: Tensor = argument(place, "weight", args, kwargs)
    origin = record.origin(given) if trace_of(given) is None else None
    if origin is None:
        result = record.call(func, args, kwargs)
        record.follow(func, args, kwargs, result, None)
        return result
    entry = record.weights.add(given, origin, kind, outputs, False)
    args, kwargs = with_argument(place, "weight", record.stand_in(entry, given), args, kwargs)
    record.note_bias(argument(place + 1, "bias", args, kwargs))
    result = record.call(func, args, kwargs)
    return record.weighed(func, args, kwargs, entry, argument(0, "input", args, kwargs), result)


def _product(record: Record, func: Function, args: Args, kwargs: Kwargs) -> object:
    """Call a matrix product: one operand may be a weight, or both may depend on the images."""
    first, second = PRODUCTS[func]
    names = OPERANDS.get(func, ("input", "other"))
    one, other = argument(first, names[0], args, kwargs), argument(second, names[1], args, kwargs)
    pair = trace_of(one), trace_of(other)
    origin = weight_origin(record, other if pair[1] is None else one) if pair.count(None) == 1 else None
    if origin is None:
        result = record.call(func, args, kwargs)
        if None not in pair:
            record.attend(result, one, other)
        else:
            _multiplied(record, func, args, kwargs, one, other, result)
        return result
    left = pair[0] is None
    given, source = (one, other) if left else (other, one)
    transposed = not left and given.ndim == 2 and func not in INNER
    transposed = transposed and (func is not torch.tensordot or first_axis(args, kwargs))
    outputs = given.shape[-1] if transposed or given.ndim == 1 else given.shape[-2]
    entry = record.weights.add(given, origin, "linear", outputs, transposed)
    place, keyword = (first, names[0]) if left else (second, names[1])
    args, kwargs = with_argument(place, keyword, record.stand_in(entry, given), args, kwargs)
    if first == 1:
        record.note_bias(argument(0, "input", args, kwargs))
    result = record.call(func, args, kwargs)
    return record.weighed(func, args, kwargs, entry, source, result, left)


def weight_origin(record: Record, operand: Tensor) -> Origin | None:
    """The parameter behind a factor, unless it was computed as a batch of matrices, such as learned queries."""
    origin = record.origin(operand)
    computed = origin is not None and origin.tensor is None and origin.base is None
    return None if computed and operand.ndim > 2 else origin


def _multiplied(
    record: Record, func: Function, args: Args, kwargs: Kwargs, one: Tensor, other: Tensor, result: Tensor
) -> None:
    """A product with a constant: its images lie where they did, its channels too where that axis is kept."""
    source, trace = (one, trace_of(one)) if trace_of(one) is not None else (other, trace_of(other))
    if trace is None or func is torch.tensordot:
        record.follow(func, args, kwargs, result, None)
        return
    new = record.trace(result, *kept(source, trace, result, source is other))
    record.settle(new, result, [(source, trace)], func)


HANDLERS: dict[Function, Handler] = {
    **dict.fromkeys(CONVOLUTIONS | TRANSPOSED, _convolve),
    **dict.fromkeys(PRODUCTS, _product),
    F.linear: _linear,
    F.bilinear: _bilinear,
}
