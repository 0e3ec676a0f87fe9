"""Where the images and the channels lie in a tensor, followed through the functions that move axes."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from zcbench.hooks.functions import Args, Function, Kwargs, argument, functions

Shape = Sequence[int]
#: For every axis of a result, the axis of the source that it is; None for a new or a reduced one.
Places = Sequence[int | None]


class Images(NamedTuple):
    """The axis that holds the images: of size ``outer * B * inner``, image b at the indices (o * B + b) * inner + i.

    ``outer`` and ``inner`` are 1 but where a reshape has joined the images with another axis, such as windows.
    """

    axis: int = 0
    outer: int = 1
    inner: int = 1

    def first(self, tensor: Tensor, size: int) -> Tensor:
        """The tensor with the images on axis 0, axes that were joined with them on axis 1, and all other axes."""
        moved = tensor.movedim(self.axis, 0) if self.axis else tensor
        if self.outer == self.inner == 1:
            return moved
        split = moved.reshape(self.outer, size, self.inner, *moved.shape[1:])
        return split.transpose(0, 1).flatten(1, 2)


FIRST = Images()


def reshaped_images(images: Images, size: int, old: Shape, new: Shape) -> Images | None:
    """Where the images are after a reshape from ``old`` to ``new``; None if an image is cut across axes."""
    outer = math.prod(old[: images.axis]) * images.outer
    before = 1
    for axis, length in enumerate(new):
        if outer % before == 0 and (before * length) % (outer * size) == 0 and length >= size:
            return Images(axis, outer // before, before * length // (outer * size))
        before *= length
    return None


def reshaped_channels(channels: int, old: Shape, new: Shape) -> int | None:
    """Where the channels are after a reshape from ``old`` to ``new``; None if they are split or joined."""
    outer, before = math.prod(old[:channels]), 1
    for axis, length in enumerate(new):
        if before == outer and length == old[channels]:
            return axis
        before *= length
    return None


def placed(axis: int, places: Places) -> int | None:
    """Where ``axis`` is after its axes were placed so."""
    return places.index(axis) if axis in places else None


def permuted(func: Function, args: Args, kwargs: Kwargs, source: Shape) -> Places:
    """Places of a permutation."""
    given = args[1:] or tuple(kwargs.values())
    dims = given[0] if len(given) == 1 and not isinstance(given[0], int) else given
    return [int(dim) % len(source) for dim in dims]


def swapped(func: Function, args: Args, kwargs: Kwargs, source: Shape) -> Places:
    """Places of a transposition."""
    one, other = (*args[1:], *kwargs.values())[:2]
    places = list(range(len(source)))
    places[one], places[other] = places[other], places[one]
    return places


def moved(func: Function, args: Args, kwargs: Kwargs, source: Shape) -> Places:
    """Places of ``movedim``, found by calling it on a small tensor whose sizes are the numbers of its axes."""
    return _tried(lambda x: func(x, *args[1:], **_without_input(kwargs)), source)


def reversed_axes(func: Function, args: Args, kwargs: Kwargs, source: Shape) -> Places:
    """Places of ``.T``, ``.t()`` and their like."""
    return [*range(len(source))][::-1]


def last_swapped(func: Function, args: Args, kwargs: Kwargs, source: Shape) -> Places:
    """Places of ``.mT``."""
    *others, one, other = range(len(source))
    return [*others, other, one]


def indexed(func: Function, args: Args, kwargs: Kwargs, source: Shape) -> Places:
    """Places of ``x[key]`` for integers, slices, None and an ellipsis; none survives an index by a tensor or list."""
    key = args[1] if isinstance(args[1], tuple) else (args[1],)
    if any(not (part is None or part is Ellipsis or isinstance(part, int | slice)) for part in key):
        return []
    if any(isinstance(part, bool) for part in key):
        return []
    taken = sum(part is not None and part is not Ellipsis for part in key)
    rest = len(source) - taken
    parts: list[object] = []
    for part in key if Ellipsis in key else (*key, Ellipsis):
        parts += [slice(None)] * rest if part is Ellipsis else [part]
    axes = iter(range(len(source)))
    places: list[int | None] = []
    for part in parts:
        if part is None:
            places.append(None)
            continue
        axis = next(axes)
        if isinstance(part, slice):
            places.append(axis)
    return places


def selected(func: Function, args: Args, kwargs: Kwargs, source: Shape) -> Places:
    """Places of ``select`` and ``unbind``, which take one axis away."""
    dim = argument(1, "dim", args, kwargs, 0) % len(source)
    return [axis for axis in range(len(source)) if axis != dim]


def stacked(func: Function, args: Args, kwargs: Kwargs, source: Shape) -> Places:
    """Places of ``stack``, which adds an axis."""
    dim = argument(1, "dim", args, kwargs, 0) % (len(source) + 1)
    places: list[int | None] = list(range(len(source)))
    places.insert(dim, None)
    return places


def windowed(func: Function, args: Args, kwargs: Kwargs, source: Shape) -> Places:
    """Places of ``Tensor.unfold``, which adds an axis at the end."""
    return [*range(len(source)), None]


def gathered(func: Function, args: Args, kwargs: Kwargs, source: Shape) -> Places:
    """Places of ``F.unfold``: the channels of each window, times its positions, and one axis for the windows."""
    return [0, 1, None]


def reduced(func: Function, args: Args, kwargs: Kwargs, source: Shape) -> Places:
    """Places of a sum, mean, maximum or the like over some axes, or over all."""
    position = REDUCTIONS[func]
    dims = argument(position, "dim", args, kwargs, kwargs.get("axis"))
    if dims is None or isinstance(dims, Tensor):
        return []
    chosen = {int(dim) % len(source) for dim in (dims if isinstance(dims, list | tuple) else [dims])}
    chosen = chosen or set(range(len(source)))
    if argument(position + 1, "keepdim", args, kwargs, kwargs.get("keepdims", False)):
        return [None if axis in chosen else axis for axis in range(len(source))]
    return [axis for axis in range(len(source)) if axis not in chosen]


def aligned(source: int, result: int) -> Places:
    """Places of a function that keeps the axes, or broadcasts them against more."""
    return [*[None] * max(0, result - source), *range(max(0, source - result), source)]


def _tried(work: Callable[[Tensor], Tensor], source: Shape) -> Places:
    sizes = list(range(2, len(source) + 2))
    with torch._C.DisableTorchFunction():
        return [sizes.index(size) for size in work(torch.empty(sizes, device="meta")).shape]


def _without_input(kwargs: Kwargs) -> Kwargs:
    return {name: value for name, value in kwargs.items() if name != "input"}


#: Position of ``dim`` among the arguments of a reduction; ``keepdim`` comes next.
REDUCTIONS: dict[Function, int] = {
    **dict.fromkeys((torch.mean, torch.sum, torch.amax, torch.amin, torch.prod, torch.logsumexp, torch.nansum), 1),
    **dict.fromkeys((torch.max, torch.min, torch.median, torch.all, torch.any, torch.nanmean, torch.argmax), 1),
    **dict.fromkeys((Tensor.mean, Tensor.sum, Tensor.amax, Tensor.amin, Tensor.prod, Tensor.logsumexp), 1),
    **dict.fromkeys((Tensor.max, Tensor.min, Tensor.median, Tensor.all, Tensor.any, Tensor.argmax), 1),
    **dict.fromkeys((torch.count_nonzero, Tensor.nanmean, Tensor.nansum), 1),
    **dict.fromkeys((torch.norm, Tensor.norm, torch.linalg.vector_norm), 2),
    **dict.fromkeys((torch.var, torch.std, Tensor.var, Tensor.std), 1),
}
MEANS: frozenset[Function] = frozenset({torch.mean, Tensor.mean})

#: Functions that move axes, and the functions that compute their places.
MOVES: dict[Function, Callable[[Function, Args, Kwargs, Shape], Places]] = {
    **dict.fromkeys((torch.permute, Tensor.permute), permuted),
    **dict.fromkeys((torch.transpose, torch.swapaxes, torch.swapdims), swapped),
    **dict.fromkeys((Tensor.transpose, Tensor.swapaxes, Tensor.swapdims, Tensor.transpose_), swapped),
    **dict.fromkeys((torch.movedim, torch.moveaxis, Tensor.movedim, Tensor.moveaxis), moved),
    **dict.fromkeys((torch.t, Tensor.t, Tensor.T.__get__), reversed_axes),  # type: ignore[attr-defined]
    **dict.fromkeys((Tensor.mT.__get__, torch.adjoint, Tensor.adjoint), last_swapped),  # type: ignore[attr-defined]
    Tensor.__getitem__: indexed,
    **dict.fromkeys((torch.select, Tensor.select, torch.unbind, Tensor.unbind), selected),
    torch.stack: stacked,
    Tensor.unfold: windowed,
    F.unfold: gathered,
    **dict.fromkeys(REDUCTIONS, reduced),
}

#: Functions that give the same numbers in the same order another shape.
RESHAPES: frozenset[Function] = functions(
    *(torch.reshape, torch.flatten, torch.squeeze, torch.unsqueeze, torch.unflatten, torch.ravel, torch.view_as_real),
    *(Tensor.reshape, Tensor.view, Tensor.flatten, Tensor.squeeze, Tensor.unsqueeze, Tensor.unflatten, Tensor.ravel),
    *(Tensor.view_as, Tensor.reshape_as, Tensor.squeeze_, Tensor.unsqueeze_),
)
#: Functions that exchange the two axes of a matrix.
FLIPS: frozenset[Function] = functions(
    *(torch.t, torch.transpose, torch.swapaxes, torch.swapdims, torch.permute, torch.adjoint),
    *(Tensor.t, Tensor.transpose, Tensor.swapaxes, Tensor.swapdims, Tensor.permute, Tensor.adjoint),
    *(Tensor.T.__get__, Tensor.mT.__get__),  # type: ignore[attr-defined]
)
#: Functions that repeat the numbers of a tensor.
REPEATS: frozenset[Function] = functions(
    *(Tensor.expand, Tensor.expand_as, Tensor.repeat, Tensor.tile, torch.tile, torch.broadcast_to, Tensor.broadcast_to),
    *(torch.repeat_interleave, Tensor.repeat_interleave),
)
#: Functions that hand a tensor on as it is, or a copy of it.
COPIES: frozenset[Function] = functions(
    *(Tensor.contiguous, Tensor.clone, torch.clone, Tensor.to, Tensor.float, Tensor.double, Tensor.half),
    *(Tensor.type, Tensor.type_as, Tensor.requires_grad_, Tensor.bfloat16, Tensor.detach, torch.detach),
)
#: Functions that work along an axis and keep its size: position of the axis among the arguments, and its name.
ALONG: dict[Function, tuple[int, str]] = {
    **dict.fromkeys((torch.flip, Tensor.flip), (1, "dims")),
    **dict.fromkeys((torch.roll, Tensor.roll), (2, "dims")),
    **dict.fromkeys((torch.rot90, Tensor.rot90), (2, "dims")),
    **dict.fromkeys((F.softmax, F.log_softmax, F.softmin, torch.softmax, torch.log_softmax), (1, "dim")),
    **dict.fromkeys((Tensor.softmax, Tensor.log_softmax, torch.cumsum, torch.cumprod, torch.logcumsumexp), (1, "dim")),
    **dict.fromkeys((Tensor.cumsum, Tensor.cumprod, Tensor.logcumsumexp, torch.cummax, torch.cummin), (1, "dim")),
    **dict.fromkeys((Tensor.cummax, Tensor.cummin, torch.sort, torch.argsort, Tensor.sort, Tensor.argsort), (1, "dim")),
    **dict.fromkeys((torch.gather, Tensor.gather, torch.scatter, Tensor.scatter, torch.scatter_add), (1, "dim")),
    **dict.fromkeys((Tensor.scatter_add, Tensor.scatter_, Tensor.scatter_add_, torch.index_select), (1, "dim")),
    **dict.fromkeys((Tensor.index_select, torch.index_add, Tensor.index_add, Tensor.index_add_), (1, "dim")),
    **dict.fromkeys((torch.index_copy, Tensor.index_copy, Tensor.index_copy_, torch.take_along_dim), (1, "dim")),
    **dict.fromkeys((torch.topk, Tensor.topk, F.normalize, torch.diff, Tensor.diff), (2, "dim")),
}

_LAST_AXIS: frozenset[Function] = functions(
    *(torch.sort, torch.argsort, torch.topk, torch.diff, Tensor.sort, Tensor.argsort, Tensor.topk, Tensor.diff)
)


def works_along(func: Function, args: Args, kwargs: Kwargs, axis: int, ndim: int) -> bool:
    """Whether a function mixes or reorders the entries along an axis."""
    if func not in ALONG:
        return False
    dims = argument(*ALONG[func], args, kwargs)
    if dims is None:
        return axis == (ndim - 1 if func in _LAST_AXIS else 1 if func is F.normalize else axis)
    return axis in {int(dim) % ndim for dim in (dims if isinstance(dims, list | tuple) else [dims])}
