"""Networks as other packages write them: sizes as PyTorch counts them, and a score or a named refusal for all proxies.

`examples/zoo.py` does the same with the packages themselves.
"""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

import zcbench
from zcbench.proxies import REGISTRY, evaluate

from .strangers import CLASSES, NETWORKS

#: What a proxy may say instead of a value: that it does not apply, or that its formula has no value here.
REFUSALS = {"not_applicable", "singular"}

networks = pytest.mark.parametrize("make", NETWORKS.values(), ids=NETWORKS)


def batch() -> tuple[Tensor, Tensor]:
    return torch.randn(8, 3, 32, 32, generator=torch.Generator().manual_seed(0)), torch.arange(8) % CLASSES


def dispatched_macs(network: nn.Module, image: Tensor) -> int:
    """Oracle: half of what PyTorch's own counter gives for the operators that it dispatches."""
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), counter:
        network.eval()(image)
    return counter.get_total_flops() // 2


@networks
def test_sizes(make: Callable[[], nn.Module]) -> None:
    network, (images, labels) = make(), batch()
    sizes = zcbench.score(network, (images, labels), proxies=["params", "macs"])
    assert sizes["params"] == sum(parameter.numel() for parameter in network.parameters())
    assert sizes["macs"] == dispatched_macs(network, images[:1])


@networks
def test_every_proxy_gives_a_value_or_says_why_not(make: Callable[[], nn.Module]) -> None:
    names = [item.name for item in REGISTRY.usable()[0] if not item.needs_thin]
    scores = evaluate(make(), batch(), names, teacher=make())
    failed = {item.proxy: (item.status, item.reason) for item in scores if item.status not in {"ok", *REFUSALS}}
    assert not failed
    assert all(item.reason for item in scores if item.status in REFUSALS)


@networks
def test_the_default_score_leaves_out_what_does_not_apply(make: Callable[[], nn.Module]) -> None:
    values = zcbench.score(make(), batch())
    assert {"params", "macs", "l2_norm", "grad_norm", "snip", "jacov"} <= values.keys()
    assert all(value == value and abs(value) != float("inf") for value in values.values())
