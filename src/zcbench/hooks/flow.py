"""Follows the images through the functions of a forward pass: which tensors depend on them, and how."""

import math
from collections.abc import Iterator, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from zcbench.datasets.inputs import Given, tensors_of
from zcbench.hooks import axes
from zcbench.hooks.axes import FIRST, Images
from zcbench.hooks.functions import SOFTMAXES, Args, Function, Kwargs, argument, functions
from zcbench.hooks.trace import KEY, Last, Trace, is_map, sides, traced
from zcbench.hooks.weights import Origin, WeightTable

Sources = list[tuple[Tensor, Trace]]

_LISTS = (list, tuple)

POOLS: frozenset[Function] = frozenset({F.adaptive_avg_pool2d, F.avg_pool2d, F.adaptive_avg_pool1d, F.avg_pool1d})
AVERAGES: frozenset[Function] = axes.MEANS | POOLS
SUMS: frozenset[Function] = functions(
    *(torch.add, Tensor.add, Tensor.add_, Tensor.__add__, Tensor.__radd__, Tensor.__iadd__, torch.sub, Tensor.sub)
)
SHAPES: frozenset[Function] = axes.RESHAPES | axes.COPIES | (frozenset(axes.MOVES) - frozenset(axes.REDUCTIONS))
#: Functions after which an axis may lie elsewhere, or have other entries.
_MOVING: frozenset[Function] = axes.RESHAPES | frozenset(axes.MOVES) | frozenset(axes.ALONG)
#: Functions that take a part of a tensor.
CROPS: frozenset[Function] = functions(
    *(Tensor.__getitem__, torch.narrow, Tensor.narrow, torch.chunk, Tensor.chunk, torch.split, Tensor.split),
    *(torch.tensor_split, Tensor.tensor_split, torch.index_select, Tensor.index_select),
)
#: Functions whose second tensor gives no numbers, but a shape or a type.
_LIKE: frozenset[Function] = functions(
    *(Tensor.view_as, Tensor.reshape_as, Tensor.expand_as, Tensor.type_as, Tensor.to, Tensor.new_zeros)
)


