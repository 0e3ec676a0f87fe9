"""Derivatives of the logits of each image by one weight of every layer, in one backward pass for each class."""

from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from typing import ClassVar, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zcbench.hooks.functions import Function
from zcbench.hooks.modes import evaluating
from zcbench.hooks.recorder import Recorder
from zcbench.hooks.rewrites import Replacing
from zcbench.hooks.usage import Usage
from zcbench.proxies.passes.data_free import gaussian_state
from zcbench.proxies.passes.drawn import Lookups, normal_inputs, standard_normal
from zcbench.proxies.passes.logits import check_logits, single_logits
from zcbench.proxies.passes.per_image import BatchNorm, ImageByImage, normalise_each
from zcbench.proxies.passes.values import Values
from zcbench.proxies.signals.borrowing import with_state
from zcbench.proxies.signals.errors import NotApplicable
from zcbench.proxies.signals.signals import Minibatch
from zcbench.streams import torch_stream

T = TypeVar("T", Tensor, Tensor | None)
JACOBIAN_IMAGES, JACOBIAN_TENSORS = 32, 128  # the released code of VKDNW takes 64 images, and as many tensors


def logit_jacobians(network: nn.Module, batch: Minibatch, usage: Usage, seed: int) -> Values:
    """∂z_i/∂θ' and the logits z_i of Gaussian images; θ' is the first entry of each of the first tensors.

    The network runs in evaluation mode with the weights of an untrained one: convolutions and linear layers by He et
    al. (normal, variance 2 / fan-in), biases 0, and batch norms that have seen mean 0 and variance 1, so that they
    pass their input on.

    Raises:
        NotApplicable: the network has no parameters or no classes, or weights that it computes from parameters.
    """
    stream = torch_stream("logit_jacobians", seed, device=batch.images.device)
    part = next((weight.name for weight in usage.weights if not weight.whole), None)
    if part is not None:
        raise NotApplicable(
            f"The weight {part!r} is a part of a parameter or is computed from others, so that it cannot be drawn anew "
            f"by itself. Make it a parameter of its own, such as by torch.nn.utils.prune.remove."
        )
    state = _untrained(network, usage, stream)
    images = normal_inputs(batch.images, JACOBIAN_IMAGES, stream)
    lookups = Lookups(images, lambda found: standard_normal(found.shape, found, stream))
    names = [name for name, weight in network.named_parameters() if weight.numel() and name in usage.used]
    weights = [state[name].requires_grad_() for name in names[:JACOBIAN_TENSORS]]
    if not weights:
        raise NotApplicable("The network has no parameters.")
    drawn = batch._replace(images=images)
    with evaluating(network):
        try:
            found = _from_outputs(network, state, weights, drawn) if isinstance(images, Tensor) else None
        except RuntimeError:  # a view that needs another memory format, or a function without a rule for it
            found = None
        found = found or _from_weights(network, state, weights, drawn, lookups)
    lookups.check()
    return {"logit_jacobians": found}


def _untrained(network: nn.Module, usage: Usage, stream: torch.Generator) -> dict[str, Tensor]:
    state = gaussian_state(network, usage, stream).tensors
    for weight in usage.weights:
        state[weight.name].mul_((2 / weight.inputs) ** 0.5)
    for name, module in network.named_modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.running_mean is not None:
            state[f"{name}.running_mean"].zero_()
            state[f"{name}.running_var"].fill_(1)
    return state


def _from_outputs(
    network: nn.Module, state: dict[str, Tensor], weights: list[Tensor], batch: Minibatch
) -> tuple[Tensor, Tensor] | None:
    """J ``(B, N, P)`` and z ``(B, N)`` from the gradients of the outputs of the layers.

    One backward pass for each class goes through the layers and leaves the gradients of their weights out. None if a
    parameter is used by another function than those of `FirstEntries`, or if the first image has other logits by
    itself.
    """
    assert isinstance(batch.images, Tensor)
    images = batch.images.detach()
    if images.ndim == 4:
        images = images.contiguous(memory_format=torch.channels_last)  # faster by a quarter on a CPU
    first, layers = batch._replace(images=images[:1]), FirstEntries(weights, len(images))
    images.requires_grad_()
    with layers:
        output = with_state(network, state, images.clone())
    logits = batch.objective.class_logits(check_logits(output, batch))
    with torch.no_grad():
        returned = with_state(network, state, images[:1].clone())
        alone = batch.objective.class_logits(single_logits(returned, first))
    if (alone - logits[:1]).norm() > 0.1 * alone.norm():
        return None
    jacobians = logits.new_zeros(*logits.shape, len(weights))
    for i in range(logits.shape[1] if logits.requires_grad else 0):
        layers.moved.clear()
        more = i + 1 < logits.shape[1]
        _, *others = torch.autograd.grad(logits[:, i].sum(), [images, *weights], retain_graph=more, allow_unused=True)
        if any(gradient is not None for gradient in others):
            return None
        for j, weight in enumerate(weights):
            jacobians[:, i, j] = layers.moved.get(id(weight), 0)
    return jacobians, logits.detach()


