"""Records the functions that a forward pass calls: its weights, its ReLUs, its last map and its classifier."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from zcbench.hooks import axes
from zcbench.hooks.axes import FIRST, Images
from zcbench.hooks.functions import (
    ACTIVATIONS,
    CELLS,
    CHANNEL_NORMS,
    COMPOSITES,
    CONVOLUTIONS,
    INNER,
    LAST_NORMS,
    OPERANDS,
    PRODUCTS,
    RECTIFIERS,
    RECURRENT,
    TRANSPOSED,
    Function,
    argument,
    rectifies,
)
from zcbench.hooks.trace import KEY, Call, Head, Last, Trace, trace_of
from zcbench.hooks.weights import Weight, WeightTable

Args = tuple[Any, ...]
Kwargs = Mapping[str, Any]
#: Called after a weight was applied; may give what the network goes on with in place of the output.
CallListener = Callable[[Call], Tensor | None]
#: Called before a ReLU of what depends on the images.
ReluListener = Callable[[Tensor, Images | None], None]
#: Called after a convolution, linear map, normalisation or activation function.
LayerListener = Callable[[Tensor, Images | None, int | None], None]

_AVERAGES: frozenset[Function] = axes.MEANS | {F.adaptive_avg_pool2d, F.avg_pool2d, F.adaptive_avg_pool1d, F.avg_pool1d}
_SUMS: frozenset[Function] = frozenset(
    {torch.add, Tensor.add, Tensor.add_, Tensor.__add__, Tensor.__radd__, Tensor.__iadd__, torch.sub, Tensor.sub}
)
_SHAPES: frozenset[Function] = axes.RESHAPES | axes.COPIES | (frozenset(axes.MOVES) - frozenset(axes.REDUCTIONS))
_WRITES: frozenset[Function] = frozenset({Tensor.__setitem__, Tensor.copy_})


class Recorder(TorchFunctionMode):
    """Within the block follows the images through the functions that are called.

    A function of a module, of ``torch.nn.functional``, of ``torch`` or of a tensor counts alike, with its arguments
    given by position or by keyword. What depends on the images carries a `Trace`; what is computed from parameters
    alone is known by the parameter that it comes from.

    Args:
        parameters: the tensors that stand for parameters in this pass, by name.
        images: the images that the network is called with, batch first.
        calls: called with every `Call` of a weight.
        relus: called with the input of every ReLU and the place of the images in it.
        layers: called with the output of every layer and activation function, its images and its channels.
        replace: gives another tensor for a weight that is no whole parameter.
        roles: whether `biases`, `scales` and `used` are filled.
        copies: whether the last map is copied, because the network overwrites it later.
    """

    def __init__(
        self,
        parameters: Mapping[str, Tensor],
        images: Tensor,
        *,
        calls: CallListener | None = None,
        relus: ReluListener | None = None,
        layers: LayerListener | None = None,
        replace: Callable[[Weight], Tensor] | None = None,
        roles: bool = False,
        copies: bool = False,
    ) -> None:
        super().__init__()
        self.weights = WeightTable(parameters)
        self.biases: set[str] = set()
        self.scales: set[str] = set()
        self.used: set[str] = set()
        self.attention: set[str] = set()
        self._size, self._order = len(images), 0
        self._calls, self._relus, self._layers, self._replace, self._roles = calls, relus, layers, replace, roles
        self._copies = copies
        images.__dict__[KEY] = self._born(images)

    def _born(self, images: Tensor) -> Trace:
        return Trace(0, FIRST, 1 if images.ndim > 1 else None)

    def __torch_function__(self, func: Function, types: Any, args: Args = (), kwargs: Kwargs | None = None) -> Any:
        """Call ``func``, and record what it does."""
        kwargs = kwargs or {}
        body = COMPOSITES.get(func)
        if body is not None:
            with self:
                return body(*args, **kwargs)
        handler = _HANDLERS.get(func)
        if handler is not None:
            return handler(self, func, args, kwargs)
        before = None
        if func in axes.MOVES or func in axes.RESHAPES:
            if not args and "input" in kwargs:
                args, kwargs = (kwargs["input"],), {name: value for name, value in kwargs.items() if name != "input"}
            before = getattr(args[0], "shape", None) if args else None
        result = func(*args, **kwargs)
        if isinstance(result, Tensor | tuple | list):
            self._follow(func, args, kwargs, result, before)
        return result

    # Weights

    def _convolve(self, func: Function, args: Args, kwargs: Kwargs) -> Any:
        weight: Tensor = argument(1, "weight", args, kwargs)
        groups = argument(6, "groups", args, kwargs, 1)
        outputs = weight.shape[1] * groups if func in TRANSPOSED else weight.shape[0]
        return self._weigh(func, args, kwargs, 1, "weight", "convolution", outputs)

    def _linear(self, func: Function, args: Args, kwargs: Kwargs) -> Any:
        return self._weigh(func, args, kwargs, 1, "weight", "linear", argument(1, "weight", args, kwargs).shape[0])

    def _bilinear(self, func: Function, args: Args, kwargs: Kwargs) -> Any:
        return self._weigh(func, args, kwargs, 2, "weight", "linear", argument(2, "weight", args, kwargs).shape[0])

    def _weigh(
        self, func: Function, args: Args, kwargs: Kwargs, place: int, keyword: str, kind: str, outputs: int
    ) -> Any:
        """Call a function whose argument at ``place`` is a weight with an output channel on axis 0."""
        given: Tensor = argument(place, keyword, args, kwargs)
        origin = self._origin(given)
        if origin is None:
            result = func(*args, **kwargs)
            self._follow(func, args, kwargs, result, None)
            return result
        entry = self.weights.add(given, origin, kind, outputs, False)
        args, kwargs = _with_argument(place, keyword, self._stand_in(entry, given), args, kwargs)
        if self._roles:
            self._note_bias(argument(place + 1, "bias", args, kwargs))
        result = func(*args, **kwargs)
        return self._weighed(func, args, kwargs, entry, argument(0, "input", args, kwargs, args and args[0]), result)

    def _product(self, func: Function, args: Args, kwargs: Kwargs) -> Any:
        """Call a matrix product: one operand may be a weight, or both may depend on the images."""
        first, second = PRODUCTS[func]
        names = OPERANDS.get(func, ("input", "other"))
        one, other = argument(first, names[0], args, kwargs), argument(second, names[1], args, kwargs)
        pair = trace_of(one), trace_of(other)
        if pair[0] is not None and pair[1] is None and (origin := self._origin(other)) is not None:
            place, keyword, given, source, transposed = second, names[1], other, one, func not in INNER
        elif pair[1] is not None and pair[0] is None and (origin := self._origin(one)) is not None:
            place, keyword, given, source, transposed = first, names[0], one, other, False
        else:
            result = func(*args, **kwargs)
            if None not in pair:
                self._attend(result, one, other)
            else:
                self._multiplied(func, args, kwargs, one, other, result)
            return result
        transposed = transposed and given.ndim == 2 and (func is not torch.tensordot or _first_axis(args, kwargs))
        outputs = given.shape[-1] if transposed or given.ndim == 1 else given.shape[-2 if given.ndim > 1 else 0]
        entry = self.weights.add(given, origin, "linear", outputs, transposed)
        args, kwargs = _with_argument(place, keyword, self._stand_in(entry, given), args, kwargs)
        if self._roles and len(args) + len(kwargs) > 2:
            self._note_bias(argument(0, "input", args, kwargs))
        result = func(*args, **kwargs)
        return self._weighed(func, args, kwargs, entry, source, result, left=source is other)

    def _multiplied(
        self, func: Function, args: Args, kwargs: Kwargs, one: Tensor, other: Tensor, result: Tensor
    ) -> None:
        """A product with a constant: its images lie where they did, its channels too where that axis is kept."""
        source, trace = (one, trace_of(one)) if trace_of(one) is not None else (other, trace_of(other))
        if trace is None or func is torch.tensordot:
            self._follow(func, args, kwargs, result, None)
            return
        new = Trace(self._next(), *_kept(source, trace, result, source is other))
        self._settle(new, result, [(source, trace)], func)

    def _einsum(self, func: Function, args: Args, kwargs: Kwargs) -> Any:
        """Call a product of tensors with named axes."""
        operands = args[1] if len(args) == 2 and isinstance(args[1], list | tuple) else args[1:]
        if not isinstance(args[0], str) or len(operands) != 2 or "." in args[0]:
            result = func(*args, **kwargs)
            self._follow(func, args, kwargs, result, None)
            return result
        parts = args[0].replace(" ", "").partition("->")
        labels, traced = parts[0].split(","), [trace_of(operand) for operand in operands]
        written = parts[2] if parts[1] else _implied(labels)
        if None not in traced:
            result = func(*args, **kwargs)
            self._attend(result, *operands, places=_einsum_images(labels[0], traced[0], written))
            return result
        data = 0 if traced[0] is not None else 1
        origin = self._origin(operands[1 - data]) if traced[data] is not None else None
        if origin is None:
            result = func(*args, **kwargs)
            self._follow(func, args, kwargs, result, None)
            self._place(result, labels[data], traced[data], written, None)
            return result
        given, fresh = operands[1 - data], [label for label in labels[1 - data] if label not in labels[data]]
        outputs, own = int(torch.Size([given.shape[labels[1 - data].index(label)] for label in fresh]).numel()), labels
        transposed = given.ndim == 2 and len(fresh) == 1 and own[1 - data].index(fresh[0]) == 1
        entry = self.weights.add(given, origin, "linear", outputs, transposed)
        pair = list(operands)
        pair[1 - data] = self._stand_in(entry, given)
        result = func(args[0], *pair)
        channel = written.index(fresh[0]) if len(fresh) == 1 and fresh[0] in written else None
        self._place(result, labels[data], traced[data], written, channel)
        return self._called(func, entry, operands[data], result)

    def _place(self, result: Tensor, labels: str, trace: Trace | None, written: str, channel: int | None) -> None:
        """Give the result of an einsum its axes."""
        if trace is not None:
            new = Trace(self._next(), _einsum_images(labels, trace, written), channel)
            if channel is None and trace.channels is not None and labels[trace.channels] in written:
                new.channels = written.index(labels[trace.channels])
            new.last, new.tokens = _last_of([trace]), trace.tokens
            result.__dict__[KEY] = new

    def _recur(self, func: Function, args: Args, kwargs: Kwargs) -> Any:
        """Call a recurrent layer: its weights are those with two axes."""
        packed = isinstance(args[1], Tensor) and isinstance(args[3], list | tuple)
        flat = args[3] if packed else args[2]
        for tensor in flat:
            self._note_recurrent(tensor)
        result = func(*args, **kwargs)
        trace = trace_of(args[0])
        if trace is None:
            self._follow(func, args, kwargs, result, None)
            return result
        outputs = result if isinstance(result, tuple) else (result,)
        for place, output in enumerate(outputs):
            images = trace.images if place == 0 else None if packed else Images(1)
            new = Trace(self._next(), images, output.ndim - 1)
            new.last, new.tokens = _last_of([trace]) or Last(args[0], args[0]._version, trace), True
            output.__dict__[KEY] = new
        return result

    def _recur_once(self, func: Function, args: Args, kwargs: Kwargs) -> Any:
        for tensor in args[2:]:
            self._note_recurrent(tensor)
        result = func(*args, **kwargs)
        self._follow(func, (args[0], args[1]), {}, result, None)
        return result

    def _note_recurrent(self, tensor: Any) -> None:
        origin = self._origin(tensor) if isinstance(tensor, Tensor) else None
        if origin is not None and tensor.ndim == 2:
            self.weights.add(tensor, origin, "recurrence", tensor.shape[0], False)
        elif origin is not None and self._roles:
            self._note_bias(tensor)

    def _stand_in(self, entry: Weight, given: Tensor) -> Tensor:
        """What a function is given for a weight: itself, the first view of the same part, or another tensor."""
        if entry.whole:
            return given
        if self._replace is not None:
            return self._replace(entry)
        return entry.tensor if entry.tensor.shape == given.shape else given

    def _weighed(
        self,
        func: Function,
        args: Args,
        kwargs: Kwargs,
        entry: Weight,
        source: Tensor,
        result: Tensor,
        left: bool = False,
    ) -> Any:
        """Record a weight's call and give what the network goes on with."""
        trace = trace_of(source)
        if trace is None:
            self._follow(func, args, kwargs, result, None)
            return result
        channels = _channel_axis(entry, result, left)
        images = trace.images
        if entry.kind == "convolution":
            batched = source.ndim == result.ndim == _convolved(func) + 2
            images = images if batched and images is not None and images.axis == 0 else None
        elif left or result.ndim != source.ndim:
            images, _ = _kept(source, trace, result, left)
        new = Trace(self._next(), images if self._fits(images, result) else None, channels)
        self._settle(new, result, [(source, trace)], func, layer=True)
        return self._called(func, entry, source, result)

    def _called(self, func: Function, entry: Weight, source: Tensor, result: Tensor) -> Any:
        trace, before = trace_of(result), trace_of(source)
        if trace is None:
            return result
        call = Call(entry, source, result, trace.images, -1 if trace.channels is None else trace.channels)
        trace.head, trace.origin = Head(entry, source, tuple(result.shape)), entry.name
        if before is not None and before.attended:
            self.attention.add(entry.name)
        self._tell_layers(result)
        replaced = self._calls(call) if self._calls is not None else None
        if replaced is None:
            return result
        replaced.__dict__[KEY] = trace
        return replaced

    # Other functions

    def _normalise(self, func: Function, args: Args, kwargs: Kwargs) -> Any:
        if self._roles:
            self._note_norm(func, args, kwargs)
        result = func(*args, **kwargs)
        self._follow(func, args, kwargs, result, None)
        trace = trace_of(result)
        if trace is not None:
            if func in CHANNEL_NORMS:
                trace.channels = 1
            elif len(argument(1, "normalized_shape", args, kwargs)) == 1:
                trace.channels = result.ndim - 1
            trace.tokens = trace.tokens or result.ndim == 3
            self._settle(trace, result, [], func)
        self._tell_layers(result)
        return result

    def _activate(self, func: Function, args: Args, kwargs: Kwargs) -> Any:
        rectified = rectifies(func, args, kwargs)
        if rectified and self._relus is not None:
            source = argument(0, "input", args, kwargs)
            trace = trace_of(source)
            if trace is not None:
                self._relus(source, trace.images)
        result = func(*args, **kwargs)
        if isinstance(result, Tensor | tuple):
            before = getattr(args[0], "shape", None) if args and func in axes.MOVES else None
            self._follow(func, args, kwargs, result, before)
        if rectified or func in ACTIVATIONS:
            self._tell_layers(result)
        return result

    def _tell_layers(self, result: Any) -> None:
        trace = trace_of(result)
        if self._layers is not None and trace is not None:
            self._layers(result, trace.images, trace.channels)

    def _attended(self, func: Function, args: Args, kwargs: Kwargs) -> Any:
        """Call a scaled dot-product attention."""
        result = func(*args, **kwargs)
        query, key, value = (
            argument(place, name, args, kwargs) for place, name in enumerate(("query", "key", "value"))
        )
        self._attend(result, query, key, value)
        return result

    def _attend(self, result: Tensor, *operands: Tensor, places: Images | None = None) -> None:
        """A product of tensors that depend on the images: what an attention is made of."""
        traces = [trace for operand in operands if (trace := trace_of(operand)) is not None]
        if not traces:
            return
        self.attention |= {trace.origin for trace in traces if trace.origin is not None}
        first = trace_of(operands[0])
        images = places
        if images is None and first is not None:
            images, _ = _kept(operands[0], first, result, False)
        new = Trace(self._next(), images if self._fits(images, result) else None, None)
        new.last, new.attended, new.tokens = _last_of(traces), True, any(trace.tokens for trace in traces)
        if new.last is None:
            new.last = self._latest(list(zip(operands, map(trace_of, operands))), result)
        result.__dict__[KEY] = new

    def _write(self, func: Function, args: Args, kwargs: Kwargs) -> Any:
        """Call a function that writes a tensor into another."""
        result = func(*args, **kwargs)
        target, value = args[0], args[-1]
        trace = trace_of(value)
        if trace is not None:
            own = trace_of(target)
            images, channels = (own.images, own.channels) if own else self._broadcast(value, trace, target)
            new = Trace(self._next(), images if self._fits(images, target) else None, channels)
            self._settle(new, target, [(value, trace)], func)
        return result

    def _broadcast(self, value: Tensor, trace: Trace, target: Tensor) -> tuple[Images | None, int | None]:
        return _through(axes.aligned(value.ndim, target.ndim), trace)

    def _follow(self, func: Function, args: Args, kwargs: Kwargs, result: Any, before: Sequence[int] | None) -> None:
        """Give the outputs of a function their traces."""
        sources = [(tensor, trace) for tensor in _tensors(args, kwargs) if (trace := trace_of(tensor)) is not None]
        if self._roles:
            self.used |= {name for tensor in _tensors(args, kwargs) if (name := self.weights.name_of(tensor))}
        outputs = [result] if isinstance(result, Tensor) else [part for part in result if isinstance(part, Tensor)]
        if not sources:
            origin = next((name for tensor in _tensors(args, kwargs) if (name := self._origin(tensor))), None)
            for output in outputs if origin is not None else ():
                if id(output) not in self.weights.names:
                    output.__dict__[KEY] = origin
            return
        for output in outputs:
            source, trace = max(sources, key=lambda pair: _suits(*pair, output)) if len(sources) > 1 else sources[0]
            images, channels = self._axes(func, args, kwargs, source, trace, output, before)
            new = Trace(self._next(), images if self._fits(images, output) else None, channels)
            self._settle(new, output, sources, func)
            self._derive(new, func, args, kwargs, sources, output)

    def _axes(
        self,
        func: Function,
        args: Args,
        kwargs: Kwargs,
        source: Tensor,
        trace: Trace,
        output: Tensor,
        before: Sequence[int] | None,
    ) -> tuple[Images | None, int | None]:
        """Where images and channels lie in an output of a function."""
        shape = source.shape if before is None or source is not args[0] else before
        if func in axes.RESHAPES:
            images, channels = trace.images, trace.channels
            return (
                images and axes.reshaped_images(images, self._size, shape, output.shape),
                None if channels is None else axes.reshaped_channels(channels, shape, output.shape),
            )
        if func in axes.MOVES:
            return _through(axes.MOVES[func](func, args, kwargs, shape), trace)
        return _through(axes.aligned(len(shape), output.ndim), trace)

    def _settle(
        self,
        new: Trace,
        result: Tensor,
        sources: list[tuple[Tensor, Trace]],
        func: Function,
        layer: bool = False,
    ) -> None:
        """Decide whether a result is a map or a sequence of tokens itself, or which one was the last before it."""
        if sources:
            new.tokens = any(trace.tokens for _, trace in sources) or (layer and result.ndim == 3)
            new.last = self._latest(sources, result)
        if self._is_itself(new, result, sources, func, layer):
            new.last = None
        result.__dict__[KEY] = new

    def _latest(self, sources: Sequence[tuple[Tensor, Trace | None]], result: Tensor) -> Last | None:
        """The latest map or sequence of tokens among the sources and what lies before them."""
        found = []
        for tensor, trace in sources:
            if trace is not None and trace.last is not None:
                found.append(trace.last)
            elif trace is not None and tensor is not result:
                found.append(Last(tensor.clone() if self._copies else tensor, tensor._version, trace))
        return max(found, key=lambda last: last.trace.order) if found else None

    def _is_itself(
        self, new: Trace, result: Tensor, sources: list[tuple[Tensor, Trace]], func: Function, layer: bool
    ) -> bool:
        if new.channels is None or func in axes.REDUCTIONS:
            return False
        if result.ndim == 4 and (layer or new.images == FIRST):
            return _is_map(new, result, sources, func, layer)
        several = result.numel() > self._size * result.shape[-1]
        return result.ndim == 3 and new.tokens and new.channels == 2 and several and not (layer or func in _SHAPES)

    def _derive(
        self,
        new: Trace,
        func: Function,
        args: Args,
        kwargs: Kwargs,
        sources: list[tuple[Tensor, Trace]],
        output: Tensor,
    ) -> None:
        """Hand on the head, the origin and the attention of a single source."""
        source, trace = sources[0]
        if len(sources) > 1:
            same = {other.origin for _, other in sources}
            new.origin = trace.origin if len(same) == 1 else None
            return
        new.origin, new.attended = trace.origin, trace.attended
        if trace.head is None:
            return
        if output.numel() == source.numel() and (func in _SHAPES or func in _SUMS):
            new.head = trace.head
            if func in _SUMS and self._roles:
                self._note_added(args, trace.head)
        elif func in _AVERAGES and new.images is not None and new.channels is not None:
            new.head = trace.head._replace(picks=(*trace.head.picks, "mean"))
        elif func in axes.MOVES and func not in axes.REDUCTIONS and not trace.head.picks:
            if tuple(source.shape) == trace.head.shape:
                new.head = trace.head._replace(picks=((func, args[1:], dict(kwargs)),))

    # Parameters

    def _origin(self, tensor: Any) -> str | None:
        """Name of the parameter that a tensor is, shows a part of, or was computed from."""
        if not isinstance(tensor, Tensor):
            return None
        name = self.weights.name_of(tensor)
        if name is None:
            found = tensor.__dict__.get(KEY)
            name = found if isinstance(found, str) else None
            if found is None and name is None and tensor.requires_grad:
                return "computed"  # before the forward pass, or by a function that nobody sees
        return name

    def _note_bias(self, tensor: Any) -> None:
        name = self.weights.name_of(tensor) if isinstance(tensor, Tensor) else None
        if name is not None:
            self.biases.add(name)
            self.used.add(name)

    def _note_norm(self, func: Function, args: Args, kwargs: Kwargs) -> None:
        place = {F.layer_norm: 2, F.group_norm: 2, F.rms_norm: 2}.get(func, 3)
        self._note_bias(argument(place + 1, "bias", args, kwargs) if func is not F.rms_norm else None)
        scale = argument(place, "weight", args, kwargs)
        name = self.weights.name_of(scale) if isinstance(scale, Tensor) else None
        if name is not None:
            self.used.add(name)
            if func is F.batch_norm:
                self.scales.add(name)

    def _note_added(self, args: Args, head: Head) -> None:
        for tensor in args:
            if isinstance(tensor, Tensor) and trace_of(tensor) is None and tensor.numel() == head.weight.outputs:
                self._note_bias(tensor)

    def _next(self) -> int:
        self._order += 1
        return self._order

    def _fits(self, images: Images | None, tensor: Tensor) -> bool:
        if images is None or images.axis >= tensor.ndim:
            return False
        return tensor.shape[images.axis] == images.outer * self._size * images.inner


