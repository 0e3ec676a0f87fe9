"""Handlers of normalisations, of softmax and attention, and of functions that write to a tensor."""

import torch
import torch.nn.functional as F
from torch import Tensor

from zcbench.hooks.activating import MASK
from zcbench.hooks.functions import CHANNEL_NORMS, LAST_NORMS, SOFTMAXES, Args, Function, Kwargs, argument, is_zero
from zcbench.hooks.record import Handler, Record
from zcbench.hooks.trace import trace_of


def _normalise(record: Record, func: Function, args: Args, kwargs: Kwargs) -> object:
    _note_norm(record, func, args, kwargs)
    result = record.call(func, args, kwargs)
    record.follow(func, args, kwargs, result, None)
    trace = trace_of(result)
    if trace is not None:
        if func in CHANNEL_NORMS:
            trace.channels = 1
        elif len(argument(1, "normalized_shape", args, kwargs)) == 1:
            trace.channels = result.ndim - 1
        trace.tokens = trace.tokens or result.ndim == 3
        if (trace.last is not None or trace.hidden) and record.is_itself(trace, result, [], func, False):
            trace.last, trace.hidden = None, 0
    record.tell_layers(result)
    return result


def _note_norm(record: Record, func: Function, args: Args, kwargs: Kwargs) -> None:
    if not record.roles:
        return
    place = 3 if func in (F.batch_norm, F.instance_norm) else 2
    if func not in (F.rms_norm, torch.rms_norm):
        record.note_bias(argument(place + 1, "bias", args, kwargs))
    origin = record.origin(argument(place, "weight", args, kwargs))
    if origin is None or trace_of(argument(0, "input", args, kwargs)) is None:
        return
    record.gains.add(origin.name)
    if func is F.batch_norm:
        record.scales.add(origin.name)


def _soften(record: Record, func: Function, args: Args, kwargs: Kwargs) -> object:
    """Call a softmax: of the scores of an attention it gives the weights."""
    result = record.call(func, args, kwargs)
    record.follow(func, args, kwargs, result, None)
    trace, keys = trace_of(argument(0, "input", args, kwargs)), argument(1, "dim", args, kwargs)
    if trace is not None and trace.scores and keys is not None:
        record.tell_attention(result, keys, lambda: result)
    return result


def _attended(record: Record, func: Function, args: Args, kwargs: Kwargs) -> object:
    """Call a scaled dot-product attention."""
    result = record.call(func, args, kwargs)
    operands = [argument(place, name, args, kwargs) for place, name in enumerate(("query", "key", "value"))]
    record.attend(result, *operands)
    record.tell_attention(operands[0], -1, lambda: attention_weights(*args, **kwargs))
    traces = [trace for operand in operands if (trace := trace_of(operand)) is not None]
    record.attention |= {trace.origin for trace in traces if trace.origin is not None}
    trace = trace_of(result)
    if trace is not None:
        trace.attended = True
    return result


def attention_weights(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    r"""Weights of ``F.scaled_dot_product_attention``, which takes the same arguments: ``(..., queries, keys)``.

    .. math::  \operatorname{softmax}(Q K^\top s + M), \qquad s = 1 / \sqrt{d} \text{ unless given}
    """
    if enable_gqa:
        key = key.repeat_interleave(query.shape[-3] // key.shape[-3], -3)
    scores = query @ key.mT * (query.shape[-1] ** -0.5 if scale is None else scale)
    if is_causal:
        attn_mask = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
    if attn_mask is not None:
        scores = scores.masked_fill(~attn_mask, -torch.inf) if attn_mask.dtype is torch.bool else scores + attn_mask
    return scores.softmax(-1)


def _write(record: Record, func: Function, args: Args, kwargs: Kwargs) -> object:
    """Call a function that writes a tensor into another; ``x[x < 0] = 0`` is a ReLU."""
    target, entries = args[0], func is Tensor.__setitem__
    value = args[2] if entries else argument(1, "other", args, kwargs)
    source, above = (args[1].__dict__.get(MASK) if entries and isinstance(args[1], Tensor) else None) or (None, False)
    rectified = source is target and not above and is_zero(value)
    if rectified:
        record.tell_units(target, rectified=True)
    result = record.call(func, args, kwargs)
    trace, own = trace_of(value), trace_of(target)
    if trace is not None:
        axis = own or trace
        shift = 0 if own else target.ndim - value.ndim
        images = axis.images and axis.images._replace(axis=axis.images.axis + shift)
        new = record.trace(target, images, None if axis.channels is None else axis.channels + shift)
        record.settle(new, target, [(value, trace)] + ([(target, own)] if own else []), func)
    elif rectified and own is not None:
        record.settle(record.trace(target, own.images, own.channels), target, [(target, own)], func)
    if rectified:
        record.tell_layers(target)
    else:
        record.watch(func, args, kwargs, target)
    return result


HANDLERS: dict[Function, Handler] = {
    **dict.fromkeys(CHANNEL_NORMS | LAST_NORMS, _normalise),
    **dict.fromkeys(SOFTMAXES, _soften),
    F.scaled_dot_product_attention: _attended,
    **dict.fromkeys((Tensor.__setitem__, Tensor.copy_), _write),
}
