"""The pass over the two halves of the batch."""

from torch import Tensor, nn

from zcbench.hooks.recorder import Recorder
from zcbench.hooks.weights import named_state
from zcbench.proxies.passes.logits import check_logits
from zcbench.proxies.passes.shared import differentiate
from zcbench.proxies.passes.values import Values, missing
from zcbench.proxies.signals.signals import Minibatch


def half_gradients(network: nn.Module, batch: Minibatch) -> Values:
    r"""∂L/∂θ of the first and of the second half of the batch, in a forward and a backward pass each.

    L is the mean loss of the half, and batch normalisation sees that half only. Of an odd number of images
    the second half has one more.
    """
    middle = len(batch.images) // 2
    if middle < 2:
        return {"half_gradients": missing("Two halves of two images or more need a batch of four.")}
    halves = (slice(None, middle), slice(middle, None))
    return {"half_gradients": tuple(_gradients(network, batch.part(half)) for half in halves)}


def _gradients(network: nn.Module, batch: Minibatch) -> dict[str, Tensor]:
    output, weights = recorded(network, batch)
    return differentiate(batch.loss(output), weights)


def recorded(network: nn.Module, batch: Minibatch) -> tuple[Tensor, dict[str, Tensor]]:
    """Output of a forward pass, and the weights that it used by name.

    Raises:
        BatchError: the network does not return an output that a loss takes.
    """
    images = batch.images.clone()
    with Recorder(named_state(network), images) as recorder:
        output = network(images)
    return check_logits(output, batch), {weight.name: weight.tensor for weight in recorder.weights}
