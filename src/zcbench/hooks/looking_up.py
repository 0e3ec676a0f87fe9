"""Handlers of embeddings: products of a weight with vectors of zeros and a one, which whole numbers choose."""

import torch
import torch.nn.functional as F
from torch import Tensor

from zcbench.hooks.functions import Args, Function, Kwargs, argument, functions
from zcbench.hooks.record import Handler, Record, Unrecorded
from zcbench.hooks.trace import trace_of

#: Functions that take entries of their first tensor at whole numbers.
PICKS: frozenset[Function] = functions(
    *(torch.index_select, Tensor.index_select, torch.gather, Tensor.gather, torch.take, Tensor.take),
    *(torch.take_along_dim, Tensor.take_along_dim, torch.embedding, Tensor.__getitem__),
)


#: Arguments of ``embedding_bag`` with which it is no mean or sum of all vectors.
_OF_BAGS = ((2, "offsets"), (3, "max_norm"), (8, "per_sample_weights"), (10, "padding_idx"))


def _look_up(record: Record, func: Function, args: Args, kwargs: Kwargs) -> object:
    """Call an embedding; its weight is one of a linear map, with a row for each whole number."""
    indices, given = argument(0, "input", args, kwargs), argument(1, "weight", args, kwargs)
    trace, origin = trace_of(indices), record.origin(given)
    if trace is None or origin is None:
        result = record.call(func, args, kwargs)
        record.follow(func, args, kwargs, result, None)
        return result
    if argument(3, "max_norm", args, kwargs) is not None:
        raise Unrecorded("The network has an embedding with max_norm, which writes to its weight. Leave max_norm out.")
    entry = record.weights.add(given, origin, "linear", given.shape[1], True)
    options = {
        "padding_idx": argument(2, "padding_idx", args, kwargs),
        "scale_grad_by_freq": argument(5, "scale_grad_by_freq", args, kwargs, False),
    }
    result = record.call(func, (indices, record.stand_in(entry, given)), options)  # not sparse
    found = result if record.lookups is None else record.lookups(result)
    new = record.trace(found, trace.images, found.ndim - 1)
    record.settle(new, found, [(indices, trace)], func, layer=True)
    return record.called(entry, indices, found) if found is result else found


def _look_up_bag(record: Record, func: Function, args: Args, kwargs: Kwargs) -> object:
    """Call an embedding whose vectors are averaged or added for each input."""
    indices, given = argument(0, "input", args, kwargs), argument(1, "weight", args, kwargs)
    mode: str = argument(6, "mode", args, kwargs, "mean")
    odd = [name for place, name in _OF_BAGS if argument(place, name, args, kwargs) is not None]
    if odd or indices.ndim != 2 or mode == "max":
        raise Unrecorded(
            f"The network calls embedding_bag with {', '.join(odd) or f'{mode} of {indices.ndim} axes'}, which cannot "
            f"be recorded. Call torch.nn.functional.embedding and a mean or sum."
        )
    with record:
        vectors = F.embedding(indices, given)
        return vectors.mean(1) if mode == "mean" else vectors.sum(1)


def _one_hot(record: Record, func: Function, args: Args, kwargs: Kwargs) -> object:
    """Write whole numbers as vectors with a one."""
    result: Tensor = record.call(func, args, kwargs)
    source = argument(0, "tensor", args, kwargs)
    trace = trace_of(source)
    if trace is not None:
        record.settle(record.trace(result, trace.images, result.ndim - 1), result, [(source, trace)], func)
    return result


def picks_weight(record: Record, func: Function, args: Args, kwargs: Kwargs) -> bool:
    """Whether a call takes entries of a parameter that the inputs choose, as an embedding does.

    Raises:
        Unrecorded: it does, otherwise than by ``weight[indices]`` with one tensor of whole numbers.
    """
    if not args or not isinstance(args[0], Tensor) or trace_of(args[0]) is not None or record.origin(args[0]) is None:
        return False
    indices = [
        part for part in (*args[1:], *kwargs.values()) for part in (part if isinstance(part, tuple) else (part,))
    ]
    if all(trace_of(index) is None for index in indices):
        return False
    plain = func is Tensor.__getitem__ and len(indices) == 1 and args[0].ndim == 2
    if plain and indices[0].dtype not in (torch.bool, torch.uint8):
        return True
    raise Unrecorded(
        f"The inputs choose entries of a parameter by {getattr(func, '__name__', func)}, which cannot be recorded. "
        f"Call torch.nn.functional.embedding."
    )


HANDLERS: dict[Function, Handler] = {F.embedding: _look_up, F.embedding_bag: _look_up_bag, F.one_hot: _one_hot}
