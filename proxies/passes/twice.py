"""Convolution and batch normalisation with a cheap second derivative, for the product with the Hessian.

Values and first derivatives are those of PyTorch's own functions, bit for bit. PyTorch differentiates the backward
pass of a batch normalisation by some thirty functions of whole maps, and that of a convolution by convolutions with
kernels as large as the maps.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import Function
from torch.autograd.graph import disable_saved_tensors_hooks
from torch.nn.modules.utils import _pair

from zcbench.hooks.functions import Function as TorchFunction
from zcbench.hooks.rewrites import Written

_CONVOLUTION_BACKWARD = torch.ops.aten.convolution_backward.default
_NORM_BACKWARD = torch.ops.aten.native_batch_norm_backward.default


class Twice(Written):
    """Convolutions of images and batch normalisations in training mode, as functions with a cheap second derivative."""

    def _convolve(
        self,
        input: Tensor,
        weight: Tensor,
        bias: Tensor | None = None,
        stride: int | Sequence[int] = 1,
        padding: str | int | Sequence[int] = 0,
        dilation: int | Sequence[int] = 1,
        groups: int = 1,
    ) -> object:
        if isinstance(padding, str) or input.ndim != 4 or not _plain(input) or not _constant(bias):
            return self.then(F.conv2d, (input, weight, bias, stride, padding, dilation, groups), {})
        geometry = Geometry(_pair(stride), _pair(padding), _pair(dilation), groups)
        return _CONVOLVED(input, weight, None if bias is None else bias.detach(), geometry)

    def _normalise(
        self,
        input: Tensor,
        running_mean: Tensor | None,
        running_var: Tensor | None,
        weight: Tensor | None = None,
        bias: Tensor | None = None,
        training: bool = False,
        momentum: float = 0.1,
        eps: float = 1e-5,
    ) -> object:
        few = input.ndim < 3 or input[:, 0].numel() < 2
        if not training or few or not _plain(input) or not (_constant(weight) and _constant(bias)):
            return self.then(
                F.batch_norm, (input, running_mean, running_var, weight, bias, training, momentum, eps), {}
            )
        constants = tuple(None if one is None else one.detach() for one in (weight, bias))
        return _NORMALISED(input, *constants, running_mean, running_var, momentum, eps)

    replacements: ClassVar[Mapping[TorchFunction, TorchFunction]] = {
        **Written.replacements,
        F.conv2d: _convolve,
        F.batch_norm: _normalise,
    }


def _plain(input: Tensor) -> bool:
    """Whether the functions of this file take an input: floating numbers on a CPU, with saved tensors as they are.

    A checkpoint (`torch.utils.checkpoint`) calls the functions again in the backward pass, where no mode replaces them.
    """
    numbers = input.is_cpu and input.dtype in (torch.float32, torch.float64) and input.numel() > 0
    return numbers and not _hooks_on_saved_tensors()


def _hooks_on_saved_tensors() -> bool:
    """Whether saved tensors pass through hooks, which PyTorch then refuses to switch off."""
    try:
        with disable_saved_tensors_hooks("hooks"):
            return False
    except RuntimeError:
        return True


def _constant(parameter: Tensor | None) -> bool:
    """Whether no weight is behind a vector of one number for each channel, so that it is a constant of the product."""
    return parameter is None or (parameter.is_leaf and parameter.ndim == 1)


class Geometry(NamedTuple):
    """The arguments of a convolution that are no tensors."""

    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int

    def forward(self, input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        """The convolution."""
        return F.conv2d(input, weight, bias, *self)

    def backward(
        self, gradient: Tensor, input: Tensor, weight: Tensor, mask: tuple[bool, bool]
    ) -> tuple[Tensor | None, Tensor | None]:
        """Derivatives by input and weight."""
        *geometry, groups = self
        found = _CONVOLUTION_BACKWARD(gradient, input, weight, None, *geometry, False, (0, 0), groups, (*mask, False))
        return found[0], found[1]


class _Convolved(Function):
    @staticmethod
    def forward(ctx: Any, input: Tensor, weight: Tensor, bias: Tensor | None, geometry: Geometry) -> Tensor:
        ctx.save_for_backward(input, weight)
        ctx.geometry = geometry
        return geometry.forward(input, weight, bias)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        input, weight = ctx.saved_tensors
        mask = ctx.needs_input_grad[:2]
        return (*_CONVOLVED_BACKWARD(gradient, input, weight, ctx.geometry, mask), None, None)


class _ConvolvedBackward(Function):
    @staticmethod
    def forward(
        ctx: Any, gradient: Tensor, input: Tensor, weight: Tensor, geometry: Geometry, mask: tuple[bool, bool]
    ) -> tuple[Tensor | None, Tensor | None]:
        ctx.save_for_backward(gradient, input, weight)
        ctx.geometry = geometry
        ctx.set_materialize_grads(False)
        return geometry.backward(gradient, input, weight, mask)

    @staticmethod
    def backward(ctx: Any, of_input: Tensor | None, of_weight: Tensor | None) -> tuple[Tensor | None, ...]:
        """With y = w * x and f = ⟨v, ∂x⟩ + ⟨u, ∂w⟩, v ``of_input`` and u ``of_weight``: ∂f by ∂y, x and w."""
        gradient, input, weight = ctx.saved_tensors
        by_gradient = by_input = by_weight = None
        if of_input is not None:
            of_input = _as(of_input, input)
            by_gradient = ctx.geometry.forward(of_input, weight)
            by_weight = ctx.geometry.backward(gradient, of_input, weight, (False, True))[1]
        if of_weight is not None:
            product = ctx.geometry.forward(input, of_weight)
            by_gradient = product if by_gradient is None else by_gradient.add_(product)
            if ctx.needs_input_grad[1]:
                by_input = ctx.geometry.backward(gradient, input, of_weight, (True, False))[0]
        return by_gradient, by_input, by_weight, None, None


class _Normalised(Function):
    @staticmethod
    def forward(
        ctx: Any,
        input: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        running_mean: Tensor | None,
        running_var: Tensor | None,
        momentum: float,
        eps: float,
    ) -> Tensor:
        output, mean, scale = torch.native_batch_norm(
            input, weight, bias, running_mean, running_var, True, momentum, eps
        )
        ctx.save_for_backward(input, weight, mean, scale)
        ctx.eps = eps
        return output

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        return (_NORMALISED_BACKWARD(gradient, *ctx.saved_tensors, ctx.eps), *(None,) * 6)


class _NormalisedBackward(Function):
    r"""∂x = γ r P(g), with P(u) = u − E[u] − x̂ E[u x̂], r = 1/σ, x̂ = (x − μ) r and means over a channel."""

    @staticmethod
    def forward(
        ctx: Any, gradient: Tensor, input: Tensor, weight: Tensor | None, mean: Tensor, scale: Tensor, eps: float
    ) -> Tensor:
        found, *sums = _norm_backward(gradient, input, weight, mean, scale, eps)
        ctx.save_for_backward(gradient, input, weight, mean, scale, *sums)
        ctx.eps = eps
        return found

    @staticmethod
    def backward(ctx: Any, moved: Tensor) -> tuple[Tensor | None, ...]:
        r"""Derivatives of ⟨v, ∂x⟩ by g and x, v being ``moved``.

        .. math::  \partial_g = γ r P(v), \qquad \partial_x = -γ r^2 \bigl( q v + n g - (q m + n p)
                   + \hat x \, (\mathbb{E}[v g] - m p - 3 n q) \bigr)

        with p = E[g], q = E[g x̂], m = E[v], n = E[v x̂].
        """
        gradient, input, weight, mean, scale, *sums = ctx.saved_tensors
        moved, gradient = _as(moved, input), _as(gradient, input)
        by_gradient, *others = _norm_backward(moved, input, weight, mean, scale, ctx.eps)
        if not ctx.needs_input_grad[1]:
            return by_gradient, None, None, None, None, None
        count = input.numel() // len(mean)
        q, p, n, m = (total / count for total in (*sums, *others))
        product = (moved * gradient).sum((0, *range(2, input.ndim))) / count
        factor = -scale.square() if weight is None else -weight * scale.square()
        slope = factor * scale * (product - m * p - 3 * n * q)
        terms = (-factor * (q * m + n * p) - slope * mean, slope, factor * q, factor * n)
        constant, slope, of_moved, of_gradient = (
            term.to(input.dtype).reshape(-1, *(1,) * (input.ndim - 2)) for term in terms
        )
        by_input = torch.addcmul(constant, input, slope).addcmul_(moved, of_moved).addcmul_(gradient, of_gradient)
        return by_gradient, by_input, None, None, None, None


def _norm_backward(
    gradient: Tensor, input: Tensor, weight: Tensor | None, mean: Tensor, scale: Tensor, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """The derivative by the input, and the sums of gradient · x̂ and of the gradient over each channel."""
    return _NORM_BACKWARD(gradient, input, weight, None, None, mean, scale, True, eps, [True, True, True])


def _as(tensor: Tensor, like: Tensor) -> Tensor:
    """A tensor in the memory layout of another one."""
    last = like.ndim == 4 and like.is_contiguous(memory_format=torch.channels_last)
    return tensor.contiguous(memory_format=torch.channels_last if last else torch.contiguous_format)


#: The functions above, of which PyTorch does not declare the types.
_Apply = Callable[..., Any]
_CONVOLVED: _Apply = _Convolved.apply
_CONVOLVED_BACKWARD: _Apply = _ConvolvedBackward.apply
_NORMALISED: _Apply = _Normalised.apply
_NORMALISED_BACKWARD: _Apply = _NormalisedBackward.apply