Handler = Callable[[Recorder, Function, Args, Kwargs], Any]


def _handlers() -> dict[Function, Handler]:
    found: dict[Function, Handler] = {
        **dict.fromkeys(CONVOLUTIONS | TRANSPOSED, Recorder._convolve),
        **dict.fromkeys(PRODUCTS, Recorder._product),
        **dict.fromkeys(RECURRENT, Recorder._recur),
        **dict.fromkeys(CELLS, Recorder._recur_once),
        **dict.fromkeys(CHANNEL_NORMS | LAST_NORMS, Recorder._normalise),
        **dict.fromkeys(_WRITES, Recorder._write),
        F.linear: Recorder._linear,
        F.bilinear: Recorder._bilinear,
        torch.einsum: Recorder._einsum,
        F.scaled_dot_product_attention: Recorder._attended,
        **dict.fromkeys(ACTIVATIONS | RECTIFIERS, Recorder._activate),
    }
    return found


def _tensors(args: Args, kwargs: Kwargs) -> Iterator[Tensor]:
    for part in (*args, *kwargs.values()) if kwargs else args:
        if isinstance(part, Tensor):
            yield part
        elif isinstance(part, list | tuple):
            for inner in part:
                if isinstance(inner, Tensor):
                    yield inner


def _with_argument(place: int, keyword: str, value: Tensor, args: Args, kwargs: Kwargs) -> tuple[Args, Kwargs]:
    """The arguments of a call, with one exchanged."""
    if len(args) > place:
        return (args if args[place] is value else (*args[:place], value, *args[place + 1 :])), kwargs
    return args, {**kwargs, keyword: value}


