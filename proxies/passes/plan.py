"""Which passes serve the signals that are asked for, and what they have in common."""

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

from torch import Tensor, nn

from zcbench.hooks.usage import Usage, record_usage
from zcbench.proxies.passes.blocks import blocks
from zcbench.proxies.passes.data_free import count_costs, gaussian_response, linearised_gradients
from zcbench.proxies.passes.first_entries import logit_jacobians
from zcbench.proxies.passes.halves import half_gradients
from zcbench.proxies.passes.one_image import channel_maps, circle, image_maps
from zcbench.proxies.passes.per_image import image_gradients, tangent_kernel
from zcbench.proxies.passes.shared import Clock, SharedPass, Values, attempt
from zcbench.proxies.passes.thin import thin_codes
from zcbench.proxies.signals.borrowing import same_buffers, seed_everything
from zcbench.proxies.signals.errors import NotApplicable
from zcbench.proxies.signals.limits import time_limit
from zcbench.proxies.signals.signals import Failure, Minibatch, NetworkCosts, Signals
from zcbench.proxies.signals.spectra import wide

Thin = Callable[[], nn.Module | None]


#: Signals of passes that put other tensors in the place of parameters, by what these are used for.
_BY_ROLE = frozenset({"gaussian_response", "image_gradients", "logit_jacobians"})


@dataclass
class PassInputs:
    """What a pass is given: a borrowed network, the batch, the signals that are wanted, and the stream of its draws."""

    network: nn.Module
    batch: Minibatch
    wanted: frozenset[str]
    seed: int
    clock: Clock
    thin: Thin | None = None
    known: Usage | None = None

    @property
    def usage(self) -> Usage:
        """What the parameters are used for; in a pass of two images where no other pass has told."""
        if self.known is None:
            with same_buffers(self.network):
                self.known = record_usage(self.network, self.batch.images)
            seed_everything("passes", self.seed)
        return self.known


class Pass(NamedTuple):
    """One pass: the signals it gives, the part under which it is timed (None: it keeps its own time), its work."""

    gives: frozenset[str]
    part: str | None
    work: Callable[[PassInputs], Values]


#: Every pass. Each runs with its own random stream and leaves the buffers as they were.
PASSES = (
    Pass(SharedPass.provides, None, lambda t: _shared(t)),
    Pass(
        frozenset({"linearised_gradients", "attention"}),
        "linearised",
        lambda t: linearised_gradients(t.network, t.batch),
    ),
    Pass(
        frozenset({"gaussian_response"}), "Gaussian", lambda t: gaussian_response(t.network, t.batch, t.usage, t.seed)
    ),
    Pass(frozenset({"channel_maps"}), "one image", lambda t: channel_maps(t.network, t.batch, t.seed)),
    Pass(frozenset({"image_maps"}), "first image", lambda t: image_maps(t.network, t.batch)),
    Pass(frozenset({"circle"}), "circle", lambda t: circle(t.network, t.batch, t.seed)),
    Pass(frozenset({"blocks"}), "blocks", lambda t: blocks(t.network, t.batch, t.seed)),
    Pass(frozenset({"half_gradients"}), "halves", lambda t: half_gradients(t.network, t.batch)),
    Pass(frozenset({"image_gradients"}), "per image", lambda t: image_gradients(t.network, t.batch, t.usage, t.seed)),
    Pass(frozenset({"tangent_kernel"}), "tangent kernel", lambda t: tangent_kernel(t.network, t.batch)),
    Pass(
        frozenset({"logit_jacobians"}),
        "logit Jacobians",
        lambda t: logit_jacobians(t.network, t.batch, t.usage, t.seed),
    ),
    Pass(frozenset({"thin_codes"}), "thin network", lambda t: thin_codes(t.thin, t.batch, t.seed)),
    Pass(frozenset({"costs"}), "count", lambda t: count_costs(t.network, t.batch)),
)


#: Sums over weights: what a half-precision network computed is added up in float32, or most of it would be lost.
WIDE = frozenset(
    {"parameters", "gradients", "classifier_gradient", "hessian_gradient", "image_gradients"} | {"half_gradients"}
)


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
    """Run the fewest passes that give all of ``reads`` on a borrowed network; a pass that fails costs only its signals.

    Raises:
        BatchError: images, labels and network do not fit together.
    """
    values: Values = {"network": network, "num_classes": Failure(NotApplicable("No forward pass."))}
    if costs is not None:
        values["costs"] = costs
    task = PassInputs(network, batch, reads - values.keys(), seed, Clock(), thin)
    for item in PASSES:
        if task.wanted & item.gives:
            attempt(values, item.gives, partial(_carry_out, item, task, timeout))
    values |= {name: _widened(values[name]) for name in WIDE & values.keys()}
    return Signals(values, batch, reads, task.clock.parts)


def _shared(task: PassInputs) -> Values:
    """The signals of the shared pass; for the weights alone two images are enough."""
    if task.wanted & SharedPass.provides == {"parameters"}:
        return {"parameters": {weight.name: weight.tensor.detach() for weight in task.usage.weights}}
    shared = SharedPass(
        task.network, task.batch, task.wanted, task.clock, task.seed, roles=bool(task.wanted & _BY_ROLE)
    )
    values = shared.run()
    task.known = shared.usage
    return values


def _widened(value: Any) -> Any:
    """The same with every tensor in float32 or better."""
    if isinstance(value, Tensor):
        return wide(value)
    if isinstance(value, Mapping):
        return {name: wide(tensor) for name, tensor in value.items()}
    return tuple(map(_widened, value)) if type(value) is tuple else value


def _carry_out(item: Pass, task: PassInputs, timeout: float | None) -> Values:
    seed_everything("passes", task.seed)
    with same_buffers(task.network), time_limit(timeout), task.clock.part(item.part) if item.part else nullcontext():
        return item.work(task)
