"""Handler of einsum, a product of tensors with named axes."""

from collections.abc import Sequence

import torch
from torch import Tensor

from zcbench.hooks.axes import Images
from zcbench.hooks.functions import Args, Function, Kwargs
from zcbench.hooks.products import einsum_axes, entrywise
from zcbench.hooks.record import Handler, Record
from zcbench.hooks.trace import Trace, trace_of
from zcbench.hooks.weighing import weight_origin


def _einsum(record: Record, func: Function, args: Args, kwargs: Kwargs) -> object:
    """Call a product of tensors with named axes."""
    operands = args[1] if len(args) == 2 and isinstance(args[1], list | tuple) else args[1:]
    traced = [trace_of(operand) for operand in operands]
    plain = isinstance(args[0], str) and "." not in args[0]
    data = next((place for place, trace in enumerate(traced) if trace is not None), None)
    if not plain or data is None or len(operands) > 2:
        result = record.call(func, args, kwargs)
        record.follow(func, args, kwargs, result, None)
        return result
    labels, written = einsum_axes(args[0])
    place = None if len(operands) == 1 or None not in traced else 1 - data
    scales = entrywise(labels, written)
    origin = None if place is None or scales else weight_origin(record, operands[place])
    if origin is None or place is None:
        result = record.call(func, args, kwargs)
        if None not in traced and len(operands) == 2 and not scales:
            record.attend(result, *operands, places=_placed_images(labels[data], traced[data], written))
        else:
            others = [
                (part, trace) for part, trace in zip(operands[data + 1 :], traced[data + 1 :]) if trace is not None
            ]
            _place(record, result, operands[data], labels[data], written, None, func, others=others)
            record.watch(func, tuple(operands), {}, result)
        return result
    given, fresh = operands[place], [label for label in labels[place] if label not in labels[data]]
    outputs = torch.Size([given.shape[labels[place].index(label)] for label in fresh]).numel()
    transposed = given.ndim == 2 and len(fresh) == 1 and labels[place].index(fresh[0]) == 1
    entry = record.weights.add(given, origin, "linear", outputs, transposed)
    stands = [record.stand_in(entry, given) if index == place else part for index, part in enumerate(operands)]
    result = record.call(func, (args[0], *stands), {})
    channel = written.index(fresh[0]) if len(fresh) == 1 and fresh[0] in written else None
    _place(record, result, operands[data], labels[data], written, channel, func, layer=True)
    return record.called(entry, operands[data], result)


def _place(
    record: Record,
    result: Tensor,
    source: Tensor,
    labels: str,
    written: str,
    channel: int | None,
    func: Function,
    *,
    layer: bool = False,
    others: Sequence[tuple[Tensor, Trace]] = (),
) -> None:
    """Give the result of an einsum its axes."""
    trace = trace_of(source)
    assert trace is not None
    if channel is None and not layer and trace.channels is not None and labels[trace.channels] in written:
        channel = written.index(labels[trace.channels])
    new = record.trace(result, _placed_images(labels, trace, written), channel)
    record.settle(new, result, [(source, trace), *others], func, layer)


def _placed_images(labels: str, trace: Trace | None, written: str) -> Images | None:
    """Where the images are in an einsum's result."""
    if trace is None or trace.images is None or labels[trace.images.axis] not in written:
        return None
    return trace.images._replace(axis=written.index(labels[trace.images.axis]))


HANDLERS: dict[Function, Handler] = {torch.einsum: _einsum}
