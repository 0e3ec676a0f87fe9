"""The functions of PyTorch that a forward pass calls, sorted by their purpose."""

import types
from collections.abc import Callable, Mapping
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor

Function = Callable[..., Any]
#: Arguments of a call of any function of PyTorch, by position and by keyword.
Args = tuple[Any, ...]
Kwargs = Mapping[str, Any]
#: Calls a function with its arguments, or another one in its place.
Caller = Callable[[Function, Args, Kwargs], Any]


def call(func: Function, args: Args, kwargs: Kwargs) -> Any:
    """Call a function as it is."""
    return func(*args, **kwargs)


def functions(*given: object) -> frozenset[Function]:
    """A set of functions, of which methods of tensors have types of their own."""
    return frozenset(cast(tuple[Function, ...], given))


CONVOLUTIONS: frozenset[Function] = frozenset({F.conv1d, F.conv2d, F.conv3d, torch.convolution})
TRANSPOSED: frozenset[Function] = frozenset({F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d})
#: Matrix products of two operands: positions of the two among the arguments, and whether the second is transposed.
PRODUCTS: dict[Function, tuple[int, int]] = {
    **dict.fromkeys((torch.matmul, torch.mm, torch.bmm, torch.mv, torch.inner), (0, 1)),
    **dict.fromkeys((Tensor.matmul, Tensor.__matmul__, Tensor.mm, Tensor.bmm, Tensor.mv, Tensor.inner), (0, 1)),
    **dict.fromkeys((torch.tensordot, torch.linalg.matmul), (0, 1)),
    **dict.fromkeys((torch.addmm, torch.baddbmm, torch.addmv, torch.addbmm), (1, 2)),
    **dict.fromkeys((Tensor.addmm, Tensor.baddbmm, Tensor.addmv, Tensor.addbmm), (1, 2)),
    Tensor.__rmatmul__: (1, 0),
}
#: Names of the two operands, where they are given by keyword.
OPERANDS: dict[Function, tuple[str, str]] = {
    **dict.fromkeys((torch.bmm, Tensor.bmm, torch.mm, Tensor.mm), ("input", "mat2")),
    **dict.fromkeys((torch.mv, Tensor.mv), ("input", "vec")),
    **dict.fromkeys((torch.addmm, Tensor.addmm), ("mat1", "mat2")),
    **dict.fromkeys((torch.baddbmm, Tensor.baddbmm, torch.addbmm, Tensor.addbmm), ("batch1", "batch2")),
    **dict.fromkeys((torch.addmv, Tensor.addmv), ("mat", "vec")),
    torch.tensordot: ("a", "b"),
}
INNER: frozenset[Function] = frozenset({torch.inner, Tensor.inner})
#: Recurrent layers, and their cells for one step.
RECURRENT: frozenset[Function] = frozenset({torch.lstm, torch.gru, torch.rnn_tanh, torch.rnn_relu})
CELLS: frozenset[Function] = frozenset({torch.lstm_cell, torch.gru_cell, torch.rnn_tanh_cell, torch.rnn_relu_cell})

CHANNEL_NORMS: frozenset[Function] = frozenset({F.batch_norm, F.group_norm, F.instance_norm, torch.group_norm})
LAST_NORMS: frozenset[Function] = frozenset({F.layer_norm, F.rms_norm, torch.layer_norm, torch.rms_norm})
NORMS = CHANNEL_NORMS | LAST_NORMS

