"""Handlers of activation functions, with the spellings of a ReLU."""

import torch
import torch.nn.functional as F
from torch import Tensor

from zcbench.hooks import axes
from zcbench.hooks.functions import (
    ABOVE,
    ACTIVATIONS,
    BELOW,
    MASKED,
    MAXIMA,
    RECTIFIERS,
    Args,
    Function,
    Kwargs,
    argument,
    functions,
    is_zero,
    rectifies,
)
from zcbench.hooks.record import Handler, Record

_OUTPUTS = (Tensor, tuple, list)
#: Functions that choose between two tensors, of which one may be a multiple of the other.
_CHOICES: frozenset[Function] = functions(torch.where, Tensor.where)
#: Attribute of a comparison with 0: the compared tensor, and whether the comparison is with a bound from above.
MASK = "_zcbench_mask"


def _activate(record: Record, func: Function, args: Args, kwargs: Kwargs) -> object:
    rectified = rectifies(func, args, kwargs)
    if rectified or func is F.gelu:
        record.tell_units(argument(0, "input", args, kwargs), rectified=rectified)
    result = record.call(func, args, kwargs)
    if isinstance(result, _OUTPUTS):
        before = getattr(args[0], "shape", None) if args and func in axes.MOVES else None
        record.follow(func, args, kwargs, result, before)
    if rectified or func in ACTIVATIONS:
        record.spend(args, kwargs, result)
        record.tell_layers(result)
    else:
        record.watch(func, args, kwargs, result, sloped=func in MAXIMA)
    return result


def _extreme(record: Record, func: Function, args: Args, kwargs: Kwargs) -> object:
    """Call ``max`` or ``min``, which of two tensors is the larger or smaller entry by entry."""
    other = argument(1, "other", args, kwargs)
    if isinstance(other, Tensor) and "out" not in kwargs:
        with record:
            return _ENTRYWISE[func](argument(0, "input", args, kwargs), other)
    return _activate(record, func, args, kwargs)


def _compare(record: Record, func: Function, args: Args, kwargs: Kwargs) -> object:
    """Call a comparison, and note one with 0."""
    result = record.call(func, args, kwargs)
    record.follow(func, args, kwargs, result, None)
    record.watch(func, args, kwargs, result)
    if len(args) == 2 and isinstance(args[0], Tensor) and is_zero(args[1]) and isinstance(result, Tensor):
        result.__dict__[MASK] = (args[0], func in ABOVE)
    return result


def _invert(record: Record, func: Function, args: Args, kwargs: Kwargs) -> object:
    """Call the inverse of a comparison."""
    result = record.call(func, args, kwargs)
    record.follow(func, args, kwargs, result, None)
    record.watch(func, args, kwargs, result)
    given = argument(0, "input", args, kwargs)
    mask = given.__dict__.get(MASK) if isinstance(given, Tensor) else None
    if mask is not None and isinstance(result, Tensor):
        result.__dict__[MASK] = (mask[0], not mask[1])
    return result


def _mask(record: Record, func: Function, args: Args, kwargs: Kwargs) -> object:
    """Call a function that may apply a comparison with 0 to the compared tensor: a ReLU."""
    source = _rectified(func, args)
    if source is not None:
        record.tell_units(source, rectified=True)
    result = record.call(func, args, kwargs)
    record.follow(func, args, kwargs, result, None)
    if source is not None:
        record.spend(args, kwargs, result)
        record.tell_layers(result)
    else:
        record.watch(func, args, kwargs, result, sloped=func in _CHOICES)
    return result


def _rectified(func: Function, args: Args) -> Tensor | None:
    """The rectified tensor of a call such as ``x * (x > 0)``, ``where(x > 0, x, 0)`` or ``x.masked_fill(x < 0, 0)``."""
    masks = [part.__dict__.get(MASK) if isinstance(part, Tensor) else None for part in args]
    place = next((place for place, mask in enumerate(masks) if mask is not None), None)
    if place is None or len(args) < 2:
        return None
    source, above = masks[place]  # type: ignore[misc]
    if len(args) == 2:
        return source if above and args[1 - place] is source else None
    if func in (torch.masked_fill, Tensor.masked_fill, Tensor.masked_fill_):
        return source if not above and args[0] is source and is_zero(args[2]) else None
    if func is Tensor.where:  # x.where(mask, other)
        return source if above and args[0] is source and is_zero(args[2]) else None
    kept_part, other = (args[1], args[2]) if above else (args[2], args[1])
    return source if kept_part is source and is_zero(other) else None


_INVERSES: frozenset[Function] = functions(
    *(torch.logical_not, torch.bitwise_not, Tensor.logical_not, Tensor.bitwise_not, Tensor.__invert__)
)
_ENTRYWISE: dict[Function, Function] = {
    **dict.fromkeys((torch.max, Tensor.max), torch.maximum),
    **dict.fromkeys((torch.min, Tensor.min), torch.minimum),
}
HANDLERS: dict[Function, Handler] = {
    **dict.fromkeys(ABOVE | BELOW, _compare),
    **dict.fromkeys(_INVERSES, _invert),
    **dict.fromkeys(MASKED, _mask),
    **dict.fromkeys(ACTIVATIONS | RECTIFIERS, _activate),
    **dict.fromkeys(_ENTRYWISE, _extreme),
}
