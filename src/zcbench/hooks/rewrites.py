"""Functions that a pass calls in another form: one that can be differentiated twice, or in double precision."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import ClassVar, TypeGuard

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.overrides import TorchFunctionMode

from zcbench.hooks.functions import Args, Caller, Function, Kwargs, call

_CASTS = frozenset({Tensor.float, Tensor.half, Tensor.bfloat16})
_CONVERSIONS = frozenset({Tensor.to, Tensor.type, Tensor.type_as})
_LOW = frozenset({torch.float32, torch.float16, torch.bfloat16})


class Calling(TorchFunctionMode):
    """Calls the functions of PyTorch in its own way: those of a block, as a context manager, or those of a `Recorder`.

    A recorder is given the method `call`. Below a second context manager the recorder's own look at a shape would be
    a call too.

    Args:
        then: calls the functions that are left.
    """

    def __init__(self, then: Caller = call) -> None:
        super().__init__()
        self.then = then

    def __torch_function__(
        self, func: Function, types: object, args: Args = (), kwargs: Kwargs | None = None
    ) -> object:
        """Call ``func`` in the mode's way."""
        return self.call(func, args, kwargs or {})

    def call(self, func: Function, args: Args, kwargs: Kwargs) -> object:
        """Result of ``func``, or of what is called in its place."""
        return self.then(func, args, kwargs)


class Replacing(Calling):
    """Calls methods of the mode in place of functions of PyTorch.

    Attributes:
        replacements: the methods, each with the arguments of the function that it replaces.
    """

    replacements: ClassVar[Mapping[Function, Function]] = {}

    def call(self, func: Function, args: Args, kwargs: Kwargs) -> object:
        """Call ``func`` or its replacement."""
        method = self.replacements.get(func)
        return self.then(func, args, kwargs) if method is None else method(self, *args, **kwargs)


class Written(Replacing):
    """Functions without a second derivative in PyTorch are written out."""

    def _hardsigmoid(self, input: Tensor, inplace: bool = False) -> Tensor:
        result = (input + 3).clamp(0, 6) / 6
        return input.copy_(result) if inplace else result

    replacements: ClassVar[Mapping[Function, Function]] = {F.hardsigmoid: _hardsigmoid}


def plain_attention() -> AbstractContextManager[None]:
    """Within the block attention is computed by functions that have a second derivative."""
    return sdpa_kernel(SDPBackend.MATH)


@contextmanager
def twice_differentiable() -> Iterator[None]:
    """Within the block attention and hard activations are computed by functions that have a second derivative."""
    with plain_attention(), Written():
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


class Doubled(Calling):
    """Floating tensors that reach a function in lower precision are cast up; casts down do nothing."""

    def call(self, func: Function, args: Args, kwargs: Kwargs) -> object:
        """Call ``func`` with arguments that are cast up."""
        if kwargs:
            kwargs = {name: _wide(value) for name, value in kwargs.items()}
        if func in _CASTS:
            return args[0].double()
        if func in _CONVERSIONS and isinstance(args[0], Tensor) and args[0].is_floating_point():
            args = (args[0], *(_wide(part) for part in args[1:]))
        else:
            for part in args:
                if part.dtype in _LOW if isinstance(part, Tensor) else isinstance(part, list | tuple):
                    args = tuple(map(_wide_all, args))
                    break
        return self.then(func, args, kwargs)


@contextmanager
def double_precision() -> Iterator[None]:
    """Within the block new tensors are float64; `Doubled` casts up the others that a forward pass uses."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
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