_RELUS: frozenset[Function] = frozenset(
    {
        *(F.relu, F.relu_, torch.relu, torch.relu_, Tensor.relu, Tensor.relu_, F.relu6, F.leaky_relu, F.leaky_relu_),
        *(F.prelu, torch.prelu, Tensor.prelu, F.rrelu, F.rrelu_, torch.rrelu, torch.rrelu_),  # leaky with other slopes
    }
)
_CLIPPED: dict[Function, str] = {
    **dict.fromkeys((F.hardtanh, F.hardtanh_), "min_val"),
    **dict.fromkeys((torch.clamp, torch.clamp_, torch.clip, torch.clip_), "min"),
    **dict.fromkeys((Tensor.clamp, Tensor.clamp_, Tensor.clip, Tensor.clip_), "min"),
    **dict.fromkeys((torch.clamp_min, torch.clamp_min_, Tensor.clamp_min, Tensor.clamp_min_), "min"),
    **dict.fromkeys((F.threshold, F.threshold_, torch.threshold), "threshold"),  # type: ignore[attr-defined]
}
#: Exponential units, which are a ReLU where ``alpha`` is 0.
_LINEAR_UNITS: frozenset[Function] = frozenset({F.elu, F.elu_})
MAXIMA: frozenset[Function] = frozenset({torch.maximum, torch.max, torch.fmax, Tensor.maximum, Tensor.max, Tensor.fmax})
ACTIVATIONS: frozenset[Function] = _RELUS | {
    *(F.gelu, F.silu, F.mish, F.elu, F.selu, F.celu, F.prelu, F.rrelu, F.softplus, F.hardswish, F.hardsigmoid),
    *(F.hardtanh, F.logsigmoid, F.softsign, F.tanhshrink, torch.tanh, Tensor.tanh, torch.sigmoid, Tensor.sigmoid),
    *(F.hardtanh_, F.elu_, torch.tanh_, Tensor.tanh_, torch.sigmoid_, Tensor.sigmoid_, torch.selu_, torch.celu_),
    *(torch.rrelu_, F.hardshrink, F.softshrink),
}


def argument(position: int, name: str, args: Args, kwargs: Kwargs, default: Any = None) -> Any:
    """An argument of a call, given by position or by keyword."""
    return args[position] if len(args) > position else kwargs.get(name, default)


def _batch_norm(
    input: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    training: bool,
    momentum: float,
    eps: float,
    cudnn_enabled: bool = False,
) -> Tensor:
    return F.batch_norm(input, running_mean, running_var, weight, bias, training, momentum, eps)


#: Functions that are recorded as another function, which does the same.
ALIASES: dict[Function, Function] = {torch.batch_norm: _batch_norm}

#: Comparisons with a bound from above and from below, as in ``x * (x > 0)``.
ABOVE: frozenset[Function] = frozenset({torch.gt, torch.ge, Tensor.gt, Tensor.ge, Tensor.__gt__, Tensor.__ge__})
BELOW: frozenset[Function] = frozenset({torch.lt, torch.le, Tensor.lt, Tensor.le, Tensor.__lt__, Tensor.__le__})
#: Functions that may apply such a comparison.
MASKED: frozenset[Function] = functions(
    *(torch.where, Tensor.where, torch.mul, torch.multiply, Tensor.mul, Tensor.mul_, Tensor.multiply, Tensor.__mul__),
    *(Tensor.__rmul__, torch.masked_fill, Tensor.masked_fill, Tensor.masked_fill_),
)
SOFTMAXES: frozenset[Function] = frozenset({F.softmax, torch.softmax, Tensor.softmax})


def is_zero(bound: object) -> bool:
    """Whether a bound is the number 0, or a constant tensor of zeros."""
    if isinstance(bound, Tensor):
        return not bound.requires_grad and not bound.is_meta and not bool(bound.any())
    return isinstance(bound, int | float) and bound == 0


def rectifies(func: Function, args: Args, kwargs: Kwargs) -> bool:
    """Whether a call is a ReLU in one of its spellings: a clip from 0, a threshold at 0, the maximum with zeros."""
    if func in _RELUS:
        return True
    if func in _CLIPPED:
        return is_zero(argument(1, _CLIPPED[func], args, kwargs, -1.0))
    if func in _LINEAR_UNITS:
        return is_zero(argument(1, "alpha", args, kwargs, 1.0))
    if func in MAXIMA and len(args) + len(kwargs) == 2:
        other = argument(1, "other", args, kwargs)
        return isinstance(other, Tensor) and is_zero(other)
    return False


#: Functions that are a ReLU with some arguments.
RECTIFIERS: frozenset[Function] = _RELUS | frozenset(_CLIPPED) | _LINEAR_UNITS | MAXIMA


def _body(function: Function) -> Function:
    """The Python body of ``function``, which calls its inner functions so that they are recorded."""
    assert isinstance(function, types.FunctionType)
    inner = {**function.__globals__, "has_torch_function": lambda *args: False}
    body = types.FunctionType(function.__code__, inner, function.__name__, function.__defaults__, function.__closure__)
    body.__kwdefaults__ = function.__kwdefaults__
    return body


#: Functions that are recorded by the functions that their body calls.
COMPOSITES: dict[Function, Function] = {F.multi_head_attention_forward: _body(F.multi_head_attention_forward)}
