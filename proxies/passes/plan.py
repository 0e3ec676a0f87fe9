"""The passes, and the choice of the fewest that give the wanted signals."""

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from functools import partial
from typing import NamedTuple

from torch import Tensor, nn

from zcbench.proxies.passes.blocks import blocks
from zcbench.proxies.passes.constant import constant_logits
from zcbench.proxies.passes.data_free import count_costs, gaussian_response, linearised_gradients, size_of
from zcbench.proxies.passes.first_entries import logit_jacobians
from zcbench.proxies.passes.halves import half_gradients
from zcbench.proxies.passes.noise import noise_signals
from zcbench.proxies.passes.one_image import channel_maps, circle, image_maps
from zcbench.proxies.passes.per_image import image_gradients, tangent_kernel
from zcbench.proxies.passes.responses import responses
from zcbench.proxies.passes.shared import shared_signals
from zcbench.proxies.passes.thin import thin_codes
from zcbench.proxies.passes.values import Clock, PassInputs, Thin, Values, attempt
from zcbench.proxies.signals.borrowing import put_back
from zcbench.proxies.signals.errors import NotApplicable
from zcbench.proxies.signals.limits import time_limit
from zcbench.proxies.signals.signals import Failure, Minibatch, NetworkCosts, Signals
from zcbench.proxies.signals.spectra import wide
from zcbench.proxies.signals.table import WIDE, needing
from zcbench.streams import seed_everything


class Pass(NamedTuple):
    """One pass: the signals it gives, the part under which it is timed (None: it keeps its own time), its work."""

    gives: frozenset[str]
    part: str | None
    work: Callable[[PassInputs], Values]


#: The work of every pass but the shared one, by the part under which it is timed.
_WORK: dict[str, Callable[[PassInputs], Values]] = {
    "linearised": lambda t: linearised_gradients(t.network, t.batch),
    "Gaussian": lambda t: gaussian_response(t.network, t.batch, t.usage, t.seed),
    "one image": lambda t: channel_maps(t.network, t.batch, t.seed),
    "first image": lambda t: image_maps(t.network, t.batch),
    "circle": lambda t: circle(t.network, t.batch, t.seed),
    "blocks": lambda t: blocks(t.network, t.batch, t.seed),
    "halves": lambda t: half_gradients(t.network, t.batch),
    "responses": lambda t: responses(t.network, t.batch, t.seed),
    "noise": lambda t: noise_signals(t.network, t.batch, t.seed),
    "constant": lambda t: constant_logits(t.network, t.batch, t.usage),
    "per image": lambda t: image_gradients(t.network, t.batch, t.usage, t.seed),
    "tangent kernel": lambda t: tangent_kernel(t.network, t.batch),
    "logit Jacobians": lambda t: logit_jacobians(t.network, t.batch, t.usage, t.seed),
    "thin network": lambda t: thin_codes(t.thin, t.batch, t.seed),
    "count": lambda t: count_costs(t.network, t.batch),
}


def _shared(inputs: PassInputs) -> Values:
    """The signals of the shared pass; for the weights alone two images are enough."""
    if inputs.wanted & SHARED == {"parameters"}:
        return {"parameters": {weight.name: weight.tensor.detach() for weight in inputs.usage.weights}}
    return shared_signals(inputs)


SHARED = needing("forward") | {"parameters"}

#: Every pass. Each runs with its own random stream and leaves the buffers as they were.
PASSES = (Pass(SHARED, None, _shared), *(Pass(needing(part), part, work) for part, work in _WORK.items()))


def analytic(costs: NetworkCosts) -> Values:
    """The signals that follow from the sizes of an architecture."""
    return {"size": costs.params, "costs": costs}


def collect(
    network: nn.Module,
    batch: Minibatch,
    reads: frozenset[str],
    *,
    costs: NetworkCosts | None = None,
    thin: Thin | None = None,
    seed: int = 0,
    timeout: float | None = None,
) -> Signals:
    """Run the fewest passes that give all of ``reads`` on a borrowed network.

    A pass that fails affects only its own signals, each of which becomes a `Failure`.

    Raises:
        BatchError: images, labels and network do not fit together.
    """
    values: Values = {"network": network, "num_classes": Failure(NotApplicable("No forward pass."))}
    values |= {"size": size_of(network)} if costs is None else analytic(costs)
    task = PassInputs(network, batch, reads - values.keys(), seed, Clock(), thin)
    for item in PASSES:
        if task.wanted & item.gives:
            attempt(values, item.gives, partial(_carry_out, item, task, timeout))
    values |= {name: _widened(values[name]) for name in WIDE & values.keys()}
    return Signals(values, batch, reads, task.clock.parts)


def _widened(value: object) -> object:
    """The same with every tensor in float32 or better."""
    if isinstance(value, Tensor):
        return wide(value)
    if isinstance(value, Mapping):
        return {name: wide(tensor) for name, tensor in value.items()}
    return tuple(map(_widened, value)) if type(value) is tuple else value


def _carry_out(item: Pass, task: PassInputs, timeout: float | None) -> Values:
    seed_everything("passes", task.seed)
    buffers = task.buffers
    try:
        with time_limit(timeout), task.clock.part(item.part) if item.part else nullcontext():
            return item.work(task)
    finally:
        put_back(buffers)
