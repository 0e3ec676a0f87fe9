"""Traces: the facts known of a tensor that depends on the images."""

from typing import NamedTuple

from torch import Tensor

from zcbench.hooks.axes import Images
from zcbench.hooks.functions import Args, Kwargs
from zcbench.hooks.weights import Weight

KEY = "_zcbench_trace"
_LISTS = (list, tuple)


class Call(NamedTuple):
    """A weight that was applied to ``source``, with the axes of images and channels in its output.

    ``number`` is unique among the calls of one pass.
    """

    number: int
    weight: Weight
    source: Tensor
    output: Tensor
    images: Images | None
    channels: int


class Last(NamedTuple):
    """The last map or sequence of tokens on the way to a tensor, with its version when it was met."""

    tensor: Tensor
    version: int
    trace: "Trace"


class Head(NamedTuple):
    """The linear map that a tensor is the output of, but for its shape.

    Attributes:
        number: of its call.
        weight: the map.
        source: the tensor that it was applied to.
        shape: shape of its output.
        picks: reductions of the positions of the output since: ``mean`` or an index.
    """

    number: int
    weight: Weight
    source: Tensor
    shape: tuple[int, ...]
    picks: Args = ()


class Trace:
    """The facts that the recorder knows of one tensor.

    Attributes:
        order: number of the function that gave it.
        images: where its images lie; None if not known.
        channels: axis of its channels; None if not known.
        last: the last map or sequence of tokens on the way to it; it is not itself one if this is set.
        hidden: number of layers that have worked on several positions since ``last``.
        averaged: the map whose average pooling, into parts of equal size, it is.
        tokens: whether a layer has worked on tokens on the way to it.
        grid: whether it comes from an input with two spatial axes, such as images.
        split: whether it has one axis more than the sequences it comes from: channels in groups, or several stacked.
        head: the linear map that it is the output of.
        origin: name of the weight that it comes from by functions of one tensor.
        scores: weights whose outputs were multiplied to give it: the scores of an attention.
        soft: the same after a softmax.
        mixed: whether the network adds images up on the way to it, in a function that is no normalisation.
        attended: whether it comes from an attention by functions of one tensor.
        depth: most weights on a path from the images.
        ends: whether the last of them works on one position.
        roots: tensors and their versions that it was computed from since the last layer or activation function.
        spent: roots whose ReLU it comes from.
    """

    __slots__ = (
        *("attended", "averaged", "channels", "depth", "ends", "head", "hidden", "images", "last", "order", "origin"),
        *("grid", "mixed", "roots", "scores", "soft", "spent", "split", "tokens"),
    )

    def __init__(self, order: int, images: Images | None, channels: int | None) -> None:
        self.order, self.images, self.channels = order, images, channels
        self.last: Last | None = None
        self.averaged: Last | None = None
        self.head: Head | None = None
        self.origin: str | None = None
        self.scores: frozenset[str] = frozenset()
        self.soft: frozenset[str] = frozenset()
        self.tokens = self.attended = self.mixed = self.ends = self.grid = self.split = False
        self.hidden = self.depth = 0
        self.roots: tuple[tuple[Tensor, int], ...] = ()
        self.spent: tuple[Tensor, ...] = ()


def trace_of(tensor: object) -> Trace | None:
    """The trace of a tensor; None if it does not depend on the images, as far as was seen."""
    if not isinstance(tensor, Tensor):
        return None
    found = tensor.__dict__.get(KEY)
    return found if type(found) is Trace else None


def traced(args: Args, kwargs: Kwargs) -> list[tuple[Tensor, Trace]]:
    """The arguments of a call that depend on the images, those in lists too, with their traces."""
    found = []
    for part in (*args, *kwargs.values()) if kwargs else args:
        if isinstance(part, Tensor):
            trace = part.__dict__.get(KEY)
            if type(trace) is Trace:
                found.append((part, trace))
        elif isinstance(part, _LISTS):
            found += [(inner, trace) for inner in part if (trace := trace_of(inner)) is not None]
    return found


def is_map(tensor: Tensor, trace: Trace) -> bool:
    """Whether a tensor has the axes of a map: four, or the three of a sequence, which is a map of height 1.

    What comes from an image has four, so that tokens of an image are none; `zcbench.hooks.tokens` lays them out.
    """
    if tensor.ndim != 3 or trace.split:
        return tensor.ndim == 4 and not trace.split
    plain = trace.images is not None and trace.images.outer == trace.images.inner == 1
    return plain and not trace.grid and trace.channels is not None and _axis(trace) != trace.channels


def sides(maps: Tensor, trace: Trace) -> list[int]:
    """Sizes of the spatial axes of a map."""
    if maps.ndim == 4 and trace.channels == 1:
        return list(maps.shape[2:])
    other = _axis(trace) if maps.ndim == 3 else 0
    return [size for axis, size in enumerate(maps.shape) if axis not in (other, trace.channels)]


def as_image(maps: Tensor, trace: Trace) -> Tensor:
    """The map of a sequence, with channels on any axis, as ``(B, C, 1, T)``."""
    assert trace.channels is not None
    return maps.movedim((_axis(trace), trace.channels), (0, 1))[:, :, None]


def as_sequence(image: Tensor, trace: Trace) -> Tensor:
    """``(B, C, 1, T)`` with the axes of the sequence that it was made of by `as_image`."""
    assert trace.channels is not None
    return image[:, :, 0].movedim((0, 1), (_axis(trace), trace.channels))


def _axis(trace: Trace) -> int:
    return 0 if trace.images is None else trace.images.axis
