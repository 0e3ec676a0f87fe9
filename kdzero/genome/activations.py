"""Transforms that act on each entry by itself."""

from torch import Tensor
from torch.nn import functional

from zcbench.kdzero.genome.operations import Transform

_MOST_EXPONENT = 10.0
_MOST_SQUARED = 1e4
_MOST_FOURTH = 1e2
_TINY_ROOT = 1e-6
_TINY_LOG = 1e-9


def _exp(tensor: Tensor) -> Tensor:
    r"""Exponential.

    .. math::  e^{\min(x, 10)}
    """
    return tensor.clamp(max=_MOST_EXPONENT).exp()


def _mish(tensor: Tensor) -> Tensor:
    r"""Mish, a smooth ReLU that dips below zero.

    .. math::  x \tanh(\log(1 + e^x))
    """
    return functional.mish(tensor)


def _leaky(tensor: Tensor) -> Tensor:
    r"""Leaky ReLU.

    .. math::  \max(x, 0) + 0.01 \min(x, 0)
    """
    return functional.leaky_relu(tensor, 0.01)


def _relu(tensor: Tensor) -> Tensor:
    r"""Positive part.

    .. math::  \max(x, 0)
    """
    return tensor.relu()


def _tanh(tensor: Tensor) -> Tensor:
    r"""Hyperbolic tangent.

    .. math::  \tanh x
    """
    return tensor.tanh()


def _sigmoid(tensor: Tensor) -> Tensor:
    r"""Logistic function.

    .. math::  1 / (1 + e^{-x})
    """
    return tensor.sigmoid()


def _pow2(tensor: Tensor) -> Tensor:
    r"""Square.

    .. math::  x^2
    """
    return tensor.clamp(-_MOST_SQUARED, _MOST_SQUARED).square()


def _pow4(tensor: Tensor) -> Tensor:
    r"""Fourth power.

    .. math::  x^4
    """
    return tensor.clamp(-_MOST_FOURTH, _MOST_FOURTH).square().square()


def _log(tensor: Tensor) -> Tensor:
    r"""Logarithm of the size, with the sign.

    .. math::  \operatorname{sign}(x) \log(|x| + 10^{-9})
    """
    return tensor.sign() * (tensor.abs() + _TINY_LOG).log()


def _sqrt(tensor: Tensor) -> Tensor:
    r"""Square root of the size, with the sign.

    .. math::  \operatorname{sign}(x) \sqrt{|x| + 10^{-6}}

    Note:
        The sign is ours, as for the logarithm: the bare root is not defined for half of a feature map.
    """
    return tensor.sign() * (tensor.abs() + _TINY_ROOT).sqrt()


ACTIVATIONS: tuple[Transform, ...] = (
    Transform("exp", _exp, "exp(min(x, 10))", "x is at most 10"),
    Transform("mish", _mish, "x tanh(log(1 + exp x))"),
    Transform("leaky", _leaky, "max(x, 0) + 0.01 min(x, 0)"),
    Transform("relu", _relu, "max(x, 0)"),
    Transform("tanh", _tanh, "tanh x"),
    Transform("sigmoid", _sigmoid, "1 / (1 + exp(-x))"),
    Transform("pow2", _pow2, "x^2", "x is held between -1e4 and 1e4"),
    Transform("pow4", _pow4, "x^4", "x is held between -100 and 100"),
    Transform("log", _log, "sign(x) log(|x| + 1e-9)", "sign outside, 1e-9 inside"),
    Transform("sqrt", _sqrt, "sign(x) sqrt(|x| + 1e-6)", "sign outside, 1e-6 inside"),
)