class FirstEntries(Replacing):
    """Derivatives of a sum of outputs by the first entry of each weight and bias, image by image.

    Convolutions, linear layers and evaluated batch norms see their weights detached. ∂/∂w of the first entry is
    Σ g_0 ⊙ x over positions, ∂/∂b is Σ g_0: g_0 is the gradient of channel 0 of the layer's output, x the
    factor of the entry there. Other functions of parameters are not changed.

    Args:
        weights: the tensors to differentiate by.
        images: number of images; a layer is hooked if its input has a row for each.
    """

    def __init__(self, weights: Iterable[Tensor], images: int) -> None:
        super().__init__()
        self._known, self._images = {id(weight) for weight in weights}, images
        self.moved: dict[int, Tensor] = {}

    def _convolve(
        self,
        input: Tensor,
        weight: Tensor,
        bias: Tensor | None = None,
        stride: int | tuple[int, int] = 1,
        padding: str | int | tuple[int, int] = 0,
        dilation: int | tuple[int, int] = 1,
        groups: int = 1,
    ) -> Tensor:
        if isinstance(padding, str) or not self._of_images(input) or input.ndim != 4:
            return F.conv2d(input, weight, bias, stride, padding, dilation, groups)
        output = F.conv2d(input, self._fixed(weight), self._fixed(bias), stride, padding, dilation, groups)
        (down, right), (top, left) = nn.modules.utils._pair(stride), nn.modules.utils._pair(padding)
        height, width = output.shape[2:]
        corner = F.pad(input.detach()[:, 0], (left, left, top, top))[:, ::down, ::right][:, :height, :width]
        return self._hooked(output, corner, weight, bias)

    def _weigh(self, input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        if not self._of_images(input) or input.ndim != 2:
            return F.linear(input, weight, bias)
        output = F.linear(input, self._fixed(weight), self._fixed(bias))
        return self._hooked(output, input.detach()[:, 0], weight, bias)

    def _normalise(self, given: BatchNorm) -> Tensor:
        mean, variance = given.running_mean, given.running_var
        if given.training or mean is None or variance is None or not self._of_images(given.input):
            return normalise_each(given)
        weight, bias = self._fixed(given.weight), self._fixed(given.bias)
        inverse = (variance + given.eps).rsqrt()
        scale = inverse if weight is None else weight * inverse
        shift = -mean * scale if bias is None else bias - mean * scale
        channels = (-1, *(1,) * (given.input.ndim - 2))  # a product has a cheaper derivative than a batch normalisation
        output = torch.addcmul(shift.reshape(channels), given.input, scale.reshape(channels))
        normal = (given.input.detach()[:, 0] - mean[0]) * inverse[0]
        return self._hooked(output, normal, given.weight, given.bias)

    def _of_images(self, x: Tensor) -> bool:
        return len(x) == self._images and x.requires_grad

    def _fixed(self, parameter: T) -> T:
        return parameter.detach() if isinstance(parameter, Tensor) and id(parameter) in self._known else parameter

    def _hooked(self, output: Tensor, weighed: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
        """``output``, hooked to add up the derivatives by ``weight``, whose first entry multiplies ``weighed``."""
        if self._known.isdisjoint((id(weight), id(bias))):
            return output
        weighed = weighed.reshape(self._images, -1).clone()  # the input of a layer may be overwritten

        def add(gradient: Tensor) -> None:
            first = gradient[:, 0].reshape(self._images, -1)
            for parameter, moved in ((weight, first * weighed), (bias, first)):
                if id(parameter) in self._known:
                    self.moved[id(parameter)] = self.moved.get(id(parameter), 0) + moved.sum(1)

        output.register_hook(add)
        return output

    replacements: ClassVar[Mapping[Function, Function]] = {
        F.conv2d: _convolve,
        F.linear: _weigh,
        F.batch_norm: lambda self, *args, **kwargs: self._normalise(BatchNorm(*args, **kwargs)),
    }


def _from_weights(
    network: nn.Module, state: dict[str, Tensor], weights: list[Tensor], batch: Minibatch, lookups: Lookups
) -> tuple[Tensor, Tensor]:
    """The same for any network, image by image and class by class, through the gradients of whole weights."""
    images = [batch._replace(images=batch.images[i : i + 1]) for i in range(len(batch.images))]
    rows = [_from_image(network, state, weights, image, lookups) for image in images]
    jacobians, logits = map(torch.stack, zip(*rows))
    return jacobians, logits


def _from_image(
    network: nn.Module, state: dict[str, Tensor], weights: list[Tensor], batch: Minibatch, lookups: Lookups
) -> tuple[Tensor, Tensor]:
    given = batch.images.clone()
    recorder = nullcontext() if isinstance(given, Tensor) else Recorder(state, given, lookups=lookups)
    with ImageByImage(), recorder:
        output = with_state(network, state, given)
    logits = batch.objective.class_logits(single_logits(output, batch))
    jacobian = logits.new_zeros(logits.shape[1], len(weights))
    for row, logit in zip(jacobian, logits[0] if logits.requires_grad else ()):
        for j, gradient in enumerate(torch.autograd.grad(logit, weights, retain_graph=True, allow_unused=True)):
            if gradient is not None:
                row[j] = gradient.flatten()[0]
    return jacobian, logits[0].detach()
