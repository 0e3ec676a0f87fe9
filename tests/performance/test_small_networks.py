"""What the first-order proxies cost on a small network, where calls of functions weigh more than arithmetic.

    make benchmark

One thread, NAS-Bench-201 with 8 channels and one cell a stage, 16 images of 16x16, CPU seconds, interleaved in one run.
"""

import copy
from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import nn

from zcbench import spaces
from zcbench.proxies import evaluate

from .test_layouts import SIXTEEN, bare
from .test_shared_pass import ARCHS, plain
from .timing import fastest

ROUNDS = 15


def without_norms(network: nn.Module) -> nn.Module:
    """A copy in float64 with absolute weights and no batch normalisation: the network of synflow."""
    double = copy.deepcopy(network).double()
    for parent in [*double.modules()]:
        for name, part in [*parent.named_children()]:
            if isinstance(part, nn.BatchNorm2d):
                setattr(parent, name, nn.Identity())
    for parameter in double.parameters():
        parameter.data.abs_()
    return double


def passes(network: nn.Module, linear: nn.Module, batch: tuple[torch.Tensor, torch.Tensor]) -> None:
    """All passes of the sixteen proxies in bare PyTorch: those of the batch, synflow's, and that of the counts."""
    bare(network, batch)
    total = linear(torch.ones_like(batch[0][:1], dtype=torch.float64)).sum()
    torch.autograd.grad(total, list(linear.parameters()))
    with torch.no_grad():
        network.eval()(batch[0][:1])


@pytest.mark.parametrize("name", ARCHS)
def test_sixteen_proxies(name: str, benchmark) -> None:
    """At most 5 plain forward and backward passes, and 2.4 times the bare passes; the goal is 2.5 plain ones."""
    network = spaces.get("nasbench201(channels=8,cells=1)").build(ARCHS[name], seed=0)
    batch = torch.randn(16, 3, 16, 16), torch.randint(10, (16,))
    works: dict[str, Callable[[], object]] = {
        "plain": partial(plain, network, batch),
        "bare": partial(passes, network, without_norms(network), batch),
        "scored": partial(evaluate, network, batch, SIXTEEN),
    }

    fastest(works, 1)
    seconds = benchmark.pedantic(fastest, args=(works, ROUNDS), rounds=1)
    ratio, floor = (seconds[which] / seconds["plain"] for which in ("scored", "bare"))
    print(f"\n{name}: {len(SIXTEEN)} proxies {1000 * seconds['scored']:.1f} ms, {ratio:.2f} x plain, bare {floor:.2f}")
    assert ratio < 5 and ratio < 2.4 * floor