class Flow:
    """Gives the output of every function its `Trace`.

    Args:
        parameters: the tensors that stand for parameters in this pass, by name.
        images: the images, or other inputs, that the network is called with, batch first.
        copies: whether the last map is copied, because the network overwrites it later.
    """

    def __init__(self, parameters: Mapping[str, Tensor], images: Given, copies: bool) -> None:
        self.weights = WeightTable(parameters)
        self.size, self._order, self._copies = len(images), 0, copies
        for tensor in tensors_of(images):
            floating = tensor.is_floating_point()
            trace = tensor.__dict__[KEY] = Trace(0, FIRST, 1 if tensor.ndim > 1 and floating else None)
            trace.grid = sum(side > 1 for side in tensor.shape[2 if floating else 1 :]) > 1

    def follow(self, func: Function, args: Args, kwargs: Kwargs, result: object, before: Sequence[int] | None) -> None:
        """Give the outputs of a function their traces; ``before`` is the shape of its first argument."""
        sources = traced(args, kwargs)
        if len(sources) > 1 and func in _LIKE:
            sources = sources[:1]
        outputs = [result] if isinstance(result, Tensor) else list(tensors_in((result,), {}))
        if not sources:
            self._follow_parameters(func, args, kwargs, outputs)
            return
        for output in outputs:
            source, trace = sources[0] if len(sources) == 1 else _most_suitable(sources, output)
            images, channels = _axes(self.size, func, args, kwargs, source, trace, output, before)
            new = self.trace(output, images, None if _disagree(sources, output) else channels)
            shape = before if before is not None and source is args[0] else source.shape
            new.split = _splits(trace, func, shape, output.shape) or (trace.split and len(shape) == output.ndim)
            new.mixed = images is None and _reduces_images(func, trace)
            self.settle(new, output, sources, func)
            if func in POOLS and new.last is None and _evenly(func, args, kwargs, source, output):
                new.averaged = Last(source, source._version, trace)
            self.derive(new, func, args, kwargs, sources, output)

    def trace(self, output: Tensor, images: Images | None, channels: int | None) -> Trace:
        """A new trace of a tensor."""
        self._order += 1
        return Trace(self._order, images if self._fits(images, output) else None, channels)

    def settle(self, new: Trace, result: Tensor, sources: Sources, func: Function, layer: bool = False) -> None:
        """Decide whether a result is a map or a sequence of tokens itself, or which one was the last before it."""
        several = layer and new.channels is not None and result.numel() > self.size * result.shape[new.channels]
        new.ends = bool(layer and not several)
        for _, trace in sources:
            new.tokens = new.tokens or trace.tokens
            new.mixed, new.grid = new.mixed or trace.mixed, new.grid or trace.grid
            if trace.depth >= new.depth:
                new.depth, new.ends = trace.depth, new.ends if layer else trace.ends
            if trace.last is not None:
                new.hidden = max(new.hidden, trace.hidden)
        new.depth += layer
        new.hidden += several
        new.tokens = new.tokens or several
        if self.is_itself(new, result, sources, func, layer):
            new.last, new.hidden = None, 0
        elif sources:
            new.last = self.latest(sources, result, func)
        result.__dict__[KEY] = new

    def derive(self, new: Trace, func: Function, args: Args, kwargs: Kwargs, sources: Sources, output: Tensor) -> None:
        """Hand on the head, the origin and the attention of a source."""
        source, trace = sources[0]
        for _, other in sources:
            if other.scores:
                new.scores |= other.scores
                new.soft |= other.scores if func in SOFTMAXES else other.soft
        if len(sources) > 1:
            same = {other.origin for _, other in sources}
            new.origin = trace.origin if len(same) == 1 else None
            return
        new.origin, new.attended = trace.origin, trace.attended
        head = trace.head
        if head is None:
            return
        if output.numel() == source.numel() and (func in SHAPES or _passes(func, args, kwargs)):
            new.head = head
        elif output.numel() == source.numel() and func in SUMS:
            new.head = head
            self.added(args, trace, output)
        elif func in AVERAGES and new.images is not None and new.channels is not None:
            new.head = head._replace(picks=(*head.picks, "mean"))
        elif func in axes.MOVES and func not in axes.REDUCTIONS and tuple(source.shape) == head.shape:
            new.head = None if head.picks else head._replace(picks=((func, args[1:], dict(kwargs)),))

    def added(self, args: Args, trace: Trace, output: Tensor) -> None:
        """Called where a constant was added to the output of a linear map."""

    def origin(self, tensor: object) -> Origin | None:
        """The parameter that a tensor is, shows a part of, or was computed from; None if there is none."""
        if not isinstance(tensor, Tensor):
            return None
        mark = tensor.__dict__.get(KEY)
        if isinstance(mark, Origin):
            return mark
        found = self.weights.origin(tensor)
        if found is not None:
            return found
        if mark is None and tensor.requires_grad:
            return Origin("computed", joint=True)  # before the forward pass, or by a function that is not recorded
        return None

    def _follow_parameters(self, func: Function, args: Args, kwargs: Kwargs, outputs: list[Tensor]) -> None:
        """Mark tensors that are computed from parameters alone."""
        found = [origin for tensor in tensors_in(args, kwargs) if (origin := self.origin(tensor)) is not None]
        if not found:
            return
        mark = Origin(found[0].name, joint=len({origin.name for origin in found}) > 1 or found[0].joint)
        if len(found) == 1 and found[0].tensor is not None:
            matrix = isinstance(args[0], Tensor) and args[0].ndim == 2 if args else False
            if func in axes.FLIPS:
                mark = found[0]._replace(flipped=not found[0].flipped) if matrix else mark
            elif func in axes.REPEATS or func in axes.COPIES or func in axes.RESHAPES:
                mark = found[0]
        for output in outputs:
            part = mark.tensor is None and output._base is not None and self.weights.origin(output) is not None
            if id(output) not in self.weights.names and not part:
                output.__dict__[KEY] = mark

    def latest(self, sources: Sources, result: Tensor, func: Function) -> Last | None:
        """The latest map or sequence of tokens among the sources and the tensors before them."""
        found = []
        for tensor, trace in sources:
            if trace.last is not None:
                found.append(trace.last)
            elif tensor is not result:
                found.append(Last(tensor.clone() if self._copies else tensor, tensor._version, trace))
        return max(found, key=lambda last: last.trace.order) if found else None

    def is_itself(self, new: Trace, result: Tensor, sources: Sources, func: Function, layer: bool) -> bool:
        """Whether a result is a map or a sequence of tokens in its own right."""
        if new.channels is None:
            return False
        if func in axes.REDUCTIONS:
            return _joins_maps(new, result, sources)
        if is_map(result, new) and (layer or result.ndim == 3 or new.images == FIRST):
            return _is_itself(new, result, sources, func, layer)
        several = result.numel() > self.size * result.shape[-1]
        return result.ndim == 3 and new.tokens and new.channels == 2 and several and not (layer or func in SHAPES)

    def _fits(self, images: Images | None, tensor: Tensor) -> bool:
        if images is None or images.axis >= tensor.ndim:
            return False
        return tensor.shape[images.axis] == images.outer * self.size * images.inner


