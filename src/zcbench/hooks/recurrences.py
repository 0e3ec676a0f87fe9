"""Handlers of recurrent layers."""

from torch import Tensor

from zcbench.hooks.axes import Images
from zcbench.hooks.functions import CELLS, RECURRENT, Args, Function, Kwargs
from zcbench.hooks.record import Handler, Record
from zcbench.hooks.trace import trace_of


def _recur(record: Record, func: Function, args: Args, kwargs: Kwargs) -> object:
    """Call a recurrent layer: its weights are those with two axes."""
    packed = isinstance(args[1], Tensor) and isinstance(args[3], list | tuple)
    for tensor in args[3] if packed else args[2]:
        _note_recurrent(record, tensor)
    result = record.call(func, args, kwargs)
    trace = trace_of(args[0])
    if trace is None:
        record.follow(func, args, kwargs, result, None)
        return result
    layers = int(args[5] if packed else args[4])
    for place, output in enumerate(result):
        new = record.trace(output, trace.images if place == 0 else Images(output.ndim - 2), output.ndim - 1)
        record.settle(new, output, [(args[0], trace)], func, layer=True)
        new.depth = trace.depth + layers
        new.last, new.hidden = record.latest([(args[0], trace)], output, func), 1  # steps are no positions of a map
    return result


def _recur_once(record: Record, func: Function, args: Args, kwargs: Kwargs) -> object:
    for tensor in args[2:]:
        _note_recurrent(record, tensor)
    result = record.call(func, args, kwargs)
    record.follow(func, args[:1], {}, result, None)
    for output in result if isinstance(result, tuple) else (result,):
        trace = trace_of(output)
        if trace is not None:
            trace.channels, trace.depth, trace.head = output.ndim - 1, trace.depth + 1, None
    return result


def _note_recurrent(record: Record, tensor: object) -> None:
    origin = record.origin(tensor)
    if origin is not None and isinstance(tensor, Tensor) and tensor.ndim == 2:
        record.weights.add(tensor, origin, "recurrence", tensor.shape[0], False)
    else:
        record.note_bias(tensor)


HANDLERS: dict[Function, Handler] = {**dict.fromkeys(RECURRENT, _recur), **dict.fromkeys(CELLS, _recur_once)}
