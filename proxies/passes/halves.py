"""The pass over the two halves of the batch."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from zcbench.hooks.heads import classifier_of
from zcbench.hooks.recorder import Recorder
from zcbench.hooks.trace import Call
from zcbench.hooks.weights import named_state
from zcbench.proxies.passes.logits import check_logits
from zcbench.proxies.passes.shared import differentiate
from zcbench.proxies.passes.values import Values, missing
from zcbench.proxies.signals.signals import Failure, Minibatch, OutputSize


def half_gradients(network: nn.Module, batch: Minibatch) -> Values:
    r"""∂L/∂θ of the first and of the second half of the batch, in a forward and a backward pass each; output sizes.

    L is the mean loss of the half, and batch normalisation sees that half only. Of an odd number of images
    the second half has one more.
    """
    middle = len(batch.images) // 2
    if middle < 2:
        few = missing("Two halves of two images or more need a batch of four.")
        return {"half_gradients": few, "output_sizes": few}
    parts = (slice(None, middle), slice(middle, None))
    first, second = (_half(network, batch.part(part)) for part in parts)
    return {"half_gradients": filled((first[0], second[0])), "output_sizes": first[1]}


def filled(found: Sequence[dict[str, Tensor]]) -> tuple[dict[str, Tensor], ...]:
    """Gradients of several passes, each with the weights of all: zero for a weight that a pass did not use.

    A network that skips layers at random, such as by LayerDrop, uses other weights in each pass.
    """
    shapes = {name: gradient for one in found for name, gradient in one.items()}
    return tuple(
        {name: one[name] if name in one else torch.zeros_like(other) for name, other in shapes.items()} for one in found
    )


def _half(network: nn.Module, batch: Minibatch) -> tuple[dict[str, Tensor], dict[str, OutputSize] | Failure]:
    """Gradients of the weights, and the sizes of their outputs."""
    images, sizes = batch.images.clone(), _Sizes(len(batch.images))
    with Recorder(named_state(network), images, calls=sizes.record) as recorder:
        returned = network(images)
    output, classifier = check_logits(returned, batch), classifier_of(returned)
    weights = {weight.name: weight.tensor for weight in recorder.weights}
    return differentiate(batch.loss(output), weights), sizes.values(
        recorder.weights.joined(), None if classifier is None else classifier.weight.name
    )


class _Sizes:
    """Sizes of the outputs of weights, for one image."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._found: dict[str, OutputSize] = {}
        self._mixed = False

    def record(self, call: Call) -> None:
        """Record the output of a weight; of several calls the largest one."""
        self._mixed = self._mixed or call.images is None
        channels = call.weight.outputs
        known = self._found.get(call.weight.name, OutputSize(channels, 0))
        positions = call.output.numel() // (channels * self._size)
        self._found[call.weight.name] = known._replace(positions=max(known.positions, positions))

    def values(self, joined: Mapping[str, Sequence[str]], classifier: str | None) -> dict[str, OutputSize] | Failure:
        """Sizes by name; a parameter that is used in parts has the channels of all, a classifier has one position."""
        if self._mixed:
            return missing("A layer works on a tensor that does not keep the images apart.")
        for name in joined.keys() - self._found.keys():
            parts = [self._found[part] for part in joined[name]]
            self._found[name] = OutputSize(sum(part.channels for part in parts), max(part.positions for part in parts))
        if classifier in self._found:
            self._found[classifier] = self._found[classifier]._replace(positions=1)
        return self._found


def recorded(network: nn.Module, batch: Minibatch) -> tuple[Tensor, dict[str, Tensor]]:
    """Output of a forward pass, and the weights that it used by name.

    Raises:
        BatchError: the network does not return an output that a loss takes.
    """
    images = batch.images.clone()
    with Recorder(named_state(network), images) as recorder:
        output = network(images)
    return check_logits(output, batch), {weight.name: weight.tensor for weight in recorder.weights}
