"""The pass of Gaussian images with random labels: covariances of the convolutions' outputs, and gradients."""

from collections.abc import Iterable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zcbench.hooks.recorder import Recorder
from zcbench.hooks.rewrites import Doubled, double_precision
from zcbench.hooks.trace import Call
from zcbench.hooks.weights import Weight, named_state
from zcbench.proxies.passes.drawn import Lookups, normal_inputs, standard_normal
from zcbench.proxies.passes.logits import check_logits
from zcbench.proxies.passes.shared import differentiate
from zcbench.proxies.passes.units import covariance
from zcbench.proxies.passes.values import Values, attempt, missing
from zcbench.proxies.signals.borrowing import with_state
from zcbench.proxies.signals.signals import Failure, Minibatch
from zcbench.streams import torch_stream


def noise_signals(network: nn.Module, batch: Minibatch, seed: int) -> Values:
    r"""Covariances of the convolutions' outputs, and ∂L/∂θ, for as many images as the batch has.

    Images are standard normal, labels evenly drawn from the classes of the network, L is the mean cross-entropy. θ are
    the parameters, and in place of parameters that a weight is computed from, this weight. In
    float64, where gradients that vanish by symmetry stand out from small ones.
    """
    stream = torch_stream("noise", seed, device=batch.images.device)
    images = normal_inputs(batch.images, len(batch.images), stream).to(batch.images.device, torch.float64)
    lookups = Lookups(images, lambda found: standard_normal(found.shape, found, stream))
    covariances = _Covariances(len(images))
    parameters = {name: p.detach().double().requires_grad_() for name, p in named_state(network).items()}
    buffers = {name: b.double() if b.is_floating_point() else b.clone() for name, b in network.named_buffers()}
    with (
        double_precision(),
        Recorder(parameters, images, calls=covariances.record, lookups=lookups, through=Doubled().call) as recorder,
    ):
        returned = with_state(network, parameters | buffers, images)
    lookups.check()
    output, tensors = check_logits(returned, batch), _tensors(parameters, recorder.weights)
    values: Values = {"noise_covariances": covariances.values()}
    attempt(values, frozenset({"noise_gradients"}), lambda: _gradients(batch, output, tensors, stream))
    return values


def _gradients(batch: Minibatch, output: Tensor, tensors: Mapping[str, Tensor], stream: torch.Generator) -> Values:
    """Gradients of the cross-entropy with random labels.

    Raises:
        NotApplicable: there are no classes.
    """
    logits = batch.objective.class_logits(output)
    labels = torch.randint(logits.shape[1], (len(logits),), generator=stream, device=logits.device)
    return {"noise_gradients": differentiate(F.cross_entropy(logits, labels), tensors)}


def _tensors(parameters: Mapping[str, Tensor], weights: Iterable[Weight]) -> dict[str, Tensor]:
    """The weights as they are used, and the parameters that no weight is computed from."""
    used = {weight.name: weight.tensor for weight in weights}
    computed = [weight.tensor.sum() for weight in weights if not weight.whole]
    sources = set(used)
    if computed:
        found = torch.autograd.grad(computed, list(parameters.values()), allow_unused=True, retain_graph=True)
        sources |= {name for name, gradient in zip(parameters, found) if gradient is not None}
    return used | {name: tensor for name, tensor in parameters.items() if name not in sources}


class _Covariances:
    """Covariances of the channels of the outputs of convolutions."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._found: list[Tensor] = []
        self._mixed = False

    def record(self, call: Call) -> None:
        """Record the output of a weight, if it is a convolution's."""
        if call.weight.kind != "convolution":
            return
        self._mixed = self._mixed or call.images is None
        rows = call.output.detach().movedim(call.channels, -1).flatten(0, -2)
        self._found.append(covariance(rows))

    def values(self) -> list[Tensor] | Failure:
        """Covariances ``(C, C)`` in the order of the calls."""
        if self._mixed:
            return missing("A convolution works on a tensor that does not keep the images apart.")
        return self._found or missing("The network has no convolution.")
