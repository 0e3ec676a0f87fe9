"""The passes that tell the images of a batch apart: a gradient for each of them."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import grad, vmap
from torch.overrides import TorchFunctionMode

from zcbench.proxies.borrowing import with_state
from zcbench.proxies.errors import NotApplicable
from zcbench.proxies.passes import Values, check_logits, weight_tensors
from zcbench.proxies.signals import Batch

GRADIENT_IMAGES = 16  # the 1.5 M weights of the largest NAS-Bench-201 cell make 98 MB of gradients
KERNEL_IMAGES = 16  # the cost grows with the square


def first_images(batch: Batch, count: int) -> Batch:
    """The first ``count`` images of ``batch``, or all of them if there are fewer."""
    return Batch(batch.images[:count], batch.labels[:count])


def image_gradients(network: nn.Module, batch: Batch) -> Values:
    r"""∂l_i/∂θ of the first images, l_i the cross-entropy of image i, which batch normalisation sees by itself."""
    part = first_images(batch, GRADIENT_IMAGES)
    state = {name: weight.detach() for name, weight in weight_tensors(network).items()}

    def loss(state: dict[str, Tensor], image: Tensor, label: Tensor) -> Tensor:
        buffers = {name: buffer.clone() for name, buffer in network.named_buffers()}
        logits = with_state(network, {**buffers, **state}, image[None])
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