def _suits(tensor: Tensor, trace: Trace, output: Tensor) -> tuple[bool, bool, bool]:
    """How well a source tells where the axes of an output are."""
    return tensor.ndim == output.ndim, trace.images is not None, trace.channels is not None


def _through(places: axes.Places, trace: Trace) -> tuple[Images | None, int | None]:
    """Images and channels of a source after its axes were placed so."""
    images, channels = trace.images, trace.channels
    axis = None if images is None else axes.placed(images.axis, places)
    where = None if images is None or axis is None else images._replace(axis=axis)
    return where, None if channels is None else axes.placed(channels, places)


def _kept(source: Tensor, trace: Trace, result: Tensor, right: bool) -> tuple[Images | None, int | None]:
    """Images and channels of an operand in a matrix product; ``right`` says that it is the second one."""
    lost = source.ndim - (2 if right and source.ndim > 1 else 1)
    shift = result.ndim - source.ndim
    places: list[int | None] = [None] * max(0, shift)
    places += [None if axis == lost else axis for axis in range(max(0, -shift), source.ndim)]
    if shift < 0:  # a vector on the other side: the axis of the products is gone
        places = [axis for axis in range(source.ndim) if axis != lost]
    return _through(places, trace)


def _first_axis(args: Args, kwargs: Kwargs) -> bool:
    """Whether a tensordot sums over the first axis of its second operand."""
    dims = argument(2, "dims", args, kwargs, 2)
    return not isinstance(dims, list | tuple) or torch.as_tensor(dims[1]).flatten()[0].item() % 2 == 0


