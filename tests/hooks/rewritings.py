"""Pairs of networks that compute one function with the same weights, written in two ways, and how they are compared.

The contract: every proxy gives both the same value, or refuses one of them by name. Exempt are, for each pair, the
proxies whose definition looks at how a network is written, with the reason.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import NamedTuple

import torch
from torch import nn

from zcbench.proxies import REGISTRY, TeacherSignals, evaluate

#: Proxies of all kinds of signals, for the usual run of the tests.
FEW = (
    *("params", "macs", "depth", "snip", "fisher", "naswot", "synflow", "zen", "near"),
    *("kd:fitnet", "kd:fitnet_embedding", "diswot_relation", "diswot_semantic"),
)
#: All proxies that a network alone has: those left out build a thinner network from a search space.
ALL = tuple(proxy.name for proxy in REGISTRY.usable()[0] if not proxy.needs_thin)
REFUSALS = {"not_applicable", "singular"}
BATCH = torch.randn(12, 3, 16, 16, generator=torch.Generator().manual_seed(0)), torch.arange(12) % 10
TOLERANCE = 1e-4
#: Proxies that divide by, or subtract, what nearly vanishes: rounding alone moves them by this much.
ROUNDING = {
    **dict.fromkeys(("zico", "zico_bc", "lswag", "lswag_gradients"), 1e-3),
    **dict.fromkeys(("epe_nas", "gradsign", "grasp", "te_nas_ntk"), 1e-3),
    **dict.fromkeys(("kd:sharpness_gap", "kd:sharpness_gap_abs"), 1e-3),
    "kd:pkt": 2e-2,
}

Network = Callable[[], nn.Module]
Exempt = Mapping[str, str]


class Pair(NamedTuple):
    """Two networks that compute one function; ``exempt`` holds the proxies that may differ, and why."""

    name: str
    one: Network
    other: Network
    exempt: Exempt
    quick: bool


class Pairs(list[Pair]):
    """The pairs of one file of tests."""

    def add(self, name: str, one: Network, other: Network, exempt: Exempt | None = None, quick: bool = False) -> None:
        self.append(Pair(name, one, other, exempt or {}, quick))

    def rewrite(self, name: str, base: type[nn.Module], exempt: Exempt | None = None, quick: bool = False, **steps):
        """Add a network and the same one with some of its methods exchanged."""
        self.add(name, base, rewritten(base, **steps), exempt, quick)

    def quick(self) -> list[Pair]:
        """Pairs of the usual run."""
        return [pair for pair in self if pair.quick]


def rewritten(base: type[nn.Module], **steps: object) -> type[nn.Module]:
    """The network with other methods."""
    return type(f"Rewritten{base.__name__}", (base,), steps)


def because(reason: str, *proxies: str) -> dict[str, str]:
    """Proxies that may differ for one reason."""
    return dict.fromkeys(proxies, reason)


#: What a proxy's definition reads off the writing of a network.
TENSORS = because(
    "sums roots or ratios over weight tensors, or draws for each tensor",
    *("l2_norm", "grad_norm", "zico", "dss", "vkdnw", "vkdnw_released", "vkdnw_single", "synaptic_diversity"),
    *("zico_bc", "lswag", "lswag_gradients", "intrain", "intrain_resilience"),
)
CONVOLUTIONS = because("counts convolutions", "n_convs", "intrain", "intrain_capacity")
ROWS = because("reads what each call of a layer or activation function puts out", "near", "wrcor")
BLOCKS = because(
    "reads blocks, which are modules",
    *("az_expressivity", "az_progressivity", "az_trainability", "wrcor"),
    *("kd:at", "kd:nst", "kd:kdsvd", "kd:fsp", "kd:fsp_mean", "kd:review"),
)
MODULES = because("reads what modules and containers put out", "meco", "meco_opt", "dextr")


def copy_in_order(source: nn.Module, target: nn.Module) -> None:
    """Copy parameters and buffers by their order of registration."""
    for given, taken in zip(source.parameters(), target.parameters(), strict=True):
        taken.data.copy_(given.detach().reshape(taken.shape))
    for given, taken in zip(source.buffers(), target.buffers()):
        if given.shape == taken.shape:
            taken.copy_(given)


def copy_named(source: nn.Module, target: nn.Module, skip: str) -> None:
    """Copy parameters and buffers by name, but for those of one module."""
    taken = dict([*target.named_parameters(), *target.named_buffers()])
    for name, tensor in [*source.named_parameters(), *source.named_buffers()]:
        if not name.startswith(skip):
            taken[name].data.copy_(tensor)


def both(pair: Pair) -> tuple[nn.Module, nn.Module]:
    """The two networks with the same weights; a method ``take`` of the second says how it takes them."""
    torch.manual_seed(0)
    one = pair.one()
    torch.manual_seed(77)
    other = pair.other()
    take = getattr(other, "take", None)
    if take is None:
        copy_in_order(one, other)
    else:
        take(one)
    return one, other


def unequal(one: nn.Module, other: nn.Module) -> float:
    """Largest difference of the logits in training and in evaluation mode, relative to the largest logit."""
    return max(_gap(*(_logits(network, training) for network in (one, other))) for training in (True, False))


def _gap(one: torch.Tensor, other: torch.Tensor) -> float:
    return float((one - other).abs().max() / one.abs().max())


def _logits(network: nn.Module, training: bool) -> torch.Tensor:
    """Logits of the batch; running statistics are restored."""
    buffers = [(buffer, buffer.clone()) for buffer in network.buffers()]
    with torch.no_grad():
        logits = network.train(training)(BATCH[0].clone())
        for buffer, before in buffers:
            buffer.copy_(before)
    network.train()
    return logits


@cache
def teacher(network: Network) -> TeacherSignals:
    """A teacher of the first writing, with weights of its own."""
    torch.manual_seed(5)
    return TeacherSignals(network())


def compare(pair: Pair, proxies: Iterable[str]) -> list[str]:
    """What breaks the contract, a line for each proxy."""
    one, other = both(pair)
    assert unequal(one, other) < 1e-4, "the two networks compute different functions"
    found = [evaluate(network, BATCH, list(proxies), teacher=teacher(pair.one)) for network in (one, other)]
    return [
        f"{a.proxy}: {a.value} ({a.status} {a.reason}) for one, {b.value} ({b.status} {b.reason}) for the other"
        for a, b in zip(*found)
        if not _agree(a, b, pair.exempt)
    ]


def _agree(one, other, exempt: Exempt) -> bool:
    states = {one.status, other.status}
    if "error" in states:
        return False
    if states != {"ok"}:
        return len(states) == 1 or bool(states & REFUSALS)
    scale = max(abs(one.value), abs(other.value))
    bound = max(ROUNDING.get(one.proxy, TOLERANCE) * scale, 1e-8)
    return one.proxy in exempt or abs(one.value - other.value) <= bound
