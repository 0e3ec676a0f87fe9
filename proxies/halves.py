"""The pass over the two halves of the batch."""

import torch
import torch.nn.functional as F
from torch import nn

from zcbench.proxies.passes import Values, check_logits, missing, weight_tensors
from zcbench.proxies.signals import Batch


def half_gradients(network: nn.Module, batch: Batch) -> Values:
    r"""∂L/∂θ of the first and of the second half of the batch, in a forward and a backward pass each.

    L is the mean cross-entropy of the half, and batch normalisation sees that half only. Of an odd number of images
    the second half has one more.
    """
    middle = len(batch.images) // 2
    if middle < 2:
        return {"half_gradients": missing("Two halves of two images or more need a batch of four.")}
    halves = (slice(None, middle), slice(middle, None))
    return {"half_gradients": tuple(_gradients(network, Batch(batch.images[h], batch.labels[h])) for h in halves)}


def _gradients(network: nn.Module, batch: Batch) -> Values:
    weights = weight_tensors(network)
    logits = network(batch.images.clone())
    check_logits(logits, batch)
    loss = F.cross_entropy(logits, batch.labels)
    if not loss.requires_grad:
        return {name: torch.zeros_like(weight) for name, weight in weights.items()}
    found = torch.autograd.grad(loss, list(weights.values()), allow_unused=True)
    return {name: torch.zeros_like(w) if g is None else g for (name, w), g in zip(weights.items(), found)}
