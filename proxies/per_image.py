"""The passes that tell the images of a batch apart: a gradient for each of them."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call, grad, jacrev, vmap
from torch.overrides import TorchFunctionMode

from zcbench.distill.evaluation import evaluating
from zcbench.proxies.data_free import gaussian_state, standard_normal
from zcbench.proxies.errors import NotApplicable
from zcbench.proxies.passes import Values, check_logits, weight_tensors
from zcbench.proxies.signals import Batch
from zcbench.streams import torch_stream

GRADIENT_IMAGES = 16  # the 1.5 M weights of the largest NAS-Bench-201 cell make 98 MB of gradients
KERNEL_IMAGES = 16  # the cost grows with the square
JACOBIAN_IMAGES, JACOBIAN_TENSORS = 32, 128  # the released code of VKDNW takes 64, and all tensors of NAS-Bench-201
GRADIENTS_AT_ONCE = 2**24  # numbers; 64 MB in float32


def first_images(batch: Batch, count: int) -> Batch:
    """The first ``count`` images of ``batch``, or all of them if there are fewer."""
    return Batch(batch.images[:count], batch.labels[:count])


def image_gradients(network: nn.Module, batch: Batch) -> Values:
    r"""∂l_i/∂θ of the first images, l_i the cross-entropy of image i, which batch normalisation sees by itself."""
    part = first_images(batch, GRADIENT_IMAGES)
    state = {name: weight.detach() for name, weight in weight_tensors(network).items()}

    def loss(state: dict[str, Tensor], image: Tensor, label: Tensor) -> Tensor:
        buffers = {name: buffer.clone() for name, buffer in network.named_buffers()}
        logits = functional_call(network, {**buffers, **state}, (image[None],))
        check_logits(logits, Batch(image[None], part.labels))
        return F.cross_entropy(logits, label[None])

    with ImageByImage():
        found = vmap(grad(loss), in_dims=(None, 0, 0), randomness="different")(state, part.images, part.labels)
    return {"image_gradients": found}


def tangent_kernel(network: nn.Module, batch: Batch) -> Values:
    r"""Θ_ij = ⟨∂_θ Σ z_i, ∂_θ Σ z_j⟩ of the first images, which batch normalisation sees together.

    The backward passes, one for each image, are carried out as one; the products are taken in float64.
    """
    part, weights = first_images(batch, KERNEL_IMAGES), list(weight_tensors(network).values())
    logits = network(part.images.clone())
    check_logits(logits, part)
    totals, size = logits.sum(1), len(part.images)
    kernel = torch.zeros(size, size, dtype=torch.float64, device=logits.device)
    if totals.requires_grad:
        each = torch.eye(size, dtype=totals.dtype, device=totals.device)
        for g in torch.autograd.grad(totals, weights, each, is_grads_batched=True, allow_unused=True):
            if g is not None:
                rows = g.flatten(1).double()
                kernel += rows @ rows.T
    return {"tangent_kernel": kernel}


def logit_jacobians(network: nn.Module, batch: Batch, seed: int) -> Values:
    """∂z_i/∂θ' and the logits z_i of Gaussian images; θ' is the first entry of each of the first parameter tensors.

    The network runs in evaluation mode with the weights of an untrained one: convolutions and linear layers by He et
    al. (normal, variance 2 / fan-in), biases 0, and batch norms that have seen mean 0 and variance 1, so that they
    pass their input on. One backward pass for each class, several at once while their gradients are few.
    """
    stream = torch_stream("logit_jacobians", seed, device=batch.images.device)
    state = _untrained(network, stream)
    images = standard_normal(torch.Size((JACOBIAN_IMAGES, *batch.images.shape[1:])), batch.images, stream)
    names = [name for name, parameter in network.named_parameters() if parameter.numel()][:JACOBIAN_TENSORS]
    entries = torch.stack([state[name].flatten()[0] for name in names])

    def logits(entries: Tensor, image: Tensor) -> tuple[Tensor, Tensor]:
        changed = {n: torch.cat([e[None], state[n].flatten()[1:]]).view_as(state[n]) for n, e in zip(names, entries)}
        found = functional_call(network, {**state, **changed}, (image[None],))
        check_logits(found, Batch(image[None], batch.labels))
        return found[0], found[0]

    chunk = max(1, GRADIENTS_AT_ONCE // (len(images) * sum(state[name].numel() for name in names)))
    with ImageByImage(), evaluating(network):
        return {"logit_jacobians": vmap(jacrev(logits, has_aux=True, chunk_size=chunk), (None, 0))(entries, images)}


def _untrained(network: nn.Module, stream: torch.Generator) -> dict[str, Tensor]:
    state = gaussian_state(network, stream)
    for name in weight_tensors(network):
        state[name].mul_((2 / state[name][0].numel()) ** 0.5)
    for name, module in network.named_modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.running_mean is not None:
            state[f"{name}.running_mean"].zero_()
            state[f"{name}.running_var"].fill_(1)
    return state


class ImageByImage(TorchFunctionMode):
    """A batch normalisation that would use the batch sees each image by itself, so that images do not interact."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Call ``func``, or normalise image by image in its place."""
        return (normalise_each if func is F.batch_norm else func)(*args, **(kwargs or {}))


def normalise_each(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """``F.batch_norm`` as if each image were a batch of its own; running statistics stay as they are.

    Raises:
        NotApplicable: an image has one value per channel, which has no variance.
    """
    if not training:
        return F.batch_norm(input, running_mean, running_var, weight, bias, False, momentum, eps)
    if input[0, 0].numel() < 2:
        raise NotApplicable("A batch normalisation sees one value per channel and image, which has no variance.")
    weight, bias = (None if tensor is None else tensor.to(input.dtype) for tensor in (weight, bias))
    return F.instance_norm(input, None, None, weight, bias, True, momentum, eps)
