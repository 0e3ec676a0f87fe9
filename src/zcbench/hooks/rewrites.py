"""Functions that a pass calls in another form: one that can be differentiated twice, or in double precision."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import ClassVar, TypeGuard

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.overrides import TorchFunctionMode

from zcbench.hooks.functions import Args, Function, Kwargs

_CASTS = frozenset({Tensor.float, Tensor.half, Tensor.bfloat16})
_CONVERSIONS = frozenset({Tensor.to, Tensor.type, Tensor.type_as})
_LOW = frozenset({torch.float32, torch.float16, torch.bfloat16})


class Replacing(TorchFunctionMode):
    """Context manager under which methods of the mode are called in place of functions of PyTorch.

    Attributes:
        replacements: the methods, each with the arguments of the function that it replaces.
    """

    replacements: ClassVar[Mapping[Function, Function]] = {}

    def __torch_function__(
        self, func: Function, types: object, args: Args = (), kwargs: Kwargs | None = None
    ) -> object:
        """Call ``func`` or its replacement."""
        method = self.replacements.get(func)
        return func(*args, **(kwargs or {})) if method is None else method(self, *args, **(kwargs or {}))


class _Written(Replacing):
    """Functions without a second derivative in PyTorch are written out."""

    def _hardsigmoid(self, input: Tensor, inplace: bool = False) -> Tensor:
        result = (input + 3).clamp(0, 6) / 6
        return input.copy_(result) if inplace else result

    replacements: ClassVar[Mapping[Function, Function]] = {F.hardsigmoid: _hardsigmoid}


@contextmanager
def twice_differentiable() -> Iterator[None]:
    """Within the block attention and hard activations are computed by functions that have a second derivative."""
    with sdpa_kernel(SDPBackend.MATH), _Written():
        yield


def lacks_second_derivative(error: BaseException) -> bool:
    """Whether an error says that a function cannot be differentiated twice."""
    text = str(error)
    return isinstance(error, OnceDifferentiable) or (
        isinstance(error, RuntimeError | NotImplementedError)
        and (("derivative for" in text and "not implemented" in text) or "once_differentiable" in text)
    )


class OnceDifferentiable(RuntimeError):
    """A function of the network says that it can be differentiated once only."""


def check_twice(tensors: Iterable[Tensor]) -> None:
    """Refuse derivatives that depend on a function without a second derivative; autograd would take it as zero.

    Raises:
        OnceDifferentiable: an own function of the network is marked as ``once_differentiable``.
    """
    nodes = [tensor.grad_fn for tensor in tensors if tensor.grad_fn is not None]
    seen = set(nodes)
    while nodes:
        node = nodes.pop()
        if node.name().endswith(("::Error", "DelayedError", "NotImplemented")):
            raise OnceDifferentiable("an own function that is marked as once_differentiable")
        for other, _ in node.next_functions:
            if other is not None and other not in seen:
                seen.add(other)
                nodes.append(other)


class _Doubled(TorchFunctionMode):
    """Floating tensors that reach a function in lower precision are cast up; casts down do nothing."""

    def __torch_function__(
        self, func: Function, types: object, args: Args = (), kwargs: Kwargs | None = None
    ) -> object:
        kwargs = {name: _wide(value) for name, value in (kwargs or {}).items()}
        if func in _CASTS:
            return args[0].double()
        if func in _CONVERSIONS and isinstance(args[0], Tensor) and args[0].is_floating_point():
            args = (args[0], *(_wide(part) for part in args[1:]))
        elif any(_is_low(part) for part in args):
            args = tuple(_wide(part) for part in args)
        elif any(isinstance(part, list | tuple) for part in args):
            args = tuple(_wide_all(part) for part in args)
        return func(*args, **kwargs)


@contextmanager
def double_precision() -> Iterator[None]:
    """Within the block new tensors of a forward pass are float64, and constants in lower precision are cast up."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        with _Doubled():
            yield
    finally:
        torch.set_default_dtype(before)


def _is_low(part: object) -> TypeGuard[Tensor]:
    return isinstance(part, Tensor) and part.dtype in _LOW


def _wide(part: object) -> object:
    if isinstance(part, torch.dtype):
        return torch.float64 if part in _LOW else part
    return part.double() if _is_low(part) else part


def _wide_all(part: object) -> object:
    if isinstance(part, list | tuple) and any(_is_low(inner) for inner in part):
        return type(part)([_wide(inner) for inner in part])
    return _wide(part)
