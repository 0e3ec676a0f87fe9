"""ReLUs that are written as other functions, found by their values: ``(x + |x|) / 2``, ``x - min(x, 0)``."""

from collections.abc import Iterable

import torch
from torch import Tensor

from zcbench.hooks.trace import Trace

#: Tensors with their versions.
Roots = tuple[tuple[Tensor, int], ...]

#: Most tensors that a result is compared with.
_MOST = 6
_FEW = 4  # entries that tell most tensors from a ReLU


def roots_of(sources: Iterable[tuple[Tensor, Trace]]) -> Roots:
    """The tensors that a function's result may be the ReLU of: its sources, and what these were computed from.

    Layers, normalisations and activation functions have no roots: they start anew.
    """
    found: dict[int, tuple[Tensor, int]] = {}
    for tensor, trace in sources:
        for root in trace.roots:
            found[id(root[0])] = root
        found[id(tensor)] = tensor, tensor._version
    return tuple(found.values())[-_MOST:]


def rectified(output: Tensor, roots: Roots, spent: Iterable[Tensor], *, sloped: bool = False) -> Tensor | None:
    """The first of ``roots`` whose ReLU the output is, entry by entry, and of which one was negative.

    Args:
        output: of a function.
        roots: its roots.
        spent: roots whose ReLU the output comes from already.
        sloped: whether a leaky ReLU of any slope is one too.
    """
    done = {id(one) for one in spent}
    given = [root for root, version in roots if root._version == version and id(root) not in done]
    given = [root for root in given if root.shape == output.shape and root.dtype == output.dtype]
    given = [root for root in given if root is not output and _has_values(root)]
    if not given or not _has_values(output) or not (sloped or _row(output).min() >= 0):
        return None
    return next((root for root in given if _is_relu(output, root, sloped)), None)


def _is_relu(output: Tensor, root: Tensor, sloped: bool) -> bool:
    """Whether an output is the ReLU of a tensor with negative entries; looks at few entries first."""
    if not sloped and not torch.equal(_row(output), _row(root).clamp(min=0)):
        return False
    found, given = output.detach(), root.detach()
    below = given < 0
    if not below.any():
        return False
    return torch.equal(found, torch.where(below, _slope(found[below], given[below]) * given, given))


def _slope(found: Tensor, given: Tensor) -> Tensor:
    """What the lowest number is multiplied with, below 1; else not a number, which nothing equals."""
    place = given.argmin()
    slope = found[place] / given[place]
    return slope if slope < 1 else torch.full_like(slope, torch.nan)


def _has_values(tensor: Tensor) -> bool:
    plain = not tensor.is_meta and not torch._C._functorch.is_functorch_wrapped_tensor(tensor)
    return plain and tensor.is_floating_point() and tensor.layout == torch.strided and tensor.numel() > 0


def _row(tensor: Tensor) -> Tensor:
    """Some entries: along the last axis, or the longest one where that is short, at the first place of all others."""
    tensor, shape = tensor.detach(), tensor.shape
    if len(shape) > 1 and shape[-1] >= _FEW:
        return tensor[(0,) * (len(shape) - 1)]
    longest = max(range(len(shape)), key=shape.__getitem__, default=0)
    return tensor[tuple(slice(None) if axis == longest else 0 for axis in range(len(shape)))]
