"""The pass over the two halves of the batch."""

import torch.nn.functional as F
from torch import Tensor, nn

from zcbench.hooks.recorder import Recorder
from zcbench.hooks.weights import named_state
from zcbench.proxies.passes.logits import check_classes, check_logits
from zcbench.proxies.passes.shared import differentiate
from zcbench.proxies.passes.values import Values, missing
from zcbench.proxies.signals.signals import Minibatch


def half_gradients(network: nn.Module, batch: Minibatch) -> Values:
    r"""∂L/∂θ of the first and of the second half of the batch, in a forward and a backward pass each.

    L is the mean cross-entropy of the half, and batch normalisation sees that half only. Of an odd number of images
    the second half has one more.
    """
    middle = len(batch.images) // 2
    if middle < 2:
        return {"half_gradients": missing("Two halves of two images or more need a batch of four.")}
    halves = (slice(None, middle), slice(middle, None))
    return {"half_gradients": tuple(_gradients(network, Minibatch(batch.images[h], batch.labels[h])) for h in halves)}


def _gradients(network: nn.Module, batch: Minibatch) -> dict[str, Tensor]:
    logits, weights = recorded(network, batch)
    check_classes(logits)
    return differentiate(F.cross_entropy(logits, batch.labels), weights)


def recorded(network: nn.Module, batch: Minibatch) -> tuple[Tensor, dict[str, Tensor]]:
    """Logits of a forward pass, and the weights that it used by name.

    Raises:
        BatchError: the network does not return logits.
    """
    images = batch.images.clone()
    with Recorder(named_state(network), images) as recorder:
        logits = network(images)
    check_logits(logits, batch)
    return logits, {weight.name: weight.tensor for weight in recorder.weights}
