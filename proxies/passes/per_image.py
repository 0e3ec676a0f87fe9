"""The passes that compute a gradient for each image of a batch."""

from collections.abc import Iterator, Mapping
from typing import ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import grad, vmap

from zcbench.datasets.inputs import rebuilt, tensors_of
from zcbench.errors import BatchError
from zcbench.hooks.functions import ALIASES, Function
from zcbench.hooks.recorder import Recorder
from zcbench.hooks.rewrites import Replacing
from zcbench.hooks.usage import Usage
from zcbench.hooks.weights import named_state
from zcbench.proxies.passes.halves import filled, recorded
from zcbench.proxies.passes.logits import single_logits
from zcbench.proxies.passes.shared import differentiate
from zcbench.proxies.passes.values import Values
from zcbench.proxies.signals.borrowing import with_state
from zcbench.proxies.signals.errors import NotApplicable
from zcbench.proxies.signals.limits import ScoreTimeout
from zcbench.proxies.signals.signals import Minibatch
from zcbench.streams import seed_everything

GRADIENT_IMAGES = 16  # the 1.5 M weights of the largest NAS-Bench-201 cell make 98 MB of gradients
KERNEL_IMAGES = 16  # the cost grows with the square


def first_images(batch: Minibatch, count: int) -> Minibatch:
    """The first ``count`` images of ``batch``, or all of them if there are fewer."""
    return batch.part(slice(count))


def image_gradients(network: nn.Module, batch: Minibatch, usage: Usage, seed: int) -> Values:
    r"""∂l_i/∂θ of the first images, l_i the loss of image i, which batch normalisation sees by itself.

    The images are differentiated together where PyTorch's vectorising map can do it, else one after the other.
    """
    part = first_images(batch, GRADIENT_IMAGES)
    if usage.whole:
        try:
            return {"image_gradients": _together(network, part, usage)}
        except (BatchError, ScoreTimeout):
            raise
        except Exception:  # no rule for one of its functions: in-place writes, own functions, recurrences, draws
            seed_everything("passes", seed)
    return {"image_gradients": _one_by_one(network, part)}


def _together(network: nn.Module, batch: Minibatch, usage: Usage) -> dict[str, Tensor]:
    state = {weight.name: weight.tensor.detach() for weight in usage.weights}

    def loss(state: dict[str, Tensor], image: tuple[Tensor, ...], label: Tensor) -> Tensor:
        buffers = {name: buffer.clone() for name, buffer in network.named_buffers()}
        given = rebuilt(batch.images, [tensor[None] for tensor in image])
        output = single_logits(with_state(network, {**buffers, **state}, given), batch._replace(images=given))
        return batch.objective(output, label[None])

    with ImageByImage():
        gradients: dict[str, Tensor] = vmap(grad(loss), in_dims=(None, 0, 0), randomness="different")(
            state, tensors_of(batch.images), batch.labels
        )
    return gradients


def _one_by_one(network: nn.Module, batch: Minibatch) -> dict[str, Tensor]:
    found: list[dict[str, Tensor]] = []
    for number in range(len(batch.images)):
        part = batch.part(slice(number, number + 1))
        given = part.images.clone()
        with Recorder(named_state(network), given, through=ImageByImage().call) as recorder:
            output = with_state(network, {}, given)  # which refuses maps that are computed anew without these modes
        output = single_logits(output, part)
        weights = {weight.name: weight.tensor for weight in recorder.weights}
        found.append(differentiate(part.loss(output), weights))
    whole = filled(found)
    return {name: torch.stack([one[name] for one in whole]) for name in whole[0]}


def tangent_kernel(network: nn.Module, batch: Minibatch) -> Values:
    r"""Θ_ij = ⟨∂_θ Σ z_i, ∂_θ Σ z_j⟩ of the first images, which batch normalisation sees together.

    There is a backward pass for each image, of which a map is small enough for the cache of a processor: PyTorch's own
    batched gradients call the same functions, but copy each result. The products are taken in float64.
    """
    part = first_images(batch, KERNEL_IMAGES)
    output, weights = recorded(network, part)
    totals, size = output.flatten(1).sum(1), len(part.images)
    kernel = torch.zeros(size, size, dtype=torch.float64, device=output.device)
    if totals.requires_grad:
        for g in _rows(totals, list(weights.values())):
            if g is not None:
                rows = g.flatten(1).double()
                kernel += rows @ rows.T
    return {"tangent_kernel": kernel}


def _rows(totals: Tensor, weights: list[Tensor]) -> Iterator[Tensor | None]:
    """Gradients ``(b, ...)`` of every total for each weight; None for a weight that acts on none."""
    rows = [torch.autograd.grad(total, weights, allow_unused=True, retain_graph=True) for total in totals]
    for parts in zip(*rows):
        yield None if parts[0] is None else torch.stack(parts)


class ImageByImage(Replacing):
    """A batch normalisation that would use the batch normalises each image by itself, so that images do not mix."""

    def _call_again(self, *args: object, **kwargs: object) -> object:
        with self:
            return ALIASES[torch.batch_norm](*args, **kwargs)

    replacements: ClassVar[Mapping[Function, Function]] = {
        F.batch_norm: lambda self, *args, **kwargs: normalise_each(BatchNorm(*args, **kwargs)),
        torch.batch_norm: _call_again,
    }


class BatchNorm(NamedTuple):
    """The arguments of ``F.batch_norm``."""

    input: Tensor
    running_mean: Tensor | None
    running_var: Tensor | None
    weight: Tensor | None = None
    bias: Tensor | None = None
    training: bool = False
    momentum: float = 0.1
    eps: float = 1e-5


def normalise_each(given: BatchNorm) -> Tensor:
    """``F.batch_norm`` as if each image were a batch of its own; running statistics stay as they are.

    Raises:
        NotApplicable: an image has one value per channel, which has no variance.
    """
    if not given.training:
        return F.batch_norm(*given)
    if given.input[0, 0].numel() < 2:
        raise NotApplicable("A batch normalisation has one value per channel and image, which has no variance.")
    weight, bias = (None if tensor is None else tensor.to(given.input.dtype) for tensor in (given.weight, given.bias))
    return F.instance_norm(given.input, None, None, weight, bias, True, given.momentum, given.eps)
