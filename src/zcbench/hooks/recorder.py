"""Records the functions that a forward pass calls: its weights, its ReLUs, its last map and its classifier."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from zcbench.errors import ZcbenchError
from zcbench.hooks import axes
from zcbench.hooks.axes import Images
from zcbench.hooks.flow import Args, Flow, Kwargs, tensors_in
from zcbench.hooks.functions import (
    ABOVE,
    ACTIVATIONS,
    ALIASES,
    BELOW,
    CELLS,
    CHANNEL_NORMS,
    COMPOSITES,
    CONVOLUTIONS,
    INNER,
    LAST_NORMS,
    MASKED,
    OPERANDS,
    PRODUCTS,
    RECTIFIERS,
    RECURRENT,
    TRANSPOSED,
    Function,
    argument,
    is_zero,
    rectifies,
)
from zcbench.hooks.products import channel_axis, einsum_axes, first_axis, kept, with_argument
from zcbench.hooks.trace import KEY, Call, Head, Trace, trace_of
from zcbench.hooks.weights import Origin, Weight

#: Called after a weight was applied; may give what the network goes on with in place of the output.
CallListener = Callable[[Call], Tensor | None]
#: Called with the number of a call and its output after a bias was added to it, if it still has the shape of that.
BiasListener = Callable[[int, Tensor | None], None]
#: Called before a ReLU of what depends on the images.
ReluListener = Callable[[Tensor, Images | None], None]
#: Called after a convolution, linear map, normalisation or activation function, with images, channels and a number.
LayerListener = Callable[[Tensor, Images | None, int | None, int], None]

_OPERATORS = (torch._ops.OpOverload, torch._ops.OpOverloadPacket)
_OUTPUTS = (Tensor, tuple, list)
_WRITES: frozenset[Function] = frozenset({Tensor.__setitem__, Tensor.copy_})
_MASK = "_zcbench_mask"


class Unrecorded(ZcbenchError):
    """A network does something that cannot be recorded, so that what rests on it is not known."""


class Recorder(Flow, TorchFunctionMode):
    """Within the block follows the images through the functions that are called.

    A function of a module, of ``torch.nn.functional``, of ``torch`` or of a tensor counts alike, with its arguments
    given by position or by keyword. What depends on the images carries a `Trace`; what is computed from parameters
    alone is known by the parameter that it comes from.

    Args:
        parameters: the tensors that stand for parameters in this pass, by name.
        images: the images that the network is called with, batch first.
        calls: called with every `Call` of a weight.
        biased: called with every bias that is added to a call's output by a function of its own.
        relus: called with the input of every ReLU and the place of the images in it.
        layers: called with the output of every layer and activation function, its images and its channels.
        replace: may give another tensor for a weight that is no whole parameter.
        roles: whether `biases`, `scales` and `used` are filled.
        copies: whether the last map is copied, because the network overwrites it later.

    Raises:
        Unrecorded: the network calls an operator below PyTorch's functions.
    """

    def __init__(
        self,
        parameters: Mapping[str, Tensor],
        images: Tensor,
        *,
        calls: CallListener | None = None,
        biased: BiasListener | None = None,
        relus: ReluListener | None = None,
        layers: LayerListener | None = None,
        replace: Callable[[Weight], Tensor | None] | None = None,
        roles: bool = False,
        copies: bool = False,
    ) -> None:
        TorchFunctionMode.__init__(self)
        Flow.__init__(self, parameters, images, copies)
        self.biases: set[str] = set()
        self.scales: set[str] = set()
        self.used: set[str] = set()
        self.attention: set[str] = set()
        self._calls, self._biased, self._relus, self._layers = calls, biased, relus, layers
        self._replace, self._roles = replace, roles

    def __torch_function__(self, func: Function, types: Any, args: Args = (), kwargs: Kwargs | None = None) -> Any:
        """Call ``func``, and record what it does."""
        kwargs = kwargs or {}
        if self._roles:
            self._note_used(args, kwargs)
        handler = _HANDLERS.get(func)
        if handler is not None:
            return handler(self, func, args, kwargs)
        before = None
        if func in _RESHAPING:
            if not args and "input" in kwargs:
                args, kwargs = (kwargs["input"],), {name: value for name, value in kwargs.items() if name != "input"}
            before = getattr(args[0], "shape", None) if args else None
        elif isinstance(func, _OPERATORS):
            self._refuse_operator(func, args, kwargs)
        result = func(*args, **kwargs)
        if isinstance(result, _OUTPUTS):
            self.follow(func, args, kwargs, result, before)
            mask = args[0].__dict__.get(_MASK) if args and isinstance(args[0], Tensor) else None
            if mask is not None and func in axes.COPIES and isinstance(result, Tensor):
                result.__dict__[_MASK] = mask
        return result

    def _compose(self, func: Function, args: Args, kwargs: Kwargs) -> Any:
        """Call the functions that ``func`` is made of, or the one that it stands for."""
        with self:
            return _BODIES[func](*args, **kwargs)

    def _refuse_operator(self, func: Any, args: Args, kwargs: Kwargs) -> None:
        name = str(func)
        if name.startswith("aten") or any(self.origin(tensor) is not None for tensor in tensors_in(args, kwargs)):
            raise Unrecorded(
                f"The network calls the operator {name}, which cannot be recorded. Call the function of torch or "
                f"torch.nn.functional."
            )

    # Weights

    def _convolve(self, func: Function, args: Args, kwargs: Kwargs) -> Any:
        weight: Tensor = argument(1, "weight", args, kwargs)
        if func is torch.convolution:
            groups, turned = argument(8, "groups", args, kwargs, 1), argument(6, "transposed", args, kwargs, False)
        else:
            groups, turned = argument(6, "groups", args, kwargs, 1), func in TRANSPOSED
        outputs = weight.shape[1] * groups if turned else weight.shape[0]
        return self._weigh(func, args, kwargs, 1, "convolution", outputs)

    def _linear(self, func: Function, args: Args, kwargs: Kwargs) -> Any:
        return self._weigh(func, args, kwargs, 1, "linear", argument(1, "weight", args, kwargs).shape[0])

    def _bilinear(self, func: Function, args: Args, kwargs: Kwargs) -> Any:
        return self._weigh(func, args, kwargs, 2, "linear", argument(2, "weight", args, kwargs).shape[0])

    def _weigh(self, func: Function, args: Args, kwargs: Kwargs, place: int, kind: str, outputs: int) -> Any:
        """Call a function whose argument at ``place`` is a weight with an output channel on axis 0."""
        given: Tensor = argument(place, "weight", args, kwargs)
        origin = self.origin(given) if trace_of(given) is None else None
        if origin is None:
            result = func(*args, **kwargs)
            self.follow(func, args, kwargs, result, None)
            return result
        entry = self.weights.add(given, origin, kind, outputs, False)
        args, kwargs = with_argument(place, "weight", self._stand_in(entry, given), args, kwargs)
        self._note_bias(argument(place + 1, "bias", args, kwargs))
        result = func(*args, **kwargs)
        return self._weighed(func, args, kwargs, entry, argument(0, "input", args, kwargs), result)

    def _product(self, func: Function, args: Args, kwargs: Kwargs) -> Any:
        """Call a matrix product: one operand may be a weight, or both may depend on the images."""
        first, second = PRODUCTS[func]
        names = OPERANDS.get(func, ("input", "other"))
        one, other = argument(first, names[0], args, kwargs), argument(second, names[1], args, kwargs)
        pair = trace_of(one), trace_of(other)
        origin = self._weight_origin(other if pair[1] is None else one) if pair.count(None) == 1 else None
        if origin is None:
            result = func(*args, **kwargs)
            if None not in pair:
                self._attend(result, one, other)
            else:
                self._multiplied(func, args, kwargs, one, other, result)
            return result
        left = pair[0] is None
        given, source = (one, other) if left else (other, one)
        transposed = not left and given.ndim == 2 and func not in INNER
        transposed = transposed and (func is not torch.tensordot or first_axis(args, kwargs))
        outputs = given.shape[-1] if transposed or given.ndim == 1 else given.shape[-2]
        entry = self.weights.add(given, origin, "linear", outputs, transposed)
        place, keyword = (first, names[0]) if left else (second, names[1])
        args, kwargs = with_argument(place, keyword, self._stand_in(entry, given), args, kwargs)
        if first == 1:
            self._note_bias(argument(0, "input", args, kwargs))
        result = func(*args, **kwargs)
        return self._weighed(func, args, kwargs, entry, source, result, left)

    def _weight_origin(self, operand: Any) -> Origin | None:
        """The parameter behind a factor, unless it was computed as a batch of matrices, such as learned queries."""
        origin = self.origin(operand)
        computed = origin is not None and origin.tensor is None and origin.base is None
        return None if computed and operand.ndim > 2 else origin

    def _multiplied(self, func: Function, args: Args, kwargs: Kwargs, one: Any, other: Any, result: Tensor) -> None:
        """A product with a constant: its images lie where they did, its channels too where that axis is kept."""
        source, trace = (one, trace_of(one)) if trace_of(one) is not None else (other, trace_of(other))
        if trace is None or func is torch.tensordot:
            self.follow(func, args, kwargs, result, None)
            return
        new = self.trace(result, *kept(source, trace, result, source is other))
        self.settle(new, result, [(source, trace)], func)

    def _einsum(self, func: Function, args: Args, kwargs: Kwargs) -> Any:
        """Call a product of tensors with named axes."""
        operands = args[1] if len(args) == 2 and isinstance(args[1], list | tuple) else args[1:]
        traced = [trace_of(operand) for operand in operands]
        plain = isinstance(args[0], str) and "." not in args[0]
        data = next((place for place, trace in enumerate(traced) if trace is not None), None)
        if not plain or data is None or len(operands) > 2:
            result = func(*args, **kwargs)
            self.follow(func, args, kwargs, result, None)
            return result
        labels, written = einsum_axes(args[0])
        place = None if len(operands) == 1 or None not in traced else 1 - data
        origin = None if place is None else self._weight_origin(operands[place])
        if origin is None or place is None:
            result = func(*args, **kwargs)
            if None not in traced and len(operands) == 2:
                self._attend(result, *operands, places=_placed_images(labels[data], traced[data], written))
            else:
                self._place(result, operands[data], labels[data], written, None, func, layer=False)
            return result
        given, fresh = operands[place], [label for label in labels[place] if label not in labels[data]]
        outputs = torch.Size([given.shape[labels[place].index(label)] for label in fresh]).numel()
        transposed = given.ndim == 2 and len(fresh) == 1 and labels[place].index(fresh[0]) == 1
        entry = self.weights.add(given, origin, "linear", outputs, transposed)
        stands = [self._stand_in(entry, given) if index == place else part for index, part in enumerate(operands)]
        result = func(args[0], *stands)
        channel = written.index(fresh[0]) if len(fresh) == 1 and fresh[0] in written else None
        self._place(result, operands[data], labels[data], written, channel, func, layer=True)
        return self._called(entry, operands[data], result)

    def _place(
        self,
        result: Tensor,
        source: Tensor,
        labels: str,
        written: str,
        channel: int | None,
        func: Function,
        layer: bool,
    ) -> None:
        """Give the result of an einsum its axes."""
        trace = trace_of(source)
        assert trace is not None
        if channel is None and not layer and trace.channels is not None and labels[trace.channels] in written:
            channel = written.index(labels[trace.channels])
        new = self.trace(result, _placed_images(labels, trace, written), channel)
        self.settle(new, result, [(source, trace)], func, layer)

    def _recur(self, func: Function, args: Args, kwargs: Kwargs) -> Any:
        """Call a recurrent layer: its weights are those with two axes."""
        packed = isinstance(args[1], Tensor) and isinstance(args[3], list | tuple)
        for tensor in args[3] if packed else args[2]:
            self._note_recurrent(tensor)
        result = func(*args, **kwargs)
        trace = trace_of(args[0])
        if trace is None:
            self.follow(func, args, kwargs, result, None)
            return result
        layers = int(args[5] if packed else args[4])
        for place, output in enumerate(result):
            new = self.trace(output, trace.images if place == 0 else Images(output.ndim - 2), output.ndim - 1)
            self.settle(new, output, [(args[0], trace)], func, layer=True)
            new.depth = trace.depth + layers
            new.last, new.hidden = self._latest([(args[0], trace)], output, func), 1  # steps are no positions of a map
        return result

    def _recur_once(self, func: Function, args: Args, kwargs: Kwargs) -> Any:
        for tensor in args[2:]:
            self._note_recurrent(tensor)
        result = func(*args, **kwargs)
        self.follow(func, args[:1], {}, result, None)
        for output in result if isinstance(result, tuple) else (result,):
            trace = trace_of(output)
            if trace is not None:
                trace.channels, trace.depth, trace.head = output.ndim - 1, trace.depth + 1, None
        return result

    def _note_recurrent(self, tensor: Any) -> None:
        origin = self.origin(tensor)
        if origin is not None and tensor.ndim == 2:
            self.weights.add(tensor, origin, "recurrence", tensor.shape[0], False)
        else:
            self._note_bias(tensor)

    def _stand_in(self, entry: Weight, given: Tensor) -> Tensor:
        """What a function is given for a weight: itself, the first view of the same part, or another tensor."""
        if entry.whole:
            return given
        other = self._replace(entry) if self._replace is not None else None
        found = entry.tensor if other is None else other
        if found.shape != given.shape:
            raise Unrecorded(f"The weight {entry.name!r} is computed anew with another shape in each call.")
        return found

    def _weighed(
        self, func: Function, args: Args, kwargs: Kwargs, entry: Weight, source: Any, result: Tensor, left: bool = False
    ) -> Any:
        """Record a weight's call and give what the network goes on with."""
        trace = trace_of(source)
        if trace is None:
            if isinstance(source, Tensor) and torch._C._functorch.is_batchedtensor(source):
                raise Unrecorded("The network calls torch.vmap, inside which nothing can be recorded.")
            self.follow(func, args, kwargs, result, None)
            return result
        images, channels = trace.images, channel_axis(entry, result, left)
        if entry.kind == "convolution":
            batched = source.ndim == result.ndim == argument(1, "weight", args, kwargs).ndim
            images = images if batched and images is not None and images.axis == 0 else None
            channels = 1 if batched else 0
        elif left or result.ndim != source.ndim:
            images, _ = kept(source, trace, result, left)
        elif images is not None and images.axis == channels:
            images = None
        new = self.trace(result, images, channels)
        self.settle(new, result, [(source, trace)], func, layer=True)
        new.scores, new.soft = trace.scores, trace.soft  # scores of heads may be mixed by a linear map
        return self._called(entry, source, result)

    def _called(self, entry: Weight, source: Tensor, result: Tensor) -> Any:
        trace, before = trace_of(result), trace_of(source)
        if trace is None:
            return result
        call = Call(trace.order, entry, source, result, trace.images, -1 if trace.channels is None else trace.channels)
        trace.head, trace.origin = Head(trace.order, entry, source, tuple(result.shape)), entry.name
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
        self._note_norm(func, args, kwargs)
        result = func(*args, **kwargs)
        self.follow(func, args, kwargs, result, None)
        trace = trace_of(result)
        if trace is not None:
            if func in CHANNEL_NORMS:
                trace.channels = 1
            elif len(argument(1, "normalized_shape", args, kwargs)) == 1:
                trace.channels = result.ndim - 1
            trace.tokens = trace.tokens or result.ndim == 3
            if self._is_itself(trace, result, [], func, False):
                trace.last, trace.hidden = None, 0
        self._tell_layers(result)
        return result

    def _activate(self, func: Function, args: Args, kwargs: Kwargs) -> Any:
        rectified = rectifies(func, args, kwargs)
        if rectified:
            self._tell_relus(argument(0, "input", args, kwargs))
        result = func(*args, **kwargs)
        if isinstance(result, _OUTPUTS):
            before = getattr(args[0], "shape", None) if args and func in axes.MOVES else None
            self.follow(func, args, kwargs, result, before)
        if rectified or func in ACTIVATIONS:
            self._tell_layers(result)
        return result

    def _compare(self, func: Function, args: Args, kwargs: Kwargs) -> Any:
        """Call a comparison, and note one with 0."""
        result = func(*args, **kwargs)
        self.follow(func, args, kwargs, result, None)
        if len(args) == 2 and isinstance(args[0], Tensor) and is_zero(args[1]) and isinstance(result, Tensor):
            result.__dict__[_MASK] = (args[0], func in ABOVE)
        return result

    def _mask(self, func: Function, args: Args, kwargs: Kwargs) -> Any:
        """Call a function that may apply a comparison with 0 to what was compared: a ReLU."""
        source = _rectified(func, args)
        if source is not None:
            self._tell_relus(source)
        result = func(*args, **kwargs)
        self.follow(func, args, kwargs, result, None)
        if source is not None:
            self._tell_layers(result)
        return result

    def _tell_relus(self, source: Any) -> None:
        trace = trace_of(source)
        if self._relus is not None and trace is not None:
            self._relus(source, trace.images)

    def _tell_layers(self, result: Any) -> None:
        trace = trace_of(result)
        if self._layers is not None and trace is not None:
            self._layers(result, trace.images, trace.channels, trace.order)

    def _attended(self, func: Function, args: Args, kwargs: Kwargs) -> Any:
        """Call a scaled dot-product attention."""
        result = func(*args, **kwargs)
        operands = [argument(place, name, args, kwargs) for place, name in enumerate(("query", "key", "value"))]
        self._attend(result, *operands)
        traces = [trace for operand in operands if (trace := trace_of(operand)) is not None]
        self.attention |= {trace.origin for trace in traces if trace.origin is not None}
        trace = trace_of(result)
        if trace is not None:
            trace.attended = True
        return result

    def _attend(self, result: Tensor, *operands: Tensor, places: Images | None = None) -> None:
        """A product of tensors that depend on the images; with a softmax in between two of them are an attention."""
        sources = [(operand, trace) for operand in operands if (trace := trace_of(operand)) is not None]
        if not sources:
            return
        images = places if places is not None else kept(*sources[0], result, False)[0]
        new = self.trace(result, images, None)
        self.settle(new, result, sources, F.scaled_dot_product_attention)
        origins = frozenset(trace.origin for _, trace in sources if trace.origin is not None)
        soft = frozenset[str]().union(*(trace.soft for _, trace in sources))
        if soft:
            self.attention |= soft | origins
            new.attended = True
        else:
            new.scores = origins

    def _write(self, func: Function, args: Args, kwargs: Kwargs) -> Any:
        """Call a function that writes a tensor into another."""
        result = func(*args, **kwargs)
        target, value = args[0], args[-1]
        trace, own = trace_of(value), trace_of(target)
        if trace is not None:
            axis = own or trace
            shift = 0 if own else target.ndim - value.ndim
            images = axis.images and axis.images._replace(axis=axis.images.axis + shift)
            new = self.trace(target, images, None if axis.channels is None else axis.channels + shift)
            self.settle(new, target, [(value, trace)] + ([(target, own)] if own else []), func)
        return result

    # Parameters

    def added(self, args: Args, trace: Trace, output: Tensor) -> None:
        """Note a bias that was added to the output of a linear map."""
        head = trace.head
        for tensor in args:
            if head is None or not isinstance(tensor, Tensor) or trace_of(tensor) is not None:
                continue
            if tensor.numel() == head.weight.outputs and self.origin(tensor) is not None:
                self._note_bias(tensor)
                if self._biased is not None:
                    self._biased(head.number, output if tuple(output.shape) == head.shape else None)

    def _note_used(self, args: Args, kwargs: Kwargs) -> None:
        found = (self.origin(tensor) for tensor in tensors_in(args, kwargs) if trace_of(tensor) is None)
        self.used |= {origin.name for origin in found if origin is not None}

    def _note_bias(self, tensor: Any) -> None:
        origin = self.origin(tensor) if self._roles else None
        if origin is not None and origin.name != "computed":
            self.biases.add(origin.name)

    def _note_norm(self, func: Function, args: Args, kwargs: Kwargs) -> None:
        if not self._roles:
            return
        place = 3 if func in (F.batch_norm, F.instance_norm) else 2
        if func not in (F.rms_norm, torch.rms_norm):
            self._note_bias(argument(place + 1, "bias", args, kwargs))
        origin = self.origin(argument(place, "weight", args, kwargs))
        if origin is not None and func is F.batch_norm and trace_of(argument(0, "input", args, kwargs)) is not None:
            self.scales.add(origin.name)


Handler = Callable[[Recorder, Function, Args, Kwargs], Any]

_RESHAPING: frozenset[Function] = frozenset(axes.MOVES) | axes.RESHAPES
_BODIES: dict[Function, Function] = COMPOSITES | ALIASES
_HANDLERS: dict[Function, Handler] = {
    **dict.fromkeys(_BODIES, Recorder._compose),
    **dict.fromkeys(ABOVE | BELOW, Recorder._compare),
    **dict.fromkeys(MASKED, Recorder._mask),
    **dict.fromkeys(ACTIVATIONS | RECTIFIERS, Recorder._activate),
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
}


def _placed_images(labels: str, trace: Trace | None, written: str) -> Images | None:
    """Where the images are in an einsum's result."""
    if trace is None or trace.images is None or labels[trace.images.axis] not in written:
        return None
    return trace.images._replace(axis=written.index(labels[trace.images.axis]))


def _rectified(func: Function, args: Args) -> Tensor | None:
    """What is rectified by a call such as ``x * (x > 0)``, ``where(x > 0, x, 0)`` or ``x.masked_fill(x < 0, 0)``."""
    masks = [part.__dict__.get(_MASK) if isinstance(part, Tensor) else None for part in args]
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