def _axes(
    size: int,
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
    if func not in _MOVING:
        if output.ndim == len(shape):
            return trace.images, trace.channels
        return through(axes.aligned(len(shape), output.ndim), trace)
    if func in axes.RESHAPES:
        images, channels = trace.images, trace.channels
        images = images and axes.reshaped_images(images, size, shape, output.shape)
        channels = None if channels is None else axes.reshaped_channels(channels, shape, output.shape)
        if channels is None and _in_groups(trace, shape, output) and images == FIRST:
            channels = 1  # groups of channels are joined again
        return images, channels
    if func in axes.MOVES:
        images, channels = through(axes.MOVES[func](func, args, kwargs, shape), trace)
        if channels is None and func in axes.REDUCTIONS and _in_groups(trace, shape, output) and images == FIRST:
            channels = 1  # groups of channels are added up
        return images, channels
    images, channels = through(axes.aligned(len(shape), output.ndim), trace)
    along = images is not None and axes.works_along(func, args, kwargs, images.axis, output.ndim)
    return None if along else images, channels


def tensors_in(args: Args, kwargs: Kwargs) -> Iterator[Tensor]:
    """The tensors among the arguments of a call, those in lists too."""
    for part in (*args, *kwargs.values()) if kwargs else args:
        if isinstance(part, Tensor):
            yield part
        elif isinstance(part, _LISTS):
            for inner in part:
                if isinstance(inner, Tensor):
                    yield inner


def through(places: axes.Places, trace: Trace) -> tuple[Images | None, int | None]:
    """Images and channels of a source after its axes were placed so."""
    images, channels = trace.images, trace.channels
    axis = None if images is None else axes.placed(images.axis, places)
    where = None if images is None or axis is None else images._replace(axis=axis)
    return where, None if channels is None else axes.placed(channels, places)


def _most_suitable(sources: Sources, output: Tensor) -> tuple[Tensor, Trace]:
    """The first of the sources that determine the axes of an output best."""
    shape = output.shape

    def suits(pair: tuple[Tensor, Trace]) -> tuple[bool, ...]:
        own, trace = pair[0].shape, pair[1]
        whole = not trace.grid and own == shape
        return len(own) == len(shape), trace.images is not None, trace.channels is not None, whole

    return max(sources, key=suits)


def _disagree(sources: Sources, output: Tensor) -> bool:
    """Whether sequences are added up of which some have the channels second and others last."""
    if len(sources) < 2 or output.ndim != 3:
        return False
    found = {trace.channels for one, trace in sources if not trace.grid and one.shape == output.shape}
    return len(found - {None}) > 1


def _in_groups(trace: Trace, shape: Sequence[int], output: Tensor) -> bool:
    """Whether a tensor becomes a map whose channels it has in groups, on an axis of their own."""
    if len(shape) == 5:
        return output.ndim == 4
    return trace.split and output.ndim == 3 and shape[-1] == output.shape[-1]


def _splits(trace: Trace, func: Function, old: Sequence[int], new: Sequence[int]) -> bool:
    """Whether sequences are stacked, or a reshape cuts their channels ``(B, C, T)`` into groups ``(B, g, C/g, T)``."""
    if trace.grid or func is torch.stack:
        return not trace.grid
    if func not in axes.RESHAPES or trace.channels != 1 or len(old) != 3 or len(new) != 4:
        return False
    return (old[0], old[2]) == (new[0], new[3]) and min(new[1:3]) > 1


def _joins_maps(new: Trace, result: Tensor, sources: Sources) -> bool:
    """Whether a reduction adds up stacked maps, or takes the largest of them: its result has their size."""
    last = sources[0][1].last if sources else None
    if last is None or not is_map(result, new) or not is_map(last.tensor, last.trace) or new.channels is None:
        return False
    size, own = sides(result, new), sides(last.tensor, last.trace)
    return new.images == FIRST and size == own and set(size) != {1} and sources[0][0].ndim == result.ndim + 1


def _passes(func: Function, args: Args, kwargs: Kwargs) -> bool:
    """Whether a call is a dropout that drops nothing."""
    if func is not F.dropout:
        return False
    return not argument(2, "training", args, kwargs, True) or argument(1, "p", args, kwargs, 0.5) == 0


def _reduces_images(func: Function, trace: Trace) -> bool:
    """Whether a reduction without images in its result adds them up, as a normalisation of the network's own does."""
    return func in axes.REDUCTIONS and trace.images is not None


def _evenly(func: Function, args: Args, kwargs: Kwargs, source: Tensor, output: Tensor) -> bool:
    """Whether an average pooling cuts its input into parts of equal size, each counted once."""
    if source.ndim != output.ndim or any(a % b for a, b in zip(source.shape[2:], output.shape[2:])):
        return False
    if func in (F.adaptive_avg_pool2d, F.adaptive_avg_pool1d):
        return True
    kernel = argument(1, "kernel_size", args, kwargs)
    stride = argument(2, "stride", args, kwargs) or kernel
    ratio = [a // b for a, b in zip(source.shape[2:], output.shape[2:])]
    sizes = [[each] * len(ratio) if isinstance(each, int) else list(each) for each in (kernel, stride)]
    return sizes == [ratio, ratio]


def _has_sides(tensor: Tensor, trace: Trace) -> bool:
    return is_map(tensor, trace) and (tensor.ndim == 3 or trace.channels in (1, 3))


def _is_itself(new: Trace, result: Tensor, sources: Sources, func: Function, layer: bool) -> bool:
    """Whether a result with the axes of a map is one in its own right, and not on the way to the end of one."""
    now = sides(result, new)
    positions = math.prod(now)
    source, trace = sources[0] if sources else (None, None)
    if source is None or trace is None or source.ndim != result.ndim or not _has_sides(source, trace):
        joined = trace is not None and source is not None and (trace.tokens or source.ndim == result.ndim + 1)
        return positions > 1 and (func not in axes.RESHAPES or joined)
    old = sides(source, trace)
    if positions == 1:
        return trace.last is None and (layer or set(old) == {1})
    if layer:
        return True
    if func in axes.RESHAPES or func in CROPS:
        return trace.last is None and old == now
    return not any(after == 1 < size for size, after in zip(old, now))
