"""The record of one forward pass: weights, biases and attention, with callbacks for layers and ReLUs."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from zcbench.datasets.inputs import Given
from zcbench.errors import ZcbenchError
from zcbench.hooks.axes import Images
from zcbench.hooks.flow import SUMS, Flow, tensors_in
from zcbench.hooks.functions import Args, Caller, Function, Kwargs, argument, call
from zcbench.hooks.products import channel_axis, kept
from zcbench.hooks.rectifying import rectified, roots_of
from zcbench.hooks.trace import KEY, Call, Head, Trace, trace_of, traced
from zcbench.hooks.weights import Weight

#: Called after a weight was applied; may return another tensor that the network continues with.
CallCallback = Callable[[Call], Tensor | None]
#: Called with the number of a call and its output after a bias was added to it, if it still has the shape of that.
BiasCallback = Callable[[int, Tensor | None], None]
#: Called before a ReLU or GELU of a tensor that depends on the images; the last argument is True for a ReLU.
UnitCallback = Callable[[Tensor, Images | None, bool], None]
#: Called with the weights that an attention gives its keys, the axis of the keys, and the place of the images.
AttentionCallback = Callable[[Tensor, int, Images | None], None]


class FunctionCallbacks(NamedTuple):
    """Callbacks for functions without weights.

    Attributes:
        units: called with the input of every ReLU and GELU and the place of the images in it.
        attentions: called with the weights of every attention.
        biases: called with every bias that is added to a call's output by a function of its own.
    """

    units: UnitCallback | None = None
    attentions: AttentionCallback | None = None
    biases: BiasCallback | None = None


#: Called after a convolution, linear map, normalisation or activation function, with images, channels and a number.
LayerCallback = Callable[[Tensor, Images | None, int | None, int], None]

#: Handles the calls of a function.
Handler = Callable[["Record", Function, Args, Kwargs], object]


class Unrecorded(ZcbenchError):
    """A network calls a function that cannot be recorded, so that signals which depend on it are not known."""


class Record(Flow, TorchFunctionMode):
    """The weights of one forward pass and the roles of its parameters, collected call by call.

    Args:
        parameters: the tensors that stand for parameters in this pass, by name.
        images: the images, or other inputs, that the network is called with, batch first.
        calls: called with every `Call` of a weight.
        functions: callbacks for ReLUs, GELUs, attentions and added biases.
        layers: called with the output of every layer and activation function, its images and its channels.
        replace: may return another tensor for a weight that is no whole parameter.
        lookups: gives the vectors in place of those that an embedding looks up.
        through: calls every function, see `zcbench.hooks.rewrites.Calling`.
        roles: whether `biases`, `scales`, `gains` and `used` are filled.
        copies: whether the last map is copied, because the network overwrites it later.
    """

    def __init__(
        self,
        parameters: Mapping[str, Tensor],
        images: Given,
        *,
        calls: CallCallback | None = None,
        functions: FunctionCallbacks | None = None,
        layers: LayerCallback | None = None,
        replace: Callable[[Weight], Tensor | None] | None = None,
        lookups: Callable[[Tensor], Tensor] | None = None,
        through: Caller = call,
        roles: bool = False,
        copies: bool = False,
    ) -> None:
        TorchFunctionMode.__init__(self)
        Flow.__init__(self, parameters, images, copies)
        self.biases: set[str] = set()
        self.scales: set[str] = set()
        self.gains: set[str] = set()
        self.used: set[str] = set()
        self.attention: set[str] = set()
        self.call, self.roles = through, roles
        self._calls, self._layers = calls, layers
        self._functions = functions or FunctionCallbacks()
        self.watches = self._functions.units is not None or layers is not None
        self._replace, self.lookups = replace, lookups

    def stand_in(self, entry: Weight, given: Tensor) -> Tensor:
        """The argument of a function for a weight: itself, the first view of the same part, or another tensor."""
        if entry.whole:
            return given
        other = self._replace(entry) if self._replace is not None else None
        found = entry.tensor if other is None else other
        if found.shape != given.shape:
            raise Unrecorded(f"The weight {entry.name!r} is computed anew with another shape in each call.")
        return found

    def weighed(
        self,
        func: Function,
        args: Args,
        kwargs: Kwargs,
        entry: Weight,
        source: Tensor,
        result: Tensor,
        left: bool = False,
    ) -> object:
        """Record a weight's call, of which ``left`` says that the weight is the left factor; return its output."""
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
        return self.called(entry, source, result)

    def called(self, entry: Weight, source: Tensor, result: Tensor) -> Tensor:
        """Record a weight's call; return the tensor that the network continues with."""
        trace, before = trace_of(result), trace_of(source)
        if trace is None:
            return result
        trace.head, trace.origin = Head(trace.order, entry, source, tuple(result.shape)), entry.name
        if before is not None and before.attended:
            self.attention.add(entry.name)
        self.tell_layers(result)
        if self._calls is None:
            return result
        channels = -1 if trace.channels is None else trace.channels
        replaced = self._calls(Call(trace.order, entry, source, result, trace.images, channels))
        if replaced is None:
            return result
        replaced.__dict__[KEY] = trace
        return replaced

    def attend(self, result: Tensor, *operands: Tensor, places: Images | None = None) -> None:
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

    def tell_units(self, source: object, *, rectified: bool) -> None:
        """Call the callback for ReLUs and GELUs with the input of one."""
        units = self._functions.units
        trace = None if units is None else trace_of(source)
        if units is not None and trace is not None and isinstance(source, Tensor):
            units(source, trace.images, rectified)

    def watch(self, func: Function, args: Args, kwargs: Kwargs, result: object, *, sloped: bool = False) -> None:
        """Record a ReLU where a result of other functions is one by its values; ``sloped`` a leaky one too.

        A sum of outputs of layers and activation functions is none. A tensor that is written in place keeps no roots:
        with references back to itself it would outlive the pass.
        """
        if not self.watches:
            return
        sources = traced(args, kwargs)
        if func in SUMS and not any(before.roots for _, before in sources):
            return
        roots, spent = roots_of(sources), tuple(one for _, before in sources for one in before.spent)
        for output, trace in traced((result,), {}):
            root = rectified(output, roots, spent, sloped=sloped)
            if all(one is not output for one, _ in sources):
                trace.roots = roots if root is None else ()
                trace.spent = spent if root is None else tuple(one for one, _ in roots)
            if root is None:
                continue
            self.tell_units(root, rectified=True)
            self.tell_layers(output)

    def spend(self, args: Args, kwargs: Kwargs, result: object) -> None:
        """Note that a result is a ReLU that was recorded: what is made of it is no further ReLU of its roots."""
        trace, sources = trace_of(result), traced(args, kwargs)
        if self.watches and trace is not None and all(one is not result for one, _ in sources):
            trace.spent = tuple(one for one, _ in roots_of(sources))

    def tell_attention(self, scores: object, keys: int, weights: Callable[[], Tensor]) -> None:
        """Call the callback for attentions with the weights of one, which has its images where ``scores`` has them."""
        trace = trace_of(scores)
        if self._functions.attentions is not None and trace is not None:
            self._functions.attentions(weights().detach(), keys, trace.images)

    def tell_layers(self, result: object) -> None:
        """Call the callback for layers with the output of one."""
        trace = None if self._layers is None else trace_of(result)
        if self._layers is not None and trace is not None and isinstance(result, Tensor):
            self._layers(result, trace.images, trace.channels, trace.order)

    def added(self, args: Args, trace: Trace, output: Tensor) -> None:
        """Note a bias that was added to the output of a linear map."""
        head = trace.head
        for tensor in args:
            if head is None or not isinstance(tensor, Tensor) or trace_of(tensor) is not None:
                continue
            if tensor.numel() == head.weight.outputs and self.origin(tensor) is not None:
                self.note_bias(tensor)
                if self._functions.biases is not None:
                    self._functions.biases(head.number, output if tuple(output.shape) == head.shape else None)

    def note_used(self, args: Args, kwargs: Kwargs) -> None:
        """Note the parameters among the arguments of a call."""
        found = (self.origin(tensor) for tensor in tensors_in(args, kwargs) if trace_of(tensor) is None)
        self.used |= {origin.name for origin in found if origin is not None}

    def note_bias(self, tensor: object) -> None:
        """Note that a parameter is a bias."""
        origin = self.origin(tensor) if self.roles else None
        if origin is not None and origin.name != "computed":
            self.biases.add(origin.name)