def _channel_axis(entry: Weight, result: Tensor, left: bool) -> int:
    if entry.kind == "convolution":
        return 1
    return result.ndim - 2 if left and result.ndim > 1 else result.ndim - 1


def _convolved(func: Function) -> int:
    """Number of spatial axes of a convolution."""
    return {F.conv1d: 1, F.conv_transpose1d: 1, F.conv3d: 3, F.conv_transpose3d: 3}.get(func, 2)


def _last_of(traces: Sequence[Trace]) -> Last | None:
    lasts = [trace.last for trace in traces if trace.last is not None]
    return max(lasts, key=lambda last: last.trace.order) if len(lasts) == len(traces) and lasts else None


def _is_map(new: Trace, result: Tensor, sources: list[tuple[Tensor, Trace]], func: Function, layer: bool) -> bool:
    """Whether a result with four axes is a map in its own right, and not on the way to the end of one."""
    channels = new.channels
    spatial = [axis for axis in (1, 2, 3) if axis != channels]
    positions = result.shape[spatial[0]] * result.shape[spatial[1]]
    source, trace = sources[0] if sources else (None, None)
    if source is None or trace is None or source.ndim != 4 or trace.channels not in (1, 3):
        return positions > 1 and (func not in axes.RESHAPES or (trace is not None and trace.tokens))
    old = [source.shape[axis] for axis in (1, 2, 3) if axis != trace.channels]
    now = [result.shape[axis] for axis in spatial]
    if positions == 1:
        return trace.last is None and (layer or old == [1, 1])
    if layer:
        return True
    if func in axes.RESHAPES:
        return trace.last is None and old == now
    return not any(after == 1 < size for size, after in zip(old, now))


def _implied(labels: list[str]) -> str:
    joined = "".join(labels)
    return "".join(sorted(label for label in set(joined) if joined.count(label) == 1))


def _einsum_images(labels: str, trace: Trace | None, written: str) -> Images | None:
    if trace is None or trace.images is None or labels[trace.images.axis] not in written:
        return None
    return trace.images._replace(axis=written.index(labels[trace.images.axis]))


_HANDLERS: dict[Function, Handler] = _handlers()
